import assert from "node:assert/strict";
import * as health from "../../server/storage/connection_health.ts";
import * as connections from "../../server/storage/connections.ts";
import type { Db } from "../../server/storage/dialect.ts";
import { withMigrated } from "../support/accounts.ts";
import { addConnection } from "../support/connections.ts";
import { onEachDatabase } from "../support/databases.ts";

const now = 1_800_000_000_000;
const found = { dueAt: now + 300_000, checkedAt: now, failures: 0, result: '{"code":null}' };

function onDatabase(name: string, fn: (db: Db) => Promise<void>): void {
  onEachDatabase(name, (_t, url) => withMigrated(url, fn));
}

function add(db: Db, organizationId = "org_1"): Promise<string> {
  return addConnection(db, organizationId, { url: "http://127.0.0.1:9/mcp" });
}

/** Connections that are entered and due at `now`. */
async function entered(db: Db, count: number): Promise<string[]> {
  const ids: string[] = [];
  for (let i = 0; i < count; i++) ids.push(await add(db));
  await health.enrol(db, { now, spreadMs: 0, limit: 1000 });
  return ids;
}

onDatabase("health: every connection is entered once, its first check within the time given", async (db) => {
  const ids = [await add(db), await add(db, "org_2"), await add(db)];
  assert.equal(await health.enrol(db, { now, spreadMs: 60_000, limit: 2 }), 2);
  assert.equal(await health.enrol(db, { now, spreadMs: 60_000, limit: 2 }), 1);
  assert.equal(await health.enrol(db, { now, spreadMs: 60_000, limit: 2 }), 0);
  const rows = await health.due(db, { now: now + 60_000, limit: 10 });
  assert.deepEqual(rows.map((row) => row.connection_id).sort(), ids.toSorted());
  for (const row of rows) {
    assert.ok(row.due_at >= now && row.due_at < now + 60_000);
    assert.deepEqual([row.checked_at, row.ok_at, row.failures, row.result], [null, null, 0, null]);
  }
  assert.deepEqual(rows.map((row) => row.due_at), rows.map((row) => row.due_at).toSorted((a, b) => a - b));
  assert.equal(rows.find((row) => row.connection_id === ids[1])?.organization_id, "org_2");
});

onDatabase("health: processes that enter the same connections at once do no harm", async (db) => {
  for (let i = 0; i < 5; i++) await add(db);
  await Promise.all([1, 2, 3].map(() => health.enrol(db, { now, spreadMs: 0, limit: 1000 })));
  assert.equal((await health.due(db, { now, limit: 10 })).length, 5);
});

onDatabase("health: a check is taken by one process only, until its time is over", async (db) => {
  const ids = await entered(db, 3);
  assert.equal((await health.due(db, { now: now - 1, limit: 10 })).length, 0);
  const claims = await Promise.all(
    Array.from({ length: 4 }, () => ids).flat().map((connectionId) =>
      health.claim(db, "org_1", { connectionId, dueAt: now, until: now + 120_000 })
    ),
  );
  assert.equal(claims.filter(Boolean).length, 3);
  assert.deepEqual(await health.due(db, { now: now + 119_999, limit: 10 }), []);
  assert.equal((await health.due(db, { now: now + 120_000, limit: 2 })).length, 2);
  const [connectionId = ""] = ids;
  const again = { connectionId, dueAt: now + 120_000, until: now + 240_000 };
  assert.equal(await health.claim(db, "org_2", again), false, "another tenant's");
  assert.equal(await health.claim(db, "org_1", again), true);
  const late = { connectionId, claimed: now + 120_000, outcome: found };
  assert.equal(await health.settle(db, "org_1", late), false, "who was too slow writes nothing");
  assert.equal(await health.settle(db, "org_1", { ...late, claimed: now + 240_000 }), true);
});

onDatabase("health: what a check found stays, and the last success beside it", async (db) => {
  const [connectionId = "", other = ""] = await entered(db, 2);
  const claim = { connectionId, dueAt: now, until: now + 1 };
  assert.equal(await health.claim(db, "org_1", claim), true);
  const outcome = { ...found, okAt: now };
  assert.equal(await health.settle(db, "org_1", { connectionId, claimed: now + 1, outcome }), true);
  const worse = { ...found, checkedAt: now + 500, failures: 1, result: '{"code":"tcp"}' };
  await health.record(db, "org_1", { connectionId, outcome: worse });
  const rows = await health.list(db, "org_1", [connectionId, other, "conn_none"]);
  assert.deepEqual([...rows.keys()].sort(), [connectionId, other].sort());
  assert.deepEqual({ ...rows.get(connectionId) }, {
    connection_id: connectionId,
    organization_id: "org_1",
    due_at: now + 300_000,
    checked_at: now + 500,
    ok_at: now,
    failures: 1,
    result: '{"code":"tcp"}',
  });
  assert.equal((await health.list(db, "org_2", [connectionId])).size, 0);
  assert.equal((await health.list(db, "org_1", [])).size, 0);
  await health.hasten(db, "org_2", { connectionId, now: now + 7 });
  assert.equal((await health.list(db, "org_1", [connectionId])).get(connectionId)?.due_at, now + 300_000);
  await health.hasten(db, "org_1", { connectionId, now: now + 7 });
  assert.equal((await health.list(db, "org_1", [connectionId])).get(connectionId)?.due_at, now + 7);
});

onDatabase(
  "health: a test outside the schedule leaves a row where there is none, and goes with its connection",
  async (db) => {
    const connectionId = await add(db);
    await health.record(db, "org_1", { connectionId, outcome: { ...found, okAt: now } });
    assert.equal((await health.list(db, "org_1", [connectionId])).get(connectionId)?.ok_at, now);
    assert.equal(await health.enrol(db, { now, spreadMs: 0, limit: 10 }), 0);
    const fresh = await add(db);
    await health.hasten(db, "org_1", { connectionId: fresh, now });
    const [first] = await health.due(db, { now, limit: 10 });
    assert.deepEqual([first?.connection_id, first?.due_at, first?.checked_at], [fresh, now, null]);
    await connections.remove(db, "org_1", connectionId);
    assert.equal((await health.list(db, "org_1", [connectionId])).size, 0);
    await health.record(db, "org_1", { connectionId, outcome: found });
    await health.remove(db, "org_2", connectionId);
    assert.equal((await health.list(db, "org_1", [connectionId])).size, 1);
    await health.remove(db, "org_1", connectionId);
    assert.equal((await health.list(db, "org_1", [connectionId])).size, 0);
  },
);
