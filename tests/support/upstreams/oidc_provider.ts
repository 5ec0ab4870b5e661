// An independent authorization server (oidc-provider), and an MCP server that takes its tokens alone.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { exportJWK, generateKeyPair } from "jose";
import Provider, { errors } from "oidc-provider";
import { follow, type Person } from "./oidc_browser.ts";
import { OidcStore } from "./oidc_store.ts";
import { type Fixture, type FixtureOptions, startFixture } from "./fixture.ts";

/** A JSON-RPC message as it came; whether it is a good one is for the MCP server to say. */
export interface Asked {
  readonly method?: string;
  readonly params?: { readonly name?: string };
}

type Answer = Record<string, unknown>;

export interface OidcUpstreamOptions {
  /** Life of an access token, 300 by default. */
  readonly accessTokenSeconds?: number;
  /** Who gets a refresh token: clients that may have one (the default), those that ask for offline_access, nobody. */
  readonly refreshTokens?: "always" | "offline_access" | "never";
  /** Whether a refresh token works once only, and its second use ends the grant; true by default. */
  readonly rotation?: boolean;
  /** Whether clients may register themselves; true by default. */
  readonly registration?: boolean;
  /** Reads the documents of clients whose id is a URL; without it there are no such clients. */
  readonly documents?: (url: string, init: RequestInit) => Promise<Response>;
  /** Clients that are known beforehand, as RFC 7591 describes them, with `client_id`. */
  readonly clients?: readonly Record<string, unknown>[];
  /** What tokens can be asked to allow, published with the resource; `tools` by default. */
  readonly scopes?: readonly string[];
  /** The scope without which a message gets 403 and a challenge. */
  readonly scopeFor?: (asked: Asked) => string | undefined;
  /** False where tokens can be given back at no endpoint; true by default. */
  readonly revocation?: boolean;
  /** What to publish as `resource` in place of the server's own URL. */
  readonly resource?: string;
  /** Changes the answers of the token endpoint before they are sent. */
  readonly answer?: (body: Answer) => Answer | Promise<Answer>;
  readonly era?: FixtureOptions["era"];
}

export interface OidcUpstream extends AsyncDisposable {
  readonly mcpUrl: string;
  readonly issuer: string;
  /** The MCP server; `seen` has every request that reached it, refused ones too. */
  readonly fixture: Fixture;
  /** Requests at the token endpoint that the server has answered, by grant type. */
  readonly tokenRequests: Readonly<Record<string, number>>;
  /** The parameters of those requests, oldest first. */
  readonly tokenParameters: readonly Readonly<Record<string, string>>[];
  /** How many clients have registered themselves. */
  readonly registrations: () => number;
  /** What the registered clients said of themselves, oldest first. */
  readonly registered: () => Record<string, unknown>[];
  /** Signs in and consents as a person would in a browser; gives the URL that they are sent back to. */
  readonly follow: (authorizationUrl: string, person?: Person) => Promise<string>;
  /** Ends all grants and their tokens, as when people take back their consent. */
  readonly revokeAll: () => void;
  /** Ends all access tokens, and leaves refresh tokens. */
  readonly expireAccess: () => void;
  /** Forgets the clients that have registered themselves. */
  readonly forgetClients: () => void;
  /** True: the authorization server breaks connections off; a number: it answers with that status; so many times. */
  readonly setDown: (down: boolean | number, times?: number) => void;
  readonly isDown: boolean;
  /** Puts the clock of the MCP server ahead by so many seconds: tokens end earlier for it. */
  readonly setClock: (seconds: number) => void;
  /** Changes which life access tokens get from now on. */
  readonly setAccessTokenSeconds: (seconds: number) => void;
  readonly close: () => Promise<void>;
}

interface Token {
  readonly exp: number;
  readonly aud?: string | string[];
  readonly scope?: string;
}

