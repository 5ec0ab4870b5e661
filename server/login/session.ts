import { createHmac, timingSafeEqual } from "node:crypto";
import type { Context } from "hono";
import { parse, serialize } from "hono/utils/cookie";
import { hashToken, type Session, sessionMs } from "../access/identify.ts";
import { type Config, isLoopbackHost } from "../config.ts";
import { newSecret } from "../ids.ts";
import type { Services } from "../services.ts";
import * as sessions from "../storage/sessions.ts";

const maxUserAgent = 500;

/** The name of the session's cookie: bound to this very host under https. RFC 6265bis section 4.1.3.2 */
export function cookieName(config: Config): string {
  return isHttps(config) ? "__Host-mesh_session" : "mesh_session";
}

function isHttps(config: Config): boolean {
  return config.baseUrl.startsWith("https:");
}

/** The session's token in a Cookie header, or null. */
export function tokenIn(config: Config, cookieHeader: string | null | undefined): string | null {
  const name = cookieName(config);
  const token = cookieHeader ? parse(cookieHeader, name)[name] : undefined;
  return token !== undefined && /^[A-Za-z0-9_-]{43}$/.test(token) ? token : null;
}

/** The Set-Cookie header that keeps a session, or with null the one that ends it. */
export function cookieOf(config: Config, token: string | null): string {
  return serialize(cookieName(config), token ?? "", {
    path: "/", // also under a base path: __Host- allows no other
    httpOnly: true,
    secure: isHttps(config),
    sameSite: "Lax",
    maxAge: token === null ? 0 : sessionMs / 1000,
  });
}

/** Begins a session under a new token and ends the one that the browser had; gives the token. */
export async function createSession(
  services: Services,
  { userId, userAgent, previous }: { userId: string; userAgent: string | null; previous: string | null },
): Promise<string> {
  const token = newSecret("");
  const now = Date.now();
  await sessions.insert(services.db, {
    tokenHash: hashToken(token),
    userId,
    activeOrganizationId: null,
    userAgent: userAgent?.slice(0, maxUserAgent) ?? null,
    createdAt: now,
    expiresAt: now + sessionMs,
  });
  if (previous !== null) await sessions.remove(services.db, hashToken(previous));
  return token;
}

/** Signs the browser of this request in; gives the token of the new session. */
export async function startSession(c: Context, services: Services, userId: string): Promise<string> {
  const previous = tokenIn(services.config, c.req.header("Cookie"));
  const userAgent = c.req.header("User-Agent") ?? null;
  const token = await createSession(services, { userId, userAgent, previous });
  c.header("Set-Cookie", cookieOf(services.config, token), { append: true });
  return token;
}

/** Signs the browser of this request out. */
export async function endSession(c: Context, services: Services): Promise<void> {
  const token = tokenIn(services.config, c.req.header("Cookie"));
  if (token !== null) await sessions.remove(services.db, hashToken(token));
  c.header("Set-Cookie", cookieOf(services.config, null), { append: true });
}

/** The session of this request, or null; its cookie is sent again where its end has moved. */
export async function sessionOf(c: Context, services: Services): Promise<Session | null> {
  const token = tokenIn(services.config, c.req.header("Cookie"));
  const session = token === null ? null : await services.identities.bySession(token);
  if (token !== null && session?.extended) {
    c.header("Set-Cookie", cookieOf(services.config, token), { append: true });
  }
  return session;
}

/** The purpose of the vault's derived key that CSRF tokens are made with. */
export const csrfPurpose = "csrf";

/** The token that a form of this session carries; `key` is `vault.deriveKey(csrfPurpose)`. */
export function csrfToken(key: Uint8Array, tokenHash: string): string {
  return createHmac("sha256", key).update(tokenHash).digest("base64url");
}

/** True where `given` is the form token of this session; takes the same time wherever it differs. */
export function isCsrfToken(key: Uint8Array, tokenHash: string, given: string): boolean {
  const expected = new TextEncoder().encode(csrfToken(key, tokenHash));
  const actual = new TextEncoder().encode(given);
  return actual.length === expected.length && timingSafeEqual(actual, expected);
}

/** What a browser says of where a request comes from; null where the header is absent. */
export interface OriginFacts {
  secFetchSite: string | null;
  origin: string | null;
}

/** The origin headers of a request. */
export function originFacts(headers: { get(name: string): string | null }): OriginFacts {
  return { secFetchSite: headers.get("Sec-Fetch-Site"), origin: headers.get("Origin") };
}

/**
 * False where a browser says that another site made the request. A request without both headers is a script's,
 * as browsers send one of them with every POST.
 */
export function isSameOrigin({ secFetchSite, origin }: OriginFacts, baseUrl: string): boolean {
  if (secFetchSite !== null && secFetchSite !== "same-origin" && secFetchSite !== "none") return false;
  if (origin === null) return true;
  if (!URL.canParse(origin)) return false; // such as `null`
  const [given, own] = [new URL(origin), new URL(baseUrl)];
  if (given.origin === own.origin) return true;
  // The names of this machine are one place.
  return given.protocol === own.protocol && given.port === own.port &&
    isLoopbackHost(given.hostname) && isLoopbackHost(own.hostname);
}
