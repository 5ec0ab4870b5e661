import type { Actor } from "../access/actor.ts";
import type { Identities } from "../access/identify.ts";
import { baseScope, ResourceUrls } from "../access/resource_urls.ts";
import { type Config, isLoopbackHost } from "../config.ts";

/** Headers that a browser client may send and read (RS12). */
const allowedHeaders = "authorization, content-type, accept, mcp-protocol-version, mcp-session-id, " +
  "mcp-method, mcp-name, last-event-id";
const exposedHeaders = "WWW-Authenticate, Mcp-Session-Id";

/** Who may knock at the MCP endpoints: the Origin and Host rules, made once from the settings. */
export class Guard {
  readonly #ownOrigin: string;
  readonly #ownHost: string;
  readonly #checkHost: boolean;
  readonly #resources: ResourceUrls;
  /** The last that was found to be ours: nearly every request has the same. */
  #knownHost: string | null = null;

  constructor(config: Pick<Config, "baseUrl" | "host">) {
    const base = new URL(config.baseUrl);
    this.#ownOrigin = base.origin;
    this.#ownHost = base.host;
    this.#checkHost = isLoopbackHost(config.host);
    this.#resources = new ResourceUrls(config.baseUrl);
  }

  /**
   * A refusal, or null. A page of another origin is refused (G04); pages of this machine may ask, as they have no
   * credential but the token they bring. On loopback the Host must be a loopback name too, against DNS rebinding.
   */
  refusal(headers: Headers, origin: string | null): Response | null {
    if (origin !== null && !this.#isAllowedOrigin(origin)) {
      return refuse(403, "forbidden", "Cannot accept requests of this origin");
    }
    if (this.#checkHost) {
      const host = headers.get("host");
      if (host !== null && host !== this.#knownHost) {
        if (!this.#isOwnHost(host.toLowerCase())) {
          return refuse(403, "forbidden", "Cannot accept requests for this host name");
        }
        this.#knownHost = host;
      }
    }
    return null;
  }

  /** The answer to a request without a valid token for this resource: where to get one (RS04). */
  unauthorized(request: Request): Response {
    return unauthorized(request.headers, this.#resources.metadataUrl(request));
  }

  /** The challenge to a client that the person has to allow more (RFC 6750 section 3.1, RS08). */
  insufficientScope(request: Request, scope: string): string {
    return [
      'Bearer realm="mesh"',
      'error="insufficient_scope"',
      'error_description="The person has not allowed this to the client"',
      `scope="${scope}"`,
      `resource_metadata="${this.#resources.metadataUrl(request)}"`,
    ].join(", ");
  }

  #isOwnHost(host: string): boolean {
    return host === this.#ownHost || isLoopbackHost(host.replace(/:\d+$/, ""));
  }

  #isAllowedOrigin(origin: string): boolean {
    if (origin === this.#ownOrigin) return true;
    return URL.canParse(origin) && /^https?:$/.test(new URL(origin).protocol) &&
      isLoopbackHost(new URL(origin).hostname);
  }

  /** Answers a CORS preflight, before any authentication (RS12, Q-21). */
  preflight(headers: Headers): Response {
    const origin = headers.get("origin");
    const refused = this.refusal(headers, origin);
    if (refused) return refused;
    const asked = headers.get("access-control-request-headers");
    const params = asked?.toLowerCase().match(/mcp-param-[a-z0-9_-]+/g) ?? [];
    return new Response(null, {
      status: 204,
      headers: {
        "access-control-allow-origin": origin ?? this.#ownOrigin,
        "access-control-allow-methods": "GET, POST, DELETE, OPTIONS",
        "access-control-allow-headers": [allowedHeaders, ...params].join(", "),
        "access-control-max-age": "7200",
        "vary": "Origin, Access-Control-Request-Headers",
      },
    });
  }

  /** Adds what a browser needs to read an answer; nothing for the clients that are none. */
  readable(response: Response, origin: string | null): Response {
    if (origin === null) return response;
    response.headers.set("access-control-allow-origin", origin);
    response.headers.set("access-control-expose-headers", exposedHeaders);
    response.headers.set("vary", "Origin");
    return response;
  }
}

/** Who is asked about a token, and which resource it has to be for. */
export interface Audience {
  readonly identities: Identities;
  /** `self`, `conn_...` or `gw_...`. */
  readonly resource: string;
  /** That of `performance.now`, where the caller knows it. */
  readonly now?: number;
}

/**
 * The actor of a bearer token; null without a valid one, or with one for another resource (RS07). Tokens in the URL
 * and cookies count for nothing (RS13).
 */
export function bearerActor(
  headers: Headers,
  { identities, resource, now }: Audience,
): Actor | null | Promise<Actor | null> {
  const header = headers.get("authorization");
  if (header === null || !bearer.test(header)) return null;
  const actor = identities.byBearer(header.slice(7).trim(), now);
  return actor instanceof Promise
    ? actor.then((found) => onlyFor(found, resource))
    : onlyFor(actor, resource);
}

function onlyFor(actor: Actor | null, resource: string): Actor | null {
  return actor === null || actor.resource === null || actor.resource === resource ? actor : null;
}

const bearer = /^bearer /i;

/**
 * The answer to a request without a valid token; an error code only where a token came (RFC 6750 section 3, RS06).
 * `metadataUrl` says where the resource describes how to get one (RFC 9728 section 5.1).
 */
export function unauthorized(headers: Headers, metadataUrl?: string): Response {
  const parts = ['realm="mesh"'];
  if (bearer.test(headers.get("authorization") ?? "")) {
    parts.push(
      'error="invalid_token"',
      'error_description="The token is unknown, expired or for another resource"',
    );
  }
  if (metadataUrl !== undefined) {
    parts.push(`scope="${baseScope}"`, `resource_metadata="${metadataUrl}"`); // RS05
  }
  const response = refuse(
    401,
    "unauthenticated",
    "Cannot answer without a valid token: sign in, or send an API key as bearer",
  );
  response.headers.set("www-authenticate", `Bearer ${parts.join(", ")}`);
  return response;
}

function refuse(status: number, code: string, message: string): Response {
  return Response.json({ code, message }, { status });
}
