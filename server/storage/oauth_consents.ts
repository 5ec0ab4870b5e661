import { createHash } from "node:crypto";
import type { Selectable } from "kysely";
import type { Permissions } from "../access/roles.ts";
import { type Db, insertIfAbsent } from "./dialect.ts";
import type { OauthConsentsTable } from "./schema.ts";

/** What a person has allowed a client in an organization; times in milliseconds. */
export interface OauthConsentRow {
  id: string;
  organizationId: string;
  userId: string;
  clientId: string;
  clientName: string;
  /** Fingerprint of what the client said of itself when it was allowed. */
  clientPrint: string;
  /** `self`, `conn_...` or `gw_...`. */
  resource: string;
  permissions: Permissions;
  /** Null for a client that acts without a person. */
  redirectUri: string | null;
  createdAt: number;
  updatedAt: number;
  lastUsedAt: number | null;
}

/** A consent with the names that a list shows. */
export type ListedConsent = OauthConsentRow & {
  userName: string;
  userEmail: string;
  /** The connection's title; null for the mesh itself and for what is gone. */
  resourceTitle: string | null;
};

/**
 * Remembers a consent and gives its id: there is one a person, client, resource and permission set, and a later
 * consent of the same set renews it.
 */
export async function remember(
  db: Db,
  organizationId: string,
  consent: Omit<OauthConsentRow, "organizationId" | "createdAt" | "updatedAt" | "lastUsedAt"> & {
    now: number;
  },
): Promise<string> {
  const { now, clientName, clientPrint, redirectUri } = consent;
  const permissions = canonical(consent.permissions);
  const { userId, clientId, resource } = consent;
  const matchHash = hash([organizationId, userId, clientId, resource, permissions]);
  await insertIfAbsent(db, "oauth_consents", [{
    id: consent.id,
    organization_id: organizationId,
    user_id: userId,
    client_id: clientId,
    client_name: clientName,
    client_print: clientPrint,
    resource,
    permissions,
    redirect_uri: redirectUri,
    match_hash: matchHash,
    created_at: now,
    updated_at: now,
    last_used_at: null,
  }]);
  await db.updateTable("oauth_consents").set({
    client_name: clientName,
    client_print: clientPrint,
    redirect_uri: redirectUri,
    updated_at: now,
  }).where("match_hash", "=", matchHash).execute();
  const row = await db.selectFrom("oauth_consents").select("id").where("match_hash", "=", matchHash)
    .executeTakeFirstOrThrow();
  return row.id;
}

/** The permission set as text that is the same for the same set. */
function canonical(permissions: Permissions): string {
  const entries = Object.entries(permissions).map(([resource, actions]) =>
    [resource, [...new Set(actions)].sort()] as const
  );
  return JSON.stringify(Object.fromEntries(entries.sort(([a], [b]) => a < b ? -1 : 1)));
}

function hash(parts: readonly string[]): string {
  return createHash("sha256").update(JSON.stringify(parts)).digest("base64url");
}

/** What this person has allowed the client for the resource, in any organization that they still belong to. */
export async function findRemembered(
  db: Db,
  { userId, clientId, resource }: { userId: string; clientId: string; resource: string },
): Promise<OauthConsentRow[]> {
  const rows = await db.selectFrom("oauth_consents")
    .innerJoin(
      "members",
      (join) =>
        join.onRef("members.organization_id", "=", "oauth_consents.organization_id")
          .onRef("members.user_id", "=", "oauth_consents.user_id"),
    )
    .selectAll("oauth_consents")
    .where("oauth_consents.user_id", "=", userId).where("oauth_consents.resource", "=", resource)
    .where("oauth_consents.client_id", "=", clientId)
    .orderBy("oauth_consents.updated_at", "desc").execute();
  return rows.filter((row) => row.client_id === clientId).map(toConsent);
}

/** The consents of one organization, newest first; of one member where `userId` is given. */
export async function list(
  db: Db,
  organizationId: string,
  userId?: string,
): Promise<ListedConsent[]> {
  let query = listed(db).where("oauth_consents.organization_id", "=", organizationId);
  if (userId !== undefined) query = query.where("oauth_consents.user_id", "=", userId);
  return (await query.execute()).map(toListed);
}

