import { pagePolicy, type VisitContext } from "../visit.ts";

/**
 * Lets the forms of this page lead on to the sign-in of servers. Browsers hold `form-action` against every address
 * that a form's answer leads on to, and which ones those are only the server's authorization server knows: the web,
 * and plain HTTP where a server of the page speaks it. A page that takes secrets must not be opened so.
 */
export function allowSignIn(
  c: VisitContext,
  items: readonly { type: "static" | "oauth"; url: string | null }[],
): void {
  const asking = items.filter(({ type }) => type === "oauth");
  if (asking.length === 0) return;
  const plain = asking.some(({ url }) => url?.startsWith("http:"));
  c.header("content-security-policy", pagePolicy(plain ? ["https:", "http:"] : ["https:"]));
}
