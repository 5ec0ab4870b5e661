import type { Handler } from "hono";
import { hashToken } from "../access/identify.ts";
import { ResourceUrls } from "../access/resource_urls.ts";
import type { Services } from "../services.ts";
import * as members from "../storage/members.ts";
import * as oauthTokens from "../storage/oauth_tokens.ts";
import { clientEndpoint } from "./client_authentication.ts";
import { OAuthError } from "./errors.ts";

/**
 * Tells a client with a secret whether a token of its own is good. Of any other token, and of one that is not good,
 * it says that it is not active and nothing else (AS61). RFC 7662
 */
export function introspectionEndpoint(services: Services): Handler {
  const resources = new ResourceUrls(services.config.baseUrl);
  return clientEndpoint(services, async (c, { client, form }) => {
    if (client.secretHash === null) {
      throw new OAuthError("invalid_client", "A public client cannot ask about tokens");
    }
    const found = await findActive(services, form.required("token"));
    if (found?.consent.clientId !== client.id) return c.json({ active: false });
    const { token, consent } = found;
    return c.json({
      active: true,
      client_id: consent.clientId,
      sub: consent.userId,
      scope: token.scope,
      aud: resources.urlOf(consent.resource),
      iss: services.config.baseUrl,
      iat: Math.floor(token.createdAt / 1000),
      exp: Math.floor(token.expiresAt / 1000),
      token_type: token.kind === "access" ? "Bearer" : "refresh_token",
    });
  });
}

async function findActive({ db }: Services, token: string) {
  const found = await oauthTokens.find(db, hashToken(token));
  if (!found || found.token.usedAt !== null || found.token.expiresAt <= Date.now()) return null;
  const roles = await members.rolesOf(db, found.consent.organizationId, found.consent.userId);
  return roles === null ? null : found;
}
