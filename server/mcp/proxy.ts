import { Buffer } from "node:buffer";
import type { Actor } from "../access/actor.ts";
import { bearerActor } from "../access/bearer.ts";
import { scopeToAsk } from "../access/scopes.ts";
import { isJson, readBody } from "../body.ts";
import { AppError, httpStatus } from "../errors.ts";
import { LazyId } from "../ids.ts";
import { describeError } from "../log.ts";
import { CallerLeaving, type Leaving } from "../outbound.ts";
import { CredentialNeeded } from "../upstream/holders.ts";
import { relay, type Relayed, UpstreamFailure } from "../upstream/relay.ts";
import { type Call, type Member, type Passage, type ProxyParts, recordCall } from "./call.ts";
import { renewal } from "./credential_renewal.ts";
import { EarlySessions } from "./early_sessions.ts";
import { requestHeaders, responseOf } from "./forwarded.ts";
import { lateStream, Patience } from "./late.ts";
import { errorResponse, MessageError, type MessageId, noMessage, parseMessage, rpcCodes } from "./message.ts";
import { checkModernHeaders, checkModernMethod, isModern } from "./modern.ts";
import { misnamed, missingAction, neededActions } from "./needs.ts";
import { passPersonal } from "./personal.ts";
import { Running } from "./running.ts";
import { passStream } from "./stream.ts";
import { type OpenStream, Streams } from "./streams.ts";
import { startRule, type TaskRule, taskRule } from "./tasks.ts";
import { answerWithout, toolError } from "./unconnected.ts";
import { CallWatch } from "./watch.ts";

type Parts = ProxyParts & Pick<Passage, "patience" | "running" | "streams" | "early">;

/** The relay endpoint `/mcp/:connectionId`: POST, GET and DELETE of both protocol eras. */
export function makeProxy(given: ProxyParts): (request: Request, connectionId: string) => Promise<Response> {
  const parts = {
    ...given,
    patience: new Patience(given.lifecycle),
    running: new Running(),
    streams: new Streams(),
    early: new EarlySessions(),
  };
  return (request, connectionId) => {
    const { guard } = parts;
    const { headers } = request;
    const origin = headers.get("origin");
    const refused = guard.refusal(headers, origin);
    if (refused) return Promise.resolve(refused);
    const answer = enter(parts, request, connectionId);
    return origin === null ? answer : answer.then((one) => guard.readable(one, origin));
  };
}

/** Checks that hold for every method: a token, room in the journal, a connection of the actor's organization. */
async function enter(parts: Parts, request: Request, connectionId: string): Promise<Response> {
  const { services } = parts;
  const began = performance.now();
  const requestId = new LazyId("req");
  let id: MessageId = null;
  try {
    const audience = { identities: services.identities, resource: connectionId, now: began };
    const identified = bearerActor(request.headers, audience);
    const actor = identified instanceof Promise ? await identified : identified;
    if (!isMember(actor)) return parts.guard.unauthorized(request);
    const room = services.audit.room();
    if (room) await room;
    const text = request.method === "POST" ? await readPost(request) : null;
    const message = text === null ? noMessage : parseMessage(text);
    id = message.id;
    const known = services.upstream.target(actor.organizationId, connectionId);
    const target = known instanceof Promise ? await known : known;
    if (!target) {
      throw new AppError("not_found", `Cannot reach the connection: there is no '${connectionId}'`);
    }
    // Written out, as an object that is spread into another is dear to make.
    const call: Call = {
      services,
      guard: parts.guard,
      sessions: parts.sessions,
      lifecycle: parts.lifecycle,
      patience: parts.patience,
      running: parts.running,
      streams: parts.streams,
      early: parts.early,
      request,
      actor,
      target,
      credential: target.headers,
      session: null,
      began,
      requestId,
      message,
      modern: text !== null && isModern(message, request.headers),
      requestBytes: text === null ? 0 : Buffer.byteLength(text),
      upstreamStatus: null,
    };
    return await (text === null ? passStream(call) : passMessage(call));
  } catch (error) {
    const answer = failed(parts, id, error);
    answer.headers.set("x-request-id", requestId.value);
    return answer;
  }
}

function isMember(actor: Actor | null): actor is Member {
  return actor !== null && actor.organizationId !== null;
}

function readPost(request: Request): Promise<string> {
  if (isJson(request.headers.get("content-type"))) return readBody(request);
  throw new AppError(
    "unsupported_media_type",
    "Cannot read the request: its content type is not application/json",
  );
}

/** A POST: one message, checked, sent on, its answer watched for the log. */
function passMessage(call: Call): Promise<Response> {
  checkShape(call);
  const refusal = refusalOf(call);
  if (refusal) return refuse(call, refusal);
  const ruling = ruleOf(call);
  return ruling instanceof Promise ? ruling.then((tasks) => passRuled(call, tasks)) : passRuled(call, ruling);
}

function passRuled(call: Call, tasks: TaskRule): Promise<Response> {
  if (tasks.refusal !== null) return refuse(call, { status: 200, text: tasks.refusal });
  return call.target.plain ? sendOn(call, tasks) : passPersonal(call, (ready) => sendOn(ready, tasks));
}

function checkShape({ message, modern, request }: Call): void {
  if (modern) {
    checkModernHeaders(message, request.headers);
    checkModernMethod(message);
  }
  const member = misnamed(message);
  if (member === null) return;
  const answer = { status: 400, code: rpcCodes.invalidParams, id: message.id };
  throw new MessageError(`Cannot accept the message: 'params.${member}' is not a string`, answer);
}

