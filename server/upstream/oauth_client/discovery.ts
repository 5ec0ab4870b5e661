import { type BearerChallenge, bearerChallenge, scopeIn } from "./challenge.ts";
import { failed, type OauthError, quoted } from "./error.ts";
import { ask, isOfLoopback, isTransient, troubled, type Way } from "./exchange.ts";
import { findResource, type ProtectedResource } from "./resource.ts";
import { defaultServer, findServer, type ServerMetadata } from "./server_metadata.ts";
import type { OauthConfig, OauthConnection } from "./types.ts";

/** How access to a server is got. */
export interface Discovery {
  readonly issuer: string;
  /** What tokens are asked for, exactly as published; null where nothing is. */
  readonly resource: string | null;
  /** False where the published resource is the server's origin or a path above it (CL02). */
  readonly resourceIsExact: boolean;
  /** The scope to ask for; null asks for none (CL10). */
  readonly scope: string | null;
  /** Where it is known from; `default_endpoints` is a guess, made for a server that asks for a token. */
  readonly source: "given" | "resource_metadata" | "server_metadata" | "default_endpoints";
  readonly server: ServerMetadata;
}

/**
 * Finds out how access to the server of a connection is got. Without a `challenge` (a WWW-Authenticate value) the
 * server is asked for one. `scopes` are those that were granted before. Throws OauthError.
 */
export async function discover(
  way: Way,
  { connection, challenge, scopes }: {
    connection: OauthConnection;
    challenge?: string | null | undefined;
    scopes?: string | null | undefined;
  },
): Promise<Discovery> {
  const { url } = connection;
  const config = connection.config ?? {};
  const asked = challenge ? challenged(challenge) : await probe(way, url);
  const resource = await findResource(way, {
    url,
    said: asked.said?.resourceMetadata ?? null,
    given: config.resource ?? null,
  });
  const { server, source } = await chooseServer(way, { url, config, resource, asked });
  return {
    issuer: server.issuer,
    resource: config.resource ?? resource?.resource ?? null,
    resourceIsExact: resource?.exact ?? true,
    scope: chooseScope({ config, said: asked.said, resource, server, scopes: scopes ?? null }),
    source,
    server,
  };
}

interface Probed {
  /** Whether the server asks for a token. */
  readonly refused: boolean;
  readonly said: BearerChallenge | null;
  /** Why it does not say; its documents may be there all the same. */
  readonly trouble: OauthError | null;
}

function challenged(header: string): Probed {
  return { refused: true, said: bearerChallenge(header), trouble: null };
}

// Servers check the token before anything else, so that one request without a session shows their challenge, also
// those that answer `initialize` to everybody.
async function probe(way: Way, url: string): Promise<Probed> {
  const answer = await ask(way, url, {
    bodyless: true,
    method: "POST",
    headers: {
      "accept": "application/json, text/event-stream",
      "content-type": "application/json",
      "mcp-protocol-version": "2025-11-25",
    },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list", params: {} }),
  });
  const { status, headers } = answer;
  const said = status === 401 || status === 403 ? bearerChallenge(headers.get("www-authenticate")) : null;
  const trouble = isTransient(status) ? troubled(answer, way, new URL(url).host) : null;
  return { refused: status === 401 || said !== null, said, trouble };
}

async function chooseServer(
  way: Way,
  { url, config, resource, asked }: {
    url: string;
    config: OauthConfig;
    resource: ProtectedResource | null;
    asked: Probed;
  },
): Promise<Pick<Discovery, "server" | "source">> {
  const given = config.authorization_server;
  // Only an admin leads to this machine: what a server elsewhere names must not reach its services (CL13).
  const loopback = isOfLoopback(url) || isOfLoopback(given ?? "");
  const issuers = given ? [given] : resource?.authorizationServers ?? [];
  for (const issuer of issuers) {
    const server = await findServer(way, { issuer, loopback });
    if (server) return { server, source: given ? "given" : "resource_metadata" };
  }
  const [first] = issuers;
  if (first !== undefined) {
    throw failed(way, "discovery", { reason: `its authorization server ${quoted(first)} has no metadata` });
  }
  // 2025-03-26: the server itself, described at its origin or having the endpoints that all had.
  const { origin } = new URL(url);
  const server = await findServer(way, { issuer: origin, loopback });
  if (server) return { server, source: resource ? "resource_metadata" : "server_metadata" };
  if (asked.trouble) throw asked.trouble;
  if (!asked.refused) {
    throw failed(way, "discovery", { reason: "it neither asks for a token nor says who gives tokens" });
  }
  return { server: defaultServer(origin), source: "default_endpoints" };
}

/** What to ask for: what an admin says, else what the server asks for, else all that it publishes (CL10, CL11). */
function chooseScope(
  { config, said, resource, server, scopes }: {
    config: OauthConfig;
    said: BearerChallenge | null;
    resource: ProtectedResource | null;
    server: ServerMetadata;
    scopes: string | null;
  },
): string | null {
  const given = scopeIn(config.scope);
  const more = said?.error === "insufficient_scope" ? said.scope : null;
  const wanted = union(given ?? said?.scope ?? resource?.scope ?? null, more, scopes);
  const refreshable = server.scopes?.includes("offline_access") ?? false;
  const offline = refreshable || given?.split(" ").includes("offline_access");
  const names = wanted.filter((name) => name !== "offline_access");
  if (names.length === 0 && !given) return null;
  return (offline ? [...names, "offline_access"] : names).join(" ");
}

function union(...scopes: (string | null)[]): string[] {
  return [...new Set(scopes.flatMap((scope) => scopeIn(scope)?.split(" ") ?? []))];
}

/** How the discovery of a connection goes out. */
export function wayOf(
  { outbound, timeoutMs }: Pick<Way, "outbound" | "timeoutMs">,
  { connection, stage }: { connection: Pick<OauthConnection, "title" | "target">; stage: Way["stage"] },
): Way {
  return { outbound, timeoutMs, title: connection.title, stage, target: connection.target };
}
