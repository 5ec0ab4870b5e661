import { type Db, insertIfAbsent } from "./dialect.ts";
import { appliedMigrations } from "./database.ts";

/** A fact about the installation; null where it was never written, or before the first migration. */
export async function find(db: Db, name: string): Promise<string | null> {
  if ((await appliedMigrations(db)).length === 0) return null;
  return await read(db, name);
}

/** As `find`, in a database that is known to be migrated. */
export async function read(db: Db, name: string): Promise<string | null> {
  const row = await db.selectFrom("instance").select("value").where("name", "=", name).executeTakeFirst();
  return row?.value ?? null;
}

/** Writes a fact unless another process was first, and returns what stands there now. */
export async function settle(db: Db, name: string, value: string): Promise<string> {
  await insertIfAbsent(db, "instance", [{ name, value }]);
  const row = await db.selectFrom("instance").select("value").where("name", "=", name)
    .executeTakeFirstOrThrow();
  return row.value;
}

/** Replaces a fact. */
export async function replace(db: Db, name: string, value: string): Promise<void> {
  await db.updateTable("instance").set({ value }).where("name", "=", name).execute();
}

/** Lets no other transaction hold the lock of this fact until this one ends; the fact itself stays as it is. */
export async function lock(transaction: Db, name: string): Promise<void> {
  // An update that changes nothing locks the row on every database, and on SQLite begins the write.
  await transaction.updateTable("instance").set((eb) => ({ value: eb.ref("value") }))
    .where("name", "=", name).execute();
}
