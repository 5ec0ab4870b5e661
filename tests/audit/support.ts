// What the tests of the audit log share: entries, waiting for conditions, a database that goes away.
import { Audit, type AuditEntry, type AuditOptions } from "../../server/audit.ts";
import { lineOf as line, subjectPart } from "../../server/audit/entry.ts";
import { Log } from "../../server/log.ts";
import type { Db } from "../../server/storage/dialect.ts";
import { withMigrated } from "../support/accounts.ts";

export const organizationId = "org_audit";

/** An ordinary entry; `requestId` tells it from others. */
export function entry(requestId: string, changes: Partial<AuditEntry> = {}): AuditEntry {
  return {
    organizationId,
    connectionId: "conn_a",
    connectionTitle: "A",
    toolName: "search",
    method: "tools/call",
    input: { query: "ä 😀", limit: 5 },
    output: { content: [{ type: "text", text: "three\nlines\nhere" }] },
    outcome: "ok",
    errorMessage: null,
    durationMs: 1.25,
    userId: "usr_a",
    keyId: null,
    clientId: null,
    requestId,
    userAgent: "test/1.0",
    ...changes,
  };
}

/** The line of the journal for such an entry. */
export function lineOf(requestId: string): string {
  const given = entry(requestId);
  return line(subjectPart(given), given);
}

/** Opens the audit log with a silent log. */
export async function openAudit(db: Db, dir: string, changes: Partial<AuditOptions> = {}): Promise<Audit> {
  return await Audit.open({ db, dir, log: new Log("silent"), retentionDays: 0, ...changes });
}

/** Runs `fn` with a migrated database and a data folder of its own. */
export async function withFolder(url: string, fn: (db: Db, dir: string) => Promise<void>): Promise<void> {
  await withMigrated(url, async (db) => {
    const dir = await Deno.makeTempDir({ prefix: "mesh-test-" });
    try {
      await fn(db, dir);
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  });
}

/** The request ids of all rows in the database, sorted; one that stands there twice is given twice. */
export async function requestIds(db: Db): Promise<string[]> {
  // One query: between two pages rows may come in, and the second would repeat some of the first.
  const rows = await db.selectFrom("audit_log").select("request_id")
    .where("organization_id", "=", organizationId).execute();
  return rows.map((row) => row.request_id).sort();
}

/** Takes the table away, so that every insert fails, until the returned function brings it back. */
export async function withoutTable(db: Db): Promise<() => Promise<void>> {
  await db.schema.alterTable("audit_log").renameTo("audit_log_away").execute();
  return () => db.schema.alterTable("audit_log_away").renameTo("audit_log").execute();
}

/** The folders of processes below the journal of a data folder. */
export function folders(dir: string): string[] {
  const entries = [...Deno.readDirSync(`${dir}/journal`)].filter((entry) => entry.isDirectory);
  return entries.map((entry) => `${dir}/journal/${entry.name}`).sort();
}

/** The text of all journal files in a folder. */
export function journalText(folder: string): string {
  const names = [...Deno.readDirSync(folder)].map((entry) => entry.name).filter((name) => name !== "lock");
  return names.sort().map((name) => Deno.readTextFileSync(`${folder}/${name}`)).join("");
}
