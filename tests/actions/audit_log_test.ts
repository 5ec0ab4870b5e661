import assert from "node:assert/strict";
import type { Actor } from "../../server/access/actor.ts";
import { getLog, getStats, listLogs } from "../../server/actions/audit_log.ts";
import type { Services } from "../../server/services.ts";
import type { AuditEntry } from "../../server/audit.ts";
import { entry } from "../audit/support.ts";
import { onEachDatabase } from "../support/databases.ts";
import { company, keyOf, refusal, run } from "../support/people.ts";
import { onServices, withServices } from "../support/services.ts";

const hour = 3_600_000;
const day = 24 * hour;
const noon = Date.UTC(2026, 0, 10, 12);

/** Records a call of somebody at a known time. */
function record(services: Services, actor: Actor, { requestId = "req_0", ...changes }: Partial<AuditEntry>) {
  services.audit.record(entry(requestId, {
    organizationId: actor.organizationId ?? "",
    userId: actor.userId,
    timestamp: noon,
    ...changes,
  }));
}

/** What an actor sees of the recorded calls, management actions left out. */
async function seen(
  services: Services,
  actor: Actor,
  input: Record<string, unknown> = {},
): Promise<string[]> {
  const { logs } = await run(services, actor, {
    action: listLogs,
    input: { connectionId: "conn_a", ...input },
  });
  return logs.map(({ requestId }) => requestId);
}

onEachDatabase("a recorded call is listed at once, with the fields of the contract", async (_t, url) => {
  await withServices(url, async (services) => {
    const { owner, organization } = await company(services, "Blue");
    record(services, owner, {
      requestId: "req_1",
      gatewayId: "gw_1",
      output: { content: [], isError: true },
      outcome: "failed",
      errorMessage: "It did not work",
      keyId: "key_1",
      clientId: "client_1",
      traceId: "trace_1",
      upstreamStatus: 200,
      requestBytes: 10,
      responseBytes: 20,
      properties: { env: "prod" },
    });
    const { logs, ...page } = await run(services, owner, { action: listLogs, input: { toolName: "search" } });
    assert.deepEqual(page, { total: 1, offset: 0, limit: 100 });
    const [log] = logs;
    assert.deepEqual(log, {
      id: log?.id,
      organizationId: organization.id,
      connectionId: "conn_a",
      connectionTitle: "A",
      gatewayId: "gw_1",
      toolName: "search",
      method: "tools/call",
      input: { query: "ä 😀", limit: 5 },
      output: { content: [], isError: true },
      isError: true,
      outcome: "failed",
      errorMessage: "It did not work",
      durationMs: 1.25,
      timestamp: "2026-01-10T12:00:00.000Z",
      userId: owner.userId,
      keyId: "key_1",
      clientId: "client_1",
      requestId: "req_1",
      traceId: "trace_1",
      userAgent: "test/1.0",
      upstreamStatus: 200,
      requestBytes: 10,
      responseBytes: 20,
      properties: { env: "prod" },
    });
    assert.deepEqual(await run(services, owner, { action: getLog, input: { id: log?.id } }), { log });
  });
});

onServices("owners and admins see all rows, others those of their own calls", async (services) => {
  const { owner, admin, user } = await company(services, "Blue");
  const other = await company(services, "Red");
  for (const [i, actor] of [owner, admin, user, user, other.owner].entries()) {
    record(services, actor, { requestId: `req_${i}`, timestamp: noon + i, durationMs: i });
  }
  assert.deepEqual(await seen(services, owner), ["req_3", "req_2", "req_1", "req_0"]);
  assert.deepEqual(await seen(services, admin), ["req_3", "req_2", "req_1", "req_0"]);
  assert.deepEqual(await seen(services, user), ["req_3", "req_2"]);
  assert.deepEqual(
    await seen(services, user, { userId: owner.userId }),
    [],
    "asking for others gives nothing",
  );
  assert.deepEqual(await seen(services, user, { search: "req_0" }), []);
  assert.deepEqual(await seen(services, other.owner), ["req_4"]);
  const key = await keyOf(services, user, { permissions: { "*": ["*"] } });
  assert.deepEqual(await seen(services, key), ["req_3", "req_2"], "a key sees what its owner sees");

  const { logs } = await run(services, owner, { action: listLogs, input: { connectionId: "conn_a" } });
  for (const { id, requestId } of logs) {
    const own = requestId === "req_2" || requestId === "req_3";
    const attempt = run(services, user, { action: getLog, input: { id } });
    if (own) assert.equal((await attempt).log.id, id);
    else assert.equal((await refusal(attempt)).code, "not_found", requestId);
    const foreign = await refusal(run(services, other.owner, { action: getLog, input: { id } }));
    assert.equal(foreign.code, "not_found");
    assert.equal(foreign.message, `Cannot get the log: there is no log '${id}'`);
  }

  const stats = (actor: Actor) =>
    run(services, actor, { action: getStats, input: { connectionId: "conn_a", groupBy: "user" } });
  assert.equal((await stats(owner)).totalCalls, 4);
  const own = await stats(user);
  assert.deepEqual([own.totalCalls, own.avgDurationMs, own.p50, own.p95], [2, 2.5, 2, 3]);
  assert.deepEqual(own.top.map(({ key, title }) => [key, title]), [[user.userId, "Blue-user"]]);
});

