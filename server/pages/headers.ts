import type { Config } from "../config.ts";
import type { VisitMiddleware } from "../visit.ts";

/** Nothing inline, nothing from elsewhere, no frames, forms to this site only. */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join("; ");

/** Sends the headers that every page has, its errors too. */
export function pageHeaders({ baseUrl }: Config): VisitMiddleware {
  const headers: Record<string, string> = {
    "cache-control": "no-store",
    "content-security-policy": policy,
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
  };
  if (baseUrl.startsWith("https:")) headers["strict-transport-security"] = "max-age=31536000"; // RFC 6797
  return async function setPageHeaders(c, next) {
    await next();
    // A page that needs another policy has said so itself.
    for (const [name, value] of Object.entries(headers)) {
      if (!c.res.headers.has(name)) c.header(name, value);
    }
  };
}
