import type { Db } from "./dialect.ts";
import type { OauthConsentRow } from "./oauth_consents.ts";
import { find as findConsent } from "./oauth_consents.ts";

/** An authorization code; times in milliseconds. */
export interface OauthCodeRow {
  /** SHA-256 of the code, base64url. */
  codeHash: string;
  /** The family of tokens that comes of it. */
  grantId: string;
  consentId: string;
  organizationId: string;
  /** Null where the request left it out. */
  redirectUri: string | null;
  challenge: string;
  scope: string;
  createdAt: number;
  expiresAt: number;
  usedAt: number | null;
}

/** Keeps a new code. */
export async function insert(
  db: Db,
  organizationId: string,
  code: Omit<OauthCodeRow, "organizationId" | "usedAt">,
): Promise<void> {
  await db.insertInto("oauth_codes").values({
    code_hash: code.codeHash,
    grant_id: code.grantId,
    consent_id: code.consentId,
    organization_id: organizationId,
    redirect_uri: code.redirectUri,
    challenge: code.challenge,
    scope: code.scope,
    created_at: code.createdAt,
    expires_at: code.expiresAt,
    used_at: null,
  }).execute();
}

/** The code with this hash, used or not, and the consent that it came of; null where either is gone. */
export async function find(
  db: Db,
  codeHash: string,
): Promise<{ code: OauthCodeRow; consent: OauthConsentRow } | null> {
  const row = await db.selectFrom("oauth_codes").selectAll().where("code_hash", "=", codeHash)
    .executeTakeFirst();
  const consent = row && await findConsent(db, row.organization_id, row.consent_id);
  if (!row || !consent) return null;
  const code = {
    codeHash: row.code_hash,
    grantId: row.grant_id,
    consentId: row.consent_id,
    organizationId: row.organization_id,
    redirectUri: row.redirect_uri,
    challenge: row.challenge,
    scope: row.scope,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    usedAt: row.used_at,
  };
  return { code, consent };
}

/** Marks a code as used; true for one caller only. */
export async function use(db: Db, codeHash: string, now: number): Promise<boolean> {
  const result = await db.updateTable("oauth_codes").set({ used_at: now })
    .where("code_hash", "=", codeHash).where("used_at", "is", null).where("expires_at", ">", now)
    .executeTakeFirst();
  return result.numUpdatedRows > 0n;
}

/** Removes the codes that had expired at `before`. */
export async function removeExpired(db: Db, before: number): Promise<void> {
  await db.deleteFrom("oauth_codes").where("expires_at", "<=", before).execute();
}
