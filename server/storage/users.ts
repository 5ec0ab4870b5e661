import { type Selectable, sql } from "kysely";
import type { Db } from "./dialect.ts";
import type { UsersTable } from "./schema.ts";

/** A person, without what proves that it is them; times in milliseconds. */
export interface UserRow {
  id: string;
  email: string;
  name: string;
  image: string | null;
  createdAt: number;
  updatedAt: number;
}

/** Adds a person; `email` in lower case. Throws a unique violation where the address is taken. */
export async function insert(db: Db, user: UserRow & { passwordHash: string | null }): Promise<void> {
  await db.insertInto("users").values({
    id: user.id,
    email: user.email,
    name: user.name,
    image: user.image,
    password_hash: user.passwordHash,
    created_at: user.createdAt,
    updated_at: user.updatedAt,
  }).execute();
}

/** People whose name or address holds a text; case does not count, on SQLite that of a-z. */
export function named(text: string) {
  const holding = (part: string) => `%${part.replace(/[!%_]/g, "!$&")}%`;
  const [name, any, lower] = [sql.ref("users.name"), holding(text), holding(text.toLowerCase())];
  return sql<boolean>`(lower(${name}) like ${lower} escape '!' or ${name} like ${any} escape '!'
    or ${sql.ref("users.email")} like ${lower} escape '!')`;
}

/** The person with this id, or null. */
export async function find(db: Db, id: string): Promise<UserRow | null> {
  const row = await db.selectFrom("users").selectAll().where("id", "=", id).executeTakeFirst();
  return row?.id === id ? toUser(row) : null;
}

/** The person with this address (lower case) and the hash of their password, or null. */
export async function findForSignIn(
  db: Db,
  email: string,
): Promise<{ user: UserRow; passwordHash: string | null } | null> {
  const row = await db.selectFrom("users").selectAll().where("email", "=", email).executeTakeFirst();
  return row?.email === email ? { user: toUser(row), passwordHash: row.password_hash } : null;
}

/** Changes a person's name. */
export async function updateName(
  db: Db,
  id: string,
  { name, now }: { name: string; now: number },
): Promise<void> {
  await db.updateTable("users").set({ name, updated_at: now }).where("id", "=", id).execute();
}

/** True where both people belong to one organization, or to the one that is named. */
export async function shareOrganization(
  db: Db,
  [one, other]: readonly [string, string],
  within?: string,
): Promise<boolean> {
  let query = db.selectFrom("members as a").innerJoin(
    "members as b",
    "b.organization_id",
    "a.organization_id",
  )
    .select("a.id").where("a.user_id", "=", one).where("b.user_id", "=", other);
  if (within !== undefined) query = query.where("a.organization_id", "=", within);
  return await query.limit(1).executeTakeFirst() !== undefined;
}

/**
 * Waits until no other transaction holds this person, and holds them until the end of this one.
 * A write, as that locks the row on every database.
 */
export async function lock(transaction: Db, id: string): Promise<void> {
  await transaction.updateTable("users").set((eb) => ({ updated_at: eb.ref("updated_at") }))
    .where("id", "=", id).execute();
}

function toUser(row: Selectable<UsersTable>): UserRow {
  return {
    id: row.id,
    email: row.email,
    name: row.name,
    image: row.image,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}
