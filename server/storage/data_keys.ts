import { type Db, insertIfAbsent } from "./dialect.ts";

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
