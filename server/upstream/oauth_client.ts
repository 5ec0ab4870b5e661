import { createHash, randomBytes } from "node:crypto";
import { accountOf } from "./oauth_client/account.ts";
import { redirectUriOf } from "./oauth_client/client_document.ts";
import { discover, type Discovery, wayOf } from "./oauth_client/discovery.ts";
import { failed, type OauthKind, quoted } from "./oauth_client/error.ts";
import type { Way } from "./oauth_client/exchange.ts";
import { givenClient } from "./oauth_client/given_client.ts";
import { chooseClient, pinIssuer, type Registration, registrationOf } from "./oauth_client/registration.ts";
import { giveBack } from "./oauth_client/revocation.ts";
import { requestToken, type TokenAnswer } from "./oauth_client/token.ts";
import type {
  AuthorizationAnswer,
  Grant,
  Granted,
  OauthClient,
  OauthConnection,
  OauthParts,
  PendingFlow,
} from "./oauth_client/types.ts";

export { type BearerChallenge, bearerChallenge } from "./oauth_client/challenge.ts";
export { clientDocument, redirectUriOf } from "./oauth_client/client_document.ts";
export type { Discovery } from "./oauth_client/discovery.ts";
export { OauthError, type OauthKind, type OauthStage } from "./oauth_client/error.ts";
export { forgetClient, type Registration } from "./oauth_client/registration.ts";
export * from "./oauth_client/types.ts";

/** What is known of a connection before access to it is wanted. */
interface Asked {
  readonly connection: OauthConnection;
  /** The WWW-Authenticate value of a 401 or 403; the server is asked for one where there is none. */
  readonly challenge?: string | null | undefined;
}

/** Finds out how access to a server is got, and asks nobody for any. Throws OauthError, kind `discovery` where it is not by OAuth. */
export async function discoverAuthorization(
  parts: Pick<OauthParts, "outbound" | "baseUrl" | "timeoutMs">,
  { connection, challenge }: Asked,
): Promise<Discovery & { registration: Registration }> {
  const discovery = await discover(wayOf(parts, { connection, stage: "auth_discovery" }), {
    connection,
    challenge,
  });
  const { server } = discovery;
  return { ...discovery, registration: registrationOf(parts.baseUrl, { server, config: connection.config }) };
}

/**
 * Begins an authorization: gives the URL to lead the browser to, and what to keep for its return. `scopes` are those
 * granted before (CL11); `renewClient` registers the mesh anew, for a server that has forgotten it. Throws OauthError.
 */
export async function beginAuthorization(
  parts: OauthParts,
  { connection, state, challenge, scopes, renewClient = false }: Asked & {
    state: string;
    scopes?: string | null | undefined;
    renewClient?: boolean | undefined;
  },
): Promise<{ url: string; flow: PendingFlow }> {
  const way = wayOf(parts, { connection, stage: "auth_discovery" });
  const discovery = await discover(way, { connection, challenge, scopes });
  const { server, resource, scope, issuer } = discovery;
  if (server.authorizationEndpoint === null) {
    throw failed(way, "discovery", { reason: `${quoted(issuer)} names no authorization endpoint` });
  }
  if (!server.challengeMethods?.includes("S256")) { // CL05
    throw failed(way, "discovery", { reason: `${quoted(issuer)} does not support PKCE with S256` });
  }
  const client = await chooseClient(parts, way, { connection, discovery, renew: renewClient });
  const verifier = randomBytes(32).toString("base64url");
  const redirectUri = redirectUriOf(parts.baseUrl);
  const url = withQuery(server.authorizationEndpoint, {
    response_type: "code",
    client_id: client.clientId,
    redirect_uri: redirectUri,
    state,
    code_challenge: createHash("sha256").update(verifier).digest("base64url"),
    code_challenge_method: "S256",
    scope,
    resource, // CL03
    // OpenID Connect Core section 11: only a person's consent gives offline access.
    prompt: scope?.split(" ").includes("offline_access") ? "consent" : null,
  });
  const flow: PendingFlow = {
    verifier,
    issuer,
    issParameterSupported: server.issParameterSupported,
    tokenEndpoint: server.tokenEndpoint,
    revocationEndpoint: server.revocationEndpoint,
    userinfoEndpoint: server.userinfoEndpoint,
    client,
    resource,
    scope,
    redirectUri,
  };
  return { url, flow };
}

function withQuery(endpoint: string, parameters: Record<string, string | null>): string {
  const url = new URL(endpoint);
  url.hash = "";
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== null) url.searchParams.set(name, value);
  }
  return url.href;
}

/** Takes what the browser brought back, and exchanges the code for tokens. Throws OauthError. */
export async function finishAuthorization(
  parts: OauthParts,
  { connection, flow, answer }: {
    connection: OauthConnection;
    flow: PendingFlow;
    answer: AuthorizationAnswer;
  },
): Promise<Granted> {
  const way = wayOf(parts, { connection, stage: "token" });
  const { issuer, client, scope } = flow;
  checkSender(way, flow, answer);
  const code = codeIn(way, answer);
  const token = await requestToken(way, { url: flow.tokenEndpoint, issuer, client }, {
    grant_type: "authorization_code",
    code,
    redirect_uri: flow.redirectUri,
    code_verifier: flow.verifier,
    resource: flow.resource,
  });
  const grant = grantOf(token, { ...flow, grantType: "authorization_code" });
  const account = await accountOf({ ...way, log: parts.log }, {
    answer: token,
    issuer,
    clientId: client.clientId,
    userinfoEndpoint: flow.userinfoEndpoint,
    scope,
  });
  return { grant, scope: token.scope ?? scope, expiresAt: token.expiresAt, account };
}

