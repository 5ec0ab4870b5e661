import { isObject } from "../../body.ts";
import type { Outbound, OutboundInit, OutboundTarget, TlsIdentity } from "../../outbound.ts";
import { type Attempt, failed, fromNetwork, OauthError } from "./error.ts";

/** How requests about one connection go out, and what their failures name. */
export interface Way extends Attempt {
  readonly outbound: Outbound;
  /** The connection's, for its certificates. */
  readonly target?: OutboundTarget | null | undefined;
  /** Bounds each request, in milliseconds. */
  readonly timeoutMs?: number | undefined;
}

/** An answer, read whole. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/** What was found at a URL where a document may be. */
export type Found =
  | { readonly document: Record<string, unknown> }
  | { readonly absent: string }
  | { readonly failing: OauthError };

const defaultTimeoutMs = 20_000;
const maxBytes = 256 * 1024;
const maxRedirects = 3;
const longestRetrySeconds = 3600;

/**
 * Sends one request and reads its answer, or leaves the body aside where `bodyless`; bounded in time and size, follows
 * no redirect. Throws OauthError.
 */
export async function ask(
  way: Way,
  url: string,
  { bodyless = false, ...init }: OutboundInit & { bodyless?: boolean } = {},
): Promise<Answer> {
  const { host } = new URL(url);
  const timeoutMs = way.timeoutMs ?? defaultTimeoutMs;
  try {
    const response = await way.outbound.fetch(url, {
      ...init,
      redirect: "manual",
      maxBytes,
      headersTimeoutMs: timeoutMs,
      signal: AbortSignal.timeout(timeoutMs),
      identity: identityFor(way, url),
      tenant: way.target?.tenant,
    });
    if (bodyless) await response.body?.cancel();
    const text = bodyless ? "" : await response.text();
    return { status: response.status, headers: response.headers, text };
  } catch (error) {
    throw fromNetwork(error, way, host);
  }
}

// The certificates that a connection trusts hold for its authorization server too, which is often of the same house;
// the connection's own certificate is shown to its server alone.
function identityFor({ outbound, target }: Way, url: string): TlsIdentity | null {
  const own = target?.identity ?? null;
  if (own === null || new URL(url).origin === target?.origin) return own;
  return outbound.target(url, { caCertificates: own.caCertificates }).identity;
}

/**
 * Reads the JSON document at a URL; redirects are followed within its origin only (CL04). What is no JSON object counts
 * as absent, as sites answer unknown paths with pages.
 */
export async function readDocument(way: Way, url: string): Promise<Found> {
  let at = url;
  for (let redirects = 0;; redirects++) {
    const answer = await ask(way, at, { headers: { accept: "application/json" } });
    const next = answer.status >= 300 && answer.status < 400 ? answer.headers.get("location") : null;
    if (next === null) return documentIn(answer, way, at);
    if (!URL.canParse(next, at)) return { absent: "it redirects to a malformed URL" };
    const { origin, href } = new URL(next, at);
    if (origin !== new URL(at).origin) return { absent: `it redirects to ${origin}` };
    if (redirects === maxRedirects) return { absent: "it redirects without end" };
    at = href;
  }
}

function documentIn(answer: Answer, way: Way, url: string): Found {
  const { status } = answer;
  if (isTransient(status)) return { failing: troubled(answer, way, new URL(url).host) };
  if (status !== 200) return { absent: `it answers ${status}` };
  const document = jsonObject(answer.text);
  return document ? { document } : { absent: "it is no JSON object" };
}

/** True for a status that may be another one soon. */
export function isTransient(status: number): boolean {
  return status === 429 || status >= 500;
}

/** The failure of a server that is in trouble or has had enough for now. */
export function troubled(answer: Answer, attempt: Attempt, host: string): OauthError {
  const retryAfterSeconds = retryAfter(answer.headers, Date.now());
  const reason = answer.status === 429
    ? `${host} takes no more requests for now (429)`
    : `${host} is in trouble (${answer.status})`;
  return failed(attempt, "transient", {
    reason,
    ...(retryAfterSeconds === null ? {} : { retryAfterSeconds }),
  });
}

/** Seconds to wait, an hour at most; null where nothing is said. RFC 9110 section 10.2.3 */
export function retryAfter(headers: Headers, now: number): number | null {
  const said = headers.get("retry-after")?.trim() ?? "";
  const until = /^[A-Za-z]/.test(said) ? Date.parse(said) : NaN;
  const seconds = /^\d{1,10}$/.test(said) ? Number(said) : (until - now) / 1000;
  if (!Number.isFinite(seconds)) return null;
  return Math.min(longestRetrySeconds, Math.max(0, Math.ceil(seconds)));
}

/** The text as a JSON object, or null. */
export function jsonObject(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

/** A member of a foreign document that is a list of short texts; null where it is none. */
export function texts(value: unknown): string[] | null {
  if (!Array.isArray(value)) return null;
  return value.slice(0, 200).filter((item) => typeof item === "string" && item.length <= 500);
}

/**
 * What is wrong with a URL that secrets are sent to or people are led to: https, and this machine only where
 * `loopback`, by http too. The outbound policy has the last word (CL13, CL14). Null where nothing is wrong.
 */
export function problemOfEndpoint(value: string, { loopback }: { loopback: boolean }): string | null {
  if (value.length > 2000 || !URL.canParse(value)) return "is not a URL";
  const { protocol, hostname, username, password } = new URL(value);
  if (username !== "" || password !== "") return "holds a user name or password";
  const isWeb = protocol === "https:" || protocol === "http:";
  if (isWeb && isLoopback(hostname)) return loopback ? null : "is of the mesh's own machine";
  return protocol === "https:" ? null : "is not https";
}

/** True for a URL of this machine. */
export function isOfLoopback(url: string): boolean {
  return URL.canParse(url) && isLoopback(new URL(url).hostname);
}

/** True for a host, as URLs spell it, that is this machine; IPv4 may be mapped into IPv6. */
export function isLoopback(hostname: string): boolean {
  const name = hostname.replace(/\.$/, "");
  return name === "localhost" || name.endsWith(".localhost") || name === "[::1]" ||
    /^127(?:\.\d{1,3}){3}$/.test(name) || /^\[::ffff:7f[\da-f]{2}:[\da-f]{1,4}\]$/.test(name);
}
