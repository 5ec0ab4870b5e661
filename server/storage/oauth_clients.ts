import type { Selectable } from "kysely";
import type { Permissions } from "../access/roles.ts";
import type { Db } from "./dialect.ts";
import type { OauthClientsTable } from "./schema.ts";

/** An application with an id of ours; times in milliseconds. */
export interface OauthClientRow {
  id: string;
  /** Null for one that registered itself. */
  organizationId: string | null;
  name: string;
  redirectUris: string[];
  grantTypes: string[];
  authMethod: string;
  clientUri: string | null;
  /** Whom it acts as, and what it may do, where it acts without a person. */
  ownerId: string | null;
  permissions: Permissions | null;
  createdAt: number;
  /** When it goes away, while nobody has allowed it anything. */
  unusedUntil: number | null;
  lastUsedAt: number | null;
}

/** A client with the name of whom it acts as. */
export type OwnedOauthClient = OauthClientRow & { ownerName: string | null };

/** Keeps a new client; `secretHash` is the SHA-256 of its secret, base64url, null for a public one. */
export async function insert(
  db: Db,
  client: OauthClientRow & { secretHash: string | null },
): Promise<void> {
  await db.insertInto("oauth_clients").values({
    id: client.id,
    organization_id: client.organizationId,
    name: client.name,
    secret_hash: client.secretHash,
    redirect_uris: JSON.stringify(client.redirectUris),
    grant_types: JSON.stringify(client.grantTypes),
    auth_method: client.authMethod,
    client_uri: client.clientUri,
    owner_id: client.ownerId,
    permissions: client.permissions === null ? null : JSON.stringify(client.permissions),
    created_at: client.createdAt,
    unused_until: client.unusedUntil,
    last_used_at: client.lastUsedAt,
  }).execute();
}

/** The client with this id that has not gone away at `now`, with the hash of its secret, or null. */
export async function find(
  db: Db,
  id: string,
  now: number,
): Promise<(OauthClientRow & { secretHash: string | null }) | null> {
  const row = await db.selectFrom("oauth_clients").selectAll().where("id", "=", id)
    .where((eb) => eb.or([eb("unused_until", "is", null), eb("unused_until", ">", now)]))
    .executeTakeFirst();
  return row?.id === id ? { ...toClient(row), secretHash: row.secret_hash } : null;
}

/** The clients that admins of the organization have registered, newest first. */
export async function list(db: Db, organizationId: string): Promise<OwnedOauthClient[]> {
  const rows = await db.selectFrom("oauth_clients").leftJoin("users", "users.id", "oauth_clients.owner_id")
    .selectAll("oauth_clients").select("users.name as owner_name")
    .where("oauth_clients.organization_id", "=", organizationId)
    .orderBy("oauth_clients.created_at", "desc").orderBy("oauth_clients.id", "desc").execute();
  return rows.map((row) => ({ ...toClient(row), ownerName: row.owner_name }));
}

/** Somebody has allowed the client something: from now on it stays. */
export async function noteUse(db: Db, id: string, now: number): Promise<void> {
  await db.updateTable("oauth_clients").set({ unused_until: null, last_used_at: now }).where("id", "=", id)
    .execute();
}

/** Removes a client of the organization with all that it was allowed; false where there is none. */
export async function remove(db: Db, organizationId: string, id: string): Promise<boolean> {
  return await db.transaction().execute(async (transaction) => {
    const result = await transaction.deleteFrom("oauth_clients")
      .where("organization_id", "=", organizationId).where("id", "=", id).executeTakeFirst();
    if (result.numDeletedRows === 0n) return false;
    // Held first, as whoever issues tokens does: no deadlock.
    await transaction.updateTable("oauth_consents").set((eb) => ({ updated_at: eb.ref("updated_at") }))
      .where("client_id", "=", id).execute();
    const consents = transaction.selectFrom("oauth_consents").select("id").where("client_id", "=", id);
    for (const table of ["oauth_tokens", "oauth_codes"] as const) {
      await transaction.deleteFrom(table).where("consent_id", "in", consents).execute();
    }
    await transaction.deleteFrom("oauth_consents").where("client_id", "=", id).execute();
    return true;
  });
}

/** Clients that acted as this person act as nobody any more: they may come back, and what they registered must not. */
export async function endActingAs(db: Db, organizationId: string, userId: string): Promise<void> {
  await db.updateTable("oauth_clients").set({ owner_id: null, permissions: null })
    .where("organization_id", "=", organizationId).where("owner_id", "=", userId).execute();
}

/** Makes room for one more: removes those that nobody ever allowed anything beyond the newest `keep`. */
export async function removeUnusedBeyond(db: Db, keep: number): Promise<void> {
  const surplus = await db.selectFrom("oauth_clients").select("id").where("unused_until", "is not", null)
    .orderBy("unused_until", "desc").orderBy("id", "desc").limit(1000).offset(keep).execute();
  if (surplus.length === 0) return;
  await db.deleteFrom("oauth_clients").where("unused_until", "is not", null)
    .where("id", "in", surplus.map((row) => row.id)).execute();
}

/** Removes those that nobody allowed anything in their time, and those that have had no consent since `idleSince`. */
export async function removeOld(
  db: Db,
  { now, idleSince }: { now: number; idleSince: number },
): Promise<void> {
  await db.deleteFrom("oauth_clients").where("unused_until", "<=", now).execute();
  await db.deleteFrom("oauth_clients").where("organization_id", "is", null).where("unused_until", "is", null)
    .where("last_used_at", "<", idleSince)
    .where("id", "not in", (eb) => eb.selectFrom("oauth_consents").select("client_id"))
    .execute();
}

function toClient(row: Selectable<OauthClientsTable>): OauthClientRow {
  return {
    id: row.id,
    organizationId: row.organization_id,
    name: row.name,
    redirectUris: JSON.parse(row.redirect_uris) as string[],
    grantTypes: JSON.parse(row.grant_types) as string[],
    authMethod: row.auth_method,
    clientUri: row.client_uri,
    ownerId: row.owner_id,
    permissions: row.permissions === null ? null : JSON.parse(row.permissions) as Permissions,
    createdAt: row.created_at,
    unusedUntil: row.unused_until,
    lastUsedAt: row.last_used_at,
  };
}
