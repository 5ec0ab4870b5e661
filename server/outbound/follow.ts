import type { OutboundExchange } from "./answer.ts";
import { OutboundError } from "./errors.ts";
import { ownHeaders } from "./head.ts";
import { type OutboundRequest, type OutboundTarget, parseTarget } from "./request.ts";
import type { TlsIdentity } from "./tls_identity.ts";

/** Options of Outbound.fetch beside the platform's own; times in milliseconds, 0 is unbounded. */
export interface OutboundInit extends RequestInit {
  /** Longest body in bytes, event streams included; 32 MiB when absent, Infinity for none. */
  maxBytes?: number;
  /** 10 s when absent. */
  connectTimeoutMs?: number;
  /** 60 s when absent. */
  headersTimeoutMs?: number;
  /** Between two received bytes of the body; 5 minutes when absent. */
  idleTimeoutMs?: number;
  /** Of a target, for the origin of the URL alone: a redirect elsewhere goes without it. */
  identity?: TlsIdentity | null | undefined;
  /** Of a target too, as `TargetOwner` has it. */
  tenant?: string | undefined;
}

type Exchange = (target: OutboundTarget, request: OutboundRequest) => Promise<OutboundExchange>;

const maxRedirects = 5;
const redirectStatuses: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
const bodyHeaders: ReadonlySet<string> = new Set(["content-type", "content-language", "content-location"]);
// Any other header may be a credential under a name of its own.
const keptAcrossOrigins: ReadonlySet<string> = new Set([
  ...bodyHeaders,
  "accept",
  "accept-language",
  "accept-encoding",
  "mcp-protocol-version",
  "user-agent",
]);

/** Sends a request as the Fetch standard has it, following redirects, each to a checked address. */
export async function follow(
  exchange: Exchange,
  input: string | URL | Request,
  init: OutboundInit = {},
): Promise<Response> {
  const first = parseTarget(input instanceof Request ? input.url : String(input), init);
  let target = first;
  const signal = init.signal ?? (input instanceof Request ? input.signal : undefined);
  let request = await read(new Request(input, { ...init, signal: null }), { ...init, signal });
  for (let redirects = 0;; redirects++) {
    const answer = await unlessAborted(exchange(target, request), signal);
    const location = redirectStatuses.has(answer.status) ? answer.header("location") : null;
    const policy = init.redirect ?? (input instanceof Request ? input.redirect : "follow");
    if (location === null || policy === "manual") return response(answer, target, redirects > 0);
    await discard(answer);
    if (policy === "error") throw failed(target, "it answered with a redirect");
    if (redirects === maxRedirects) throw failed(target, `it redirects more than ${maxRedirects} times`);
    const next = nextTarget(target, location, first);
    request = redirected(request, answer.status, next.origin === target.origin);
    target = next;
  }
}

async function read(
  request: Request,
  init: Omit<OutboundInit, "signal"> & { signal: AbortSignal | undefined },
): Promise<OutboundRequest> {
  const headers: [string, string][] = [];
  for (const [name, value] of request.headers) {
    if (!ownHeaders.has(name) && name !== "accept-encoding") headers.push([name, value]);
  }
  headers.push(["accept-encoding", "identity"]);
  if (!request.headers.has("accept")) headers.push(["accept", "*/*"]);
  if (!request.headers.has("user-agent")) headers.push(["user-agent", "mcp-mesh"]);
  return {
    method: request.method,
    headers,
    body: request.body === null ? undefined : new Uint8Array(await request.arrayBuffer()),
    signal: init.signal,
    maxBodyBytes: init.maxBytes ?? 32 * 1024 * 1024,
    connectTimeoutMs: init.connectTimeoutMs,
    headersTimeoutMs: init.headersTimeoutMs ?? 60_000,
    idleTimeoutMs: init.idleTimeoutMs ?? 300_000,
  };
}

// Callers of a fetch expect the reason of their own signal, as the Fetch standard says.
async function unlessAborted<T>(exchanging: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  try {
    return await exchanging;
  } catch (error) {
    if (error instanceof OutboundError && error.stage === "aborted" && signal?.aborted) throw signal.reason;
    throw error;
  }
}

function nextTarget(from: OutboundTarget, location: string, first: OutboundTarget): OutboundTarget {
  if (!URL.canParse(location, from.url)) throw failed(from, "it redirects to a malformed URL");
  const url = new URL(location, from.url);
  const identity = url.origin === first.origin ? first.identity : null;
  const next = parseTarget(url.href, { identity, tenant: first.tenant });
  if (from.tls && !next.tls) {
    throw new OutboundError("refused", `Cannot call "${from.origin}": it redirects from https: to http:`);
  }
  return next;
}

// Fetch standard, HTTP-redirect fetch, steps 11 to 14
function redirected(request: OutboundRequest, status: number, sameOrigin: boolean): OutboundRequest {
  const { method } = request;
  const toGet = (status === 301 || status === 302) && method === "POST" ||
    status === 303 && method !== "GET" && method !== "HEAD";
  const headers = request.headers.filter(([name]) =>
    (sameOrigin || keptAcrossOrigins.has(name)) && !(toGet && bodyHeaders.has(name))
  );
  return { ...request, headers, ...(toGet ? { method: "GET", body: undefined } : {}) };
}

async function response(
  answer: OutboundExchange,
  target: OutboundTarget,
  wasRedirected: boolean,
): Promise<Response> {
  const encoding = answer.header("content-encoding")?.toLowerCase() ?? "identity";
  if (encoding !== "identity" && answer.body !== null) {
    await discard(answer);
    throw failed(target, "it compressed an answer that was asked for uncompressed");
  }
  const bodyless = answer.status === 205;
  if (bodyless) await discard(answer);
  const result = new Response(bodyless ? null : answer.body, {
    status: answer.status,
    headers: answer.headers,
  });
  Object.defineProperty(result, "url", { value: target.url });
  Object.defineProperty(result, "redirected", { value: wasRedirected });
  return result;
}

async function discard(answer: OutboundExchange): Promise<void> {
  if (answer.body instanceof ReadableStream) await answer.body.cancel();
}

function failed(target: OutboundTarget, reason: string): OutboundError {
  return new OutboundError("headers", `Cannot call "${target.origin}": ${reason}`);
}
