import assert from "node:assert/strict";
import { InsertThread } from "../../server/audit/insert_thread.ts";
import { Log } from "../../server/log.ts";
import { withDatabase } from "../support/databases.ts";
import { entry, lineOf, openAudit, requestIds, withFolder, withoutTable } from "./support.ts";

const ids = (count: number) => Array.from({ length: count }, (_, i) => `req_${String(i).padStart(5, "0")}`);
const lines = (...of: string[]) => new TextEncoder().encode(of.map((id) => lineOf(id)).join(""));

Deno.test("audit thread: rows are in the database when it says so, and once", async () => {
  await withDatabase("sqlite", (url) =>
    withFolder(url, async (db) => {
      const thread = new InsertThread(url);
      const given = lines(...ids(300));
      assert.equal(await thread.insert(given), null);
      assert.deepEqual(await requestIds(db), ids(300));
      assert.equal(await thread.insert(given), null, "what is there already is left as it is");
      assert.deepEqual(await requestIds(db), ids(300));
      thread.close();
    }));
});

Deno.test("audit thread: says why it cannot, and goes on", async () => {
  await withDatabase("sqlite", (url) =>
    withFolder(url, async (db) => {
      const thread = new InsertThread(url);
      assert.match(await thread.insert(new TextEncoder().encode("{\n")) ?? "", /not a row/);
      const bringBack = await withoutTable(db);
      assert.match(await thread.insert(lines("req_a")) ?? "", /audit_log/);
      await bringBack();
      assert.equal(await thread.insert(lines("req_a")), null);
      assert.deepEqual(await requestIds(db), ["req_a"]);
      thread.close();
    }));
});

Deno.test("audit thread: a database that does not open is told for every group", async () => {
  const thread = new InsertThread("file:/proc/none/mesh.db");
  assert.notEqual(await thread.insert(lines("req_a")), null);
  assert.notEqual(await thread.insert(lines("req_b")), null);
  thread.close();
});

const threadBacklogBytes = 512 * 1024;

Deno.test("audit: much that waits is all moved, with and without a thread of its own", async () => {
  for (const threaded of [true, false]) {
    await withDatabase("sqlite", (url) =>
      withFolder(url, async (db, dir) => {
        const audit = await openAudit(db, dir, threaded ? { databaseUrl: url, threadBacklogBytes } : {});
        for (const id of ids(4000)) assert.equal(audit.record(entry(id)), undefined);
        await audit.flush();
        assert.deepEqual(await requestIds(db), ids(4000));
        await audit.close();
      }));
  }
});

Deno.test("audit: a thread is given up between its groups, so that no group fails with it", async () => {
  const told: string[] = [];
  const log = new class extends Log {
    override debug(message: string): void {
      told.push(message);
    }
  }("silent");
  await withDatabase("sqlite", (url) =>
    withFolder(url, async (db, dir) => {
      const threads = { databaseUrl: url, threadBacklogBytes, threadIdleMs: 1 };
      const audit = await openAudit(db, dir, { log, ...threads });
      for (const id of ids(4000)) assert.equal(audit.record(entry(id)), undefined);
      await audit.flush();
      assert.deepEqual(await requestIds(db), ids(4000));
      await audit.close();
    }));
  assert.deepEqual(told, []);
});

Deno.test("audit: where a thread cannot write, the rows are moved without it", async () => {
  await withDatabase("sqlite", (url) =>
    withFolder(url, async (db, dir) => {
      const audit = await openAudit(db, dir, { databaseUrl: "file:/proc/none/mesh.db", threadBacklogBytes });
      for (const id of ids(4000)) assert.equal(audit.record(entry(id)), undefined);
      await audit.flush();
      assert.deepEqual(await requestIds(db), ids(4000));
      await audit.close();
    }));
});
