import { type Context, type Handler, Hono, type MiddlewareHandler } from "hono";
import { Lifecycle } from "../lifecycle.ts";
import type { Services } from "../services.ts";
import { CleanUp } from "./cleanup.ts";
import { introspectionEndpoint } from "./introspect.ts";
import { endpoints, openIdMetadata, serverMetadata, showResourceMetadata } from "./metadata.ts";
import { registrationEndpoint } from "./register.ts";
import { revocationEndpoint } from "./revoke.ts";
import { tokenEndpoint } from "./token.ts";

/** What the routes are told by the app. */
export interface OAuthOptions {
  /** The client's address as the server believes it. */
  readonly clientAddress: (c: Context) => string;
  readonly lifecycle?: Lifecycle;
}

/** The endpoints for programs: metadata, token, register, revoke, introspect. The page is `authorizePage`. */
export function oauthRoutes(
  services: Services,
  { clientAddress, lifecycle = new Lifecycle() }: OAuthOptions,
): Hono {
  const app = new Hono();
  const { config } = services;
  const basePath = new URL(config.baseUrl).pathname.replace(/\/$/, "");
  const below = (path: string) => basePath === "" ? [path] : [path, basePath + path];
  const cleanUp = new CleanUp(services, lifecycle);

  const resource = "/.well-known/oauth-protected-resource";
  app.on(
    ["GET", "OPTIONS"],
    below(resource).flatMap((path) => [path, `${path}/*`]),
    open,
    showResourceMetadata(config),
  );
  const server = "/.well-known/oauth-authorization-server";
  const openId = "/.well-known/openid-configuration";
  // RFC 8414 section 3.1 puts the issuer's path behind, OpenID Connect Discovery section 4 before (AS01).
  const forms = (path: string) => [path, ...(basePath === "" ? [] : [path + basePath, basePath + path])];
  app.on(["GET", "OPTIONS"], forms(server), open, (c) => c.json(serverMetadata(config)));
  app.on(["GET", "OPTIONS"], forms(openId), open, (c) => c.json(openIdMetadata(config)));
  app.on(["GET", "OPTIONS"], below(endpoints.keys), open, (c) => c.json({ keys: [] }));
  // Apart from the former, as no token of this authorization server is a JWT: these sign what upstreams are sent.
  app.on(["GET", "OPTIONS"], below("/.well-known/jwks.json"), open, showIdentityKeys(services));

  const programs = {
    token: tokenEndpoint(services),
    register: registrationEndpoint(services, { clientAddress }),
    revoke: revocationEndpoint(services),
    introspect: introspectionEndpoint(services),
  };
  for (const [name, endpoint] of Object.entries(programs)) {
    const atRoot = name === "token" || name === "register"; // as clients of 2025-03-26 guess them
    const at = [...below(`/api/auth/${name}`), ...(atRoot ? below(`/${name}`) : [])];
    app.on(["POST", "OPTIONS"], at, open, async (c, next) => {
      cleanUp.mayBegin();
      return await endpoint(c, next);
    });
    app.on(["GET", "PUT", "PATCH", "DELETE"], at, open, notAllowed);
  }
  return app;
}

/** The keys by which upstreams verify identity tokens. */
function showIdentityKeys({ signingKeys }: Services): Handler {
  return async (c) => {
    const keys = await signingKeys.published();
    return c.json(keys, 200, { "cache-control": `public, max-age=${signingKeys.maxAge}` });
  };
}

/** Any page may ask these: no cookie counts here (AS05, Q-21). */
const open: MiddlewareHandler = async (c, next) => {
  if (c.req.method === "OPTIONS") {
    return c.body(null, 204, {
      "access-control-allow-origin": "*",
      "access-control-allow-methods": "GET, POST, OPTIONS",
      "access-control-allow-headers": "authorization, content-type, accept, mcp-protocol-version",
      "access-control-max-age": "7200",
    });
  }
  await next();
  c.header("access-control-allow-origin", "*");
  c.header("access-control-expose-headers", "WWW-Authenticate, Retry-After");
  return undefined;
};

function notAllowed(c: Context): Response {
  c.header("allow", "POST");
  return c.json({ error: "invalid_request", error_description: "This endpoint takes POST" }, 405);
}