onServices("the list is narrowed by each input and paged", async (services) => {
  const { owner, user } = await company(services, "Blue");
  record(services, owner, {
    requestId: "req_a",
    toolName: "fetch",
    outcome: "denied",
    timestamp: noon - day,
  });
  record(services, user, { requestId: "req_b", gatewayId: "gw_1", properties: { env: "prod", team: "a" } });
  record(services, owner, { requestId: "req_c", outcome: "failed", timestamp: noon + 1 });
  record(services, owner, { requestId: "req_d", connectionId: "conn_b", timestamp: noon + day });
  const cases: [Record<string, unknown>, string[]][] = [
    [{}, ["req_c", "req_b", "req_a"]],
    [{ connectionId: "conn_b" }, ["req_d"]],
    [{ gatewayId: "gw_1" }, ["req_b"]],
    [{ toolName: "fetch" }, ["req_a"]],
    [{ userId: user.userId }, ["req_b"]],
    [{ isError: true }, ["req_c", "req_a"]],
    [{ isError: false }, ["req_b"]],
    [{ outcome: "denied" }, ["req_a"]],
    [{ search: "FETCH" }, ["req_a"]],
    [{ search: "blue-USER" }, ["req_b"]],
    [{ properties: { env: "prod" } }, ["req_b"]],
    [{ properties: { env: "prod", team: "b" } }, []],
    [{ startDate: "2026-01-10" }, ["req_c", "req_b"]],
    [{ endDate: "2026-01-09" }, ["req_a"]],
    [{ endDate: "2026-01-10" }, ["req_c", "req_b", "req_a"]],
    [{ startDate: "2026-01-10T12:00:00.001Z" }, ["req_c"]],
    [{ startDate: "2026-01-10T12:00:00", endDate: "2026-01-10T12:00:00" }, ["req_b"]],
    [{ startDate: "2026-01-10T14:00:00.001+02:00" }, ["req_c"]],
    [{ limit: 2 }, ["req_c", "req_b"]],
    [{ limit: 2, offset: 2 }, ["req_a"]],
    [{ offset: 3 }, []],
  ];
  for (const [input, expected] of cases) {
    assert.deepEqual(await seen(services, owner, input), expected, JSON.stringify(input));
  }
  const page = await run(services, owner, {
    action: listLogs,
    input: { connectionId: "conn_a", limit: 1, offset: 1 },
  });
  assert.deepEqual([page.total, page.limit, page.offset, page.logs.length], [3, 1, 1, 1]);
});

onServices("inputs that cannot be understood are refused by name", async (services) => {
  const { owner } = await company(services, "Blue");
  const cases: [string, unknown][] = [
    ["limit", 0],
    ["limit", 1001],
    ["limit", 1.5],
    ["offset", -1],
    ["offset", 1e12],
    ["startDate", "yesterday"],
    ["endDate", "2026-02-30"],
    ["endDate", 5],
    ["toolName", "a\0b"],
    ["search", "x".repeat(501)],
    ["outcome", "lost"],
    ["isError", "true"],
    ["properties", { a: 1 }],
  ];
  for (const [field, value] of cases) {
    const input = { [field]: value };
    const error = await refusal(run(services, owner, { action: listLogs, input }));
    assert.equal(error.code, "invalid", JSON.stringify(input));
    assert.ok(Object.keys(error.fields ?? {})[0]?.startsWith(field), JSON.stringify(error.fields));
  }
  for (const input of [{ interval: "2h" }, { groupBy: "weather" }]) {
    assert.equal((await refusal(run(services, owner, { action: getStats, input }))).code, "invalid");
  }
  for (const input of [{}, { id: 1 }]) {
    assert.equal((await refusal(run(services, owner, { action: getLog, input }))).code, "invalid");
  }
});

