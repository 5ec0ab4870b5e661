import type { Insertable, Selectable } from "kysely";
import type { Db } from "./dialect.ts";
import type { UpstreamFlowsTable } from "./schema_upstream.ts";

/** An authorization that waits for the browser to come back. */
export type UpstreamFlowRow = Selectable<UpstreamFlowsTable>;

/** Keeps a new one. */
export async function insert(db: Db, row: Insertable<UpstreamFlowsTable>): Promise<void> {
  await db.insertInto("upstream_flows").values(row).execute();
}

/** When this session last began an authorization for a connection that has not ended yet; null where there is none. */
export async function findUnfinished(
  db: Db,
  organizationId: string,
  { connectionId, sessionHash }: { connectionId: string; sessionHash: string },
): Promise<number | null> {
  const row = await db.selectFrom("upstream_flows").select("created_at")
    .where("organization_id", "=", organizationId).where("connection_id", "=", connectionId)
    .where("session_hash", "=", sessionHash).orderBy("created_at", "desc").limit(1).executeTakeFirst();
  return row?.created_at ?? null;
}

/** Where an authorization that this browser session began leads; null where there is none such. */
export async function findOrganization(
  db: Db,
  { stateHash, sessionHash }: { stateHash: string; sessionHash: string },
): Promise<string | null> {
  const row = await db.selectFrom("upstream_flows").select(["state_hash", "session_hash", "organization_id"])
    .where("state_hash", "=", stateHash).where("session_hash", "=", sessionHash).executeTakeFirst();
  return row?.state_hash === stateHash && row.session_hash === sessionHash ? row.organization_id : null;
}

/**
 * Takes away the authorization that this browser session began, or null where there is none that has not expired at
 * `now`. One caller only gets it. The state is the key, as the organization is not known before (CL15).
 */
export async function take(
  db: Db,
  { stateHash, sessionHash, now }: { stateHash: string; sessionHash: string; now: number },
): Promise<UpstreamFlowRow | null> {
  const row = await db.selectFrom("upstream_flows").selectAll()
    .where("state_hash", "=", stateHash).where("session_hash", "=", sessionHash).executeTakeFirst();
  if (row?.state_hash !== stateHash || row.session_hash !== sessionHash) return null;
  const result = await db.deleteFrom("upstream_flows").where("state_hash", "=", stateHash).executeTakeFirst();
  return result.numDeletedRows > 0n && row.expires_at > now ? row : null;
}

/** Removes those that had expired at `now`. */
export async function removeExpired(db: Db, now: number): Promise<void> {
  await db.deleteFrom("upstream_flows").where("expires_at", "<=", now).execute();
}
