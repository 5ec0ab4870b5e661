import { parse, serialize } from "hono/utils/cookie";
import type { Context, Handler, MiddlewareHandler } from "hono";
import type { Session } from "./access/identify.ts";
import { at } from "../views/paths.ts";
import type { Flash, PublicShell, Theme } from "../views/types.ts";
import type { Config } from "./config.ts";
import type { Entries } from "./form.ts";
import type { Services } from "./services.ts";

/** A browser that asks for a page: what the routes have found out about it. */
export interface Visit {
  readonly services: Services;
  /** Null while nobody is signed in. */
  readonly session: Session | null;
  /** What a form of this browser carries. */
  readonly csrf: string;
  /** Lets the session act in another organization; false where the person does not belong to it. */
  readonly choose: (organizationId: string) => Promise<boolean>;
}

export interface VisitEnv {
  Bindings: { remoteAddr?: { hostname: string } };
  /** `form` is what a POST holds, checked to come from a page of ours. */
  Variables: { requestId: string; visit: Visit; form: Entries };
}

export type VisitContext = Context<VisitEnv>;
export type VisitHandler = Handler<VisitEnv>;
export type VisitMiddleware = MiddlewareHandler<VisitEnv>;

const themeCookie = "mesh_theme";
const flashCookie = "mesh_flash";
const maxFlash = 600; // characters; a cookie has room for 4096 bytes

/** The theme that the person has chosen in this browser. */
export function themeOf(c: Context): Theme {
  const value = cookieOf(c, themeCookie);
  return value === "light" || value === "dark" ? value : "system";
}

/** Keeps the theme in this browser for a year. */
export function setTheme(c: VisitContext, theme: Theme): void {
  setCookie(c, { name: themeCookie, value: theme, maxAge: 365 * 24 * 3600 });
}

/** Leaves a message for the next page. */
function setFlash(c: VisitContext, flash: Flash): void {
  const text = flash.text.length > maxFlash ? `${flash.text.slice(0, maxFlash)}…` : flash.text;
  setCookie(c, { name: flashCookie, value: JSON.stringify({ ...flash, text }), maxAge: 60 });
}

/** The message that was left for this page; it is gone afterwards. */
export function takeFlash(c: VisitContext): Flash | null {
  const value = cookieOf(c, flashCookie);
  if (value === undefined) return null;
  setCookie(c, { name: flashCookie, value: "", maxAge: 0 });
  try {
    const { kind, text } = JSON.parse(value);
    const known = kind === "good" || kind === "bad" || kind === "info";
    return known && typeof text === "string" ? { kind, text } : null;
  } catch {
    return null; // not written by this server
  }
}

function cookieOf(c: Context, name: string): string | undefined {
  const header = c.req.header("cookie");
  return header === undefined ? undefined : parse(header, name)[name];
}

/** Sets a cookie that no script reads and that other sites' requests do not carry. */
export function setCookie(
  c: VisitContext,
  { name, value, maxAge }: { name: string; value: string; maxAge?: number },
): void {
  const cookie = serialize(name, value, {
    path: "/",
    httpOnly: true,
    sameSite: "Lax",
    secure: isHttps(c.get("visit").services.config),
    ...(maxAge === undefined ? {} : { maxAge }),
  });
  c.header("set-cookie", cookie, { append: true });
}

function isHttps(config: Config): boolean {
  return config.baseUrl.startsWith("https:");
}

/** A path of this site to go on with after signing in, or "" where the text may lead elsewhere. */
export function safeNext(text: string | undefined): string {
  // A browser takes `//host`, `/\host` and, after dropping tabs and line breaks, `/<tab>/host` as another site.
  if (text === undefined || !/^\/(?![/\\])[^\\\p{Cc}]*$/u.test(text)) return "";
  return new URL(text, "http://here.invalid").origin === "http://here.invalid" ? text : "";
}

/** Where it goes on; on the way to an application, the window that it was opened from is kept. */
export function nextOf(c: VisitContext, text: string | undefined): string {
  const next = safeNext(text);
  if (/^[^?#]*\/authorize\?/.test(next)) keepOpener(c);
  return next;
}

/** True where anybody may make an account, not the owner of the installation alone. */
export function signUpIsOpen({ auth: { emailAndPassword } }: Config): boolean {
  return emailAndPassword.enabled && emailAndPassword.allowSignUp;
}

/** The request as sign-in and log name it. */
export function factsOf(c: Context, config: Config) {
  return {
    clientAddress: clientAddress(c, config),
    requestId: c.get("requestId") as string,
    userAgent: c.req.header("user-agent") ?? null,
  };
}

/** What a page outside a session is framed with. */
export function publicShell(c: VisitContext): PublicShell {
  return { csrf: c.get("visit").csrf, theme: themeOf(c), flash: takeFlash(c) };
}

/**
 * The content security policy of a page: nothing inline, nothing from elsewhere, no frames, forms to this site only
 * and to what `formTargets` name.
 */
export function pagePolicy(formTargets: readonly string[] = []): string {
  return [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "connect-src 'self'",
    ["form-action 'self'", ...formTargets].join(" "),
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ].join("; ");
}

/**
 * Lets the window that opened this page hear of its end: web clients sign in through a window of their own, and any
 * page on the way that cuts it off leaves them waiting.
 */
export function keepOpener(c: VisitContext): void {
  c.header("cross-origin-opener-policy", "unsafe-none");
}

/** Sends the browser to another page, which it gets with GET. */
export function goTo(c: VisitContext, path: string, flash?: Flash): Response {
  if (flash) setFlash(c, flash);
  return c.redirect(path, 303);
}

/** The path and query of the page that is shown, as the browser knows them. */
export function pathOf(c: Context): string {
  const { pathname, search } = new URL(c.req.url);
  return at(pathname) + search;
}

/** True where htmx asks for a part of the page. */
export function wantsPart(c: Context): boolean {
  c.header("vary", "HX-Request");
  return c.req.header("hx-request") === "true" && c.req.header("hx-history-restore-request") !== "true";
}

/** The client's address as the server believes it: behind a trusted proxy the one that the proxy saw. */
export function clientAddress(c: Context, config: Config): string {
  const forwarded = config.trustProxy
    ? c.req.header("x-forwarded-for")?.split(",").at(-1)?.trim()
    : undefined;
  return forwarded || c.env?.remoteAddr?.hostname || "unknown";
}
