import { hashToken } from "../../access/identify.ts";
import type { Db } from "../../storage/dialect.ts";
import * as members from "../../storage/members.ts";
import * as oauthConsents from "../../storage/oauth_consents.ts";
import * as oauthTokens from "../../storage/oauth_tokens.ts";
import { OAuthError } from "../errors.ts";
import { readScope, scopeText } from "../../access/scopes.ts";
import { issueTokens, type TokenAnswer } from "../tokens.ts";
import { checkResource, type GrantRequest, invalidGrant } from "./grant.ts";

/**
 * How long the token just before the last may be shown again, in milliseconds (AS35): several processes of one
 * client share a token and refresh at the same moment, or the answer was lost on its way.
 */
export const graceMs = 30_000;

type Found = NonNullable<Awaited<ReturnType<typeof oauthTokens.find>>>;

/** Exchanges a refresh token for new tokens of the same family. RFC 6749 section 6 */
export async function refreshTokens(request: GrantRequest): Promise<TokenAnswer> {
  const { services, client, form } = request;
  const found = await oauthTokens.find(services.db, hashToken(form.required("refresh_token")));
  if (found?.token.kind !== "refresh" || found.consent.clientId !== client.id) {
    throw invalidGrant("refresh token", "unknown, or another client's");
  }
  if (found.token.expiresAt <= Date.now()) throw invalidGrant("refresh token", "expired");
  checkResource(request, found.consent.resource);
  const scope = narrowed(found.token.scope, form.one("scope"));
  const answer = await services.db.transaction().execute((transaction) =>
    rotate(transaction, request, { found, scope })
  );
  if (answer !== null) return answer;
  services.identities.forget();
  services.log.warn("a refresh token was used again; its family was revoked", {
    clientId: client.id,
    grantId: found.token.grantId,
  });
  throw invalidGrant("refresh token", "used before");
}

/** AS36: what was not granted cannot be added, what was can be left out. */
function narrowed(granted: string, asked: string | undefined): string {
  if (asked === undefined) return granted;
  const { actions } = readScope(asked);
  const known = new Set(readScope(granted).actions);
  if (actions.some((action) => !known.has(action))) {
    throw new OAuthError("invalid_scope", "'scope' holds what was not granted");
  }
  return scopeText(actions);
}

/** Issues the next tokens; null where the token was used before, and then its family has ended. */
async function rotate(
  transaction: Db,
  { services, client }: GrantRequest,
  { found: { token }, scope }: { found: Found; scope: string },
): Promise<TokenAnswer | null> {
  const { organizationId, tokenHash, grantId } = token;
  const held = await oauthConsents.lock(transaction, organizationId, token.consentId);
  if (!held) throw invalidGrant("refresh token", "its consent was revoked");
  if (!await members.rolesOf(transaction, organizationId, held.userId)) {
    throw invalidGrant("refresh token", "its person left the organization");
  }
  const now = Date.now();
  if (!await oauthTokens.use(transaction, tokenHash, now) && !await isInGrace(transaction, tokenHash, now)) {
    await oauthTokens.removeGrant(transaction, organizationId, grantId);
    return null;
  }
  return await issueTokens(transaction, services.config, {
    consent: held,
    grantId,
    scope,
    refreshable: client.grantTypes.includes("refresh_token"),
    parentHash: tokenHash,
  });
}

async function isInGrace(transaction: Db, tokenHash: string, now: number): Promise<boolean> {
  const again = await oauthTokens.find(transaction, tokenHash);
  const usedAt = again?.token.usedAt ?? null;
  return usedAt !== null && now - usedAt <= graceMs && await oauthTokens.isLatestUsed(transaction, tokenHash);
}
