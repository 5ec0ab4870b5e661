import { hashToken } from "../../access/identify.ts";
import * as members from "../../storage/members.ts";
import * as oauthCodes from "../../storage/oauth_codes.ts";
import * as oauthConsents from "../../storage/oauth_consents.ts";
import * as oauthTokens from "../../storage/oauth_tokens.ts";
import { OAuthError } from "../errors.ts";
import { verifies } from "../pkce.ts";
import { issueTokens, type TokenAnswer } from "../tokens.ts";
import { checkResource, type GrantRequest, invalidGrant } from "./grant.ts";

type Found = NonNullable<Awaited<ReturnType<typeof oauthCodes.find>>>;

/** Exchanges a code for tokens. RFC 6749 section 4.1.3 */
export async function exchangeCode(request: GrantRequest): Promise<TokenAnswer> {
  const { services, client, form } = request;
  const found = await oauthCodes.find(services.db, hashToken(form.required("code")));
  if (!found || found.consent.clientId !== client.id) {
    throw invalidGrant("code", "unknown, or another client's");
  }
  if (found.code.usedAt !== null) await refuseReplay(request, found);
  if (found.code.expiresAt <= Date.now()) throw invalidGrant("code", "expired");
  checkRedirectUri(request, found.code.redirectUri);
  checkVerifier(request, found.code.challenge);
  checkResource(request, found.consent.resource);
  const answer = await consume(request, found);
  return answer ?? await refuseReplay(request, found);
}

/** AS33: where the authorization request named the address, this one has to, and the same. */
function checkRedirectUri({ form }: GrantRequest, expected: string | null): void {
  if (expected === null) return;
  const sent = form.one("redirect_uri");
  if (sent === undefined) {
    throw new OAuthError("invalid_grant", "'redirect_uri' is missing: the authorization request named one");
  }
  if (sent !== expected) {
    throw new OAuthError("invalid_grant", "'redirect_uri' is not that of the authorization request");
  }
}

/** AS32 */
function checkVerifier({ form }: GrantRequest, challenge: string): void {
  const verifier = form.one("code_verifier");
  if (verifier === undefined) throw new OAuthError("invalid_grant", "'code_verifier' is missing");
  if (!verifies(verifier, challenge)) {
    throw new OAuthError("invalid_grant", "'code_verifier' does not belong to the code");
  }
}

/** Uses the code and issues tokens in one step; null where somebody else was first. */
async function consume(
  { services, client }: GrantRequest,
  { code, consent }: Found,
): Promise<TokenAnswer | null> {
  const { organizationId } = code;
  return await services.db.transaction().execute(async (transaction) => {
    const held = await oauthConsents.lock(transaction, organizationId, consent.id);
    if (!held) throw invalidGrant("code", "its consent was revoked");
    if (!await oauthCodes.use(transaction, code.codeHash, Date.now())) return null;
    if (!await members.rolesOf(transaction, organizationId, held.userId)) {
      throw invalidGrant("code", "its person left the organization");
    }
    return await issueTokens(transaction, services.config, {
      consent: held,
      grantId: code.grantId,
      scope: code.scope,
      refreshable: client.grantTypes.includes("refresh_token"), // AS21, Q-12
      parentHash: null,
    });
  });
}

/** Whoever shows a code again may have stolen it, or the first one had: what came of it ends (AS14). */
async function refuseReplay({ services, client }: GrantRequest, { code }: Found): Promise<never> {
  const { organizationId, grantId, consentId } = code;
  await services.db.transaction().execute(async (transaction) => {
    await oauthConsents.lock(transaction, organizationId, consentId);
    await oauthTokens.removeGrant(transaction, organizationId, grantId);
  });
  services.identities.forget();
  services.log.warn("an authorization code was used twice; its tokens were revoked", {
    clientId: client.id,
    grantId,
  });
  throw invalidGrant("code", "used before");
}
