import {
  ConnectionCredentialsPage,
  ConnectionSettingsPage,
  DeleteConnectionPage,
} from "../../views/connection_settings.tsx";
import { paths } from "../../views/paths.ts";
import type { Flash, FormState } from "../../views/types.ts";
import { perform } from "../actions/action.ts";
import { listApiKeys } from "../actions/api_keys.ts";
import { listConnectionUsage } from "../actions/connection_usage.ts";
import { deleteConnection, updateConnection } from "../actions/connections.ts";
import type { Refusal } from "../form.ts";
import { goTo, type VisitContext } from "../visit.ts";
import { connectionFacts, findConnection } from "./connection_frame.ts";
import { headersIn } from "./header_lines.ts";
import { attempt, contextOf, demand, param, shellOf } from "./page.ts";

type Status = Refusal["status"] | 200;
const mask = "***"; // keeps the stored value

/** Name, description, address and state of a connection. */
export async function showConnectionSettings(
  c: VisitContext,
  form?: FormState,
  status: Status = 200,
): Promise<Response> {
  demand(c, updateConnection);
  const { frame } = await connectionFacts(c);
  return await c.html(<ConnectionSettingsPage {...frame} {...(form && { form })} />, status);
}

/** Changes them, and asks the server again where that matters. */
export async function saveConnectionSettings(c: VisitContext): Promise<Response> {
  const values = c.get("form").pick("title", "description", "url", "status");
  const names = {
    "data.title": "title",
    "data.description": "description",
    "data.connection_url": "url",
    "data.status": "status",
  };
  return await attempt({ values, names }, {
    run: async () => {
      const { item } = await perform(updateConnection, contextOf(c), {
        id: param(c, "id"),
        data: {
          title: values.title,
          description: values.description || null,
          connection_url: values.url,
          status: values.status === "inactive" ? "inactive" : "active",
        },
      });
      return goTo(c, paths.connectionTab(item.id, "settings"), savedFlash(item));
    },
    again: (form, status) => showConnectionSettings(c, form, status),
  });
}

/** The token and the headers that go with every call: their names, never their values. */
export async function showCredentials(
  c: VisitContext,
  form?: FormState,
  status: Status = 200,
): Promise<Response> {
  demand(c, updateConnection);
  const { frame } = await connectionFacts(c);
  return await c.html(<ConnectionCredentialsPage {...frame} {...(form && { form })} />, status);
}

/** Replaces, adds or removes credentials; what is not mentioned stays. */
export async function saveCredentials(c: VisitContext): Promise<Response> {
  const form = c.get("form");
  const values = { ...form.pick("headers"), token: "" };
  const names = { "data.connection_token": "token", "data.connection_headers": "headers" };
  return await attempt({ values, names }, {
    run: async () => {
      const added = headersIn(form.text("headers"));
      const stored = (await findConnection(c)).connection_headers?.headers ?? {};
      const headers = mergeHeaders(Object.keys(stored), { removed: form.all("remove_header"), added });
      const token = form.text("token").trim();
      const data = {
        ...(token
          ? { connection_token: token }
          : form.text("remove_token")
          ? { connection_token: null }
          : {}),
        ...(headers && { connection_headers: { headers } }),
      };
      const { item } = await perform(updateConnection, contextOf(c), { id: param(c, "id"), data });
      return goTo(c, paths.connectionTab(item.id, "credentials"), savedFlash(item));
    },
    again: (state, status) => showCredentials(c, state, status),
  });
}

/** The headers after a change; null where none was asked for. */
function mergeHeaders(
  stored: string[],
  { removed, added }: { removed: string[]; added: Record<string, string> | null },
): Record<string, string> | null {
  if (removed.length === 0 && added === null) return null;
  const replaced = new Set([...removed, ...Object.keys(added ?? {})].map((name) => name.toLowerCase()));
  const kept = stored.filter((name) => !replaced.has(name.toLowerCase()));
  return { ...Object.fromEntries(kept.map((name) => [name, mask])), ...added };
}

function savedFlash({ title, status }: { title: string; status: string }): Flash {
  if (status !== "error") return { kind: "good", text: "The changes are saved." };
  return { kind: "bad", text: `The changes are saved, but ${title} does not answer as it should.` };
}

/** Asks before a connection is deleted, and says what that means. */
export async function showDeleteConnection(
  c: VisitContext,
  form?: FormState,
  status: Status = 200,
): Promise<Response> {
  demand(c, deleteConnection);
  const connection = await findConnection(c);
  const usage = await perform(listConnectionUsage, contextOf(c), { ids: [connection.id] });
  const keys = await perform(listApiKeys, contextOf(c), {});
  return await c.html(
    <DeleteConnectionPage
      shell={await shellOf(c)}
      connection={connection}
      calls={usage.items[0]?.calls ?? 0}
      keyCount={keys.items.filter(({ permissions }) => Object.hasOwn(permissions, connection.id)).length}
      form={form}
    />,
    status,
  );
}

/** Deletes a connection with its credentials. */
export async function removeConnection(c: VisitContext): Promise<Response> {
  return await attempt({ values: {} }, {
    run: async () => {
      const { item } = await perform(deleteConnection, contextOf(c), { id: param(c, "id") });
      return goTo(c, paths.connections, { kind: "good", text: `${item.title} is deleted.` });
    },
    again: (form, status) => showDeleteConnection(c, form, status),
  });
}
