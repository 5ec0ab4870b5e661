import type { Log } from "../../log.ts";
import type { Outbound, OutboundTarget } from "../../outbound.ts";
import type { Db } from "../../storage/dialect.ts";
import type { Vault } from "../../vault.ts";

/** What the client works with; `baseUrl` is the mesh's own, without a slash at its end. */
export interface OauthParts {
  readonly outbound: Outbound;
  readonly db: Db;
  readonly vault: Vault;
  readonly baseUrl: string;
  readonly log: Log;
  /** Bounds each request, in milliseconds; 20 s when absent. */
  readonly timeoutMs?: number | undefined;
}

/** How the mesh proves to a token endpoint who it is. RFC 7591 section 2, RFC 7523 */
export type AuthMethod = "none" | "client_secret_basic" | "client_secret_post" | "private_key_jwt";

/** What an admin has said about OAuth towards one server; all of it may be absent. */
export interface OauthConfig {
  readonly client_id?: string | null | undefined;
  readonly client_secret?: string | null | undefined;
  /** PEM, or a JSON Web Key as JSON text. */
  readonly private_key?: string | null | undefined;
  readonly token_endpoint_auth_method?: string | null | undefined;
  /** Names separated by blanks, in place of what the server asks for. */
  readonly scope?: string | null | undefined;
  /** The issuer, in place of what the server publishes. */
  readonly authorization_server?: string | null | undefined;
  /** Sent in place of what the server publishes. */
  readonly resource?: string | null | undefined;
  readonly grant_type?: "authorization_code" | "client_credentials" | null | undefined;
  /** `dynamic` where the authorization server cannot read the mesh's own document. */
  readonly registration?: "dynamic" | null | undefined;
  /** Whom a private_key_jwt is addressed to; the issuer when absent. */
  readonly assertion_audience?: "issuer" | "token_endpoint" | null | undefined;
}

/** The connection that access is wanted for; `config` holds its secrets in the clear. */
export interface OauthConnection {
  readonly id: string;
  readonly organizationId: string;
  readonly title: string;
  readonly url: string;
  readonly config: OauthConfig | null;
  readonly target?: OutboundTarget | null | undefined;
}

/** The mesh as one authorization server knows it. */
export interface OauthClient {
  readonly clientId: string;
  readonly authMethod: AuthMethod;
  readonly secret: string | null;
  readonly privateKey?: string | null;
  readonly assertionAudience?: "issuer" | "token_endpoint" | null;
  /** The row of upstream_clients; null for a client that was given or is a document. */
  readonly registrationId?: string | null;
}

/** What was granted, with all that renewing it and giving it back takes; lies sealed with its owner's credential. */
export interface Grant {
  readonly accessToken: string;
  readonly refreshToken: string | null;
  readonly tokenType: string;
  /** As published, null where nothing was. */
  readonly resource: string | null;
  readonly issuer: string;
  readonly tokenEndpoint: string;
  readonly revocationEndpoint: string | null;
  readonly client: OauthClient;
  readonly grantType: "authorization_code" | "client_credentials";
}

/** A grant as it has just been given. */
export interface Granted {
  readonly grant: Grant;
  /** What was granted, or asked for where the server does not say; null after a renewal where nothing is said. */
  readonly scope: string | null;
  /** Milliseconds since 1970 by the clock of the mesh; null where the server does not say. */
  readonly expiresAt: number | null;
  /** As whom the server knows the person: an e-mail address or a name; null where it does not say. */
  readonly account: string | null;
}

/** An authorization that waits for the browser, as JSON; holds secrets, so it lies sealed. */
export interface PendingFlow {
  readonly verifier: string;
  readonly issuer: string;
  /** Whether the server says that its answers carry `iss`. RFC 9207 */
  readonly issParameterSupported: boolean;
  readonly tokenEndpoint: string;
  readonly revocationEndpoint: string | null;
  readonly userinfoEndpoint: string | null;
  readonly client: OauthClient;
  readonly resource: string | null;
  readonly scope: string | null;
  readonly redirectUri: string;
}

/** What the browser brings back. */
export interface AuthorizationAnswer {
  readonly code?: string | undefined;
  readonly iss?: string | undefined;
  readonly error?: string | undefined;
  readonly errorDescription?: string | undefined;
}

/** Where the browser comes back to, on this host. */
export const callbackPath = "/oauth/callback";

/** Where the mesh describes itself as a client (CL07). */
export const clientDocumentPath = "/oauth/client.json";
