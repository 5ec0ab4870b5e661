import assert from "node:assert/strict";
import * as auditLog from "../../server/storage/audit_log.ts";
import * as auditStats from "../../server/storage/audit_stats.ts";
import type { Db } from "../../server/storage/dialect.ts";
import type { AuditLogTable } from "../../server/storage/schema.ts";
import { addUser, withMigrated } from "../support/accounts.ts";
import { onEachDatabase } from "../support/databases.ts";

const here = "org_here";
const elsewhere = "org_elsewhere";
const began = Date.UTC(2026, 0, 1);
const hour = 3_600_000;
const day = 24 * hour;

/** Numbers that look random and are the same in each run. */
function dice(seed: number): (sides: number) => number {
  let state = seed;
  return (sides) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor(state / 2 ** 32 * sides);
  };
}

const labels = [
  null,
  { env: "prod", team: "a" },
  { env: "PROD" },
  { 'x"env': "prod" },
  { note: ',"env":"prod"' },
  { team: "prod", env: "prod%" },
];
const tools = ["search", "Fetch", "send_mail", "100%", null];

function row(changes: Partial<AuditLogTable>): AuditLogTable {
  return {
    id: "log_0",
    organization_id: here,
    connection_id: "conn_a",
    connection_title: "A",
    gateway_id: null,
    tool_name: "search",
    method: "tools/call",
    input: '{"q":"ä"}',
    output: null,
    outcome: "ok",
    error_message: null,
    duration_ms: 1.5,
    timestamp: began,
    user_id: null,
    key_id: null,
    client_id: null,
    request_id: "req_0",
    trace_id: null,
    user_agent: null,
    upstream_status: null,
    request_bytes: 0,
    response_bytes: 0,
    properties: null,
    ...changes,
  };
}

function manyRows(users: string[]): AuditLogTable[] {
  const roll = dice(7);
  return Array.from({ length: 400 }, (_, i) => {
    const outcome = ["ok", "ok", "ok", "denied", "failed"][roll(5)] ?? "ok";
    const labelled = labels[roll(labels.length)];
    return row({
      id: `log_${String(i).padStart(5, "0")}`,
      organization_id: roll(8) === 0 ? elsewhere : here,
      connection_id: ["conn_a", "conn_b", "self"][roll(3)] ?? "self",
      gateway_id: [null, "gw_a"][roll(2)] ?? null,
      tool_name: tools[roll(tools.length)] ?? null,
      outcome,
      error_message: outcome === "ok" ? null : "It did not work",
      duration_ms: roll(20_000) / 16,
      timestamp: began + roll(100) * hour / 2,
      user_id: [null, ...users][roll(users.length + 1)] ?? null,
      request_id: `Req_${i % 50}_x`,
      properties: labelled ? JSON.stringify(labelled) : null,
    });
  });
}

/** What the filter means, computed without a database. */
function accepts(filter: auditLog.Filter, names: Map<string, string>): (row: AuditLogTable) => boolean {
  const search = filter.search?.toLowerCase();
  return (row) =>
    row.organization_id === here &&
    (filter.connectionId === undefined || row.connection_id === filter.connectionId) &&
    (filter.gatewayId === undefined || row.gateway_id === filter.gatewayId) &&
    (filter.toolName === undefined || row.tool_name === filter.toolName) &&
    (filter.userId === undefined || row.user_id === filter.userId) &&
    (filter.onlyOfUser === undefined || row.user_id === filter.onlyOfUser) &&
    (filter.isError === undefined || (row.outcome !== "ok") === filter.isError) &&
    (filter.outcome === undefined || row.outcome === filter.outcome) &&
    (filter.from === undefined || row.timestamp >= filter.from) &&
    (filter.to === undefined || row.timestamp <= filter.to) &&
    (search === undefined ||
      [row.tool_name, row.request_id, names.get(row.user_id ?? "")].some((text) =>
        text?.toLowerCase().includes(search)
      )) &&
    Object.entries(filter.properties ?? {}).every(([name, value]) =>
      JSON.parse(row.properties ?? "{}")[name] === value
    );
}

function filtersOf(users: string[]): auditLog.Filter[] {
  return [
    {},
    { connectionId: "conn_a" },
    { connectionId: "self", outcome: "denied" },
    { gatewayId: "gw_a", isError: true },
    { toolName: "Fetch" },
    { toolName: "fetch" },
    { userId: users[0] },
    { userId: users[0], onlyOfUser: users[1] },
    { onlyOfUser: users[1], isError: false },
    { from: began + 10 * hour, to: began + 20 * hour },
    { from: began + 5000 * hour },
    { search: "FETCH" },
    { search: "100%" },
    { search: "_mail" },
    { search: "req_7_" },
    { search: "ada" },
    { search: "@example.com", isError: true },
    { search: "!" },
    { search: "' or 1=1 --" },
    { properties: { env: "prod" } },
    { properties: { env: "PROD" } },
    { properties: { env: "prod%" } },
    { properties: { 'x"env': "prod" } },
    { properties: { env: "prod", team: "a" } },
    { properties: { note: ',"env":"prod"' } },
    { properties: { none: "" } },
  ];
}

