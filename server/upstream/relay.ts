import { AppError } from "../errors.ts";
import { describeError, type Log } from "../log.ts";
import { type Leaving, type Outbound, OutboundError, type OutboundExchange } from "../outbound.ts";
import { maxListLength, NotTheAnswer, readBeginning, TooLong, type Watch, wholeAnswer } from "./answer.ts";
import type { Header } from "./credentials.ts";
import { quote } from "./failure.ts";
import { passList } from "./long_lists.ts";
import { maxAnswerBytes, passJson, type PassOptions, passSse, passWholeSse } from "./passing.ts";
import { secretsIn } from "./sent_secrets.ts";
import type { Refusal, RelayTarget } from "./upstream.ts";

/** An upstream that did not do its part: says which connection, at which stage, and what came back. */
export class UpstreamFailure extends AppError {
  /** What the client gets: 502, 504 where the upstream took too long, or the upstream's own refusal. */
  readonly status: number;
  readonly stage: string;
  readonly upstreamStatus: number | null;

  constructor(
    message: string,
    facts: { stage: string; status?: number; upstreamStatus?: number; cause?: unknown },
  ) {
    super("upstream_failed", message, { cause: facts.cause });
    this.name = "UpstreamFailure";
    this.status = facts.status ?? 502;
    this.stage = facts.stage;
    this.upstreamStatus = facts.upstreamStatus ?? null;
  }
}

/** One checked message, or a GET or DELETE, on its way to an upstream. */
export interface RelayRequest {
  readonly method: "POST" | "GET" | "DELETE";
  /** Names in lower case; from an allow-list, never the caller's credential. */
  readonly headers: [string, string][];
  /** What identifies the caller, or the mesh, to the upstream. */
  readonly credential: readonly Header[];
  /** Told that the upstream refused the credential; gives another one to try once more with, or null. */
  readonly renew?: ((refusal: Refusal) => Promise<readonly Header[] | null>) | undefined;
  readonly body?: string;
  readonly watch: Watch;
  /** Longest silence of the upstream in milliseconds, before the headers and between bytes; progress resets it. */
  readonly timeoutMs: number;
  readonly signal?: Leaving | undefined;
  /** Told the upstream's HTTP status before anything of the answer is read. */
  readonly seen: (status: number) => void;
  /** Told, and waited for, before `relay` throws. */
  readonly failed?: (error: AppError) => Promise<void> | undefined;
  /** Called when nothing of the exchange is left to do. */
  readonly done: () => void;
  /** Registers how an event stream is ended from our side; returns how to take that back. */
  readonly onStop: (stop: () => void) => () => void;
  readonly log: Log;
}

/** What the client gets of an upstream's answer. */
export interface Relayed {
  readonly status: number;
  readonly contentType: string | null;
  readonly sessionId: string | null;
  readonly allow: string | null;
  readonly retryAfter: string | null;
  readonly body: string | Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array> | null;
}

/** JSON answers up to this many bytes are read whole, so that one that breaks off becomes a clear error. */
const maxWholeBytes = 256 * 1024;

/** Sends to an upstream and hands its answer on. Throws UpstreamFailure; `done` is called in every case. */
export async function relay(
  outbound: Outbound,
  target: RelayTarget,
  request: RelayRequest,
): Promise<Relayed> {
  let streaming = false;
  try {
    let exchange = await send(outbound, target, request);
    request.seen(exchange.status);
    if (exchange.status === 401 || exchange.status === 403) {
      exchange = await sendAgain({ outbound, target, request, exchange });
    }
    checkHead(target, exchange, request);
    const contentType = exchange.header("content-type");
    const found = bodyOf({ target, exchange, request, contentType });
    const body = found instanceof Promise ? await found : found;
    streaming = body instanceof ReadableStream;
    return {
      status: exchange.status,
      contentType: body === null ? null : contentType,
      sessionId: exchange.header("mcp-session-id"),
      allow: exchange.header("allow"),
      retryAfter: exchange.header("retry-after"),
      body,
    };
  } catch (cause) {
    const error = errorOf(target, request, cause);
    await request.failed?.(error);
    throw error;
  } finally {
    if (!streaming) request.done();
  }
}

