import * as connectionHealth from "../storage/connection_health.ts";
import * as connections from "../storage/connections.ts";
import type { ConnectionRow } from "../storage/connections.ts";
import type { Db } from "../storage/dialect.ts";
import type { Catalog } from "./catalog.ts";
import type { Diagnosis } from "./diagnosis_course.ts";
import { explain } from "./failure.ts";
import { changedLists, losesAllTools } from "./lists.ts";

const longestMs = 3600_000;
const maxReason = 2000; // characters

/**
 * When the next check is due: after the interval, give or take a fifth, so that checks spread out. What keeps failing
 * is asked half as often each time, down to once an hour.
 */
export function nextDue(
  now: number,
  { intervalMs, failures }: { intervalMs: number; failures: number },
): number {
  const longest = Math.max(intervalMs, longestMs);
  const delay = Math.min(intervalMs * 2 ** Math.min(Math.max(failures - 1, 0), 30), longest);
  return Math.round(now + delay * (0.8 + 0.4 * Math.random()));
}

/** What a check leaves in the table of health; the names of the tools are not repeated there. */
export function outcomeOf(
  { tools: _, ...result }: Diagnosis,
  { now, intervalMs, failures }: { now: number; intervalMs: number; failures: number },
): connectionHealth.Outcome {
  return {
    dueAt: nextDue(now, { intervalMs, failures }),
    checkedAt: now,
    ...(result.healthy ? { okAt: now } : {}),
    failures,
    result: JSON.stringify(result),
  };
}

/** True where a failure is that of one person's credential, and says nothing of the connection. */
export function isPersonal({ credential_mode }: ConnectionRow, { stage }: Diagnosis): boolean {
  return credential_mode === "per_user" && (stage === "token" || stage === "handshake" || stage === "list");
}

/** The status and its reason that a finding gives a connection; `inactive` is the owner's word and stays. */
export function statusOf(
  { status }: ConnectionRow,
  diagnosis: Diagnosis,
): { status: string; status_reason: string | null } {
  const { healthy, message, advice } = diagnosis;
  const reason = message === null ? null : explain({ message, advice }).slice(0, maxReason);
  const found = healthy ? "active" : "error";
  return { status: status === "inactive" ? status : found, status_reason: reason };
}

/** The diagnosis with a word about tools that are gone all at once, which stay as they are known. */
export function withLostTools(row: ConnectionRow, diagnosis: Diagnosis, catalog: Catalog | null): Diagnosis {
  if (catalog === null || !losesAllTools(row, catalog)) return diagnosis;
  const lost = `It lists no tools now; those that are known are kept (${row.tool_count})`;
  return { ...diagnosis, message: [diagnosis.message, lost].filter(Boolean).join("; ") };
}

/**
 * Writes what is new about a connection, and only that: lists that say something else, and the status where one is
 * given. False where nothing is new, or the connection was changed since `row` was read.
 */
export async function keepFinding(
  db: Db,
  row: ConnectionRow,
  { catalog, status }: { catalog: Catalog | null; status: ReturnType<typeof statusOf> | null },
): Promise<boolean> {
  const lists = catalog ? changedLists(row, catalog) : {};
  const changes = { ...lists, ...status };
  const known: Record<string, unknown> = { ...row };
  if (Object.entries(changes).every(([column, value]) => known[column] === value)) return false;
  const change = { id: row.id, changes, version: row.updated_at };
  if (catalog === null || lists.tools === undefined) {
    return await connections.update(db, row.organization_id, change);
  }
  const toolNames = catalog.tools.map(({ name }) => name);
  return await connections.replaceTools(db, row.organization_id, { ...change, toolNames });
}

/** Keeps what a test outside the schedule found about the connection's health. */
export async function recordTest(
  db: Db,
  row: ConnectionRow,
  { diagnosis, intervalMs }: { diagnosis: Diagnosis; intervalMs: number },
): Promise<void> {
  const before = (await connectionHealth.list(db, row.organization_id, [row.id])).get(row.id);
  const failures = diagnosis.healthy ? 0 : (before?.failures ?? 0) + 1;
  const outcome = outcomeOf(diagnosis, { now: Date.now(), intervalMs, failures });
  await connectionHealth.record(db, row.organization_id, { connectionId: row.id, outcome });
}
