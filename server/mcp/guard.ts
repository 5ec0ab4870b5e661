import { unauthorized } from "../access/bearer.ts";
import { ResourceUrls } from "../access/resource_urls.ts";
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

function refuse(status: number, code: string, message: string): Response {
  return Response.json({ code, message }, { status });
}
