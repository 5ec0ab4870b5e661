import type { Insertable, Selectable, Updateable } from "kysely";
import { type Db, upsert } from "./dialect.ts";
import type { UpstreamCredentialsTable } from "./schema_upstream.ts";

/** A credential as it lies in the table; `sealed` is an envelope of the vault. */
export type CredentialRow = Selectable<UpstreamCredentialsTable>;

/** What a change may set. */
export type CredentialChanges = Partial<
  Pick<
    Updateable<UpstreamCredentialsTable>,
    "kind" | "sealed" | "account" | "issuer" | "scope" | "expires_at" | "state" | "reason" | "refreshed_at"
  >
>;

/** The owner of the one credential that an organization shares. */
export const sharedOwner = "";

/** The credential of one owner for a connection, or null. */
export async function find(
  db: Db,
  organizationId: string,
  { connectionId, owner }: { connectionId: string; owner: string },
): Promise<CredentialRow | null> {
  const row = await db.selectFrom("upstream_credentials").selectAll()
    .where("organization_id", "=", organizationId).where("connection_id", "=", connectionId)
    .where("owner", "=", owner).executeTakeFirst();
  return row?.owner === owner && row.connection_id === connectionId ? row : null;
}

/** All credentials of a person in an organization, oldest first. */
export async function listOfOwner(db: Db, organizationId: string, owner: string): Promise<CredentialRow[]> {
  return await db.selectFrom("upstream_credentials").selectAll()
    .where("organization_id", "=", organizationId).where("owner", "=", owner)
    .orderBy("created_at").orderBy("id").execute();
}

/** All credentials for a connection, the shared one included, oldest first. */
export async function listOfConnection(
  db: Db,
  organizationId: string,
  connectionId: string,
): Promise<CredentialRow[]> {
  return await db.selectFrom("upstream_credentials").selectAll()
    .where("organization_id", "=", organizationId).where("connection_id", "=", connectionId)
    .orderBy("created_at").orderBy("id").execute();
}

/** All credentials of an organization that an authorization server has granted. */
export async function listGrants(db: Db, organizationId: string): Promise<CredentialRow[]> {
  return await db.selectFrom("upstream_credentials").selectAll()
    .where("organization_id", "=", organizationId).where("kind", "=", "oauth").execute();
}

/** Keeps a credential; one that the same owner had for the connection gives way, its id included. */
export async function put(db: Db, row: Insertable<UpstreamCredentialsTable>): Promise<void> {
  await upsert(db, "upstream_credentials", { row, keys: ["connection_id", "owner"] });
}

/** Changes a credential that is still in this `version`, and ends the claim on it; false where it is not. */
export async function settle(
  db: Db,
  organizationId: string,
  { id, version, changes, now }: { id: string; version: number; changes: CredentialChanges; now: number },
): Promise<boolean> {
  const result = await db.updateTable("upstream_credentials")
    .set({ ...changes, version: version + 1, claimed_by: null, claimed_until: null, updated_at: now })
    .where("organization_id", "=", organizationId).where("id", "=", id).where("version", "=", version)
    .executeTakeFirst();
  return result.numUpdatedRows > 0n;
}

/** Says which process renews a credential until `until`; true for one caller only, while the claim holds. */
export async function claim(
  db: Db,
  organizationId: string,
  { id, version, by, until, now }: { id: string; version: number; by: string; until: number; now: number },
): Promise<boolean> {
  const result = await db.updateTable("upstream_credentials").set({ claimed_by: by, claimed_until: until })
    .where("organization_id", "=", organizationId).where("id", "=", id).where("version", "=", version)
    .where((eb) => eb.or([eb("claimed_until", "is", null), eb("claimed_until", "<=", now)]))
    .executeTakeFirst();
  return result.numUpdatedRows > 0n;
}

/** Gives a claim back, so that the next one need not wait for its end. */
export async function release(
  db: Db,
  organizationId: string,
  { id, by }: { id: string; by: string },
): Promise<void> {
  await db.updateTable("upstream_credentials").set({ claimed_by: null, claimed_until: null })
    .where("organization_id", "=", organizationId).where("id", "=", id).where("claimed_by", "=", by)
    .execute();
}

/** Removes one owner's credential for a connection; false where there was none. */
export async function remove(
  db: Db,
  organizationId: string,
  { connectionId, owner }: { connectionId: string; owner: string },
): Promise<boolean> {
  const result = await db.deleteFrom("upstream_credentials")
    .where("organization_id", "=", organizationId).where("connection_id", "=", connectionId)
    .where("owner", "=", owner).executeTakeFirst();
  return result.numDeletedRows > 0n;
}

/** Removes all that a person had connected in an organization, as they leave it. */
export async function removeOfOwner(db: Db, organizationId: string, owner: string): Promise<void> {
  await db.deleteFrom("upstream_credentials")
    .where("organization_id", "=", organizationId).where("owner", "=", owner).execute();
}

/** Removes all credentials for a connection, and the authorizations that wait for it. */
export async function removeOfConnection(
  db: Db,
  organizationId: string,
  connectionId: string,
): Promise<void> {
  for (const table of ["upstream_credentials", "upstream_flows"] as const) {
    await db.deleteFrom(table).where("organization_id", "=", organizationId)
      .where("connection_id", "=", connectionId).execute();
  }
}

/** How the credentials of a connection stand: how many people's need attention, and in which state the shared one is. */
export interface Standing {
  people: number;
  /** `ok` or `attention`; null where there is none. */
  shared: string | null;
}

/** How the credentials of these connections stand; those of which there is none are left out. */
export async function standings(
  db: Db,
  organizationId: string,
  connectionIds: readonly string[],
): Promise<Map<string, Standing>> {
  if (connectionIds.length === 0) return new Map();
  const all = db.selectFrom("upstream_credentials")
    .where("organization_id", "=", organizationId).where("connection_id", "in", connectionIds);
  const shared = await all.select(["connection_id", "state"]).where("owner", "=", sharedOwner).execute();
  const people = await all.select((eb) => ["connection_id", eb.fn.countAll<number>().as("people")])
    .where("owner", "!=", sharedOwner).where("state", "=", "attention").groupBy("connection_id").execute();
  const counts = new Map(people.map((row) => [row.connection_id, row.people]));
  const states = new Map(shared.map((row) => [row.connection_id, row.state]));
  const ids = new Set([...counts.keys(), ...states.keys()]);
  return new Map(
    [...ids].map((id) => [id, { people: counts.get(id) ?? 0, shared: states.get(id) ?? null }]),
  );
}
