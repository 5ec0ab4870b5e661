import { z } from "zod";
import { AppError } from "../errors.ts";
import type { ConnectionRow } from "../storage/connections.ts";
import * as connections from "../storage/connections.ts";
import type { CatalogResult } from "../upstream/catalog.ts";
import { credentialHeaders } from "../upstream/credentials.ts";
import { type Context, defineAction, organizationOf } from "./action.ts";
import { connectionDetail } from "./connection_fields.ts";
import { listColumns, statusColumns } from "./connection_saving.ts";
import { changedConfiguration, findOrRefuse, read, toolNames } from "./connections.ts";

const id = z.string().min(1).max(100).describe("The connection's id, conn_...");

/** Asks a connection's server for its lists and keeps what it says. */
export const testConnection = defineAction({
  name: "CONNECTION_TEST",
  title: "Test connection",
  description:
    "Connects to the server as a call would, reads its lists again, and says at which stage it failed.",
  idempotent: true,
  input: z.object({ id }),
  output: z.object({
    id: z.string(),
    healthy: z.boolean(),
    latencyMs: z.number().describe("Until the end of the handshake"),
    stage: z.enum(["dns", "tcp", "tls", "http", "auth_discovery", "token", "handshake", "list", "call"])
      .nullable(),
    code: z.string().nullable(),
    message: z.string().nullable(),
    protocolVersion: z.string().nullable(),
    tools: z.array(z.string()).nullable().describe("Names of the tools that the server lists now"),
  }),
  run: async (ctx, input) => {
    const row = await findOrRefuse(ctx, { id: input.id, doing: "test" });
    const headers = await credentialHeaders(row, ctx.vault);
    const result = await ctx.upstream.catalog({ title: row.title, url: row.connection_url ?? "", headers });
    await keep(ctx, row, result);
    const known = { id: row.id, healthy: result.ok, latencyMs: result.latencyMs };
    if (!result.ok) {
      const { stage, code, message } = result;
      return { ...known, stage, code, message, protocolVersion: null, tools: null };
    }
    const { protocolVersion, notes } = result;
    const message = notes.length === 0 ? null : notes.join("; ");
    return { ...known, stage: null, code: null, message, protocolVersion, tools: toolNames(result) };
  },
});

export const configureConnection = defineAction({
  name: "CONNECTION_CONFIGURE",
  title: "Configure connection",
  description: "Sets the configuration that the server asks for. It is stored sealed and read back masked; " +
    "'***' in it keeps the stored value.",
  idempotent: true,
  input: z.object({
    id,
    configuration_state: connectionState(),
    configuration_scopes: z.array(z.string().max(500)).max(200).optional(),
  }),
  output: z.object({ item: connectionDetail }),
  run: async (ctx, input) => {
    const row = await findOrRefuse(ctx, { id: input.id, doing: "configure" });
    const scopes = input.configuration_scopes;
    const changes = {
      sealed_configuration: await changedConfiguration(ctx, row, input.configuration_state),
      ...(scopes === undefined ? {} : { configuration_scopes: JSON.stringify(scopes) }),
      updated_by: ctx.actor.userId,
    };
    await connections.update(ctx.db, row.organization_id, { id: row.id, changes });
    ctx.upstream.forget(row.id);
    return { item: await read(ctx, await findOrRefuse(ctx, { id: row.id, doing: "configure" })) };
  },
});

/** Calls a tool as the person does it, through the credential that the proxy uses. */
export const callConnectionTool = defineAction({
  name: "CONNECTION_CALL_TOOL",
  title: "Call tool",
  description:
    "Calls one tool of a connection's server and gives back its answer with the time that it took.",
  input: z.object({
    id,
    toolName: z.string().min(1).max(1000),
    arguments: z.record(z.string(), z.unknown()).default({}),
  }),
  output: z.object({
    content: z.array(z.record(z.string(), z.unknown())),
    structuredContent: z.unknown().optional(),
    isError: z.boolean(),
    durationMs: z.number(),
    requestId: z.string(),
  }),
  target: (input) => ({ resource: input.id, action: input.toolName }),
  run: async (ctx, input) => {
    const organizationId = organizationOf(ctx);
    const target = await ctx.upstream.target(organizationId, input.id);
    if (target?.status === "inactive") {
      throw new AppError("conflict", `Cannot call '${input.toolName}': ${target.title} is switched off`);
    }
    const call = { name: input.toolName, arguments: input.arguments };
    const answer = await ctx.upstream.callTool(input.id, { ...ctx.actor, organizationId }, call);
    if (answer === null) {
      throw new AppError("not_found", `Cannot call tool: there is no connection with the id '${input.id}'`);
    }
    return { ...answer, requestId: ctx.request.id };
  },
});

function connectionState() {
  return z.record(z.string(), z.unknown()).refine(
    (value) => JSON.stringify(value).length <= 100_000,
    "it must not be longer than 100000 characters of JSON",
  );
}

/** Writes what a test has found, unless nothing is new or the connection was changed meanwhile. */
async function keep(ctx: Context, row: ConnectionRow, result: CatalogResult): Promise<void> {
  const changes = {
    ...statusColumns(result, row.status === "inactive" ? "inactive" : undefined),
    // What it listed before stays while it does not answer.
    ...(result.ok ? listColumns(result) : {}),
  };
  const known: Record<string, unknown> = { ...row };
  if (Object.entries(changes).every(([column, value]) => known[column] === value)) return;
  const change = { id: row.id, changes, version: row.updated_at };
  if (result.ok) {
    await connections.replaceTools(ctx.db, row.organization_id, { ...change, toolNames: toolNames(result) });
  } else await connections.update(ctx.db, row.organization_id, change);
  ctx.upstream.forget(row.id);
}