onEachDatabase("statistics: counts, durations, series and top", async (_t, url) => {
  await withServices(url, async (services) => {
    const { owner, user } = await company(services, "Blue");
    for (let i = 0; i < 20; i++) {
      record(services, i % 4 === 0 ? user : owner, {
        requestId: `req_${i}`,
        toolName: i % 5 === 0 ? "fetch" : "search",
        outcome: i === 3 ? "failed" : i === 4 ? "denied" : "ok",
        durationMs: i + 1,
        timestamp: noon + Math.floor(i / 10) * 2 * hour,
      });
    }
    const span = { startDate: "2026-01-10T11:30:00Z", endDate: "2026-01-10T15:00:00Z" };
    const stats = await run(services, owner, { action: getStats, input: span });
    assert.deepEqual({ ...stats, series: [], top: [] }, {
      totalCalls: 20,
      errorRate: 0.1,
      errorRatePercent: "10.00%",
      avgDurationMs: 10.5,
      p50: 10,
      p95: 19,
      series: [],
      top: [],
    });
    const hours = [11, 12, 13, 14, 15].map((at) => `2026-01-10T${at}:00:00.000Z`);
    assert.deepEqual(stats.series, [
      { timestamp: hours[0], calls: 0, errors: 0, denied: 0, avgDurationMs: 0 },
      { timestamp: hours[1], calls: 10, errors: 2, denied: 1, avgDurationMs: 5.5 },
      { timestamp: hours[2], calls: 0, errors: 0, denied: 0, avgDurationMs: 0 },
      { timestamp: hours[3], calls: 10, errors: 0, denied: 0, avgDurationMs: 15.5 },
      { timestamp: hours[4], calls: 0, errors: 0, denied: 0, avgDurationMs: 0 },
    ]);
    const fetches = [0, 2, 0, 2, 0].map((calls, i) => ({ timestamp: hours[i], calls, errors: 0 }));
    assert.deepEqual(
      stats.top.map(({ key, title, calls, errors, p50Ms }) => [key, title, calls, errors, p50Ms]),
      [
        ["search", null, 16, 2, 10],
        ["fetch", null, 4, 0, 6],
      ],
    );
    assert.deepEqual(stats.top[1]?.series, fetches);

    const byUser = await run(services, owner, { action: getStats, input: { ...span, groupBy: "user" } });
    assert.deepEqual(byUser.top.map(({ title, calls, denied }) => [title, calls, denied]), [
      ["Blue-owner", 15, 0],
      ["Blue-user", 5, 1],
    ]);
    const week = { startDate: "2026-01-04", endDate: "2026-01-10", interval: "1d", groupBy: "connection" };
    const byConnection = await run(services, owner, { action: getStats, input: week });
    assert.deepEqual(
      byConnection.top.map(({ key, calls, p50Ms, series }) => [key, calls, p50Ms, series.length]),
      [
        ["conn_a", 20, 10, 7],
      ],
    );
    assert.deepEqual(byConnection.top[0]?.series.map(({ calls }) => calls), [0, 0, 0, 0, 0, 0, 20]);
  });
});

onServices("statistics of nothing are zero, and a long time is cut to its newest end", async (services) => {
  const { owner } = await company(services, "Blue");
  const nothing = { startDate: "2020-01-01", endDate: "2020-01-01", interval: "1d" };
  const none = await run(services, owner, { action: getStats, input: nothing });
  assert.deepEqual(none, {
    totalCalls: 0,
    errorRate: 0,
    errorRatePercent: "0.00%",
    avgDurationMs: 0,
    p50: 0,
    p95: 0,
    series: [{ timestamp: "2020-01-01T00:00:00.000Z", calls: 0, errors: 0, denied: 0, avgDurationMs: 0 }],
    top: [],
  });
  const now = Date.now();
  record(services, owner, { requestId: "req_1", timestamp: now });
  const input = { startDate: "1971-01-01", endDate: "2999-01-01", interval: "1m", connectionId: "conn_a" };
  const { series, top } = await run(services, owner, { action: getStats, input });
  assert.equal(series.length, 1500);
  assert.equal(top[0]?.series.length, 31);
  assert.equal(series.reduce((sum, { calls }) => sum + calls, 0), 1);
  assert.ok(Date.parse(series.at(-1)?.timestamp ?? "") <= Date.now(), "no empty future");
  const unbounded = await run(services, owner, { action: getStats, input: { connectionId: "conn_a" } });
  assert.equal(unbounded.series.length, 1);
});

onServices("looking at the log is itself allowed or denied, and a denial is a row", async (services) => {
  const { owner, user } = await company(services, "Blue");
  const blind = await keyOf(services, user, { permissions: { conn_a: ["*"] } });
  for (
    const attempt of [run(services, blind, { action: listLogs }), run(services, blind, { action: getStats })]
  ) {
    const error = await refusal(attempt);
    assert.equal(error.code, "forbidden");
    assert.match(error.message, /'MONITORING_(LOGS_LIST|STATS)' on 'self'/);
  }
  const { logs } = await run(services, owner, { action: listLogs, input: { outcome: "denied" } });
  assert.deepEqual(logs.map(({ toolName }) => toolName).sort(), ["MONITORING_LOGS_LIST", "MONITORING_STATS"]);
  assert.ok(logs.every(({ keyId }) => keyId === blind.keyId));
});

onServices("far too much input is refused with one complaint", async (services) => {
  const { user } = await company(services, "Blue");
  const labels = (length: number, label: unknown) =>
    Object.fromEntries(Array.from({ length }, (_, i) => [`label-${i}`, label]));
  for (const properties of [labels(51, "x"), labels(300_000, 0)]) {
    const { code, fields } = await refusal(
      run(services, user, { action: listLogs, input: { properties } }),
    );
    assert.equal(code, "invalid");
    assert.deepEqual(fields, { properties: "it must not hold more than 50 values" });
  }
  assert.deepEqual(await seen(services, user, { properties: labels(50, "x") }), []);
  const { fields } = await refusal(
    run(services, user, { action: listLogs, input: { properties: labels(50, 0) } }),
  );
  assert.equal(Object.keys(fields ?? {}).length, 50);
});