/** Starts both servers on loopback ports of their own. */
export async function startOidcUpstream(options: OidcUpstreamOptions = {}): Promise<OidcUpstream> {
  const state: State = {
    store: new OidcStore(),
    down: false,
    downTimes: Infinity,
    aheadSeconds: 0,
    accessTokenSeconds: options.accessTokenSeconds ?? 300,
    scopes: options.scopes ?? ["tools"],
    tokenRequests: {},
    tokenParameters: [],
    mcpUrl: "",
  };
  const server = createServer();
  const issuer = `http://127.0.0.1:${await listening(server)}`;
  const provider = new Provider(issuer, { ...configuration(state, options), jwks: await keys() });
  provider.use(watchTokens(state, options));
  server.on("request", (request, response) => void serve({ state, provider, request, response }));
  const fixture = await startFixture({
    ...(options.era ? { era: options.era } : {}),
    guard: (request) => guard({ state, options, provider, issuer, request }),
  });
  state.mcpUrl = fixture.url;
  const close = async () => {
    await fixture.stop();
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  };
  return {
    mcpUrl: fixture.url,
    issuer,
    fixture,
    tokenRequests: state.tokenRequests,
    tokenParameters: state.tokenParameters,
    registrations: () => state.store.of("Client").size,
    registered: () => [...state.store.of("Client").values()],
    follow: (authorizationUrl, person) => follow({ authorizationUrl, issuer, person }),
    revokeAll: () =>
      state.store.clear("Grant", "AccessToken", "RefreshToken", "AuthorizationCode", "ClientCredentials"),
    expireAccess: () => state.store.clear("AccessToken", "ClientCredentials"),
    forgetClients: () => state.store.clear("Client"),
    setDown: (down, times = Infinity) => void Object.assign(state, { down, downTimes: times }),
    get isDown() {
      return state.down !== false;
    },
    setClock: (seconds) => void (state.aheadSeconds = seconds),
    setAccessTokenSeconds: (seconds) => void (state.accessTokenSeconds = seconds),
    close,
    [Symbol.asyncDispose]: close,
  };
}

interface State {
  readonly store: OidcStore;
  down: boolean | number;
  downTimes: number;
  aheadSeconds: number;
  accessTokenSeconds: number;
  readonly scopes: readonly string[];
  readonly tokenRequests: Record<string, number>;
  readonly tokenParameters: Record<string, string>[];
  mcpUrl: string;
}

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("The server has no port");
  return address.port;
}

// deno-lint-ignore no-explicit-any -- the package has no types
type Untyped = any;

function configuration(state: State, options: OidcUpstreamOptions): Record<string, unknown> {
  const { refreshTokens = "always", documents } = options;
  return {
    adapter: (kind: string) => state.store.adapter(kind),
    clients: options.clients ?? [],
    cookies: { keys: [crypto.randomUUID()] },
    scopes: ["openid", "email", "offline_access", ...state.scopes],
    claims: { openid: ["sub"], email: ["email", "email_verified"] },
    conformIdTokenClaims: false,
    findAccount: (_context: unknown, id: string) => ({
      accountId: id,
      claims: () => ({ sub: id, email: `${id}@upstream.example`, email_verified: true }),
    }),
    interactions: { url: (_context: unknown, { uid }: { uid: string }) => `/interaction/${uid}` },
    clientDefaults: {
      grant_types: ["authorization_code", "refresh_token"],
      id_token_signed_response_alg: "ES256",
    },
    expiresWithSession: () => false,
    rotateRefreshToken: () => options.rotation ?? true,
    issueRefreshToken: (_context: unknown, client: Untyped, code: Untyped) =>
      refreshTokens !== "never" && client.grantTypeAllowed("refresh_token") &&
      (refreshTokens === "always" || code.scopes.has("offline_access")),
    ttl: lives(state),
    ...(documents ? { fetch: documents } : {}),
    features: {
      devInteractions: { enabled: false },
      dPoP: { enabled: false },
      clientCredentials: { enabled: true },
      registration: { enabled: options.registration ?? true },
      revocation: {
        enabled: options.revocation ?? true,
        allowedPolicy: (_context: unknown, client: Untyped, token: Untyped) =>
          token.clientId === client.clientId,
      },
      introspection: { enabled: true },
      ...(documents ? { clientIdMetadataDocument: { enabled: true, ack: "draft-02" } } : {}),
      resourceIndicators: {
        enabled: true,
        defaultResource: (_context: unknown, _client: unknown, oneOf: unknown) => oneOf,
        useGrantedResource: () => true,
        getResourceServerInfo: (_context: unknown, resource: string) => {
          if (resource !== published(state, options)) throw new errors.InvalidTarget();
          return {
            scope: state.scopes.join(" "),
            audience: resource,
            accessTokenFormat: "opaque",
            accessTokenTTL: state.accessTokenSeconds,
          };
        },
      },
    },
  };
}

async function keys(): Promise<{ keys: object[] }> {
  const { privateKey } = await generateKeyPair("ES256", { extractable: true });
  return { keys: [await exportJWK(privateKey)] };
}

function lives(state: State): Record<string, unknown> {
  const hour = 3600;
  return {
    AccessToken: () => state.accessTokenSeconds,
    ClientCredentials: () => state.accessTokenSeconds,
    AuthorizationCode: 60,
    RefreshToken: 24 * hour,
    IdToken: hour,
    Interaction: hour,
    Session: 24 * hour,
    Grant: 24 * hour,
  };
}

