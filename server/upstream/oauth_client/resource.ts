import { scopeIn } from "./challenge.ts";
import { failed, quoted } from "./error.ts";
import { type Found, isOfLoopback, problemOfEndpoint, readDocument, texts, type Way } from "./exchange.ts";

/** How a server describes itself as a protected resource. RFC 9728 */
export interface ProtectedResource {
  /** Exactly as published; this string is what tokens are asked for (CL03). */
  readonly resource: string;
  /** False where it names more than the server's own URL: its origin, or a path above. */
  readonly exact: boolean;
  readonly authorizationServers: readonly string[];
  readonly scope: string | null;
}

const wellKnown = "/.well-known/oauth-protected-resource";
const maxServers = 3;

/**
 * Reads the metadata of the resource at `url`: where the challenge says, else at the path's well-known, else at the
 * root's (CL01); null where there is none. Throws OauthError where it is about something else (CL02).
 */
export async function findResource(
  way: Way,
  { url, said, given }: { url: string; said: string | null; given: string | null },
): Promise<ProtectedResource | null> {
  let failing: Found | null = null;
  for (const candidate of candidates(way, url, said)) {
    const found = await readDocument(way, candidate);
    if ("document" in found) return readMetadata(way, { url, given, document: found.document });
    if ("failing" in found) failing ??= found;
  }
  if (failing && "failing" in failing) throw failing.failing;
  return null;
}

function candidates(way: Way, url: string, said: string | null): string[] {
  const { origin, pathname, search } = new URL(url);
  const found: string[] = [];
  if (said !== null && URL.canParse(said, url)) {
    const { href } = new URL(said, url);
    const problem = problemOfEndpoint(href, { loopback: isOfLoopback(url) });
    if (problem !== null) {
      throw failed(way, "discovery", { reason: `the metadata URL ${quoted(said)} that it names ${problem}` });
    }
    found.push(href);
  }
  // RFC 9728 section 3.1: between host and path, and only the slash of an empty path is dropped.
  if (pathname !== "/" || search !== "") {
    const path = pathname === "/" ? "" : pathname;
    found.push(`${origin}${wellKnown}${path}${search}`);
    found.push(`${origin}${wellKnown}${path.replace(/\/$/, "")}`);
  }
  found.push(`${origin}${wellKnown}`);
  return [...new Set(found)];
}

function readMetadata(
  way: Way,
  { url, given, document }: { url: string; given: string | null; document: Record<string, unknown> },
): ProtectedResource {
  const { resource } = document;
  if (typeof resource !== "string") {
    throw failed(way, "discovery", {
      reason: "its resource metadata does not say which resource it is about",
    });
  }
  const exact = resource === url || resource === given;
  if (!exact && !covers(resource, url)) {
    throw failed(way, "discovery", {
      reason: `its resource metadata is about ${quoted(resource)} and not about ${quoted(url)}`,
    });
  }
  if (document.dpop_bound_access_tokens_required === true) {
    throw failed(way, "discovery", { reason: "it takes only tokens that are bound to a key (DPoP)" });
  }
  return {
    resource,
    exact,
    authorizationServers: (texts(document.authorization_servers) ?? []).slice(0, maxServers),
    scope: scopeIn(texts(document.scopes_supported)?.join(" ")),
  };
}

/**
 * True where the published resource is the server's origin or a path above it. Well-known servers publish that (CL02,
 * Q-07), so we accept it, and then ask for tokens by the string that they publish.
 */
export function covers(resource: string, url: string): boolean {
  if (!URL.canParse(resource) || resource.includes("#")) return false;
  const published = new URL(resource);
  const own = new URL(url);
  if (published.origin !== own.origin || published.username !== "") return false;
  if (published.search !== "" && published.search !== own.search) return false;
  const above = published.pathname.endsWith("/") ? published.pathname : `${published.pathname}/`;
  return `${own.pathname}/`.startsWith(above);
}
