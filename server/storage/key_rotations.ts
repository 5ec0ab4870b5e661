import { appliedMigrations } from "./database.ts";
import { type Db, eraseTraces } from "./dialect.ts";

/** One replacement of the master key by another; times are milliseconds since 1970. */
export interface KeyRotation {
  /** Names of keys, see `keyId`. */
  from: string;
  to: string;
  /** `running`: data keys are being re-wrapped; `finished`: the old key still leads to the new; `forgotten`: not any more. */
  state: "running" | "finished" | "forgotten";
  /** The new key wrapped by the old one, until it is forgotten. */
  sealedNext: string | null;
  /** The old key wrapped by the new one, while the rotation runs. */
  sealedPrevious: string | null;
  startedAt: number;
  finishedAt: number | null;
  forgottenAt: number | null;
  /** When a process was last seen whose setting or key file still holds the old key, and on which machine. */
  oldKeyUsedAt: number | null;
  oldKeyUsedBy: string | null;
}

const columns = [
  "from_id as from",
  "to_id as to",
  "state",
  "sealed_next as sealedNext",
  "sealed_previous as sealedPrevious",
  "started_at as startedAt",
  "finished_at as finishedAt",
  "forgotten_at as forgottenAt",
  "old_key_used_at as oldKeyUsedAt",
  "old_key_used_by as oldKeyUsedBy",
] as const;

/** All rotations, oldest first. */
export async function list(db: Db): Promise<KeyRotation[]> {
  const rows = await db.selectFrom("key_rotations").select(columns).orderBy("started_at").orderBy("from_id")
    .execute();
  return rows.map((row) => ({ ...row, state: row.state as KeyRotation["state"] }));
}

/** As `list`, in a database that may be older than the table. */
export async function listIfAny(db: Db): Promise<KeyRotation[]> {
  return (await appliedMigrations(db)).includes("0004_key_rotations") ? await list(db) : [];
}

/** Records the beginning of a rotation. */
export async function insert(
  db: Db,
  row: { from: string; to: string; sealedNext: string; sealedPrevious: string; startedAt: number },
): Promise<void> {
  await db.insertInto("key_rotations").values({
    from_id: row.from,
    to_id: row.to,
    state: "running",
    sealed_next: row.sealedNext,
    sealed_previous: row.sealedPrevious,
    started_at: row.startedAt,
    finished_at: null,
    forgotten_at: null,
    old_key_used_at: null,
    old_key_used_by: null,
  }).execute();
}

/** Marks a running rotation as finished; the new key leads to the old one no more. */
export async function finish(db: Db, from: string, now: number): Promise<void> {
  await db.updateTable("key_rotations")
    .set({ state: "finished", sealed_previous: null, finished_at: now })
    .where("from_id", "=", from).where("state", "=", "running").execute();
}

/** Takes the way from the old key to the new one out of a finished rotation; false where it was gone already. */
export async function forget(db: Db, from: string, now: number): Promise<boolean> {
  const result = await db.updateTable("key_rotations")
    .set({ state: "forgotten", sealed_next: null, forgotten_at: now })
    .where("from_id", "=", from).where("state", "=", "finished").executeTakeFirst();
  return result.numUpdatedRows > 0n;
}

/** Takes what old keys have sealed out of a database file, as it may lie there after it was replaced. */
export async function eraseReplaced(transaction: Db): Promise<void> {
  await eraseTraces(transaction, ["key_rotations", "data_keys"]);
}

/** Notes that a process is still given the old key of a finished rotation. */
export async function noteOldKey(
  db: Db,
  from: string,
  { at, by }: { at: number; by: string },
): Promise<void> {
  await db.updateTable("key_rotations").set({ old_key_used_at: at, old_key_used_by: by })
    .where("from_id", "=", from).where("state", "=", "finished").execute();
}