interface Refusal {
  status: number;
  text: string;
  /** What the client would have to ask the person for. */
  scope?: string | null;
}

function refusalOf({ actor, target, message, lifecycle }: Call): Refusal | null {
  const missing = missingAction(actor, target.id, message);
  if (missing !== null) {
    const permission = `the permission '${missing}' on '${target.id}' is missing`;
    const scope = scopeToAsk(actor, { resource: target.id, actions: neededActions(message) });
    return { status: 403, text: `Cannot use '${target.title}': ${permission}`, scope };
  }
  if (target.status === "inactive") {
    return { status: 503, text: `Cannot use '${target.title}': the connection is switched off` };
  }
  // Answers and cancellations still pass while running calls wait for them.
  if (lifecycle.draining && message.kind === "request") {
    return { status: 503, text: `Cannot use '${target.title}': the mesh is stopping` };
  }
  return null;
}

function ruleOf({ services, actor, target, message, modern }: Call): TaskRule | Promise<TaskRule> {
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

/** Sends on and waits, in the modern era not for longer than it takes to notice that the client has left (M11). */
async function sendOn(call: Call, tasks: TaskRule): Promise<Response> {
  if (!call.modern) {
    const relayed = await exchange(call, tasks);
    if (relayed.status < 300) call.running.cancelledBy(call);
    return responseOf(call, relayed, true);
  }
  const leaving = new CallerLeaving();
  const pending = exchange(call, tasks, leaving);
  if (call.message.kind !== "request" || !takesEvents(call.request.headers)) {
    return responseOf(call, await pending, false);
  }
  const relayed = await call.patience.orLate<Relayed>(pending, () => ({
    status: 200,
    contentType: "text/event-stream",
    sessionId: null,
    allow: null,
    retryAfter: null,
    body: lateStream({
      pending,
      abort: () => leaving.abort(),
      errorText: (error) => errorText(call, error),
    }),
  }));
  return responseOf(call, relayed, false);
}

function takesEvents(headers: Headers): boolean {
  return /text\/event-stream/i.test(headers.get("accept") ?? "");
}

async function errorText(call: Call, error: unknown): Promise<string> {
  const answer = error instanceof CredentialNeeded
    ? await answerWithout(call, error)
    : failed(call, call.message.id, error);
  return await answer.text();
}

function exchange(call: Call, tasks: TaskRule, signal?: Leaving): Promise<Relayed> {
  const { services, lifecycle, message } = call;
  const watch = new CallWatch(call, tasks);
  const headers = requestHeaders(call, call.modern, message.method);
  const stream = watch.endless ? streamOf(call) : null;
  lifecycle.enter();
  return relay(services.outbound, call.target, {
    method: "POST",
    headers,
    body: JSON.stringify(message.body),
    credential: call.credential,
    watch,
    timeoutMs: call.target.timeoutMs ?? services.config.upstreamTimeoutSeconds * 1000,
    renew: renewal(call, { message }),
    signal,
    log: services.log,
    failed: (error) => {
      // Recorded as denied with the answer that says so.
      if (error instanceof CredentialNeeded) return undefined;
      return watch.settle({ answer: null, bytes: 0, failure: error.message, resumable: false });
    },
    done: () => {
      stream?.end();
      lifecycle.leave();
    },
    onStop: (stop) => {
      stream?.onStop(stop);
      return stream ? lifecycle.endless(stop) : call.running.add(call, stop);
    },
    seen: (status) => call.upstreamStatus = status,
  });
}

function streamOf(call: Call): OpenStream {
  const stream = call.streams.begin(call);
  if (stream !== null) return stream;
  const why = "too many event streams of this server are open";
  throw new AppError("rate_limited", `Cannot use '${call.target.title}': ${why}`);
}

/** A call that the policy, its owner or the connection's status forbids: recorded, and told as its caller understands. */
async function refuse(call: Call, { status, text, scope = null }: Refusal): Promise<Response> {
  const { message } = call;
  await recordCall(call, { outcome: "denied", errorMessage: text, responseBytes: 0 });
  const answer = message.method === "tools/call" && message.kind === "request" && scope === null
    ? toolError(call, text)
    : errorResponse(message.id, { status, code: rpcCodes.invalidParams, message: text });
  if (scope !== null) {
    answer.headers.set("www-authenticate", call.guard.insufficientScope(call.request, scope));
  }
  answer.headers.set("x-request-id", call.requestId.value);
  return answer;
}

/** The one error map of this surface. */
function failed({ services }: ProxyParts, id: MessageId, error: unknown): Response {
  if (error instanceof MessageError) {
    const { status, code, message, data } = error;
    return errorResponse(error.id ?? id, { status, code, message, data });
  }
  if (error instanceof UpstreamFailure) {
    const { status, stage, upstreamStatus, message } = error;
    const data = { stage, upstreamStatus };
    const answer = errorResponse(id, { status, code: rpcCodes.internal, message, data });
    if (status === 405) answer.headers.set("allow", "POST"); // RFC 9110 section 15.5.6
    return answer;
  }
  if (error instanceof AppError) {
    const code = error.code === "not_found" ? -32001 : rpcCodes.invalidRequest;
    return errorResponse(id, { status: httpStatus[error.code], code, message: error.message });
  }
  services.log.error("relay failed", { error: describeError(error) });
  return errorResponse(id, { status: 500, code: rpcCodes.internal, message: "Internal error" });
}
