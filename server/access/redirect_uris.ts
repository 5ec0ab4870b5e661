const maxLength = 2000;

/** Schemes that run or open something where they lead; none of them takes anybody back to an application. */
const refusedSchemes: ReadonlySet<string> = new Set([
  "about",
  "blob",
  "chrome",
  "data",
  "file",
  "filesystem",
  "ftp",
  "http",
  "https",
  "intent",
  "javascript",
  "mailto",
  "tel",
  "vbscript",
  "view-source",
  "ws",
  "wss",
]);

const answerParameters = ["code", "state", "iss", "error", "error_description"];

/** Says why an address cannot be registered as one to return to (AS13), or null where it can. */
export function problemOf(uri: string, applicationType: "native" | "web" | null = null): string | null {
  if (uri.length > maxLength) return `is longer than ${maxLength} characters`;
  if (!/^[\x21-\x7e]+$/.test(uri) || /[\\"<>^`{|}]/.test(uri)) return "has characters that no URI has";
  if (!URL.canParse(uri)) return "is not an absolute URI";
  const url = new URL(uri);
  if (uri.includes("#")) return "has a fragment"; // RFC 6749 section 3.1.2
  if (url.username !== "" || url.password !== "" || /^[a-z+.-]+:\/\/[^/?]*@/i.test(uri)) {
    return "has a user name in it";
  }
  if (answerParameters.some((name) => url.searchParams.has(name))) {
    return "has a parameter that answers use"; // AS16: each comes back once
  }
  const scheme = url.protocol.slice(0, -1);
  if (scheme === "https" || scheme === "http") {
    if (!/^https?:\/\/[^/?]/i.test(uri) || url.hostname.includes("*")) return "names no host";
    if (applicationType === "web" && isLoopback(url.hostname)) return "is of this machine, not of the web";
    if (scheme === "http" && !isLoopback(url.hostname)) return "is neither https nor of this machine";
    return null;
  }
  if (refusedSchemes.has(scheme)) return `has the scheme '${scheme}', which is never safe`;
  return applicationType === "web" ? "is not https" : null;
}

/**
 * True where the address is the registered one, character by character; of an address of this machine any port will
 * do, as an application there takes whichever is free (AS11, Q-01; RFC 8252 section 7.3).
 */
export function matches(registered: string, asked: string): boolean {
  if (registered === asked) return true;
  const [own, given] = [withoutPort(registered), withoutPort(asked)];
  return own !== null && own === given;
}

const loopback = /^(http:\/\/(?:localhost|127\.0\.0\.1|\[::1\]))(?::(\d{1,5}))?((?:[/?].*)?)$/;

function withoutPort(uri: string): string | null {
  const [, host = "", port, rest = ""] = loopback.exec(uri) ?? [];
  if (host === "" || (port !== undefined && (Number(port) < 1 || Number(port) > 65535))) return null;
  return host + rest;
}

function isLoopback(hostname: string): boolean {
  return hostname === "localhost" || hostname === "127.0.0.1" || hostname === "[::1]";
}

/** Where an address leads, as a person is told it. */
export interface RedirectPlace {
  uri: string;
  /** The host, or the scheme of an application's own, such as `cursor:`. */
  host: string;
  /** `web`: a site; `loopback`: any program of the person's machine; `app`: whichever program took the scheme. */
  kind: "web" | "loopback" | "app";
  /** What a content security policy calls it: the origin, or the scheme. */
  source: string;
}

/** Describes an address that was checked before. */
export function describePlace(uri: string): RedirectPlace {
  const { protocol, origin, host, hostname } = new URL(uri);
  if (protocol !== "https:" && protocol !== "http:") {
    return { uri, host: protocol, kind: "app", source: protocol };
  }
  return { uri, host, kind: isLoopback(hostname) ? "loopback" : "web", source: origin };
}

/** True where every address leads to this machine or to an application's own scheme: no name proves who is there. */
export function isLocalOnly(uris: readonly string[]): boolean {
  return uris.every((uri) => describePlace(uri).kind !== "web");
}

/** An address with the parameters of an answer; the registered part stays as it is, character by character. */
export function withAnswer(uri: string, answer: Readonly<Record<string, string | null>>): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(answer)) {
    if (value !== null) query.set(name, value);
  }
  const joint = !uri.includes("?") ? "?" : /[?&]$/.test(uri) ? "" : "&";
  return uri + joint + query.toString();
}
