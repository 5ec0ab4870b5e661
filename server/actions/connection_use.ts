import { z } from "zod";
import { toolAction } from "../access/policy.ts";
import { AppError } from "../errors.ts";
import type { ConnectionRow } from "../storage/connections.ts";
import * as connections from "../storage/connections.ts";
import type { Diagnosed } from "../upstream/diagnosis.ts";
import { stages } from "../upstream/diagnosis_course.ts";
import { subjectOf } from "../upstream/diagnosis_subject.ts";
import { isPersonal, keepFinding, recordTest, statusOf, withLostTools } from "../upstream/health_keeping.ts";
import { secretsFor } from "../upstream/sent_secrets.ts";
import { type Context, defineAction, organizationOf } from "./action.ts";
import { callerOf } from "./connection_asking.ts";
import { changedConfiguration } from "./connection_changes.ts";
import { connectionDetail, connectionIdField } from "./connection_fields.ts";
import { findOrRefuse, read } from "./connections.ts";
import { jsonObject } from "./fields.ts";

const id = connectionIdField;

/** Asks a connection's server for its lists and keeps what it says. */
export const testConnection = defineAction({
  name: "CONNECTION_TEST",
  title: "Test connection",
  description:
    "Connects to the server as a call of yours would, stage by stage, reads its lists again, and says at which stage " +
    "it failed, why, and what to do.",
  idempotent: true,
  input: z.object({ id }),
  output: z.object({
    id: z.string(),
    healthy: z.boolean(),
    latencyMs: z.number().describe("Until the end of the handshake, or until it failed"),
    stage: z.enum(stages).nullable().describe("The first stage that failed"),
    code: z.string().nullable(),
    message: z.string().nullable().describe("What happened and why"),
    advice: z.string().nullable().describe("What to do"),
    protocolVersion: z.string().nullable(),
    tools: z.array(z.string()).nullable().describe("Names of the tools that the server lists now"),
    stages: z.array(z.object({
      stage: z.enum(stages),
      ok: z.boolean(),
      ms: z.number(),
      skipped: z.literal(true).optional().describe("Not needed where `ok`, else not tried"),
      detail: z.string().optional(),
    })).describe("Every stage in order"),
  }),
  run: async (ctx, input) => {
    const row = await findOrRefuse(ctx, { id: input.id, doing: "test" });
    const subject = await subjectOf(ctx, row, callerOf(ctx));
    if (subject === null) throw new AppError("conflict", `Cannot test '${row.title}': it has no URL`);
    // The SDK's client takes memory and start-up time, so it is loaded when it is first needed.
    const { diagnose } = await import("../upstream/diagnosis.ts");
    const { diagnosis: found, catalog } = await diagnose(ctx.outbound, subject);
    const diagnosis = withLostTools(row, found, catalog);
    if (!isPersonal(row, diagnosis)) await keep(ctx, row, { diagnosis, catalog });
    return { id: row.id, ...diagnosis };
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
    configuration_state: jsonObject(100_000),
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
  destructive: true, // as far as anybody can say of any tool
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
  target: (input) => ({ resource: input.id, action: toolAction(input.toolName) }),
  secrets: (ctx, { id }) => sentTo(ctx, id),
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

/** What the connection's server is sent in confidence for the actor; nothing where somebody has to connect first. */
async function sentTo(ctx: Context, id: string): Promise<readonly string[]> {
  const organizationId = organizationOf(ctx);
  try {
    const caller = { ...ctx.actor, organizationId };
    const peer = await ctx.upstream.peerFor(id, organizationId, caller);
    return peer === null ? [] : secretsFor(peer, caller);
  } catch (error) {
    if (error instanceof AppError) return [];
    throw error;
  }
}

/** Writes what a test has found about the connection, unless it was changed meanwhile. */
async function keep(ctx: Context, row: ConnectionRow, { diagnosis, catalog }: Diagnosed): Promise<void> {
  const { healthCheckSeconds } = ctx.config;
  await recordTest(ctx.db, row, { diagnosis, intervalMs: (healthCheckSeconds || 300) * 1000 });
  const status = statusOf(row, diagnosis);
  if (await keepFinding(ctx.db, row, { catalog, status })) ctx.upstream.forget(row.id);
}
