import type { ConnectionPageProps } from "../../views/connection_frame.tsx";
import type { CredentialStatus } from "../../views/credential_words.ts";
import type { Prompt, Resource, TestResult, Tool } from "../../views/types.ts";
import { can } from "../access/policy.ts";
import { perform } from "../actions/action.ts";
import { awaitsAuthorization } from "../actions/connection_status.ts";
import { listConnectionUsage } from "../actions/connection_usage.ts";
import { getConnection } from "../actions/connections.ts";
import { listCredentials } from "../actions/credentials.ts";
import { AppError } from "../errors.ts";
import type { VisitContext } from "../visit.ts";
import { actorOf, contextOf, param, shellOf } from "./page.ts";

/** What every page of one connection shows, and what its server lists as far as the person may use it. */
export interface ConnectionFacts {
  frame: ConnectionPageProps;
  tools: Tool[] | null;
  resources: Resource[] | null;
  prompts: Prompt[] | null;
}

/** A connection with all that its server lists. */
export type ConnectionItem = Awaited<ReturnType<typeof findConnection>>;

/** The connection that the path names. Throws `not_found`, also for one of another organization. */
export async function findConnection(c: VisitContext) {
  const id = param(c, "id");
  const { item } = await perform(getConnection, contextOf(c), { id });
  if (item) return item;
  throw new AppError("not_found", `Cannot show the connection: there is no '${id}'`);
}

/** Reads what the pages of the path's connection are made of. */
export async function connectionFacts(c: VisitContext, test?: TestResult): Promise<ConnectionFacts> {
  const actor = actorOf(c);
  const connection = await findConnection(c);
  const { id } = connection;
  const { items } = await perform(listConnectionUsage, contextOf(c), { ids: [id], limit: 1 });
  const tools = connection.tools?.filter(({ name }) => can(actor, id, name)) ?? null;
  const resources = connection.resources === null && connection.resource_templates === null
    ? null
    : [...connection.resources ?? [], ...connection.resource_templates ?? []].map(resourceOf)
      .filter(({ uri }) => can(actor, id, `resource:${uri}`));
  const prompts = connection.prompts?.map(promptOf).filter(({ name }) => can(actor, id, `prompt:${name}`)) ??
    null;
  const counts = {
    tools: tools?.length ?? null,
    resources: resources?.length ?? null,
    prompts: prompts?.length ?? null,
  };
  const [used] = items;
  const { medianMs = null } = used ?? {};
  const own = connection.credential_mode === "per_user" ? await ownStatus(c, id) : null;
  return {
    frame: {
      shell: await shellOf(c),
      connection: used?.sharedAccess === "not_connected" ? withoutWaiting(connection) : connection,
      medianMs,
      counts,
      standing: used,
      health: connection.health,
      own,
      ...(test && { test }),
    },
    tools,
    resources,
    prompts,
  };
}

/** The connection without the words that it waits for somebody to sign in: the pages say it in their own. */
function withoutWaiting(connection: ConnectionItem): ConnectionItem {
  const reasons = connection.status_reason?.split("; ").filter((reason) => reason !== awaitsAuthorization);
  return { ...connection, status_reason: reasons?.join("; ") || null };
}

/** How the credential of the reader stands; null where they may not have one. */
async function ownStatus(c: VisitContext, id: string): Promise<CredentialStatus | null> {
  const { items } = await perform(listCredentials, contextOf(c), {});
  return items.find(({ connection_id }) => connection_id === id)?.status ?? null;
}

// What a server lists may be of any shape; what is not as expected is not shown.
function resourceOf(entry: Record<string, unknown>): Resource {
  return {
    uri: text(entry.uri) ?? text(entry.uriTemplate) ?? "",
    name: text(entry.name),
    title: text(entry.title),
    description: text(entry.description),
    mimeType: text(entry.mimeType),
    size: typeof entry.size === "number" ? entry.size : null,
  };
}

function promptOf(entry: Record<string, unknown>): Prompt {
  const listed = Array.isArray(entry.arguments) ? entry.arguments : [];
  return {
    name: text(entry.name) ?? "",
    title: text(entry.title),
    description: text(entry.description),
    arguments: listed.filter((one) => typeof one?.name === "string").map((one) => ({
      name: one.name,
      description: text(one.description),
      required: one.required === true,
    })),
  };
}

function text(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}
