import type { Selectable } from "kysely";
import type { Permissions } from "../access/roles.ts";
import type { Db } from "./dialect.ts";
import { parseRoles } from "./members.ts";
import { find as findConsent, type OauthConsentRow } from "./oauth_consents.ts";
import type { OauthTokensTable } from "./schema.ts";

/** A token; times in milliseconds. */
export interface OauthTokenRow {
  /** SHA-256 of the token, base64url. */
  tokenHash: string;
  kind: "access" | "refresh";
  /** The family: all tokens that came of one code. */
  grantId: string;
  consentId: string;
  organizationId: string;
  /** The refresh token that this one followed. */
  parentHash: string | null;
  scope: string;
  createdAt: number;
  expiresAt: number;
  /** When a refresh token was exchanged. */
  usedAt: number | null;
}

/** An access token with the person behind it, as they are now. */
export interface IdentifiedToken {
  consentId: string;
  organizationId: string;
  clientId: string;
  resource: string;
  permissions: Permissions;
  lastUsedAt: number | null;
  expiresAt: number;
  user: { id: string; name: string; email: string };
  roles: string[];
}

/** The access token with this hash and its person, or null; one of a person who left the organization is none. */
export async function identify(db: Db, tokenHash: string): Promise<IdentifiedToken | null> {
  const row = await db.selectFrom("oauth_tokens")
    .innerJoin("oauth_consents", "oauth_consents.id", "oauth_tokens.consent_id")
    .innerJoin(
      "members",
      (join) =>
        join.onRef("members.organization_id", "=", "oauth_consents.organization_id")
          .onRef("members.user_id", "=", "oauth_consents.user_id"),
    )
    .innerJoin("organizations", "organizations.id", "oauth_consents.organization_id")
    .innerJoin("users", "users.id", "oauth_consents.user_id")
    .select([
      "oauth_tokens.expires_at",
      "oauth_consents.id as consent_id",
      "oauth_consents.organization_id",
      "oauth_consents.client_id",
      "oauth_consents.resource",
      "oauth_consents.permissions",
      "oauth_consents.last_used_at",
      "oauth_consents.user_id",
      "members.roles",
      "users.name",
      "users.email",
    ])
    .where("oauth_tokens.token_hash", "=", tokenHash).where("oauth_tokens.kind", "=", "access")
    .executeTakeFirst();
  if (!row) return null;
  return {
    consentId: row.consent_id,
    organizationId: row.organization_id,
    clientId: row.client_id,
    resource: row.resource,
    permissions: JSON.parse(row.permissions) as Permissions,
    lastUsedAt: row.last_used_at,
    expiresAt: row.expires_at,
    user: { id: row.user_id, name: row.name, email: row.email },
    roles: parseRoles(row.roles),
  };
}

/** Keeps new tokens of one family. */
export async function insert(
  db: Db,
  organizationId: string,
  tokens: readonly Omit<OauthTokenRow, "organizationId" | "usedAt">[],
): Promise<void> {
  await db.insertInto("oauth_tokens").values(tokens.map((token) => ({
    token_hash: token.tokenHash,
    kind: token.kind,
    grant_id: token.grantId,
    consent_id: token.consentId,
    organization_id: organizationId,
    parent_hash: token.parentHash,
    scope: token.scope,
    created_at: token.createdAt,
    expires_at: token.expiresAt,
    used_at: null,
  }))).execute();
}

/** The token with this hash, used and expired ones too, and the consent that it came of; null where either is gone. */
export async function find(
  db: Db,
  tokenHash: string,
): Promise<{ token: OauthTokenRow; consent: OauthConsentRow } | null> {
  const row = await db.selectFrom("oauth_tokens").selectAll().where("token_hash", "=", tokenHash)
    .executeTakeFirst();
  const consent = row && await findConsent(db, row.organization_id, row.consent_id);
  return row && consent ? { token: toToken(row), consent } : null;
}

/** Marks a refresh token as exchanged; true for one caller only. */
export async function use(db: Db, tokenHash: string, now: number): Promise<boolean> {
  const result = await db.updateTable("oauth_tokens").set({ used_at: now })
    .where("token_hash", "=", tokenHash).where("kind", "=", "refresh")
    .where("used_at", "is", null).where("expires_at", ">", now).executeTakeFirst();
  return result.numUpdatedRows > 0n;
}

/** True where no refresh token that followed this one has been exchanged: this one is the one just before the last. */
export async function isLatestUsed(db: Db, tokenHash: string): Promise<boolean> {
  const row = await db.selectFrom("oauth_tokens").select("token_hash")
    .where("parent_hash", "=", tokenHash).where("used_at", "is not", null).executeTakeFirst();
  return row === undefined;
}

/** Ends one token. */
export async function remove(db: Db, organizationId: string, tokenHash: string): Promise<void> {
  await db.deleteFrom("oauth_tokens").where("organization_id", "=", organizationId)
    .where("token_hash", "=", tokenHash).execute();
}

/** Ends every token of a family; whole only while its consent is locked. */
export async function removeGrant(transaction: Db, organizationId: string, grantId: string): Promise<void> {
  await transaction.deleteFrom("oauth_tokens").where("organization_id", "=", organizationId)
    .where("grant_id", "=", grantId).execute();
}

/** Removes the tokens that had expired at `now`. */
export async function removeExpired(db: Db, now: number): Promise<void> {
  await db.deleteFrom("oauth_tokens").where("expires_at", "<=", now).execute();
}

function toToken(row: Selectable<OauthTokensTable>): OauthTokenRow {
  return {
    tokenHash: row.token_hash,
    kind: row.kind === "refresh" ? "refresh" : "access",
    grantId: row.grant_id,
    consentId: row.consent_id,
    organizationId: row.organization_id,
    parentHash: row.parent_hash,
    scope: row.scope,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    usedAt: row.used_at,
  };
}