/**
 * Sends a message once more where there is another credential for it: it was refused before anything was done with
 * it, and nothing of an answer has been passed on.
 */
async function sendAgain(
  { outbound, target, request: { renew, ...request }, exchange }: Sent,
): Promise<OutboundExchange> {
  for (let sends = 1;; sends++) {
    const { status } = exchange;
    if (renew === undefined || (status !== 401 && status !== 403)) return exchange;
    discard(exchange);
    const challenge = exchange.header("www-authenticate");
    // Asked after the last time too: it may know whom the client has to ask.
    const credential = await renew({ used: request.credential, status, challenge, again: sends > 1 });
    if (credential === null || sends === mostSends) return exchange;
    request = { ...request, credential };
    exchange = await send(outbound, target, request);
    request.seen(exchange.status);
  }
}

/** What was renewed for this message may be replaced by somebody else before it arrives, once. */
const mostSends = 3;

interface Sent {
  outbound: Outbound;
  target: RelayTarget;
  request: RelayRequest;
  exchange: OutboundExchange;
}

function send(outbound: Outbound, target: RelayTarget, request: RelayRequest): Promise<OutboundExchange> {
  return outbound.exchange(target.target, {
    method: request.method,
    headers: request.headers.concat(request.credential as [string, string][]),
    body: request.body,
    headersTimeoutMs: request.timeoutMs,
    idleTimeoutMs: request.watch.endless ? 0 : request.timeoutMs,
    signal: request.signal,
  });
}

function failureOf(target: RelayTarget, error: OutboundError): UpstreamFailure {
  // The name that a test of the connection has for it.
  const stage = error.stage === "connect" ? "tcp" : error.stage;
  const message = stage === "aborted"
    ? "The client left before the answer"
    : `Cannot reach '${target.title}' (stage ${stage}): ${error.message}`;
  return new UpstreamFailure(message, { stage, status: stage === "timeout" ? 504 : 502, cause: error });
}

/**
 * The statuses that mean the same to the client as to us (G03). Other refusals than those that the specification
 * names pass too, as a client that tries an era out tells an older server by them (X03).
 */
const passed: ReadonlySet<number> = new Set([
  200,
  202,
  204,
  400,
  404,
  405,
  406,
  409,
  410,
  413,
  415,
  422,
  429,
]);

function checkHead(target: RelayTarget, exchange: OutboundExchange, { method }: RelayRequest): void {
  const { status } = exchange;
  const encoding = exchange.header("content-encoding");
  if (passed.has(status) && (encoding === null || encoding.toLowerCase() === "identity")) return;
  discard(exchange);
  throw new UpstreamFailure(`'${target.title}' ${complaint({ target, status, method })}`, {
    stage: "http",
    upstreamStatus: status,
  });
}

function complaint(
  { target, status, method }: { target: RelayTarget; status: number; method: string },
): string {
  if (passed.has(status)) return "answered with a compressed body that nobody asked for (stage http)";
  if (status === 401 || status === 403) {
    // Not passed on: the client would take it for a refusal of its own token (RS10).
    return target.plain
      ? `did not accept the connection's credential (${status}). Ask an admin to check the connection's token`
      : `did not accept the credential (${status}). What it belongs to may not be allowed this`;
  }
  if (status >= 300 && status < 400) return `answered with a redirect (${status}), which is not followed`;
  return `answered ${method} with ${status} (stage http)`;
}

function discard(exchange: OutboundExchange): void {
  // The answer is not wanted, and neither is a failure to stop it.
  if (exchange.body instanceof ReadableStream) exchange.body.cancel().then(undefined, () => undefined);
}

type Body = NonNullable<OutboundExchange["body"]>;

interface Incoming {
  target: RelayTarget;
  exchange: OutboundExchange;
  request: RelayRequest;
  contentType: string | null;
}

