import type { Handler } from "hono";
import { ResourceUrls } from "../access/resource_urls.ts";
import type { Services } from "../services.ts";
import { clientEndpoint } from "./client_authentication.ts";
import { OAuthError } from "./errors.ts";
import { exchangeCode } from "./grants/authorization_code.ts";
import { issueToClient } from "./grants/client_credentials.ts";
import type { GrantRequest } from "./grants/grant.ts";
import { refreshTokens } from "./grants/refresh_token.ts";
import type { TokenAnswer } from "./tokens.ts";

/** The grants that this server knows, by the name of their type. */
export const grants: Readonly<Record<string, (request: GrantRequest) => Promise<TokenAnswer>>> = {
  authorization_code: exchangeCode,
  refresh_token: refreshTokens,
  client_credentials: issueToClient,
};

/** The token endpoint: who asks, for which grant, and may they. RFC 6749 section 3.2 */
export function tokenEndpoint(services: Services): Handler {
  const resources = new ResourceUrls(services.config.baseUrl);
  return clientEndpoint(services, async (c, { client, form }) => {
    const type = form.required("grant_type");
    const grant = Object.hasOwn(grants, type) ? grants[type] : undefined;
    if (!grant) {
      throw new OAuthError("unsupported_grant_type", "The server does not know this 'grant_type'");
    }
    if (!client.grantTypes.includes(type)) {
      throw new OAuthError("unauthorized_client", `The client was not registered for '${type}'`);
    }
    const answer = await grant({ services, resources, client, form });
    c.header("pragma", "no-cache");
    return c.json(answer);
  });
}
