// Sites of a few lines, on real HTTP, for what a good authorization server does not do.
import { listen } from "../support/upstreams/listener.ts";

/** A request as a site got it; the body as text. */
export interface SiteRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Headers;
  readonly body: string;
}

/** What answers a path: a document, or a function that makes the answer. */
export type Route = Record<string, unknown> | ((request: SiteRequest) => Response);

export interface Site extends AsyncDisposable {
  readonly origin: string;
  readonly mcpUrl: string;
  /** Every request, oldest first. */
  readonly seen: SiteRequest[];
  /** The paths of the GET requests, oldest first. */
  readonly read: () => string[];
  /** The forms that came to a path, oldest first. */
  readonly forms: (path: string) => Record<string, string>[];
  /** What the paths (with query) answer; may be changed while the site runs. */
  readonly routes: Record<string, Route>;
}

/** Starts a site whose MCP server, at /mcp, asks for a token; all other paths are 404 unless `routes` has them. */
export async function startSite(
  routes: (origin: string) => Record<string, Route> = () => ({}),
): Promise<Site> {
  const seen: SiteRequest[] = [];
  const known: Record<string, Route> = {};
  const listener = await listen(async (request) => {
    const { pathname, search } = new URL(request.url);
    const path = pathname + search;
    const asked = {
      method: request.method,
      path,
      headers: request.headers,
      body: request.body ? await request.text() : "",
    };
    seen.push(asked);
    const route = known[path] ?? (pathname === "/mcp" ? unauthorized : undefined);
    if (!route) return Response.json({ error: "not_found" }, { status: 404 });
    return typeof route === "function" ? route(asked) : Response.json(route);
  });
  const origin = `http://127.0.0.1:${listener.port}`;
  Object.assign(known, routes(origin));
  return {
    origin,
    mcpUrl: `${origin}/mcp`,
    seen,
    read: () => seen.filter(({ method }) => method === "GET").map(({ path }) => path),
    forms: (path) =>
      seen.filter((request) => request.method === "POST" && request.path === path)
        .map(({ body }) => Object.fromEntries(new URLSearchParams(body))),
    routes: known,
    [Symbol.asyncDispose]: listener.stop,
  };
}

function unauthorized(): Response {
  return challenge("Bearer");
}

/** A 401 with this WWW-Authenticate. */
export function challenge(value: string, status = 401): Response {
  return new Response(null, { status, headers: { "www-authenticate": value } });
}

/** A description of the resource at `origin`/mcp whose authorization server is `issuer`. */
export function resourceMetadata(
  origin: string,
  issuer: string,
  more: Record<string, unknown> = {},
): Record<string, unknown> {
  return { resource: `${origin}/mcp`, authorization_servers: [issuer], ...more };
}

/** A complete description of an authorization server. */
export function serverMetadata(issuer: string, more: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    issuer,
    authorization_endpoint: `${issuer}/authorize`,
    token_endpoint: `${issuer}/token`,
    registration_endpoint: `${issuer}/register`,
    response_types_supported: ["code"],
    code_challenge_methods_supported: ["S256"],
    token_endpoint_auth_methods_supported: ["none"],
    ...more,
  };
}

export const resourcePath = "/.well-known/oauth-protected-resource";
export const serverPath = "/.well-known/oauth-authorization-server";

/** The routes of an MCP server that is its own authorization server, as a whole. */
export function whole(origin: string, more: Record<string, unknown> = {}): Record<string, Route> {
  return {
    [`${resourcePath}/mcp`]: resourceMetadata(origin, origin),
    [serverPath]: serverMetadata(origin, more),
    "/register": registration({ client_id: "made-for-us" }),
    "/token": token({}),
  };
}

/** A registration endpoint that gives this. */
export function registration(answer: Record<string, unknown>): Route {
  return ({ body }) => Response.json({ ...JSON.parse(body), ...answer }, { status: 201 });
}

/** A token endpoint that grants, with what it says beyond that. */
export function token(answer: Record<string, unknown>): Route {
  return () => Response.json({ access_token: "access-1", token_type: "Bearer", ...answer });
}
