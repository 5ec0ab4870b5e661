import { AppError } from "../errors.ts";
import { type Outbound, OutboundError, type OutboundExchange } from "../outbound.ts";
import { passJson, type PassOptions, passSse, readWhole, type Watch, wholeAnswer } from "./answer.ts";
import type { RelayTarget } from "./upstream.ts";

/** An upstream that did not do its part: says which connection, at which stage, and what came back. */
export class UpstreamFailure extends AppError {
  /** What the client gets: 502, or 504 where the upstream took too long. */
  readonly status: 502 | 504;
  readonly stage: string;
  readonly upstreamStatus: number | null;

  constructor(
    message: string,
    facts: { stage: string; status?: 502 | 504; upstreamStatus?: number; cause?: unknown },
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
  readonly body?: string;
  readonly watch: Watch;
  /** Longest silence of the upstream in milliseconds, before the headers and between bytes; progress resets it. */
  readonly timeoutMs: number;
  /** True for streams that are silent for as long as nothing happens. */
  readonly endless: boolean;
  readonly signal?: AbortSignal | undefined;
  /** Told the upstream's HTTP status before anything of the answer is read. */
  readonly seen: (status: number) => void;
  /** Called when nothing of the exchange is left to do. */
  readonly done: () => void;
  /** Registers how an endless stream is ended when the process stops; returns how to take that back. */
  readonly onStop: (stop: () => void) => () => void;
}

/** What the client gets of an upstream's answer. */
export interface Relayed {
  readonly status: number;
  readonly contentType: string | null;
  readonly sessionId: string | null;
  readonly allow: string | null;
  readonly retryAfter: string | null;
  readonly body: Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array> | null;
}

/** The longest answer in bytes; event streams are bounded by their events instead. */
const maxAnswerBytes = 64 * 1024 * 1024;

/** Sends to an upstream and hands its answer on. Throws UpstreamFailure; `done` is called in every case. */
export async function relay(
  outbound: Outbound,
  target: RelayTarget,
  request: RelayRequest,
): Promise<Relayed> {
  let streaming = false;
  try {
    const exchange = await send(outbound, target, request);
    const { status } = exchange;
    request.seen(status);
    const contentType = exchange.header("content-type");
    checkStatus(target, exchange, request);
    const body = await bodyOf({ target, exchange, request, contentType });
    streaming = body instanceof ReadableStream;
    return {
      status,
      contentType: body === null ? null : contentType,
      sessionId: exchange.header("mcp-session-id"),
      allow: exchange.header("allow"),
      retryAfter: exchange.header("retry-after"),
      body,
    };
  } finally {
    if (!streaming) request.done();
  }
}

async function send(
  outbound: Outbound,
  target: RelayTarget,
  request: RelayRequest,
): Promise<OutboundExchange> {
  try {
    return await outbound.exchange(target.target, {
      method: request.method,
      headers: request.headers.concat(target.headers as [string, string][]),
      body: request.body,
      headersTimeoutMs: request.timeoutMs,
      idleTimeoutMs: request.endless ? 0 : request.timeoutMs,
      signal: request.signal,
    });
  } catch (error) {
    throw error instanceof OutboundError ? failureOf(target, error) : error;
  }
}

function failureOf(target: RelayTarget, error: OutboundError): UpstreamFailure {
  const { stage } = error;
  const message = `Cannot reach '${target.title}' (stage ${stage}): ${error.message}`;
  return new UpstreamFailure(message, { stage, status: stage === "timeout" ? 504 : 502, cause: error });
}

/** The statuses that mean the same to the client as to us (G03); 429 tells it to wait. */
const passed: ReadonlySet<number> = new Set([200, 202, 204, 400, 404, 405, 429]);

function checkStatus(target: RelayTarget, exchange: OutboundExchange, request: RelayRequest): void {
  const { status } = exchange;
  if (passed.has(status)) return;
  discard(exchange);
  const facts = { stage: "http", upstreamStatus: status };
  if (status === 401 || status === 403) {
    // Not passed on: the client would take it for a refusal of its own token (RS10).
    const advice = "Ask an admin to check the connection's token";
    throw new UpstreamFailure(
      `'${target.title}' did not accept the connection's credential (${status}). ${advice}`,
      facts,
    );
  }
  if (status >= 300 && status < 400) {
    throw new UpstreamFailure(
      `'${target.title}' answered with a redirect (${status}), which is not followed`,
      facts,
    );
  }
  throw new UpstreamFailure(
    `'${target.title}' answered ${request.method} with ${status} (stage http)`,
    facts,
  );
}

function discard(exchange: OutboundExchange): void {
  // The answer is not wanted, and neither is a failure to stop it.
  if (exchange.body instanceof ReadableStream) exchange.body.cancel().then(undefined, () => undefined);
}

interface Incoming {
  target: RelayTarget;
  exchange: OutboundExchange;
  request: RelayRequest;
  contentType: string | null;
}

async function bodyOf(incoming: Incoming): Promise<Relayed["body"]> {
  const { target, exchange, request, contentType } = incoming;
  const { body, status } = exchange;
  if (body === null || body instanceof Uint8Array && body.length === 0) {
    await request.watch.settle({ answer: null, bytes: 0, failure: null, resumable: false });
    return null;
  }
  const type = /^[^;\s]*/.exec(contentType ?? "")?.[0].toLowerCase() ?? "";
  if (type === "text/event-stream") return events(incoming, body);
  if (type !== "application/json") {
    discard(exchange);
    if (status !== 200) {
      await request.watch.settle({ answer: null, bytes: 0, failure: `HTTP ${status}`, resumable: false });
      return null;
    }
    const what = type === "" ? "something without a content type" : `'${type}'`;
    throw new UpstreamFailure(
      `'${target.title}' answered ${what} instead of JSON or an event stream (stage http)`,
      {
        stage: "http",
        upstreamStatus: status,
      },
    );
  }
  return await json(incoming, body);
}

function events({ target, request }: Incoming, body: NonNullable<OutboundExchange["body"]>): ReadableStream {
  const source = body instanceof Uint8Array ? new Blob([body]).stream() : body;
  let forget: (() => void) | null = null;
  const passage = passSse(source, {
    ...passing(target, request),
    maxBytes: Infinity,
    done: () => {
      forget?.();
      request.done();
    },
  });
  if (request.endless) forget = request.onStop(() => passage.stop());
  return passage.stream();
}

async function json(
  incoming: Incoming,
  body: NonNullable<OutboundExchange["body"]>,
): Promise<Relayed["body"]> {
  const { target, exchange, request } = incoming;
  if (body instanceof ReadableStream) {
    if (Number(exchange.header("content-length") ?? 0) > maxAnswerBytes) {
      discard(exchange);
      throw tooLarge(target);
    }
    if (!request.watch.mustRewrite) return passJson(body, passing(target, request)).stream();
  }
  try {
    const whole = body instanceof Uint8Array ? body : await readWhole(body);
    if (!whole) throw tooLarge(target);
    return await wholeAnswer(whole, request.watch);
  } catch (cause) {
    throw bodyFailure(target, cause);
  }
}

function passing(target: RelayTarget, request: RelayRequest): PassOptions {
  return {
    watch: request.watch,
    done: request.done,
    failure: (error) => bodyFailure(target, error),
    maxBytes: maxAnswerBytes,
  };
}

function bodyFailure(target: RelayTarget, cause: unknown): Error {
  if (cause instanceof SyntaxError) {
    const message = `'${target.title}' answered something that is not JSON (stage body)`;
    return new UpstreamFailure(message, { stage: "body", cause });
  }
  if (cause instanceof OutboundError) return failureOf(target, cause);
  return cause instanceof Error ? cause : new Error(String(cause));
}

function tooLarge(target: RelayTarget): UpstreamFailure {
  const limit = `${maxAnswerBytes / 1024 / 1024} MiB`;
  return new UpstreamFailure(`'${target.title}' answered more than ${limit} (stage body)`, { stage: "body" });
}
