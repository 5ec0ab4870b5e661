import { isLoopbackHost } from "../config.ts";
import { pagePolicy, type VisitContext } from "../visit.ts";

/**
 * Lets the forms of this page lead on to the sign-in of servers. Browsers hold `form-action` against every address
 * that a form's answer leads on to, and which ones those are only the server's authorization server knows: the web,
 * and plain HTTP where a server of the page, or this one, speaks it. A page that takes secrets must not be opened so.
 */
export function allowSignIn(
  c: VisitContext,
  items: readonly { type: "static" | "oauth"; url: string | null }[],
): void {
  const asking = items.filter(({ type }) => type === "oauth");
  if (asking.length === 0) return;
  const { baseUrl } = c.get("visit").services.config;
  const plain = [baseUrl, ...asking.map(({ url }) => url)].some((url) => url?.startsWith("http:"));
  c.header("content-security-policy", pagePolicy(plain ? ["https:", "http:"] : ["https:"]));
}

/**
 * The same page at the address that servers send people back to, where it is shown at another name of this machine: a
 * browser is signed in at one of them only. Null where it is there already.
 */
export function atOwnName(c: VisitContext, path: string): string | null {
  const own = new URL(c.get("visit").services.config.baseUrl);
  const shown = new URL(c.req.url);
  if (shown.host === own.host || !isLoopbackHost(own.hostname) || !isLoopbackHost(shown.hostname)) {
    return null;
  }
  return new URL(path, own).href;
}
