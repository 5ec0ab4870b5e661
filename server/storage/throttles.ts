import { type Db, insertIfAbsent } from "./dialect.ts";

/** Attempts counted under one name; times in milliseconds. */
export interface ThrottleRow {
  failures: number;
  blockedUntil: number;
  updatedAt: number;
}

/** How one name is counted: the next state of a row when an attempt is made that is not blocked. */
export interface Counted {
  id: string;
  next: (row: ThrottleRow) => ThrottleRow;
}

/**
 * Counts an attempt under every name at once, unless one of them is blocked at `now`: then nothing is counted,
 * and the end of the longest block is returned. 0 where the attempt may be made.
 */
export async function take(db: Db, counted: readonly Counted[], now: number): Promise<number> {
  const inOrder = [...counted].sort((a, b) => a.id < b.id ? -1 : 1); // the same order everywhere: no deadlock
  return await db.transaction().execute(async (transaction) => {
    await insertIfAbsent(
      transaction,
      "throttles",
      inOrder.map(({ id }) => ({ id, failures: 0, blocked_until: 0, updated_at: now })),
    );
    const rows = [];
    for (const { id, next } of inOrder) rows.push({ id, next, row: await lock(transaction, id) });
    const blockedUntil = Math.max(...rows.map(({ row }) => row.blockedUntil));
    if (blockedUntil > now) return blockedUntil;
    for (const { id, next, row } of rows) await write(transaction, id, next(row));
    return 0;
  });
}

/** Takes one counted attempt back and ends the block that it began. */
export async function giveBack(db: Db, id: string): Promise<void> {
  await db.updateTable("throttles")
    .set((eb) => ({ failures: eb("failures", "-", 1), blocked_until: 0 }))
    .where("id", "=", id).where("failures", ">", 0).execute();
}

/** Forgets all attempts under a name. */
export async function clear(db: Db, id: string): Promise<void> {
  await db.deleteFrom("throttles").where("id", "=", id).execute();
}

/** Removes what was last counted before `before` and no longer blocks at that time. */
export async function removeOld(db: Db, before: number): Promise<void> {
  await db.deleteFrom("throttles").where("updated_at", "<", before).where("blocked_until", "<", before)
    .execute();
}

/** Reads a row that others may not change until the transaction ends; held by a write, as that locks everywhere. */
async function lock(transaction: Db, id: string): Promise<ThrottleRow> {
  await transaction.updateTable("throttles").set((eb) => ({ updated_at: eb.ref("updated_at") }))
    .where("id", "=", id).execute();
  const row = await transaction.selectFrom("throttles").selectAll().where("id", "=", id)
    .executeTakeFirst();
  // Another process may have cleared the name between the insert and the lock: nothing is counted then.
  return {
    failures: row?.failures ?? 0,
    blockedUntil: row?.blocked_until ?? 0,
    updatedAt: row?.updated_at ?? 0,
  };
}

async function write(transaction: Db, id: string, row: ThrottleRow): Promise<void> {
  await transaction.updateTable("throttles")
    .set({ failures: row.failures, blocked_until: row.blockedUntil, updated_at: row.updatedAt })
    .where("id", "=", id).execute();
}
