import assert from "node:assert/strict";
import type { Audit } from "../server/audit.ts";
import { AppError } from "../server/errors.ts";
import * as auditLog from "../server/storage/audit_log.ts";
import {
  entry,
  folders,
  journalText,
  openAudit,
  organizationId,
  requestIds,
  withFolder,
  withoutTable,
} from "./audit/support.ts";
import { onEachDatabase } from "./support/databases.ts";
import { until } from "./support/until.ts";

async function isUnavailable(promise: Promise<unknown>): Promise<void> {
  await assert.rejects(promise, (error) => {
    assert.ok(error instanceof AppError);
    assert.equal(error.code, "unavailable");
    return true;
  });
}

/** True while a promise has neither resolved nor rejected, though everything that was ready has run. */
async function pends(promise: Promise<unknown>): Promise<boolean> {
  let pending = true;
  const settle = () => void (pending = false);
  promise.then(settle, settle);
  await new Promise((resolve) => setTimeout(resolve, 0));
  return pending;
}

/** Ends a call as the relay does. */
function end(audit: Audit, requestId: string): Promise<void> {
  const given = entry(requestId);
  return audit.recordEnded({ ...given, subject: audit.subject(given) });
}

onEachDatabase(
  "audit: a row is on disk when record returns, in the database after flush",
  async (_t, url) => {
    await withFolder(url, async (db, dir) => {
      const audit = await openAudit(db, dir);
      assert.equal(audit.record(entry("req_1")), undefined);
      const line = journalText(folders(dir)[0] ?? "");
      assert.match(line, /^\{.*"req_1".*\}\n$/);
      await audit.flush();
      assert.equal(audit.record(entry("req_2", { outcome: "denied", errorMessage: "No" })), undefined);
      await Promise.all([audit.flush(), audit.flush()]);
      assert.deepEqual(await requestIds(db), ["req_1", "req_2"]);
      const [row] = await auditLog.list(db, organizationId, { filter: {}, limit: 1, offset: 0 });
      assert.equal(row?.outcome, "denied");
      assert.match(row.id, /^log_/);
      assert.ok(Math.abs(row.timestamp - Date.now()) < 60_000);
      await audit.close();
      assert.deepEqual(folders(dir), [], "nothing is left to replay");
    });
  },
);

onEachDatabase(
  "audit: rows of calls that end together are written together, before their callers go on",
  async (_t, url) => {
    await withFolder(url, async (db, dir) => {
      const audit = await openAudit(db, dir);
      const [own = ""] = folders(dir);
      const ended = ["req_1", "req_2", "req_3"].map((id) => end(audit, id));
      assert.equal(journalText(own), "", "nothing is written one by one");
      await ended[0];
      assert.match(journalText(own), /^\{.*"req_1".*\}\n\{.*"req_2".*\}\n\{.*"req_3".*\}\n$/);
      await Promise.all(ended);
      const last = end(audit, "req_4");
      await audit.flush();
      assert.deepEqual(await requestIds(db), ["req_1", "req_2", "req_3", "req_4"], "a flush waits for them");
      await last;
      await audit.close();
    });
  },
);

onEachDatabase(
  "audit: without a journal rows of calls that end together are in the database together, or all are told",
  async (_t, url) => {
    await withFolder(url, async (db, dir) => {
      const audit = await openAudit(db, dir);
      await Deno.remove(folders(dir)[0] ?? "", { recursive: true });
      await Promise.all(["req_1", "req_2"].map((id) => end(audit, id)));
      assert.deepEqual(await requestIds(db), ["req_1", "req_2"]);
      const bringBack = await withoutTable(db);
      await Promise.all(["req_3", "req_4"].map((id) => isUnavailable(end(audit, id))));
      await bringBack();
      await audit.close();
    });
  },
);

onEachDatabase("audit: rows reach the database without being asked for", async (_t, url) => {
  await withFolder(url, async (db, dir) => {
    const audit = await openAudit(db, dir);
    const ids = Array.from({ length: 300 }, (_, i) => `req_${String(i).padStart(3, "0")}`);
    for (const id of ids) audit.record(entry(id));
    await until(async () => await auditLog.count(db, organizationId, {}) === ids.length, "all rows");
    assert.deepEqual(await requestIds(db), ids);
    await audit.close();
  });
});

