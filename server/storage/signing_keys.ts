import type { Insertable, Selectable } from "kysely";
import { type Db, insertIfAbsent } from "./dialect.ts";
import type { SigningKeysTable } from "./schema_upstream.ts";

/** A key that identity tokens are signed with; its id counts up from "1". */
export type SigningKeyRow = Selectable<SigningKeysTable>;

/** All keys, the newest first. */
export async function list(db: Db): Promise<SigningKeyRow[]> {
  const rows = await db.selectFrom("signing_keys").selectAll().execute();
  return rows.sort((a, b) => Number(b.id) - Number(a.id));
}

/** Keeps a new key, unless another process has made one with its number first. */
export async function keep(db: Db, row: Insertable<SigningKeysTable>): Promise<void> {
  await insertIfAbsent(db, "signing_keys", [row]);
}

/** Removes keys that nothing is verified with any more. */
export async function remove(db: Db, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return;
  await db.deleteFrom("signing_keys").where("id", "in", ids).execute();
}
