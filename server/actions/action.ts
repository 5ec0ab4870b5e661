import { z } from "zod";
import type { Actor } from "../access/actor.ts";
import { can } from "../access/policy.ts";
import { AppError } from "../errors.ts";
import { describeError } from "../log.ts";
import type { Services } from "../services.ts";
import * as connections from "../storage/connections.ts";
import { required } from "./fields.ts";

/** The request that an action runs for, as the audit log names it. */
export interface RequestFacts {
  readonly id: string;
  readonly userAgent: string | null;
  /** The hash of the session behind a page: what a browser begins, only that browser ends. */
  readonly sessionHash?: string;
  /** True for a page of the dashboard: what it only reads to show itself leaves no row in the log. */
  readonly viewing?: boolean;
}

/** What an action is given: the services, who asks, and for which request. Frozen. */
export interface Context extends Services {
  readonly actor: Actor;
  readonly request: RequestFacts;
}

/** A resource of the permission model and an action on it. */
export interface Target {
  resource: string;
  action: string;
}

/** One thing that the product does; see `defineAction`. */
export interface Action<I extends z.ZodObject = z.ZodObject, O extends z.ZodObject = z.ZodObject> {
  /** The public tool name of the contract. */
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly readOnly: boolean;
  /** True where it removes or overwrites what cannot be brought back. */
  readonly destructive: boolean;
  /** True where doing it twice is the same as doing it once. */
  readonly idempotent: boolean;
  readonly input: I;
  readonly output: O;
  /** True for what the pages alone run: it is no tool, and the JSON API does not have it. */
  readonly internal?: boolean;
  /** The organization that the input names, where it may be another than the active one. */
  readonly organization?: (
    input: z.output<I>,
    ctx: Context,
  ) => string | undefined | Promise<string | undefined>;
  /** A second permission that the input decides, such as a tool of a connection; also what the log names. */
  readonly target?: (input: z.output<I>) => Target;
  /** What the log may hold of an input that was not accepted, where that is not the input itself. */
  readonly logged?: (rawInput: unknown) => unknown;
  /** What the log may hold of an input that was accepted, where that is not the input itself. */
  readonly loggedInput?: (input: z.output<I>) => unknown;
  /** What the log may hold of the output, where that is not the output itself. */
  readonly loggedOutput?: (output: z.output<O>) => unknown;
  /** What the log must not hold wherever it occurs, as somebody else's answer may repeat it. */
  readonly secrets?: (ctx: Context, input: z.output<I>) => Promise<readonly string[]>;
  /** True where it also runs for a person who belongs to no organization. */
  readonly withoutOrganization?: boolean;
  readonly run: (ctx: Context, input: z.output<I>) => Promise<z.input<O>>;
}

type Definition<I extends z.ZodObject, O extends z.ZodObject> =
  & Omit<Action<I, O>, "readOnly" | "destructive" | "idempotent">
  & Partial<Pick<Action, "readOnly" | "destructive" | "idempotent">>;

/** Declares an action. By default it writes, destroys nothing, and is not idempotent. */
export function defineAction<I extends z.ZodObject, O extends z.ZodObject>(
  definition: Definition<I, O>,
): Action<I, O> {
  const readOnly = definition.readOnly ?? false;
  return Object.freeze({ destructive: false, idempotent: readOnly, ...definition, readOnly });
}

/** The organization that the actor acts in. Throws `forbidden` where they belong to none. */
export function organizationOf(ctx: Context): string {
  if (ctx.actor.organizationId !== null) return ctx.actor.organizationId;
  throw new AppError("forbidden", "Cannot do this: you belong to no organization; create one first");
}

/**
 * Runs an action: authorize, validate, run, audit. The only way to run one.
 * Throws an AppError: `forbidden` naming the permission, `invalid` with messages per field, or what the action throws.
 */
export async function perform<I extends z.ZodObject, O extends z.ZodObject>(
  action: Action<I, O>,
  ctx: Context,
  rawInput: unknown,
): Promise<z.output<O>> {
  const began = performance.now();
  const call: Call = {
    target: { resource: "self", action: action.name },
    ctx,
    input: action.logged ? action.logged(rawInput) : rawInput,
  };
  await ctx.audit.room();
  try {
    // A person may name another organization; then the roles there count, which only the input tells.
    const elsewhere = action.organization !== undefined && ctx.actor.kind === "session";
    if (!elsewhere) authorize(action, ctx.actor, call.target);
    const input = validate(action, rawInput);
    call.input = action.loggedInput ? action.loggedInput(input) : input;
    call.ctx = await inOrganizationOf(action, ctx, input);
    if (elsewhere) authorize(action, call.ctx.actor, call.target);
    if (action.target) authorizeTarget(action.target(input), call);
    if (action.secrets) call.secrets = () => action.secrets?.(call.ctx, input) ?? Promise.resolve([]);
    const output = action.output.parse(await action.run(call.ctx, input)) as z.output<O>;
    const logged = action.loggedOutput ? action.loggedOutput(output) : output;
    if (!(action.readOnly && ctx.request.viewing)) await record(call, began, { output: logged });
    return output;
  } catch (error) {
    await record(call, began, { error });
    throw error;
  }
}

