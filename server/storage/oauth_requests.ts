import type { Db } from "./dialect.ts";

/** A question that waits for the person of one browser session; times in milliseconds. */
export interface OauthRequestRow {
  id: string;
  sessionHash: string;
  userId: string;
  /** The checked request, of the shape that the authorization server gave it. */
  asked: unknown;
  createdAt: number;
  expiresAt: number;
}

/** Keeps a new question. */
export async function insert(db: Db, request: OauthRequestRow): Promise<void> {
  await db.insertInto("oauth_requests").values({
    id: request.id,
    session_hash: request.sessionHash,
    user_id: request.userId,
    asked: JSON.stringify(request.asked),
    created_at: request.createdAt,
    expires_at: request.expiresAt,
  }).execute();
}

/** The question with this id, where this session was asked and it has not expired at `now`, or null. */
export async function find(
  db: Db,
  { id, sessionHash, now }: { id: string; sessionHash: string; now: number },
): Promise<OauthRequestRow | null> {
  const row = await db.selectFrom("oauth_requests").selectAll()
    .where("id", "=", id).where("session_hash", "=", sessionHash).where("expires_at", ">", now)
    .executeTakeFirst();
  if (row?.id !== id || row.session_hash !== sessionHash) return null;
  return {
    id: row.id,
    sessionHash: row.session_hash,
    userId: row.user_id,
    asked: JSON.parse(row.asked),
    createdAt: row.created_at,
    expiresAt: row.expires_at,
  };
}

/** Takes a question away; true for one caller only. */
export async function take(db: Db, id: string): Promise<boolean> {
  const result = await db.deleteFrom("oauth_requests").where("id", "=", id).executeTakeFirst();
  return result.numDeletedRows > 0n;
}

/** Removes the questions that had expired at `now`. */
export async function removeExpired(db: Db, now: number): Promise<void> {
  await db.deleteFrom("oauth_requests").where("expires_at", "<=", now).execute();
}
