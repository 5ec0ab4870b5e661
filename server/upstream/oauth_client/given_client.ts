import { failed, quoted } from "./error.ts";
import type { Way } from "./exchange.ts";
import type { ServerMetadata } from "./server_metadata.ts";
import type { AuthMethod, OauthClient, OauthConnection } from "./types.ts";

/** The client that an admin has given. Throws OauthError where it is not whole. */
export function givenClient(
  way: Way,
  { connection, server }: { connection: OauthConnection; server: ServerMetadata },
): OauthClient {
  const { client_id: clientId, client_secret: secret, private_key: privateKey, ...config } =
    connection.config ?? {};
  if (!clientId) throw failed(way, "registration", { reason: "the connection has no client id" });
  const authMethod = givenMethod(config.token_endpoint_auth_method, { secret, privateKey, server });
  if (authMethod === null) {
    const named = quoted(config.token_endpoint_auth_method ?? "");
    throw failed(way, "registration", { reason: `the mesh cannot authenticate itself by ${named}` });
  }
  const needed = authMethod === "private_key_jwt" ? privateKey : authMethod === "none" ? "nothing" : secret;
  if (!needed) {
    const missing = authMethod === "private_key_jwt" ? "private key" : "client secret";
    throw failed(way, "registration", { reason: `the connection has no ${missing} for ${authMethod}` });
  }
  return {
    clientId,
    authMethod,
    secret: secret ?? null,
    privateKey: privateKey ?? null,
    assertionAudience: config.assertion_audience ?? null,
    registrationId: null,
  };
}

function givenMethod(
  said: string | null | undefined,
  { secret, privateKey, server }: {
    secret: string | null | undefined;
    privateKey: string | null | undefined;
    server: ServerMetadata;
  },
): AuthMethod | null {
  if (said) return knownMethod(said);
  if (privateKey) return "private_key_jwt";
  if (!secret) return "none";
  return secretMethod(server.authMethods);
}

/** How a secret is sent to a server that supports these ways; client_secret_basic where it says nothing. RFC 8414 section 2 */
export function secretMethod(supported: readonly string[] | null): AuthMethod {
  if (supported === null || supported.includes("client_secret_basic")) return "client_secret_basic";
  return supported.includes("client_secret_post") ? "client_secret_post" : "client_secret_basic";
}

/** A way to authenticate that the mesh knows, or null. */
export function knownMethod(said: unknown): AuthMethod | null {
  switch (said) {
    case "none":
    case "client_secret_basic":
    case "client_secret_post":
    case "private_key_jwt":
      return said;
    default:
      return null;
  }
}