/** What is known of a running action, for the log. */
interface Call {
  target: Target;
  ctx: Context;
  input: unknown;
  secrets?: () => Promise<readonly string[]>;
}

function authorize(action: Pick<Action, "name" | "withoutOrganization">, actor: Actor, target: Target): void {
  if (actor.organizationId === null && action.withoutOrganization && actor.kind === "session") return;
  if (can(actor, target.resource, target.action)) return;
  throw new AppError(
    "forbidden",
    `Cannot run ${action.name}: the permission '${target.action}' on '${target.resource}' is missing`,
  );
}

function authorizeTarget(target: Target, call: Call): void {
  call.target = target;
  authorize({ name: target.action }, call.ctx.actor, target);
}

const maxProblems = 100; // are told; who reads an answer reads no more

function validate<I extends z.ZodObject>(action: Action<I>, raw: unknown): z.output<I> {
  const result = action.input.safeParse(raw ?? {}, { error: required });
  if (result.success) return result.data;
  const fields: Record<string, string> = {};
  for (const issue of result.error.issues.slice(0, maxProblems)) {
    const { path, message } = plainest(issue);
    fields[path.join(".")] ??= message;
  }
  const [field, message] = Object.entries(fields)[0] ?? ["input", "it is not an object"];
  throw new AppError("invalid", `Cannot run ${action.name}: ${field || "input"}: ${message}`, { fields });
}

/** What is wrong by itself: of several shapes that were possible, with the one that fits best; of a key, with the key. */
function plainest(issue: z.core.$ZodIssue): Pick<z.core.$ZodIssue, "path" | "message"> {
  if (issue.code === "invalid_union") {
    const [best] = issue.errors.toSorted((one, other) => one.length - other.length);
    if (best?.[0]) return plainest({ ...best[0], path: [...issue.path, ...best[0].path] });
  }
  if (issue.code === "invalid_key") {
    return { path: issue.path, message: issue.issues[0]?.message ?? issue.message };
  }
  return issue;
}

/** The context for the organization that the input names: a person acts there with the roles they have there. */
async function inOrganizationOf<I extends z.ZodObject>(
  action: Action<I>,
  ctx: Context,
  input: z.output<I>,
): Promise<Context> {
  const organizationId = await action.organization?.(input, ctx);
  if (organizationId === undefined || organizationId === ctx.actor.organizationId) return ctx;
  const actor = await ctx.identities.actorIn(ctx.actor, organizationId);
  if (!actor) {
    throw new AppError(
      "not_found",
      `Cannot run ${action.name}: there is no organization '${organizationId}'`,
    );
  }
  return Object.freeze({ ...ctx, actor });
}

async function record(
  call: Call,
  began: number,
  result: { output?: unknown; error?: unknown },
): Promise<void> {
  const { ctx, target } = call;
  const { error } = result;
  if (error !== undefined && !(error instanceof AppError)) {
    ctx.log.error("action failed", {
      action: target.action,
      requestId: ctx.request.id,
      error: describeError(error),
    });
  }
  const organizationId = ctx.actor.organizationId ?? "";
  const onConnection = target.resource.startsWith("conn_");
  await ctx.audit.record({
    organizationId,
    connectionId: target.resource,
    connectionTitle: onConnection
      ? await connections.findTitle(ctx.db, organizationId, target.resource)
      : null,
    toolName: target.action,
    method: "tools/call",
    input: call.input,
    output: result.output,
    outcome: outcomeOf(error, result.output),
    errorMessage: error === undefined ? null : error instanceof AppError ? error.message : "Internal error",
    durationMs: performance.now() - began,
    userId: ctx.actor.userId,
    keyId: ctx.actor.keyId,
    clientId: ctx.actor.clientId,
    requestId: ctx.request.id,
    userAgent: ctx.request.userAgent,
    secrets: await call.secrets?.() ?? [],
  });
}

function outcomeOf(error: unknown, output: unknown): "ok" | "denied" | "failed" {
  if (error === undefined) return isToolError(output) ? "failed" : "ok";
  return error instanceof AppError && error.code === "forbidden" ? "denied" : "failed";
}

/** True for the answer of a tool that says of itself that it failed. */
function isToolError(output: unknown): boolean {
  return typeof output === "object" && output !== null && "isError" in output && output.isError === true;
}
