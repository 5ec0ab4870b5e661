import { accessTokenPrefix, hashToken } from "../access/identify.ts";
import type { Config } from "../config.ts";
import { newSecret } from "../ids.ts";
import type { Db } from "../storage/dialect.ts";
import type { OauthConsentRow } from "../storage/oauth_consents.ts";
import * as oauthTokens from "../storage/oauth_tokens.ts";

/** What secrets of this server begin with; 43 characters of base64url follow. */
const refreshTokenPrefix = "mesh_rt_";
export const codePrefix = "mesh_ac_";

const dayMs = 24 * 3600_000;

/** What the token endpoint answers. RFC 6749 section 5.1 */
export interface TokenAnswer {
  access_token: string;
  token_type: "Bearer";
  /** Seconds. */
  expires_in: number;
  refresh_token?: string;
  scope: string;
}

/** What tokens are issued for. */
export interface Issue {
  consent: OauthConsentRow;
  /** The family. */
  grantId: string;
  scope: string;
  /** False for a client that cannot refresh. */
  refreshable: boolean;
  /** The hash of the refresh token that is exchanged. */
  parentHash: string | null;
}

/** Keeps new tokens; wants a transaction that holds the consent, so that none outlives a revocation. */
export async function issueTokens(
  transaction: Db,
  { accessTokenSeconds, refreshTokenDays }: Config,
  { consent, grantId, scope, refreshable, parentHash }: Issue,
): Promise<TokenAnswer> {
  const now = Date.now();
  const access = newSecret(accessTokenPrefix);
  const refresh = refreshable ? newSecret(refreshTokenPrefix) : null;
  const facts = { grantId, consentId: consent.id, scope, createdAt: now };
  const rows: Parameters<typeof oauthTokens.insert>[2][number][] = [{
    ...facts,
    tokenHash: hashToken(access),
    kind: "access",
    parentHash: null,
    expiresAt: now + accessTokenSeconds * 1000,
  }];
  if (refresh !== null) {
    const expiresAt = now + refreshTokenDays * dayMs;
    rows.push({ ...facts, tokenHash: hashToken(refresh), kind: "refresh", parentHash, expiresAt });
  }
  await oauthTokens.insert(transaction, consent.organizationId, rows);
  return {
    access_token: access,
    token_type: "Bearer",
    expires_in: accessTokenSeconds,
    ...(refresh === null ? {} : { refresh_token: refresh }),
    scope,
  };
}
