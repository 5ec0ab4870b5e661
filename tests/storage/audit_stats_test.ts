import assert from "node:assert/strict";
import * as auditStats from "../../server/storage/audit_stats.ts";
import type { AuditLogTable } from "../../server/storage/schema.ts";
import { onEachDatabase } from "../support/databases.ts";
import { accepts, began, day, filtersOf, here, hour, withSample } from "./audit_log_sample.ts";

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
