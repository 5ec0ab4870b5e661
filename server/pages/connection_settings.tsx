import { ConnectionSettingsPage, DeleteConnectionPage } from "../../views/connection_settings.tsx";
import { paths } from "../../views/paths.ts";
import type { FormState } from "../../views/types.ts";
import { perform } from "../actions/action.ts";
import { listApiKeys } from "../actions/api_keys.ts";
import { listConnectionUsage } from "../actions/connection_usage.ts";
import { deleteConnection, updateConnection } from "../actions/connections.ts";
import type { Refusal } from "../form.ts";
import { goTo, type VisitContext } from "../visit.ts";
import { savedFlash } from "./connection_credentials.tsx";
import { connectionFacts, findConnection } from "./connection_frame.ts";
import { enteredWay, wayData, wayNames } from "./credential_form.ts";
import { attempt, contextOf, demand, param, shellOf } from "./page.ts";

type Status = Refusal["status"] | 200;

/** Name, description, address and state of a connection, and what else is its own about the way there. */
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
  const form = c.get("form");
  const values = { ...form.pick("title", "description", "url", "status"), ...enteredWay(form) };
  const names = {
    ...wayNames,
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
          title: form.text("title"),
          description: form.text("description") || null,
          connection_url: form.text("url"),
          status: form.text("status") === "inactive" ? "inactive" : "active",
          ...wayData(form, await findConnection(c)),
        },
      });
      return goTo(c, paths.connectionTab(item.id, "settings"), savedFlash(item));
    },
    again: (form, status) => showConnectionSettings(c, form, status),
  });
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
