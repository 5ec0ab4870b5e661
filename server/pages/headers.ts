import type { Config } from "../config.ts";
import { pagePolicy, type VisitMiddleware } from "../visit.ts";

/** Sends the headers that every page has, its errors too. */
export function pageHeaders({ baseUrl }: Config): VisitMiddleware {
  const headers: Record<string, string> = {
    "cache-control": "no-store",
    "content-security-policy": pagePolicy(),
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