interface Sample {
  db: Db;
  rows: AuditLogTable[];
  users: string[];
  /** "name e-mail" by user. */
  names: Map<string, string>;
}

async function withSample(url: string, work: (sample: Sample) => Promise<void>): Promise<void> {
  await withMigrated(url, async (db) => {
    const people = [await addUser(db, "Ada"), await addUser(db, "Grace")];
    const users = people.map(({ id }) => id);
    const rows = manyRows(users);
    await auditLog.insertMany(db, rows);
    const names = new Map(people.map(({ id, name, email }) => [id, `${name} ${email}`]));
    await work({ db, rows, users, names });
  });
}

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

function summarize(rows: AuditLogTable[]) {
  const sum = rows.reduce((total, { duration_ms }) => total + duration_ms, 0);
  return {
    calls: rows.length,
    errors: rows.filter(({ outcome }) => outcome !== "ok").length,
    denied: rows.filter(({ outcome }) => outcome === "denied").length,
    averageMs: rows.length === 0 ? 0 : sum / rows.length,
  };
}

function atShare(rows: AuditLogTable[], share: number): number {
  const sorted = rows.map(({ duration_ms }) => duration_ms).sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0;
}

function grouped<K>(rows: AuditLogTable[], keyOf: (row: AuditLogTable) => K): Map<K, AuditLogTable[]> {
  const groups = new Map<K, AuditLogTable[]>();
  for (const row of rows) groups.set(keyOf(row), [...groups.get(keyOf(row)) ?? [], row]);
  return groups;
}

function near(actual: number, expected: number): void {
  assert.ok(Math.abs(actual - expected) < 1e-6, `${actual} is not ${expected}`);
}

onEachDatabase("audit log: totals, percentiles and series are what a computation gives", async (_t, url) => {
  await withSample(url, async ({ db, rows, users, names }) => {
    for (const filter of filtersOf(users)) {
      const matching = rows.filter(accepts(filter, names));
      const { averageMs, ...counts } = summarize(matching);
      const totals = await auditStats.totals(db, here, filter);
      near(totals.averageMs, averageMs);
      assert.deepEqual({ ...totals, averageMs: 0 }, { ...counts, averageMs: 0 });
      for (const share of [0, 0.5, 0.95, 1]) {
        const options = { filter, calls: totals.calls, share };
        assert.equal(await auditStats.percentile(db, here, options), atShare(matching, share));
      }
      for (const intervalMs of [hour, day]) {
        const points = await auditStats.series(db, here, { filter, intervalMs, limit: 3 });
        const expected = [...grouped(matching, ({ timestamp }) => timestamp - timestamp % intervalMs)]
          .sort(([a], [b]) => a - b).slice(-3)
          .map(([start, members]) => ({ start, ...summarize(members) }));
        points.forEach((point, i) => near(point.averageMs, expected[i]?.averageMs ?? NaN));
        const plain = (point: auditStats.Point) => ({ ...point, averageMs: 0 });
        assert.deepEqual(points.map(plain), expected.map(plain));
      }
    }
  });
});

onEachDatabase("audit log: the top of each grouping is what a computation gives", async (_t, url) => {
  await withSample(url, async ({ db, rows, users, names }) => {
    const keys = { tool: "tool_name", connection: "connection_id", user: "user_id" } as const;
    const seriesFrom = began + day;
    for (const filter of [{}, { isError: true }, { onlyOfUser: users[0] }, { search: "no such thing" }]) {
      for (const by of ["tool", "connection", "user"] as const) {
        const groups = await auditStats.top(db, here, { filter, by, limit: 3, intervalMs: day, seriesFrom });
        const expected = [...grouped(rows.filter(accepts(filter, names)), (row) => row[keys[by]])]
          .flatMap(([key, members]) => key === null ? [] : [{ key, members, ...summarize(members) }])
          .sort((a, b) => b.calls - a.calls || (a.key < b.key ? -1 : 1)).slice(0, 3);
        assert.deepEqual(groups.map(({ key, calls, errors, denied }) => ({ key, calls, errors, denied })), [
          ...expected.map(({ key, calls, errors, denied }) => ({ key, calls, errors, denied })),
        ]);
        for (const [i, group] of groups.entries()) {
          const { members = [] } = expected[i] ?? {};
          assert.equal(group.p50Ms, atShare(members, 0.5));
          const later = members.filter(({ timestamp }) => timestamp >= seriesFrom);
          const points = [...grouped(later, ({ timestamp }) => timestamp - timestamp % day)]
            .sort(([a], [b]) => a - b)
            .map(([start, inside]) => ({
              start,
              calls: inside.length,
              errors: inside.filter(({ outcome }) => outcome !== "ok").length,
            }));
          assert.deepEqual(group.series, points);
          assert.equal(group.title, by === "user" ? names.get(group.key)?.split(" ")[0] : null);
        }
      }
    }
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
