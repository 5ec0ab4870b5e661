import { AppError, httpStatus } from "../errors.ts";
import { newId } from "../ids.ts";
import { describeError } from "../log.ts";
import { relay, type Relayed, UpstreamFailure } from "../upstream/relay.ts";
import { bearerActor, unauthorized } from "./guard.ts";
import { type Call, type Passage, type ProxyParts, recordCall, sessionOwner, watchCall } from "./call.ts";
import {
  errorResponse,
  isJson,
  type Message,
  MessageError,
  type MessageId,
  parseMessage,
  readBody,
  rpcCodes,
} from "./message.ts";
import { checkModernHeaders, isModern } from "./modern.ts";
import { missingAction } from "./needs.ts";
import { startRule, taskRule } from "./tasks.ts";

/** The relay endpoint `/mcp/:connectionId`: POST, GET and DELETE of both protocol eras. */
export function makeProxy(parts: ProxyParts): (request: Request, connectionId: string) => Promise<Response> {
  return async (request, connectionId) => {
    const refused = parts.guard.refusal(request.headers);
    if (refused) return refused;
    return parts.guard.readable(await enter(parts, request, connectionId), request.headers);
  };
}

/** Checks that hold for every method: a token, room in the journal, a connection of the actor's organization. */
async function enter(parts: ProxyParts, request: Request, connectionId: string): Promise<Response> {
  const { services } = parts;
  const began = performance.now();
  let id: MessageId = null;
  try {
    const identified = bearerActor(request.headers, services.identities);
    const actor = identified instanceof Promise ? await identified : identified;
    if (!actor || actor.organizationId === null) return unauthorized(request.headers);
    const room = services.audit.room();
    if (room) await room;
    const text = request.method === "POST" ? await readPost(request) : null;
    const message = text === null ? null : parseMessage(text);
    id = message?.id ?? null;
    const found = services.upstream.target(actor.organizationId, connectionId);
    const target = found instanceof Promise ? await found : found;
    if (!target) {
      throw new AppError("not_found", `Cannot reach the connection: there is no '${connectionId}'`);
    }
    const passage: Passage = { ...parts, request, actor, target, began, requestId: newId("req") };
    if (text === null || message === null) return await passStream(passage);
    return await passMessage(callOf(passage, message, text.length));
  } catch (error) {
    return failed(parts, id, error);
  }
}

async function readPost(request: Request): Promise<string> {
  if (isJson(request.headers.get("content-type"))) return await readBody(request);
  throw new AppError(
    "unsupported_media_type",
    "Cannot read the request: its content type is not application/json",
  );
}

function callOf(passage: Passage, message: Message, requestBytes: number): Call {
  return {
    ...passage,
    message,
    modern: isModern(message, passage.request.headers),
    requestBytes,
    upstreamStatus: null,
  };
}

/** A POST: one message, checked, sent on, its answer watched for the log. */
async function passMessage(call: Call): Promise<Response> {
  const { message, target, actor } = call;
  if (call.modern) checkModernHeaders(message, call.request.headers);
  if (message.method === "tools/call" && typeof message.params.name !== "string") {
    throw new MessageError("Cannot accept the message: 'params.name' is not a string", {
      status: 400,
      code: rpcCodes.invalidParams,
      id: message.id,
    });
  }
  const missing = missingAction(actor, target.id, message);
  if (missing !== null) {
    const permission = `the permission '${missing}' on '${target.id}' is missing`;
    return await refuse(call, { status: 403, text: `Cannot use '${target.title}': ${permission}` });
  }
  if (target.status === "inactive") {
    return await refuse(call, {
      status: 503,
      text: `Cannot use '${target.title}': the connection is switched off`,
    });
  }
  const tasks = await tasksOf(call);
  if (tasks.refusal !== null) {
    return errorResponse(message.id, { status: 200, code: rpcCodes.invalidParams, message: tasks.refusal });
  }
  const headers = headersOf(call, call.modern);
  const watch = watchCall(call, tasks);
  const leaving = call.modern ? watchLeaving(call.request) : null;
  call.lifecycle.enter();
  try {
    const relayed = await relay(call.services.outbound, target, {
      method: "POST",
      headers,
      body: JSON.stringify(message.body),
      watch,
      timeoutMs: call.services.config.upstreamTimeoutSeconds * 1000,
      endless: message.method === "subscriptions/listen",
      signal: leaving?.signal,
      done: () => call.lifecycle.leave(),
      onStop: (stop) => call.lifecycle.endless(stop),
      seen: (status) => call.upstreamStatus = status,
    });
    return answer(call, relayed, !call.modern);
  } catch (error) {
    await watch.settle({ answer: null, bytes: 0, failure: reasonOf(error), resumable: false });
    throw error;
  } finally {
    leaving?.stop();
  }
}

function tasksOf(call: Call) {
  const { services, actor, target, message, modern } = call;
  const facts = {
    db: services.db,
    actor,
    organizationId: target.organizationId,
    connectionId: target.id,
    message,
    modern,
  };
  return message.method.startsWith("tasks/") ? taskRule(facts) : startRule(facts);
}

function reasonOf(error: unknown): string {
  return error instanceof AppError ? error.message : "Internal error";
}

