import type { Db } from "./dialect.ts";

/** A signed-in browser; times in milliseconds. */
export interface SessionRow {
  /** SHA-256 of the cookie's token, base64url. */
  tokenHash: string;
  userId: string;
  activeOrganizationId: string | null;
  userAgent: string | null;
  createdAt: number;
  expiresAt: number;
}

/** Keeps a new session. */
export async function insert(db: Db, session: SessionRow): Promise<void> {
  await db.insertInto("sessions").values({
    token_hash: session.tokenHash,
    user_id: session.userId,
    active_organization_id: session.activeOrganizationId,
    user_agent: session.userAgent,
    created_at: session.createdAt,
    expires_at: session.expiresAt,
  }).execute();
}

/** A session that has not expired at `now`, with its person, or null. */
export async function find(
  db: Db,
  tokenHash: string,
  now: number,
): Promise<(SessionRow & { user: { name: string; email: string; image: string | null } }) | null> {
  const row = await db.selectFrom("sessions").innerJoin("users", "users.id", "sessions.user_id")
    .selectAll("sessions").select(["users.name", "users.email", "users.image"])
    .where("token_hash", "=", tokenHash).where("expires_at", ">", now).executeTakeFirst();
  if (!row) return null;
  return {
    tokenHash: row.token_hash,
    userId: row.user_id,
    activeOrganizationId: row.active_organization_id,
    userAgent: row.user_agent,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    user: { name: row.name, email: row.email, image: row.image },
  };
}

/** Moves the end of a session that is still open at `now`; false where it was not. */
export async function extend(
  db: Db,
  tokenHash: string,
  { now, expiresAt }: { now: number; expiresAt: number },
): Promise<boolean> {
  const result = await db.updateTable("sessions").set({ expires_at: expiresAt })
    .where("token_hash", "=", tokenHash).where("expires_at", ">", now).executeTakeFirst();
  return result.numUpdatedRows > 0n;
}

/** Chooses the organization that the session acts in. */
export async function setActive(db: Db, tokenHash: string, organizationId: string): Promise<void> {
  await db.updateTable("sessions").set({ active_organization_id: organizationId })
    .where("token_hash", "=", tokenHash).execute();
}

/** Ends a session. */
export async function remove(db: Db, tokenHash: string): Promise<void> {
  await db.deleteFrom("sessions").where("token_hash", "=", tokenHash).execute();
}

/** Removes the sessions that had expired at `now`. */
export async function removeExpired(db: Db, now: number): Promise<void> {
  await db.deleteFrom("sessions").where("expires_at", "<=", now).execute();
}