onEachDatabase("audit: what does not fit is made to fit, so that no row is refused", async (_t, url) => {
  await withFolder(url, async (db, dir) => {
    const audit = await openAudit(db, dir);
    const long = "ä\0😀".repeat(400);
    audit.record(entry(long, {
      connectionId: long,
      connectionTitle: long,
      gatewayId: long,
      toolName: long,
      method: long,
      errorMessage: long.repeat(10),
      userId: long,
      keyId: long,
      clientId: long,
      traceId: long,
      userAgent: long,
      durationMs: NaN,
      timestamp: 1_700_000_000_000.5,
      requestBytes: 1.5,
      responseBytes: Infinity,
      input: { [long]: long, list: Array(100).fill(long) },
      output: long,
      properties: Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`${i}${long}`, long])),
    }));
    await audit.flush();
    const [row] = await auditLog.list(db, organizationId, { filter: {}, limit: 10, offset: 0 });
    assert.ok(row);
    assert.equal(row.toolName?.length, 200);
    assert.ok(row.toolName.startsWith("ä\uFFFD😀ä"));
    assert.equal(row.durationMs, 0);
    assert.equal(row.timestamp, 1_700_000_000_000);
    assert.deepEqual([row.requestBytes, row.responseBytes], [1, 0]);
    assert.ok(Object.keys(row.properties ?? {}).length <= 33);
    assert.throws(() => Deno.statSync(`${dir}/journal/rejected.jsonl`), Deno.errors.NotFound);
    await audit.close();
  });
});

onEachDatabase(
  "audit: while the database fails rows wait, a flush says so, and nothing is lost",
  async (_t, url) => {
    await withFolder(url, async (db, dir) => {
      const audit = await openAudit(db, dir);
      audit.record(entry("req_0"));
      await audit.flush();
      const bringBack = await withoutTable(db);
      for (const id of ["req_1", "req_2"]) assert.equal(audit.record(entry(id)), undefined);
      await isUnavailable(audit.flush());
      assert.equal(audit.record(entry("req_3")), undefined);
      await isUnavailable(audit.flush());
      await bringBack();
      await audit.flush();
      assert.deepEqual(await requestIds(db), ["req_0", "req_1", "req_2", "req_3"]);
      await audit.close();
    });
  },
);

onEachDatabase("audit: a full journal makes callers wait until rows are moved", async (_t, url) => {
  await withFolder(url, async (db, dir) => {
    const audit = await openAudit(db, dir, { maxBacklogBytes: 20_000 });
    const bringBack = await withoutTable(db);
    let recorded = 0;
    while (!audit.room()) audit.record(entry(`req_${recorded++}`));
    assert.ok(recorded > 20 && recorded < 60, `${recorded} rows filled it`);
    const waiting = [audit.room(), audit.room()].map((room) => room ?? Promise.resolve());
    await isUnavailable(audit.flush());
    for (const room of waiting) assert.ok(await pends(room));
    await bringBack();
    await Promise.all(waiting);
    assert.equal(audit.room(), undefined);
    audit.record(entry("req_last"));
    await audit.flush();
    assert.equal((await requestIds(db)).length, recorded + 1);
    await audit.close();
  });
});

onEachDatabase(
  "audit: who waits for room goes on when the server stops, and rows stay on disk",
  async (_t, url) => {
    await withFolder(url, async (db, dir) => {
      const audit = await openAudit(db, dir, { maxBacklogBytes: 1 });
      const bringBack = await withoutTable(db);
      audit.record(entry("req_1"));
      const room = audit.room();
      assert.ok(room);
      await audit.close();
      await room;
      assert.equal(folders(dir).length, 1);
      await isUnavailable(audit.record(entry("req_2")) ?? Promise.resolve());
      await bringBack();
      const next = await openAudit(db, dir);
      assert.deepEqual(await requestIds(db), ["req_1"], "moved at start");
      await next.close();
      assert.deepEqual(folders(dir), []);
    });
  },
);

onEachDatabase(
  "audit: without a journal rows go to the database at once, or the caller is told",
  async (_t, url) => {
    await withFolder(url, async (db, dir) => {
      const audit = await openAudit(db, dir);
      const [own = ""] = folders(dir);
      await Deno.remove(own, { recursive: true });
      const inserted = audit.record(entry("req_1"));
      assert.ok(inserted, "there is no folder to write to");
      await inserted;
      assert.deepEqual(await requestIds(db), ["req_1"]);
      const pending = audit.record(entry("req_2"));
      await audit.flush();
      assert.equal((await requestIds(db)).length, 2, "a flush waits for it as well");
      await pending;
      const bringBack = await withoutTable(db);
      await isUnavailable(audit.record(entry("req_3")) ?? Promise.resolve());
      assert.throws(
        () => audit.room(),
        /Cannot record the call/,
        "nothing is done that could not be recorded",
      );
      await bringBack();
      await audit.record(entry("req_5"));
      assert.equal(audit.room(), undefined, "the database alone is enough");
      await Deno.mkdir(own);
      assert.equal(audit.record(entry("req_4")), undefined, "the journal works again");
      await audit.flush();
      assert.deepEqual(await requestIds(db), ["req_1", "req_2", "req_4", "req_5"]);
      await audit.close();
    });
  },
);