// RFC 9207 section 2.4, CL06: strings are compared as they are, and nothing of another sender's answer is shown.
function checkSender(
  way: Way,
  { issuer, issParameterSupported }: PendingFlow,
  { iss }: AuthorizationAnswer,
): void {
  if (iss === undefined ? !issParameterSupported : iss === issuer) return;
  throw failed(way, "refused", {
    reason: `the answer does not come from ${quoted(issuer)}, which was asked; begin again`,
  });
}

const answerKinds: Readonly<Record<string, OauthKind>> = {
  invalid_client: "invalid_client",
  unauthorized_client: "invalid_client",
  server_error: "transient",
  temporarily_unavailable: "transient",
};

function codeIn(way: Way, { code, error, errorDescription }: AuthorizationAnswer): string {
  if (error !== undefined) {
    throw failed(way, answerKinds[error] ?? "refused", {
      reason: `the authorization server refused: ${quoted(errorDescription || error)}`,
    });
  }
  if (code === undefined || code === "") {
    throw failed(way, "refused", { reason: "the authorization server answered without a code; begin again" });
  }
  return code;
}

function grantOf(
  { accessToken, refreshToken }: TokenAnswer,
  from: Omit<Grant, "accessToken" | "refreshToken" | "tokenType">,
): Grant {
  const { resource, issuer, tokenEndpoint, revocationEndpoint, client, grantType } = from;
  return {
    accessToken,
    refreshToken,
    tokenType: "Bearer",
    resource,
    issuer,
    tokenEndpoint,
    revocationEndpoint,
    client,
    grantType,
  };
}

/**
 * Renews a grant; the refresh token stays where the server gives no other. `scope` and `account` are null where the
 * server says nothing, which means that they stay. Throws OauthError, whose kind says what is left of the old grant.
 */
export async function refresh(
  parts: OauthParts,
  { connection, grant }: { connection: OauthConnection; grant: Grant },
): Promise<Granted> {
  if (grant.grantType === "client_credentials") return await clientCredentials(parts, { connection });
  const way = wayOf(parts, { connection, stage: "token" });
  if (grant.refreshToken === null) {
    throw failed(way, "invalid_grant", { reason: "its authorization server gave no way to renew it" });
  }
  const { issuer, tokenEndpoint: url } = grant;
  const client = currentClient(connection, grant.client);
  const token = await requestToken(way, { url, issuer, client }, {
    grant_type: "refresh_token",
    refresh_token: grant.refreshToken,
    resource: grant.resource,
  });
  const renewed = grantOf(token, { ...grant, client });
  const account = await accountOf({ ...way, log: parts.log }, {
    answer: token,
    issuer,
    clientId: client.clientId,
    userinfoEndpoint: null,
    scope: null,
  });
  return {
    grant: { ...renewed, refreshToken: token.refreshToken ?? grant.refreshToken },
    scope: token.scope,
    expiresAt: token.expiresAt,
    account,
  };
}

// A secret that an admin has changed since holds for the grants of the same client.
function currentClient({ config }: OauthConnection, client: OauthClient): OauthClient {
  if (client.registrationId || config?.client_id !== client.clientId) return client;
  return {
    ...client,
    secret: config.client_secret ?? client.secret,
    privateKey: config.private_key ?? client.privateKey ?? null,
  };
}

/** Gets access for the mesh itself, as the client that an admin has given. RFC 6749 section 4.4; throws OauthError. */
export async function clientCredentials(parts: OauthParts, asked: Asked): Promise<Granted> {
  const { connection } = asked;
  const way = wayOf(parts, { connection, stage: "auth_discovery" });
  const discovery = await discover(way, asked);
  const { server, resource, issuer } = discovery;
  const client = givenClient(way, { connection, server });
  await pinIssuer(parts, way, { connection, discovery });
  const scope = discovery.scope?.split(" ").filter((name) => name !== "offline_access").join(" ") || null;
  const { tokenEndpoint, revocationEndpoint } = server;
  const token = await requestToken({ ...way, stage: "token" }, { url: tokenEndpoint, issuer, client }, {
    grant_type: "client_credentials",
    scope,
    resource,
  });
  const grant = grantOf(
    { ...token, refreshToken: null }, // RFC 6749 section 4.4.3
    { resource, issuer, tokenEndpoint, revocationEndpoint, client, grantType: "client_credentials" },
  );
  return { grant, scope: token.scope ?? scope, expiresAt: token.expiresAt, account: null };
}

/** Gives a grant back to its server. RFC 7009; never throws: what fails is logged. */
export async function revoke(
  parts: Pick<OauthParts, "outbound" | "log" | "timeoutMs">,
  grant: Grant,
  { title = "the server", target = null }: Partial<Pick<OauthConnection, "title" | "target">> = {},
): Promise<void> {
  const way = wayOf(parts, { connection: { title, target }, stage: "token" });
  await giveBack({ ...way, log: parts.log }, grant);
}
