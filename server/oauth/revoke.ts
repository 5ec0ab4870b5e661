import type { Handler } from "hono";
import { apiKeyPrefix, hashToken } from "../access/identify.ts";
import type { Services } from "../services.ts";
import * as oauthConsents from "../storage/oauth_consents.ts";
import * as oauthTokens from "../storage/oauth_tokens.ts";
import { clientEndpoint } from "./client_authentication.ts";
import { OAuthError } from "./errors.ts";

/**
 * Ends a token at the wish of its client: a refresh token with its whole family, an access token alone. Of a token
 * that is unknown or another client's it says nothing (AS60). RFC 7009
 */
export function revocationEndpoint(services: Services): Handler {
  return clientEndpoint(services, async (c, { client, form }) => {
    const token = form.required("token");
    if (token.startsWith(apiKeyPrefix)) {
      throw new OAuthError("unsupported_token_type", "An API key is revoked in the mesh, not here");
    }
    await revoke(services, client.id, hashToken(token));
    return c.body(null, 200);
  });
}

async function revoke({ db, identities }: Services, clientId: string, tokenHash: string): Promise<void> {
  const found = await oauthTokens.find(db, tokenHash);
  if (found?.consent.clientId !== clientId) return;
  const { organizationId, consentId, grantId, kind } = found.token;
  await db.transaction().execute(async (transaction) => {
    await oauthConsents.lock(transaction, organizationId, consentId);
    if (kind === "access") await oauthTokens.remove(transaction, organizationId, tokenHash);
    else await oauthTokens.removeGrant(transaction, organizationId, grantId);
  });
  identities.forget();
}
