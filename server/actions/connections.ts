import { z } from "zod";
import { AppError } from "../errors.ts";
import { newId } from "../ids.ts";
import type { ConnectionRow } from "../storage/connections.ts";
import * as connections from "../storage/connections.ts";
import { listInput, listOutput } from "../storage/filters.ts";
import type { CatalogResult } from "../upstream/catalog.ts";
import { checkSecrets, headersOf, openSecrets } from "../upstream/credentials.ts";
import { type Context, defineAction, organizationOf } from "./action.ts";
import {
  type ConnectionChanges,
  connectionChanges,
  connectionDetail,
  connectionEntity,
  type ConnectionInput,
  connectionInput,
  entityOf,
  unmaskValues,
} from "./connection_fields.ts";
import {
  emptyColumns,
  listColumns,
  mergeSecrets,
  openConfiguration,
  plainColumns,
  refuseForbiddenAddress,
  sealConfiguration,
  sealSecrets,
  statusColumns,
} from "./connection_saving.ts";

const id = z.string().min(1).max(100).describe("The connection's id, conn_...");
const noSecrets = { token: null, headers: null };

/** Makes a connection and asks its server for its lists. */
export const createConnection = defineAction({
  name: "COLLECTION_CONNECTIONS_CREATE",
  title: "Create connection",
  description: "Adds an MCP server to the organization and asks it for its tools, resources and prompts. " +
    "A server that does not answer is added with the status 'error' and the reason.",
  input: z.object({ data: connectionInput }),
  output: z.object({ item: connectionDetail }),
  run: async (ctx, { data }) => ({ item: await create(ctx, data) }),
});

export const listConnections = defineAction({
  name: "COLLECTION_CONNECTIONS_LIST",
  title: "List connections",
  description: "Lists the organization's connections with their tools, newest first unless told otherwise.",
  readOnly: true,
  input: listInput.extend({
    binding: z.union([
      z.string().max(200),
      z.array(z.union([z.string().max(200), z.object({ name: z.string().max(200) })])).max(100),
    ]).optional().describe("Tool names that a connection must all have"),
  }),
  output: listOutput(connectionEntity),
  run: async (ctx, { binding, ...input }) => {
    const names = binding === undefined ? [] : connections.bindingNames(binding);
    const { rows, totalCount } = await connections.list(ctx.db, organizationOf(ctx), {
      ...input,
      binding: names,
    });
    const items = await Promise.all(rows.map((row) => read(ctx, row)));
    return { items, totalCount, hasMore: input.offset + rows.length < totalCount };
  },
});

export const getConnection = defineAction({
  name: "COLLECTION_CONNECTIONS_GET",
  title: "Get connection",
  description: "Shows one connection with all that its server lists; null where there is none with this id.",
  readOnly: true,
  input: z.object({ id }),
  output: z.object({ item: connectionDetail.nullable() }),
  run: async (ctx, input) => {
    const row = await connections.find(ctx.db, organizationOf(ctx), input.id);
    return { item: row && await read(ctx, row) };
  },
});

export const updateConnection = defineAction({
  name: "COLLECTION_CONNECTIONS_UPDATE",
  title: "Update connection",
  description: "Changes the fields that are given; null clears one. A secret that is left out, or given as " +
    "'***', stays, unless the URL moves to another origin: then stored secrets are dropped.",
  idempotent: true,
  input: z.object({ id, data: connectionChanges }),
  output: z.object({ item: connectionDetail }),
  run: async (ctx, input) => {
    const row = await findOrRefuse(ctx, { id: input.id, doing: "update" });
    await change(ctx, row, input.data);
    return { item: await read(ctx, await findOrRefuse(ctx, { id: row.id, doing: "update" })) };
  },
});

export const deleteConnection = defineAction({
  name: "COLLECTION_CONNECTIONS_DELETE",
  title: "Delete connection",
  description: "Removes a connection with its credentials. Calls through it end with 404 from now on.",
  destructive: true,
  input: z.object({ id }),
  output: z.object({ item: connectionDetail }),
  run: async (ctx, input) => {
    const row = await findOrRefuse(ctx, { id: input.id, doing: "delete" });
    const item = await read(ctx, row);
    if (!await connections.remove(ctx.db, row.organization_id, row.id)) throw missing("delete", row.id);
    ctx.upstream.forget(row.id);
    return { item };
  },
});

/** A connection of the actor's organization. Throws `not_found`. */
export async function findOrRefuse(
  ctx: Context,
  { id, doing }: { id: string; doing: string },
): Promise<ConnectionRow> {
  const row = await connections.find(ctx.db, organizationOf(ctx), id);
  if (!row) throw missing(doing, id);
  return row;
}

function missing(doing: string, id: string): AppError {
  return new AppError("not_found", `Cannot ${doing} connection: there is none with the id '${id}'`);
}

