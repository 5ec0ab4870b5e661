import { z } from "zod";
import { AppError } from "../errors.ts";
import type { ConnectionRow } from "../storage/connections.ts";
import * as connections from "../storage/connections.ts";
import { listInput, listOutput } from "../storage/filters.ts";
import * as upstreamCredentials from "../storage/upstream_credentials.ts";
import { openOauthSecrets } from "../upstream/oauth_settings.ts";
import { type Context, defineAction, organizationOf } from "./action.ts";
import { addConnection, changeConnection } from "./connection_changes.ts";
import {
  connectionChanges,
  connectionDetail,
  connectionEntity,
  connectionIdField,
  type ConnectionInput,
  connectionInput,
  entityOf,
} from "./connection_fields.ts";
import { checkSoon, type ConnectionHealth, healthOf } from "./connection_health.ts";
import { openConfiguration } from "./connection_saving.ts";
import { giveBack } from "./oauth_grants.ts";

const id = connectionIdField;
const toolName = z.string().max(200).refine((name) => !name.includes("\0"), "it must not contain a NUL");

/** Makes a connection and asks its server for its lists. */
export const createConnection = defineAction({
  name: "COLLECTION_CONNECTIONS_CREATE",
  title: "Create connection",
  description: "Adds an MCP server to the organization and asks it for its tools, resources and prompts. " +
    "A server that does not answer is added with the status 'error' and the reason; one that signs people in " +
    "becomes a connection of the type 'oauth' by itself.",
  input: z.object({ data: connectionInput }),
  output: z.object({ item: connectionDetail }),
  run: async (ctx, { data }) => ({ item: await create(ctx, data) }),
});

export const listConnections = defineAction({
  name: "COLLECTION_CONNECTIONS_LIST",
  title: "List connections",
  description:
    "Lists the organization's connections with their tools, newest first unless told otherwise; fewer " +
    "than the limit at once where their servers list very much.",
  readOnly: true,
  input: listInput.extend({
    binding: z.union([
      toolName,
      z.array(z.union([toolName, z.object({ name: toolName })])).max(100),
    ]).optional().describe("Tool names that a connection must all have"),
  }),
  output: listOutput(connectionEntity),
  run: async (ctx, { binding, ...input }) => {
    const names = binding === undefined ? [] : connections.bindingNames(binding);
    const { rows, totalCount } = await connections.list(ctx.db, organizationOf(ctx), {
      ...input,
      binding: names,
    });
    const health = await healthOf(ctx, rows.map((row) => row.id));
    const items = await Promise.all(rows.map((row) => entityWith(ctx, row, health.get(row.id))));
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
    const row = await find(ctx, input.id);
    return { item: row && await read(ctx, row) };
  },
});

export const updateConnection = defineAction({
  name: "COLLECTION_CONNECTIONS_UPDATE",
  title: "Update connection",
  description: "Changes the fields that are given; null clears one. A secret that is left out, or given as " +
    "'***', stays, unless the URL moves to another origin: then stored secrets are dropped. Credentials that no " +
    "longer apply are removed; status_reason says so.",
  idempotent: true,
  input: z.object({ id, data: connectionChanges }),
  output: z.object({ item: connectionDetail }),
  run: async (ctx, input) => {
    const row = await findOrRefuse(ctx, { id: input.id, doing: "update" });
    if (!await changeConnection(ctx, row, input.data)) throw missing("update", row.id);
    await checkSoon(ctx, row.id);
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
    const given = await upstreamCredentials.listOfConnection(ctx.db, row.organization_id, row.id);
    if (!await connections.remove(ctx.db, row.organization_id, row.id)) throw missing("delete", row.id);
    ctx.upstream.forget(row.id);
    await giveBack(ctx, given, row);
    return { item };
  },
});

/** A connection of the actor's organization. Throws `not_found`. */
export async function findOrRefuse(
  ctx: Context,
  { id, doing }: { id: string; doing: string },
): Promise<ConnectionRow> {
  const row = await find(ctx, id);
  if (!row) throw missing(doing, id);
  return row;
}

async function find(ctx: Context, id: string): Promise<ConnectionRow | null> {
  if (id.includes("\0")) return null; // not every database can be asked for it
  return await connections.find(ctx.db, organizationOf(ctx), id);
}

function missing(doing: string, id: string): AppError {
  return new AppError("not_found", `Cannot ${doing} connection: there is none with the id '${id}'`);
}

/** The entity of a row. */
export async function read(ctx: Context, row: ConnectionRow): Promise<z.input<typeof connectionDetail>> {
  const health = await healthOf(ctx, [row.id]);
  return await entityWith(ctx, row, health.get(row.id));
}

async function entityWith(
  ctx: Context,
  row: ConnectionRow,
  health: ConnectionHealth | undefined,
): Promise<z.input<typeof connectionDetail>> {
  return entityOf(row, {
    configuration: await openConfiguration(ctx.vault, row),
    oauthSecrets: Object.keys(await openOauthSecrets(row, ctx.vault)),
    health: health ?? null,
  });
}

/** Makes one connection. Throws `outbound_refused` for an address that the mesh may not reach; then there is none. */
export async function create(ctx: Context, data: ConnectionInput): Promise<z.input<typeof connectionDetail>> {
  const { id } = await addConnection(ctx, data);
  await checkSoon(ctx, id);
  return await read(ctx, await findOrRefuse(ctx, { id, doing: "create" }));
}
