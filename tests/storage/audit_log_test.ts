import assert from "node:assert/strict";
import * as auditLog from "../../server/storage/audit_log.ts";
import type { AuditLogTable } from "../../server/storage/schema.ts";
import { withMigrated } from "../support/accounts.ts";
import { onEachDatabase } from "../support/databases.ts";
import { accepts, began, elsewhere, filtersOf, here, hour, row, withSample } from "./audit_log_sample.ts";

const newestFirst = (a: AuditLogTable, b: AuditLogTable) =>
  b.timestamp - a.timestamp || (a.id < b.id ? 1 : -1);

onEachDatabase("audit log: each filter finds what a computation finds", async (_t, url) => {
  await withSample(url, async ({ db, rows, users, names }) => {
    let found = 0;
    for (const filter of filtersOf(users)) {
      const expected = rows.filter(accepts(filter, names)).sort(newestFirst).map(({ id }) => id);
      const listed = await auditLog.list(db, here, { filter, limit: 1000, offset: 0 });
      assert.deepEqual(listed.map(({ id }) => id), expected, JSON.stringify(filter));
      assert.equal(await auditLog.count(db, here, filter), expected.length);
      const page = await auditLog.list(db, here, { filter, limit: 7, offset: 5 });
      assert.deepEqual(page.map(({ id }) => id), expected.slice(5, 12));
      if (expected.length > 0) found++;
    }
    assert.ok(found > 18, "most filters find something");
  });
});

onEachDatabase("audit log: a row is given as it was written, to its organization alone", async (_t, url) => {
  await withMigrated(url, async (db) => {
    const written = row({
      id: "log_1",
      gateway_id: "gw_1",
      output: '{"a":[1,null,"😀\\u0000"]}',
      error_message: "Ünknown '😀'",
      outcome: "failed",
      duration_ms: 0.125,
      timestamp: 1_999_999_999_999,
      user_id: "usr_1",
      key_id: "key_1",
      client_id: "c",
      trace_id: "t",
      user_agent: "ua",
      upstream_status: 502,
      request_bytes: 5_000_000_000,
      response_bytes: 7,
      properties: '{"env":"prod"}',
    });
    await auditLog.insertMany(db, [written, row({ id: "log_2" })]);
    assert.deepEqual(await auditLog.find(db, here, "log_1"), {
      id: "log_1",
      organizationId: here,
      connectionId: "conn_a",
      connectionTitle: "A",
      gatewayId: "gw_1",
      toolName: "search",
      method: "tools/call",
      input: { q: "ä" },
      output: { a: [1, null, "😀\0"] },
      isError: true,
      outcome: "failed",
      errorMessage: "Ünknown '😀'",
      durationMs: 0.125,
      timestamp: 1_999_999_999_999,
      userId: "usr_1",
      keyId: "key_1",
      clientId: "c",
      requestId: "req_0",
      traceId: "t",
      userAgent: "ua",
      upstreamStatus: 502,
      requestBytes: 5_000_000_000,
      responseBytes: 7,
      properties: { env: "prod" },
    });
    assert.equal((await auditLog.find(db, here, "log_2"))?.isError, false);
    assert.equal(await auditLog.find(db, elsewhere, "log_1"), null);
    assert.equal(await auditLog.find(db, here, "log_3"), null);
  });
});

onEachDatabase("audit log: a row that is there already is left as it is", async (_t, url) => {
  await withMigrated(url, async (db) => {
    await auditLog.insertMany(db, [row({ id: "log_1", method: "first" })]);
    await auditLog.insertMany(db, [row({ id: "log_1", method: "second" }), row({ id: "log_2" })]);
    await auditLog.insertMany(db, []);
    assert.equal((await auditLog.find(db, here, "log_1"))?.method, "first");
    assert.equal(await auditLog.count(db, here, {}), 2);
  });
});

onEachDatabase(
  "audit log: a refusal of a row is told from trouble of the database",
  async (_t, url, kind) => {
    await withMigrated(url, async (db) => {
      const refused: Partial<Record<keyof AuditLogTable, unknown>>[] = [{ method: null }, {
        request_id: null,
      }];
      if (kind !== "sqlite") refused.push({ tool_name: "x".repeat(201) }, { timestamp: "tomorrow" });
      if (kind === "postgres") refused.push({ user_agent: "a\0b" });
      for (const change of refused) {
        const rows = [row({ id: "log_1", ...change as Partial<AuditLogTable> })];
        await assert.rejects(auditLog.insertMany(db, rows), (error) => {
          assert.ok(auditLog.isRefusal(error), `${JSON.stringify(change)}: ${error}`);
          return true;
        });
      }
      await db.schema.dropTable("audit_log").execute();
      await assert.rejects(auditLog.insertMany(db, [row({})]), (error) => {
        assert.equal(auditLog.isRefusal(error), false, String(error));
        return true;
      });
      assert.equal(auditLog.isRefusal(new Error("connect ECONNREFUSED")), false);
      assert.equal(auditLog.isRefusal("22001"), false);
    });
  },
);

onEachDatabase("audit log: old rows are removed a few at a time, oldest first", async (_t, url) => {
  await withMigrated(url, async (db) => {
    const rows = ["a", "b", "c", "d"].map((name, i) =>
      row({ id: `log_${name}`, timestamp: began + (3 - i) * hour })
    );
    await auditLog.insertMany(db, [...rows, row({ id: "log_e", organization_id: elsewhere })]);
    assert.equal(await auditLog.nextOrganization(db, null), elsewhere);
    assert.equal(await auditLog.nextOrganization(db, elsewhere), here);
    assert.equal(await auditLog.nextOrganization(db, here), null);
    const limits = { before: began + 3 * hour, limit: 2 };
    assert.equal(await auditLog.removeOlder(db, here, limits), 2);
    const left = await auditLog.list(db, here, { filter: {}, limit: 10, offset: 0 });
    assert.deepEqual(left.map(({ id }) => id), ["log_a", "log_b"]);
    assert.equal(await auditLog.removeOlder(db, here, limits), 1);
    assert.equal(await auditLog.removeOlder(db, here, limits), 0);
    assert.equal(await auditLog.count(db, here, {}), 1);
    assert.equal(await auditLog.count(db, elsewhere, {}), 1);
  });
});
