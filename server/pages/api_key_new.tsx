import { type KeyConnection, NewApiKeyPage } from "../../views/api_key_new.tsx";
import { ApiKeyCreatedPage } from "../../views/api_keys.tsx";
import { type ClientTarget, managementUrl, proxyUrl, serverName } from "../../views/client_config.ts";
import type { FormState, Permissions } from "../../views/types.ts";
import { can } from "../access/policy.ts";
import { readOnlyManagement } from "../access/roles.ts";
import { perform } from "../actions/action.ts";
import { createApiKey as create } from "../actions/api_keys.ts";
import { listConnections } from "../actions/connections.ts";
import { AppError } from "../errors.ts";
import type { Entries } from "../form.ts";
import type { VisitContext } from "../visit.ts";
import { actorOf, attempt, contextOf, oneOf, shellOf } from "./page.ts";

const maxConnections = 1000;
const maxTargets = 10;
const daySeconds = 24 * 3600;

/** What a key may call and manage, as its form says it. */
interface Choice {
  scope: "selected" | "all" | "none";
  management: "none" | "read" | "all";
  connections: string[];
  /** Names of tools by connection; none means all. */
  tools: Record<string, string[]>;
}

/** The form for a new key. */
export async function showNewApiKey(c: VisitContext): Promise<Response> {
  return await c.html(<NewApiKeyPage shell={await shellOf(c)} connections={await connectionsOf(c)} />);
}

/** Makes a key and shows it, this once. */
export async function createApiKey(c: VisitContext): Promise<Response> {
  const form = c.get("form");
  const values = form.pick("name", "expires_days", "scope", "management");
  const chosen = choiceOf(form);
  return await attempt({ values, names: { permissions: "scope", expiresIn: "expires_days" } }, {
    run: async () => {
      const days = Number(values.expires_days);
      const made = await perform(create, contextOf(c), {
        name: values.name,
        permissions: permissionsOf(chosen),
        ...(days > 0 && { expiresIn: days * daySeconds }),
      });
      const opened = targetsOf(c, { chosen, connections: await connectionsOf(c) });
      const targets = opened.slice(0, maxTargets);
      const { key: secret, name, expiresAt } = made;
      return await c.html(
        <ApiKeyCreatedPage
          {...{ name, secret, expiresAt, targets, opened: opened.length }}
          shell={await shellOf(c)}
        />,
      );
    },
    again: (state, status) => showAgain(c, { chosen, state, status }),
  });
}

async function showAgain(
  c: VisitContext,
  { chosen, state, status }: { chosen: Choice; state: FormState; status: 409 | 422 | 429 },
): Promise<Response> {
  const connections = await connectionsOf(c);
  return await c.html(
    <NewApiKeyPage shell={await shellOf(c)} connections={connections} chosen={chosen} form={state} />,
    status,
  );
}

async function connectionsOf(c: VisitContext): Promise<KeyConnection[]> {
  const { items } = await perform(listConnections, contextOf(c), {
    orderBy: [{ field: ["title"], direction: "asc" }],
    limit: maxConnections,
  });
  return items.map(({ id, title, tools, connection_url }) => ({
    id,
    title,
    address: connection_url ?? "",
    tools: (tools ?? []).map(({ name }) => name).filter((name) => can(actorOf(c), id, name)),
  }));
}

function choiceOf(form: Entries): Choice {
  const connections = form.all("connection");
  return {
    scope: oneOf(form.text("scope"), ["selected", "all", "none"]),
    management: oneOf(form.text("management"), ["none", "read", "all"]),
    connections,
    tools: Object.fromEntries(connections.map((id) => [id, form.all(`tool.${id}`)])),
  };
}

/** The permissions of a choice. Throws `invalid` where the key could do nothing. */
function permissionsOf({ scope, management, connections, tools }: Choice): Permissions {
  if (scope === "all" && management === "all") return { "*": ["*"] };
  if (scope === "selected" && connections.length === 0) {
    throw unusable("choose a connection, or say that it may call none");
  }
  if (scope === "none" && management === "none") throw unusable("a key that may do nothing is of no use");
  const self = management === "all" ? { self: ["*"] } : management === "read" ? readOnlyManagement : {};
  if (scope === "none") return self;
  if (scope === "all") return { ...self, "conn_*": ["*"], "gw_*": ["*"] };
  const called = connections.map((id) => [id, tools[id]?.length ? tools[id] : ["*"]]);
  return { ...self, ...Object.fromEntries(called) };
}

function unusable(reason: string): AppError {
  return new AppError("invalid", `Cannot create the API key: ${reason}`, { fields: { permissions: reason } });
}

/** The addresses that the key opens. */
function targetsOf(
  c: VisitContext,
  { chosen, connections }: { chosen: Choice; connections: KeyConnection[] },
): ClientTarget[] {
  const { baseUrl } = c.get("visit").services.config;
  const opened = chosen.scope === "none"
    ? []
    : connections.filter(({ id }) => chosen.scope === "all" || chosen.connections.includes(id));
  const targets = opened.map(({ id, title }) => ({ name: serverName(title), url: proxyUrl(baseUrl, id) }));
  if (chosen.management !== "none") targets.push({ name: "mesh", url: managementUrl(baseUrl) });
  return distinct(targets);
}

/** Numbers names that occur twice, as a client's configuration takes each once. */
function distinct(targets: ClientTarget[]): ClientTarget[] {
  const used = new Map<string, number>();
  return targets.map(({ name, url }) => {
    const before = used.get(name) ?? 0;
    used.set(name, before + 1);
    return { name: before === 0 ? name : `${name}-${before + 1}`, url };
  });
}