function published(state: State, options: OidcUpstreamOptions): string {
  return options.resource ?? state.mcpUrl;
}

function watchTokens(state: State, options: OidcUpstreamOptions) {
  return async (context: Untyped, next: () => Promise<void>): Promise<void> => {
    await next();
    if (context.oidc?.route !== "token") return;
    const parameters: Record<string, string> = { ...context.oidc.params };
    const type = parameters.grant_type ?? "none";
    state.tokenRequests[type] = (state.tokenRequests[type] ?? 0) + 1;
    state.tokenParameters.push(parameters);
    if (context.status === 200 && options.answer) context.body = await options.answer(context.body);
  };
}

interface Exchange {
  state: State;
  provider: Untyped;
  request: IncomingMessage;
  response: ServerResponse;
}

async function serve({ state, provider, request, response }: Exchange): Promise<void> {
  const { down } = state;
  if (down !== false && --state.downTimes === 0) state.down = false;
  if (down === true) return void request.destroy();
  if (typeof down === "number") {
    response.writeHead(down, { "content-type": "text/html" });
    return void response.end("<h1>Out of order</h1>");
  }
  if (request.url?.startsWith("/interaction/")) return await interact({ provider, request, response });
  await provider.callback()(request, response);
}

// The person is in the cookie `person`: a name and whether they consent, as oidc_browser.ts writes it.
async function interact({ provider, request, response }: Omit<Exchange, "state">): Promise<void> {
  const { prompt, params, session, grantId } = await provider.interactionDetails(request, response);
  const person = /(?:^|; )person=([^;]*)/.exec(request.headers.cookie ?? "")?.[1] ?? "ann";
  if (person.startsWith("!")) {
    const result = { error: "access_denied", error_description: "The person said no" };
    return await provider.interactionFinished(request, response, result);
  }
  if (prompt.name === "login") {
    return await provider.interactionFinished(request, response, { login: { accountId: person } });
  }
  const known = grantId ? await provider.Grant.find(grantId) : undefined;
  const grant = known ?? new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  const { missingOIDCScope, missingOIDCClaims, missingResourceScopes } = prompt.details;
  if (missingOIDCScope) grant.addOIDCScope(missingOIDCScope.join(" "));
  if (missingOIDCClaims) grant.addOIDCClaims(missingOIDCClaims);
  for (const [resource, scopes] of Object.entries<string[]>(missingResourceScopes ?? {})) {
    grant.addResourceScope(resource, scopes.join(" "));
  }
  await provider.interactionFinished(request, response, { consent: { grantId: await grant.save() } });
}

interface Guarded {
  state: State;
  options: OidcUpstreamOptions;
  provider: Untyped;
  issuer: string;
  request: Request;
}

async function guard({ state, options, provider, issuer, request }: Guarded): Promise<Response | undefined> {
  const { origin, pathname } = new URL(request.url);
  const metadata = "/.well-known/oauth-protected-resource";
  if (pathname === `${metadata}/mcp`) {
    return Response.json({
      resource: published(state, options),
      authorization_servers: [issuer],
      scopes_supported: state.scopes,
      bearer_methods_supported: ["header"],
    });
  }
  if (pathname !== "/mcp") return undefined;
  const where = `resource_metadata="${origin}${metadata}/mcp"`;
  const given = /^Bearer (.+)$/.exec(request.headers.get("authorization") ?? "")?.[1];
  const token = given === undefined ? undefined : await live({ state, provider, given, options });
  if (!token) {
    const error = given === undefined ? "" : `error="invalid_token", `;
    return refusal(401, `Bearer ${error}${where}`);
  }
  const needed = options.scopeFor?.(await asked(request));
  if (needed === undefined || token.scope?.split(" ").includes(needed)) return undefined;
  return refusal(403, `Bearer error="insufficient_scope", scope="${needed}", ${where}`);
}

async function asked(request: Request): Promise<Asked> {
  if (request.method !== "POST") return {};
  return await request.clone().json();
}

function refusal(status: number, challenge: string): Response {
  return new Response(null, { status, headers: { "www-authenticate": challenge } });
}

async function live(
  { state, provider, given, options }: Omit<Guarded, "issuer" | "request"> & { given: string },
): Promise<Token | undefined> {
  const token: Token | undefined = await provider.AccessToken.find(given) ??
    await provider.ClientCredentials.find(given);
  if (!token || token.exp <= Date.now() / 1000 + state.aheadSeconds) return undefined;
  return [token.aud].flat().includes(published(state, options)) ? token : undefined;
}
