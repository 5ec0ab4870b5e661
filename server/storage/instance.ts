import { type Db, insertIfAbsent } from "./dialect.ts";
import { appliedMigrations } from "./database.ts";

/** A fact about the installation; null where it was never written, or before the first migration. */
export async function find(db: Db, name: string): Promise<string | null> {
  if ((await appliedMigrations(db)).length === 0) return null;
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