/** What the client gets; at once where everything is there, as waiting for nothing is dear on the way of every call. */
function bodyOf(incoming: Incoming): Relayed["body"] | Promise<Relayed["body"]> {
  const { target, exchange, contentType, request } = incoming;
  const { status, text } = exchange;
  if (status === 202 || status === 204) return nothing(incoming, "nothing");
  const type = mediaType(contentType ?? "");
  if (type === "application/json" && text) return wholeAnswer(text, request.watch, status === 200);
  const { body } = exchange;
  if (body === null || body instanceof Uint8Array && body.length === 0) return nothing(incoming, "nothing");
  if (type === "text/event-stream") return events(incoming, body);
  if (type === "application/json") {
    return body instanceof Uint8Array
      ? wholeAnswer(body, request.watch, status === 200)
      : json(incoming, body);
  }
  const named = () => quote(type, secretsIn({ headers: request.credential, url: target.url }));
  return nothing(incoming, type === "" ? "something without a content type" : named());
}

function mediaType(contentType: string): string {
  if (contentType === "application/json") return contentType;
  return /^[^;\s]*/.exec(contentType)?.[0].toLowerCase() ?? "";
}

/** An answer without a body that a client could read; an error where the client waits for one. */
async function nothing({ target, exchange, request }: Incoming, what: string): Promise<null> {
  const { status } = exchange;
  discard(exchange);
  const expected = request.watch.id !== null;
  if (expected && status !== 202 && status !== 204) {
    const message = status === 200
      ? `'${target.title}' answered ${what} instead of JSON or an event stream (stage http)`
      : `'${target.title}' answered ${request.method} with ${status} (stage http)`;
    // The status stays: a 404 makes a client begin a new session (L04).
    throw new UpstreamFailure(message, {
      stage: "http",
      upstreamStatus: status,
      ...(status === 200 ? {} : { status }),
    });
  }
  const failure = expected ? `The server answered ${status} without an answer` : null;
  const settling = request.watch.settle({ answer: null, bytes: 0, failure, resumable: false });
  if (settling) await settling;
  return null;
}

async function events({ target, request }: Incoming, body: Body): Promise<Relayed["body"]> {
  const options = passing(target, request);
  if (body instanceof Uint8Array) return await passWholeSse(body, options);
  const passage = passSse(body.getReader(), {
    ...options,
    done: () => {
      forget();
      request.done();
    },
  });
  const forget = request.onStop(() => passage.stop());
  return passage.stream();
}

async function json(
  { target, exchange, request }: Incoming,
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
): Promise<Relayed["body"]> {
  const { watch } = request;
  try {
    const limit = watch.mustRewrite ? maxListLength : maxAnswerBytes;
    if (Number(exchange.header("content-length") ?? 0) > limit) throw new TooLong(`more than ${limit} bytes`);
    const [reader, strict] = [body.getReader(), exchange.status === 200];
    if (watch.mustRewrite) return await passList(reader, { watch, strict, done: request.done });
    const { bytes, whole } = await readBeginning(reader, maxWholeBytes);
    if (whole) return await wholeAnswer(bytes, watch, strict);
    return passJson(reader, bytes, passing(target, request)).stream();
  } catch (cause) {
    discard(exchange);
    throw cause;
  }
}

function passing(target: RelayTarget, request: RelayRequest): PassOptions {
  return {
    watch: request.watch,
    done: request.done,
    failure: (error) => errorOf(target, request, error),
  };
}

/** What the client is told of whatever went wrong. */
function errorOf(target: RelayTarget, { log }: RelayRequest, cause: unknown): AppError {
  if (cause instanceof OutboundError) return failureOf(target, cause);
  if (cause instanceof AppError) return cause;
  const what = whyUnread(cause);
  if (what !== null) {
    return new UpstreamFailure(`'${target.title}' ${what} (stage body)`, { stage: "body", cause });
  }
  log.error("an answer could not be passed on", { error: describeError(cause) });
  return new AppError("unavailable", "Cannot pass the answer on: internal error", { cause });
}

function whyUnread(cause: unknown): string | null {
  if (cause instanceof SyntaxError) return "answered something that is not JSON";
  if (cause instanceof TooLong) return `answered ${cause.message}`;
  if (cause instanceof NotTheAnswer) return `answered with JSON that helps nobody: ${cause.message}`;
  return null;
}
