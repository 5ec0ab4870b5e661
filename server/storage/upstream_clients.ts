import type { Insertable, Selectable } from "kysely";
import { type Db, insertIfAbsent } from "./dialect.ts";
import type { UpstreamClientsTable } from "./schema_upstream.ts";

/** A client of ours at an authorization server. */
export type UpstreamClientRow = Selectable<UpstreamClientsTable>;

/** The client that the organization has under this hash of issuer and redirect URI, or null. */
export async function find(
  db: Db,
  organizationId: string,
  matchHash: string,
): Promise<UpstreamClientRow | null> {
  const row = await db.selectFrom("upstream_clients").selectAll()
    .where("organization_id", "=", organizationId).where("match_hash", "=", matchHash).executeTakeFirst();
  return row ?? null;
}

/** Keeps a new registration, unless another process was first, and returns the one that is kept. */
export async function keep(db: Db, row: Insertable<UpstreamClientsTable>): Promise<UpstreamClientRow> {
  await insertIfAbsent(db, "upstream_clients", [row]);
  const kept = await find(db, row.organization_id, row.match_hash);
  if (!kept) throw new Error("Cannot keep the registration: it was removed at once");
  return kept;
}

/** Removes a registration that the authorization server no longer knows; another one under its hash stays. */
export async function remove(db: Db, organizationId: string, id: string): Promise<void> {
  await db.deleteFrom("upstream_clients")
    .where("organization_id", "=", organizationId).where("id", "=", id).execute();
}