function listed(db: Db) {
  return db.selectFrom("oauth_consents")
    .innerJoin("users", "users.id", "oauth_consents.user_id")
    .leftJoin("connections", (join) =>
      join.onRef("connections.id", "=", "oauth_consents.resource")
        .onRef("connections.organization_id", "=", "oauth_consents.organization_id"))
    .selectAll("oauth_consents")
    .select([
      "users.name as user_name",
      "users.email as user_email",
      "connections.title as resource_title",
    ])
    .orderBy("oauth_consents.created_at", "desc").orderBy("oauth_consents.id", "desc");
}

/** One consent, or null. */
export async function find(db: Db, organizationId: string, id: string): Promise<OauthConsentRow | null> {
  const row = await db.selectFrom("oauth_consents").selectAll()
    .where("organization_id", "=", organizationId).where("id", "=", id).executeTakeFirst();
  return row?.id === id ? toConsent(row) : null;
}

/**
 * Waits until no other transaction issues or revokes tokens of this consent, and holds it until the end of this
 * one; null where the consent is gone. A write, as that locks the row on every database.
 */
export async function lock(
  transaction: Db,
  organizationId: string,
  id: string,
): Promise<OauthConsentRow | null> {
  await transaction.updateTable("oauth_consents").set((eb) => ({ updated_at: eb.ref("updated_at") }))
    .where("organization_id", "=", organizationId).where("id", "=", id).execute();
  return await find(transaction, organizationId, id);
}

/** Takes a consent back with the codes and tokens that came of it; false where there is none. */
export async function revoke(db: Db, organizationId: string, id: string): Promise<boolean> {
  return await db.transaction().execute(async (transaction) => {
    return await remove(transaction, organizationId, id);
  });
}

async function remove(transaction: Db, organizationId: string, id: string): Promise<boolean> {
  if (!await lock(transaction, organizationId, id)) return false;
  for (const table of ["oauth_tokens", "oauth_codes"] as const) {
    await transaction.deleteFrom(table).where("consent_id", "=", id).execute();
  }
  await transaction.deleteFrom("oauth_consents").where("id", "=", id).execute();
  return true;
}

/** Removes what a person has allowed in an organization that they leave. */
export async function removeOfMember(db: Db, organizationId: string, userId: string): Promise<void> {
  const consents = await db.selectFrom("oauth_consents").select("id")
    .where("organization_id", "=", organizationId).where("user_id", "=", userId).execute();
  for (const { id } of consents) await remove(db, organizationId, id);
}

/** Notes that a token was used; a note less than `every` milliseconds old is left as it is. */
export async function touch(
  db: Db,
  organizationId: string,
  { id, now, every }: { id: string; now: number; every: number },
): Promise<void> {
  await db.updateTable("oauth_consents").set({ last_used_at: now })
    .where("organization_id", "=", organizationId).where("id", "=", id)
    .where((eb) => eb.or([eb("last_used_at", "is", null), eb("last_used_at", "<=", now - every)]))
    .execute();
}

/** Forgets consents without a token that were neither given nor used since `idleSince`. */
export async function removeIdle(db: Db, idleSince: number): Promise<void> {
  await db.deleteFrom("oauth_consents").where("updated_at", "<", idleSince)
    .where((eb) => eb.or([eb("last_used_at", "is", null), eb("last_used_at", "<", idleSince)]))
    .where("id", "not in", (eb) => eb.selectFrom("oauth_tokens").select("consent_id"))
    .execute();
}

function toConsent(row: Selectable<OauthConsentsTable>): OauthConsentRow {
  return {
    id: row.id,
    organizationId: row.organization_id,
    userId: row.user_id,
    clientId: row.client_id,
    clientName: row.client_name,
    clientPrint: row.client_print,
    resource: row.resource,
    permissions: JSON.parse(row.permissions) as Permissions,
    redirectUri: row.redirect_uri,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    lastUsedAt: row.last_used_at,
  };
}

function toListed(row: Awaited<ReturnType<ReturnType<typeof listed>["execute"]>>[number]): ListedConsent {
  return {
    ...toConsent(row),
    userName: row.user_name,
    userEmail: row.user_email,
    resourceTitle: row.resource_title,
  };
}