/** A GET or DELETE of the legacy era. */
async function passStream(passage: Passage): Promise<Response> {
  const { request, target, services, lifecycle } = passage;
  if (request.method !== "GET" && request.method !== "DELETE") return notAllowed();
  const probe: Message = { kind: "notification", id: null, method: "", params: {}, body: {} };
  const missing = missingAction(passage.actor, target.id, probe);
  if (missing !== null) {
    throw new AppError("forbidden", `Cannot use '${target.title}': no permission on '${target.id}'`);
  }
  const headers = headersOf(passage, false);
  lifecycle.enter();
  const relayed = await relay(services.outbound, target, {
    method: request.method,
    headers,
    watch: {
      id: null,
      rewrite: () => false,
      mustRewrite: false,
      settle: () => undefined,
      cancelOnLeave: true,
      errorText: () => "",
    },
    timeoutMs: services.config.upstreamTimeoutSeconds * 1000,
    endless: request.method === "GET",
    done: () => lifecycle.leave(),
    onStop: (stop) => lifecycle.endless(stop),
    seen: () => {},
  });
  // L05: whatever an upstream without streams answers to GET, clients take 405 for a plain no.
  const streams = relayed.status === 200 && relayed.body !== null;
  if (
    request.method === "GET" && !streams && !(relayed.status === 404 && request.headers.has("mcp-session-id"))
  ) {
    return notAllowed();
  }
  return answer(passage, relayed, true);
}

function notAllowed(): Response {
  const body = { code: "method_not_allowed", message: "Cannot open a stream here: the server has none" };
  return Response.json(body, { status: 405, headers: { allow: "POST" } });
}

/** The headers that go on to the upstream: an allow-list, as the caller's credential must never be among them (G05). */
function headersOf(passage: Passage, modern: boolean): [string, string][] {
  const { request: { headers, method } } = passage;
  const out: [string, string][] = [[
    "accept",
    headers.get("accept") ?? "application/json, text/event-stream",
  ]];
  if (method === "POST") out.push(["content-type", "application/json"]);
  const names = modern ? modernHeaders : legacyHeaders;
  for (const name of names) {
    const value = headers.get(name);
    if (value !== null) out.push([name, value]);
  }
  if (modern) {
    for (const [name, value] of headers) {
      if (name.startsWith("mcp-param-")) out.push([name, value]); // M02
    }
    return out;
  }
  const session = headers.get("mcp-session-id");
  if (session !== null) {
    const upstreamId = passage.sessions.unwrap(sessionOwner(passage), session);
    if (upstreamId === null) throw new AppError("not_found", "Cannot continue: there is no such session"); // L02
    out.push(["mcp-session-id", upstreamId]);
  }
  return out;
}

const legacyHeaders = ["mcp-protocol-version", "last-event-id", "traceparent", "tracestate"];
const modernHeaders = ["mcp-protocol-version", "mcp-method", "mcp-name", "traceparent", "tracestate"];

/** Gives up a call whose client has left before the upstream answered (M11). */
function watchLeaving(request: Request): { signal: AbortSignal; stop: () => void } {
  const controller = new AbortController();
  // Touching request.signal is dear, so only calls that take a while pay for it.
  const timer = setTimeout(() => request.signal.addEventListener("abort", () => controller.abort()), 25);
  return { signal: controller.signal, stop: () => clearTimeout(timer) };
}

function answer(passage: Passage, relayed: Relayed, legacy: boolean): Response {
  const headers: Record<string, string> = {};
  if (relayed.contentType !== null) headers["content-type"] = relayed.contentType;
  if (relayed.body instanceof ReadableStream) {
    headers["x-accel-buffering"] = "no"; // G02
    headers["cache-control"] = "no-store, no-transform";
  }
  if (legacy && relayed.sessionId !== null) {
    headers["mcp-session-id"] = passage.sessions.wrap(sessionOwner(passage), relayed.sessionId);
  }
  if (relayed.status === 405) headers["allow"] = relayed.allow ?? "POST";
  if (relayed.retryAfter !== null) headers["retry-after"] = relayed.retryAfter;
  headers["x-request-id"] = passage.requestId;
  return new Response(relayed.body as BodyInit | null, { status: relayed.status, headers });
}

/** A call that the policy or the connection's status forbids: recorded, and told in the way its caller understands. */
async function refuse(call: Call, { status, text }: { status: number; text: string }): Promise<Response> {
  const { message } = call;
  await recordCall(call, { outcome: "denied", errorMessage: text, output: undefined, responseBytes: 0 });
  if (message.method === "tools/call" && message.kind === "request") {
    const result = { content: [{ type: "text", text }], isError: true };
    const body = {
      jsonrpc: "2.0",
      id: message.id,
      result: call.modern ? { resultType: "complete", ...result } : result,
    };
    return Response.json(body, { headers: { "x-request-id": call.requestId } });
  }
  return errorResponse(message.id, { status, code: rpcCodes.invalidParams, message: text });
}

/** The one error map of this surface. */
function failed({ services }: ProxyParts, id: MessageId, error: unknown): Response {
  if (error instanceof MessageError) {
    return errorResponse(error.id ?? id, { status: error.status, code: error.code, message: error.message });
  }
  if (error instanceof UpstreamFailure) {
    const data = { stage: error.stage, upstreamStatus: error.upstreamStatus };
    return errorResponse(id, { status: error.status, code: rpcCodes.internal, message: error.message, data });
  }
  if (error instanceof AppError) {
    const code = error.code === "not_found" ? -32001 : rpcCodes.invalidRequest;
    return errorResponse(id, { status: httpStatus[error.code], code, message: error.message });
  }
  services.log.error("relay failed", { error: describeError(error) });
  return errorResponse(id, { status: 500, code: rpcCodes.internal, message: "Internal error" });
}
