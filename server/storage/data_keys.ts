import { type Db, insertIfAbsent } from "./dialect.ts";

/** A data key as it lies in the database; organization "" is the instance itself. */
export interface WrappedKey {
  organizationId: string;
  wrapped: string;
}

/** The wrapped data key of an organization, or null where it has none yet. */
export async function find(db: Db, organizationId: string): Promise<string | null> {
  const row = await db.selectFrom("data_keys").select("wrapped")
    .where("organization_id", "=", organizationId).executeTakeFirst();
  return row?.wrapped ?? null;
}

/** Keeps a wrapped data key unless another process was first, and returns the one that stands. */
export async function settle(db: Db, organizationId: string, wrapped: string): Promise<string> {
  await insertIfAbsent(db, "data_keys", [{
    organization_id: organizationId,
    wrapped,
    created_at: Date.now(),
  }]);
  const row = await db.selectFrom("data_keys").select("wrapped")
    .where("organization_id", "=", organizationId).executeTakeFirstOrThrow();
  return row.wrapped;
}

const pageRows = 200;

/** All data keys in the order of their organizations, a page at a time. */
export async function* pages(db: Db): AsyncGenerator<WrappedKey[]> {
  let after: string | null = null;
  for (;;) {
    let query = db.selectFrom("data_keys").select(["organization_id as organizationId", "wrapped"]);
    if (after !== null) query = query.where("organization_id", ">", after);
    const rows: WrappedKey[] = await query.orderBy("organization_id").limit(pageRows).execute();
    if (rows.length > 0) yield rows;
    if (rows.length < pageRows) return;
    after = rows.at(-1)?.organizationId ?? null;
  }
}

/** Puts another envelope of the same key in the place of `from`; false where that one is not there any more. */
export async function rewrap(
  db: Db,
  organizationId: string,
  { from, to }: { from: string; to: string },
): Promise<boolean> {
  const result = await db.updateTable("data_keys").set({ wrapped: to })
    .where("organization_id", "=", organizationId).where("wrapped", "=", from).executeTakeFirst();
  return result.numUpdatedRows > 0n;
}
