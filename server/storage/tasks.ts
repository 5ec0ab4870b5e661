import { createHash } from "node:crypto";
import { type Db, insertIfAbsent } from "./dialect.ts";

/** Whose task of which connection; ids are the upstream's own. */
export interface TaskOwner {
  connectionId: string;
  userId: string;
}

/** Servers forget a task long before; nobody asks for one after that. */
const keptMs = 90 * 24 * 3600_000;

/** Remembers who started a task; the first owner stays. Forgets this person's old ones there. */
export async function insert(
  db: Db,
  organizationId: string,
  task: TaskOwner & { taskId: string },
): Promise<void> {
  const now = Date.now();
  await insertIfAbsent(db, "task_owners", [{
    id: hash(task.connectionId, task.taskId),
    organization_id: organizationId,
    connection_id: task.connectionId,
    user_id: task.userId,
    created_at: now,
  }]);
  await db.deleteFrom("task_owners").where("organization_id", "=", organizationId)
    .where("connection_id", "=", task.connectionId).where("user_id", "=", task.userId)
    .where("created_at", "<", now - keptMs).execute();
}

/** True where the task was started by this person through this connection. */
export async function isOwner(
  db: Db,
  organizationId: string,
  task: TaskOwner & { taskId: string },
): Promise<boolean> {
  const row = await db.selectFrom("task_owners").select("user_id")
    .where("id", "=", hash(task.connectionId, task.taskId))
    .where("organization_id", "=", organizationId)
    .executeTakeFirst();
  return row?.user_id === task.userId;
}

/** What `isKnown` is asked with: the fingerprints of the tasks that a person started through a connection. */
export async function fingerprints(db: Db, organizationId: string, owner: TaskOwner): Promise<Set<string>> {
  const rows = await db.selectFrom("task_owners").select("id")
    .where("organization_id", "=", organizationId)
    .where("connection_id", "=", owner.connectionId)
    .where("user_id", "=", owner.userId)
    .orderBy("created_at", "desc").limit(10_000).execute();
  return new Set(rows.map((row) => row.id));
}

/** True where the fingerprint of the task is among those. */
export function isKnown(known: ReadonlySet<string>, connectionId: string, taskId: string): boolean {
  return known.has(hash(connectionId, taskId));
}

function hash(connectionId: string, taskId: string): string {
  return createHash("sha256").update(`${connectionId}\n${taskId}`).digest("base64url");
}