/** The entity of a row. */
export async function read(ctx: Context, row: ConnectionRow): Promise<z.input<typeof connectionDetail>> {
  return entityOf(row, await openConfiguration(ctx.vault, row));
}

/** Makes one connection. Throws `outbound_refused` for an address that the mesh may not reach; then there is none. */
export async function create(ctx: Context, data: ConnectionInput): Promise<z.input<typeof connectionDetail>> {
  const owner = { id: newId("conn"), organization_id: organizationOf(ctx) };
  const secrets = mergeSecrets(noSecrets, givenSecrets(data), false);
  checkSecrets(secrets);
  const peer = { title: data.title, url: data.connection_url, headers: headersOf(secrets) };
  const catalog = await ctx.upstream.catalog(peer);
  refuseForbiddenAddress(catalog);
  const now = Date.now();
  const row: ConnectionRow = {
    ...owner,
    ...emptyColumns,
    ...plainColumns(data),
    ...listColumns(catalog.ok ? catalog : null),
    ...statusColumns(catalog, data.status),
    ...await sealSecrets(ctx.vault, owner, secrets),
    sealed_configuration: await sealConfiguration(ctx.vault, owner, data.configuration_state ?? null),
    created_by: ctx.actor.userId,
    updated_by: ctx.actor.userId,
    created_at: now,
    updated_at: now,
  };
  await connections.insert(ctx.db, row, toolNames(catalog));
  return await read(ctx, row);
}

/** Changes a connection, asking its server again where the change may matter to it. */
async function change(ctx: Context, row: ConnectionRow, data: ConnectionChanges): Promise<void> {
  const url = data.connection_url ?? row.connection_url ?? "";
  const newUrl = url !== row.connection_url;
  const moved = newUrl && originOf(url) !== originOf(row.connection_url);
  const secrets = mergeSecrets(await openSecrets(row, ctx.vault), givenSecrets(data), moved);
  checkSecrets(secrets);
  const asks = newUrl || secrets.changed || (data.status === "active" && row.status !== "active");
  const peer = { title: data.title ?? row.title, url, headers: headersOf(secrets) };
  const catalog = asks ? await ctx.upstream.catalog(peer) : null;
  if (catalog) refuseForbiddenAddress(catalog);
  const configuration = data.configuration_state;
  const changes = {
    ...plainColumns(data),
    ...(secrets.changed ? await sealSecrets(ctx.vault, row, secrets) : {}),
    ...(configuration === undefined
      ? {}
      : { sealed_configuration: await changedConfiguration(ctx, row, configuration) }),
    ...answerColumns(row, { data, catalog, dropped: secrets.dropped }),
    updated_by: ctx.actor.userId,
  };
  // What a server listed before stays while it is the same server and only does not answer.
  const replaces = catalog && (catalog.ok || newUrl);
  const done = replaces
    ? await connections.replaceTools(ctx.db, row.organization_id, {
      id: row.id,
      changes: { ...changes, ...listColumns(catalog.ok ? catalog : null) },
      toolNames: toolNames(catalog),
    })
    : await connections.update(ctx.db, row.organization_id, { id: row.id, changes });
  ctx.upstream.forget(row.id);
  if (!done) throw missing("update", row.id);
}

/** The sealed configuration after a change; `***` in it keeps what is stored at the same place. */
export async function changedConfiguration(
  ctx: Context,
  row: ConnectionRow,
  given: Record<string, unknown> | null,
): Promise<string | null> {
  const stored = await openConfiguration(ctx.vault, row);
  const state = given && unmaskValues(given, stored) as Record<string, unknown>;
  return await sealConfiguration(ctx.vault, row, state);
}

interface Answer {
  data: ConnectionChanges;
  catalog: CatalogResult | null;
  dropped: boolean;
}

/** The status after an update. */
function answerColumns(row: ConnectionRow, { data, catalog, dropped }: Answer) {
  const asked = data.status === "error" ? undefined : data.status;
  const wanted = asked ?? (row.status === "inactive" ? "inactive" : undefined);
  if (catalog) return statusColumns(catalog, wanted, dropped ? [droppedNote] : []);
  return wanted === "inactive" ? { status: "inactive" } : {};
}

const droppedNote = "The URL moved to another origin, so the stored secrets were dropped; give them again";

function givenSecrets(data: ConnectionChanges) {
  const { connection_token: token, connection_headers: headers } = data;
  return { token, headers: headers === null ? null : headers?.headers };
}

function originOf(url: string | null): string | null {
  return url !== null && URL.canParse(url) ? new URL(url).origin : null;
}

/** The names of the tools that an upstream listed. */
export function toolNames(catalog: CatalogResult): string[] {
  return catalog.ok ? catalog.tools.map(({ name }) => name) : [];
}
