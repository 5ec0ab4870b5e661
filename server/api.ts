import { type Context as Exchange, Hono } from "hono";
import type { Actor } from "./access/actor.ts";
import { unauthorized } from "./access/bearer.ts";
import { perform } from "./actions/action.ts";
import { describeFor } from "./actions/description.ts";
import { findAction } from "./actions/mod.ts";
import { isJson, isObject, readBody } from "./body.ts";
import { AppError, httpStatus } from "./errors.ts";
import { parseJson, TooComplex } from "./json.ts";
import { describeError } from "./log.ts";
import type { Services } from "./services.ts";

/** What the routes before this one have found out; `actor` is null where nobody is known to ask. */
export interface ApiEnv {
  Variables: { actor: Actor | null; requestId: string };
}

/** The actions as JSON over HTTP: `POST /NAME` runs one, `GET /` lists those that the caller may run. */
export function api(services: Services): Hono<ApiEnv> {
  const app = new Hono<ApiEnv>();
  app.use(async (c, next) => {
    if (!c.get("actor")) return unauthorized(c.req.raw.headers);
    await next();
    c.header("cache-control", "no-store");
    return undefined;
  });
  app.get("/", (c) => c.json({ tools: describeFor(actorOf(c)) }));
  app.post("/:name", async (c) => c.json(await run(services, c, c.req.param("name"))));
  app.all("/:name", (c) => {
    const message = "Cannot run an action like this: send a POST";
    return c.json({ code: "method_not_allowed", message }, 405, { allow: "POST" });
  });
  app.notFound((c) => c.json({ code: "not_found", message: "Cannot find anything at this path" }, 404));
  app.onError((error, c) => failed(services, error, c));
  return app;
}

function actorOf(c: Exchange<ApiEnv>): Actor {
  const actor = c.get("actor");
  if (actor) return actor;
  throw new AppError("unauthenticated", "Cannot answer: nobody is known to ask");
}

async function run(services: Services, c: Exchange<ApiEnv>, name: string): Promise<Record<string, unknown>> {
  const actor = actorOf(c);
  const action = findAction(name);
  if (!action) throw new AppError("not_found", `Cannot run '${name.slice(0, 100)}': there is no such action`);
  const input = await readInput(c.req.raw, actor);
  const request = { id: c.get("requestId"), userAgent: c.req.header("user-agent") ?? null };
  return await perform(action, Object.freeze({ ...services, actor, request }), input);
}

/** The input of an action: a JSON object, or nothing. */
async function readInput(request: Request, actor: Actor): Promise<Record<string, unknown>> {
  const type = request.headers.get("content-type");
  // Another site cannot have this type sent without asking first, so no cookie is of use to it.
  const typed = isJson(type);
  if (!typed && (type !== null || actor.kind === "session")) throw untyped();
  const text = await readBody(request);
  if (!typed && text !== "") throw untyped();
  const value = text.trim() === "" ? {} : parse(text);
  if (isObject(value)) return value;
  throw new AppError("malformed", "Cannot read the request: its body is not a JSON object");
}

function untyped(): AppError {
  const what = "Cannot read the request: its content type is not application/json";
  return new AppError("unsupported_media_type", what);
}

function parse(text: string): unknown {
  try {
    return parseJson(text);
  } catch (cause) {
    const what = cause instanceof TooComplex ? cause.message : "its body is not JSON";
    throw new AppError("malformed", `Cannot read the request: ${what}`, { cause });
  }
}

/** Turns what was thrown into an answer; what was not expected says nothing of itself. */
function failed(services: Services, error: unknown, c: Exchange<ApiEnv>): Response {
  if (!(error instanceof AppError)) {
    const requestId = c.get("requestId");
    services.log.error("request failed", { requestId, error: describeError(error) });
    return c.json({ code: "internal", message: "Internal error", requestId }, 500);
  }
  const { code, message, fields, retryAfterSeconds } = error;
  if (retryAfterSeconds !== undefined) c.header("retry-after", String(retryAfterSeconds));
  return c.json({ code, message, ...(fields ? { fields } : {}) }, httpStatus[code]);
}
