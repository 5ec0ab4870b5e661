import {
  ImportConnectionsPage,
  type ImportedServer,
  NewConnectionPage,
} from "../../views/connection_new.tsx";
import { plural } from "../../views/format.ts";
import { paths } from "../../views/paths.ts";
import type { Flash, FormState } from "../../views/types.ts";
import { perform } from "../actions/action.ts";
import { importConnections as importAll } from "../actions/connection_import.ts";
import { createConnection as create } from "../actions/connections.ts";
import { goTo, type VisitContext } from "../visit.ts";
import {
  credentialData,
  credentialNames,
  enteredCredential,
  enteredWay,
  redirectUri,
  wayData,
  wayNames,
} from "./credential_form.ts";
import { attempt, contextOf, demand, shellOf } from "./page.ts";

/** The form for a connection from a URL. */
export async function showNewConnection(c: VisitContext): Promise<Response> {
  demand(c, create);
  return await show(c);
}

/** Makes a connection and leads to it, whether or not its server answered. */
export async function createConnection(c: VisitContext): Promise<Response> {
  const form = c.get("form");
  const values = {
    ...form.pick("url", "title", "description"),
    ...enteredCredential(form),
    ...enteredWay(form),
  };
  const names = {
    ...credentialNames(form),
    ...wayNames,
    "data.connection_url": "url",
    "data.title": "title",
    "data.description": "description",
  };
  return await attempt({ values, names }, {
    run: async () => {
      const { item } = await perform(create, contextOf(c), {
        data: {
          title: form.text("title").trim() || hostOf(form.text("url")),
          connection_url: form.text("url"),
          description: form.text("description") || null,
          ...credentialData(form, null),
          ...wayData(form, null),
        },
      });
      // Whose account it is to be comes next.
      const place = item.credential_type === "oauth" || item.credential_mode === "per_user"
        ? paths.connectionTab(item.id, "credentials")
        : paths.connection(item.id);
      return goTo(c, place, madeFlash(item));
    },
    again: (state, status) => show(c, state, status),
  });
}

/** Says how a new connection does. */
function madeFlash(
  item: {
    title: string;
    status: string;
    tools: unknown[] | null;
    credential_mode?: string;
    credential_type?: string;
  },
): Flash {
  if (item.credential_mode === "per_user") {
    return { kind: "good", text: `${item.title} is added. Each person connects their own account now.` };
  }
  if (item.credential_type === "oauth" && item.status === "error") {
    const text = `${item.title} is added, and wants somebody to sign in. Say whose account it is to be.`;
    return { kind: "info", text };
  }
  if (item.status !== "error") {
    return {
      kind: "good",
      text: `${item.title} is connected and offers ${plural(item.tools?.length ?? 0, "tool")}.`,
    };
  }
  return { kind: "bad", text: `${item.title} is added, but it does not answer as it should yet.` };
}

function hostOf(url: string): string {
  return URL.canParse(url.trim()) ? new URL(url.trim()).host : url.slice(0, 200) || "Connection";
}

async function show(c: VisitContext, form?: FormState, status: 200 | 409 | 422 | 429 = 200) {
  const uri = redirectUri(c);
  return await c.html(
    <NewConnectionPage shell={await shellOf(c)} redirectUri={uri} {...(form && { form })} />,
    status,
  );
}

/** The form for an mcp.json. */
export async function showImport(c: VisitContext): Promise<Response> {
  demand(c, importAll);
  return await c.html(<ImportConnectionsPage shell={await shellOf(c)} />);
}

/** Shows what an mcp.json holds, or makes connections of the servers that are chosen in it. */
export async function importConnections(c: VisitContext): Promise<Response> {
  const form = c.get("form");
  const json = form.text("json");
  const creates = form.text("action") === "create";
  return await attempt({ values: { json } }, {
    run: async () => {
      const input = creates ? { json, names: form.all("server") } : { json, preview: true };
      const { items } = await perform(importAll, contextOf(c), input);
      // What would not be made is refused already by the look at it.
      const failed = creates ? "failed" as const : "refused" as const;
      const servers = items.map((item) => serverOf(item, { ...states, failed }));
      const entered = creates && items.length > 0 ? {} : { json };
      return await c.html(<ImportConnectionsPage shell={await shellOf(c)} servers={servers} {...entered} />);
    },
    again: async (state, status) =>
      await c.html(<ImportConnectionsPage shell={await shellOf(c)} json={json} form={state} />, status),
  });
}

const states = { ready: "ready", created: "created", unsupported: "refused" } as const;

function serverOf(
  { name, address, secrets, outcome, message, item }: {
    name: string;
    address: string;
    secrets: string[];
    outcome: "ready" | "created" | "unsupported" | "failed";
    message: string | null;
    item: { id: string } | null;
  },
  states: Record<"ready" | "created" | "unsupported" | "failed", ImportedServer["state"]>,
): ImportedServer {
  return {
    name,
    address,
    secrets,
    state: states[outcome],
    message: message ?? undefined,
    connectionId: item?.id,
  };
}
