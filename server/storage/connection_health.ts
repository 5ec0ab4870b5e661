import type { Selectable } from "kysely";
import { type Db, insertIfAbsent, upsert } from "./dialect.ts";
import type { ConnectionHealthTable } from "./schema_upstream.ts";

/** What the last check of a connection found, and when the next is due. */
export type HealthRow = Selectable<ConnectionHealthTable>;

/** What a check leaves behind; `result` is JSON, and times are milliseconds since 1970. */
export interface Outcome {
  dueAt: number;
  checkedAt: number;
  /** Of the last check that went well; left as it is when absent. */
  okAt?: number;
  failures: number;
  result: string;
}

const unchecked = { checked_at: null, ok_at: null, failures: 0, result: null };

/** Enters connections of all organizations that have no row yet; the first check is due within `spreadMs`. */
export async function enrol(
  db: Db,
  { now, spreadMs, limit }: { now: number; spreadMs: number; limit: number },
): Promise<number> {
  const missing = await db.selectFrom("connections as c")
    .leftJoin("connection_health as h", "h.connection_id", "c.id")
    .select(["c.id", "c.organization_id"])
    .where("h.connection_id", "is", null).limit(limit).execute();
  await insertIfAbsent(
    db,
    "connection_health",
    missing.map(({ id, organization_id }) => ({
      connection_id: id,
      organization_id,
      due_at: Math.floor(now + Math.random() * spreadMs),
      ...unchecked,
    })),
  );
  return missing.length;
}

/** What is due by `now` in all organizations, longest due first. */
export async function due(db: Db, { now, limit }: { now: number; limit: number }): Promise<HealthRow[]> {
  return await db.selectFrom("connection_health").selectAll()
    .where("due_at", "<=", now).orderBy("due_at").orderBy("connection_id").limit(limit).execute();
}

/**
 * Takes a check that is due at exactly `dueAt`; true for one caller only. It is due again at `until` where nobody
 * settles it.
 */
export async function claim(
  db: Db,
  organizationId: string,
  { connectionId, dueAt, until }: { connectionId: string; dueAt: number; until: number },
): Promise<boolean> {
  return await move(db, organizationId, { connectionId, from: dueAt, changes: { due_at: until } });
}

/** Writes what a check found that was claimed until `claimed`; false where the claim was lost. */
export async function settle(
  db: Db,
  organizationId: string,
  { connectionId, claimed, outcome }: { connectionId: string; claimed: number; outcome: Outcome },
): Promise<boolean> {
  return await move(db, organizationId, { connectionId, from: claimed, changes: columnsOf(outcome) });
}

/** Keeps what a check outside the schedule found. */
export async function record(
  db: Db,
  organizationId: string,
  { connectionId, outcome }: { connectionId: string; outcome: Outcome },
): Promise<void> {
  const row = { connection_id: connectionId, organization_id: organizationId, ...columnsOf(outcome) };
  await upsert(db, "connection_health", { row, keys: ["connection_id"] });
}

/** Makes the next check of a connection due, the first one too. */
export async function hasten(
  db: Db,
  organizationId: string,
  { connectionId, now }: { connectionId: string; now: number },
): Promise<void> {
  const result = await db.updateTable("connection_health").set({ due_at: now })
    .where("organization_id", "=", organizationId).where("connection_id", "=", connectionId)
    .executeTakeFirst();
  if (result.numUpdatedRows > 0n) return;
  const row = { connection_id: connectionId, organization_id: organizationId, due_at: now };
  await insertIfAbsent(db, "connection_health", [{ ...row, ...unchecked }]);
}

/** Removes the row of a connection that is gone. */
export async function remove(db: Db, organizationId: string, connectionId: string): Promise<void> {
  await db.deleteFrom("connection_health")
    .where("organization_id", "=", organizationId).where("connection_id", "=", connectionId).execute();
}

/** The rows of some of an organization's connections by their ids, in one query. */
export async function list(
  db: Db,
  organizationId: string,
  connectionIds: readonly string[],
): Promise<Map<string, HealthRow>> {
  if (connectionIds.length === 0) return new Map();
  const rows = await db.selectFrom("connection_health").selectAll()
    .where("organization_id", "=", organizationId).where("connection_id", "in", connectionIds).execute();
  return new Map(rows.map((row) => [row.connection_id, row]));
}

function columnsOf({ dueAt, checkedAt, okAt, failures, result }: Outcome) {
  const ok = okAt === undefined ? {} : { ok_at: okAt };
  return { due_at: dueAt, checked_at: checkedAt, failures, result, ...ok };
}

async function move(
  db: Db,
  organizationId: string,
  { connectionId, from, changes }: { connectionId: string; from: number; changes: Partial<HealthRow> },
): Promise<boolean> {
  const result = await db.updateTable("connection_health").set(changes)
    .where("organization_id", "=", organizationId).where("connection_id", "=", connectionId)
    .where("due_at", "=", from).executeTakeFirst();
  return result.numUpdatedRows > 0n;
}
