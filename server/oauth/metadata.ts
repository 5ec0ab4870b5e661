import type { Handler } from "hono";
import { baseScope, ResourceUrls } from "../access/resource_urls.ts";
import type { Config } from "../config.ts";
import { grants } from "./token.ts";

/** Where the endpoints are, below BASE_URL. */
export const endpoints = {
  authorize: "/api/auth/authorize",
  token: "/api/auth/token",
  register: "/api/auth/register",
  revoke: "/api/auth/revoke",
  introspect: "/api/auth/introspect",
  keys: "/api/auth/jwks",
} as const;

const withSecret = ["client_secret_basic", "client_secret_post"];

/** What this server says of itself (RFC 8414 section 2, AS03); what it does not support is left out, never null. */
export function serverMetadata({ baseUrl }: Pick<Config, "baseUrl">) {
  return {
    issuer: baseUrl, // AS02: without a slash at the end
    authorization_endpoint: baseUrl + endpoints.authorize,
    token_endpoint: baseUrl + endpoints.token,
    registration_endpoint: baseUrl + endpoints.register,
    revocation_endpoint: baseUrl + endpoints.revoke,
    introspection_endpoint: baseUrl + endpoints.introspect,
    scopes_supported: [baseScope], // clients ask for all that stand here
    response_types_supported: ["code"],
    response_modes_supported: ["query"],
    grant_types_supported: Object.keys(grants),
    code_challenge_methods_supported: ["S256"],
    token_endpoint_auth_methods_supported: ["none", ...withSecret],
    revocation_endpoint_auth_methods_supported: ["none", ...withSecret],
    introspection_endpoint_auth_methods_supported: withSecret,
    client_id_metadata_document_supported: true,
    authorization_response_iss_parameter_supported: true, // AS15
  };
}

/** The same for clients that know OpenID discovery alone; they insist on what only servers with ID tokens have. */
export function openIdMetadata(config: Pick<Config, "baseUrl">) {
  return {
    ...serverMetadata(config),
    jwks_uri: config.baseUrl + endpoints.keys,
    subject_types_supported: ["public"],
    id_token_signing_alg_values_supported: [],
  };
}

/** What a resource says of itself (RFC 9728 section 2), under the very URL that was typed (RS02). */
function resourceMetadata({ baseUrl }: Pick<Config, "baseUrl">, resource: string) {
  return {
    resource,
    resource_name: "MCP Mesh",
    authorization_servers: [baseUrl],
    scopes_supported: [baseScope], // RS05
    bearer_methods_supported: ["header"],
  };
}

/** Answers the protected-resource documents; 404 for what is no resource. */
export function showResourceMetadata(config: Config): Handler {
  const resources = new ResourceUrls(config.baseUrl);
  return (c) => {
    const resource = resources.described(c.req.raw);
    if (resource === null) {
      return c.json({ code: "not_found", message: "Cannot describe this path: it is not a resource" }, 404);
    }
    return c.json(resourceMetadata(config, resource));
  };
}