onEachDatabase(
  "audit: a row that the database refuses is kept aside, the others are moved",
  async (_t, url) => {
    await withFolder(url, async (db, dir) => {
      const left = `${dir}/journal/left`;
      await Deno.mkdir(left, { recursive: true });
      const lines = Array.from({ length: 150 }, (_, i) => lineOf(`req_${String(i).padStart(3, "0")}`));
      lines[70] = lineOf("req_refused", { method: null });
      lines[71] = lineOf("req_refused_too", { outcome: null });
      lines[100] = "not a row\n";
      await Deno.writeTextFile(`${left}/00000001.jsonl`, lines.join(""));
      const audit = await openAudit(db, dir);
      const ids = await requestIds(db);
      assert.equal(ids.length, 147);
      assert.ok(!ids.some((id) => id.includes("refused")));
      const aside = (await Deno.readTextFile(`${dir}/journal/rejected.jsonl`)).split("\n");
      assert.equal(aside.length, 4);
      for (const part of ["not a row", '"req_refused"', '"req_refused_too"']) {
        assert.equal(aside.filter((line) => line.includes(part)).length, 1, part);
      }
      await audit.close();
      assert.deepEqual(folders(dir), []);
    });
  },
);

/** A line as a journal holds it. */
function lineOf(requestId: string, changes: Record<string, unknown> = {}): string {
  return JSON.stringify({
    id: `log_${requestId}`,
    organization_id: organizationId,
    connection_id: "self",
    method: "tools/call",
    outcome: "ok",
    duration_ms: 1,
    timestamp: 1_700_000_000_000,
    request_id: requestId,
    request_bytes: 0,
    response_bytes: 0,
    a_column_of_tomorrow: "x",
    ...changes,
  }) + "\n";
}

onEachDatabase(
  "audit: a line that a killed process could not finish is dropped, its neighbours are not",
  async (_t, url) => {
    await withFolder(url, async (db, dir) => {
      const left = `${dir}/journal/left`;
      await Deno.mkdir(left, { recursive: true });
      const torn = lineOf("req_torn");
      await Deno.writeTextFile(
        `${left}/00000001.jsonl`,
        lineOf("req_1") + lineOf("req_2") + torn.slice(0, -20),
      );
      await Deno.writeTextFile(`${left}/00000002.jsonl`, lineOf("req_3") + torn.slice(0, -1));
      await Deno.writeTextFile(`${left}/00000003.jsonl`, "");
      await Deno.writeTextFile(`${left}/00000004.jsonl`, lineOf("req_4"));
      const audit = await openAudit(db, dir);
      assert.deepEqual(await requestIds(db), ["req_1", "req_2", "req_3", "req_4"]);
      assert.equal(folders(dir).length, 1, "the folder that was left is gone");
      await audit.close();
    });
  },
);

onEachDatabase("audit: rows are kept as long as the setting says", async (_t, url) => {
  await withFolder(url, async (db, dir) => {
    const day = 86_400_000;
    const keeping = await openAudit(db, dir, { retentionDays: 0 });
    for (let i = 0; i < 450; i++) keeping.record(entry(`req_old_${i}`, { timestamp: Date.now() - 3 * day }));
    keeping.record(entry("req_elsewhere", { organizationId: "org_other", timestamp: 0 }));
    keeping.record(entry("req_young", { timestamp: Date.now() - day }));
    await keeping.close();
    assert.equal((await requestIds(db)).length, 451);
    const audit = await openAudit(db, dir, { retentionDays: 2 });
    await until(async () => (await requestIds(db)).length === 1, "old rows to be gone");
    await until(async () => await auditLog.count(db, "org_other", {}) === 0, "other rows to be gone");
    assert.deepEqual(await requestIds(db), ["req_young"]);
    await audit.close();
  });
});

Deno.test("audit: a data folder that cannot be written is named", async () => {
  const dir = await Deno.makeTempFile();
  await assert.rejects(
    openAudit(Object.create(null), dir),
    (error) => error instanceof AppError && error.message.includes(dir),
  );
  await Deno.remove(dir);
});
