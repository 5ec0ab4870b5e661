import { type Expression, sql } from "kysely";
import { type Filter, matching } from "./audit_log.ts";
import type { Db } from "./dialect.ts";

/** What some rows of the log amount to; errors are denied and failed calls, durations milliseconds. */
export interface Totals {
  calls: number;
  errors: number;
  denied: number;
  averageMs: number;
}

/** The totals of the interval that begins at `start` (milliseconds since 1970). */
export interface Point extends Totals {
  start: number;
}

export type Grouping = "tool" | "connection" | "user";

/** The totals of one tool, connection or user; `title` as it is named now, null where it is gone. */
export interface Group extends Totals {
  key: string;
  title: string | null;
  p50Ms: number;
  series: { start: number; calls: number; errors: number }[];
}

const columns = { tool: "tool_name", connection: "connection_id", user: "user_id" } as const;

const measures = {
  calls: sql<number>`count(*)`,
  errors: sql<number>`coalesce(sum(case when outcome != 'ok' then 1 else 0 end), 0)`,
  denied: sql<number>`coalesce(sum(case when outcome = 'denied' then 1 else 0 end), 0)`,
  averageMs: sql<number>`coalesce(avg(duration_ms), 0)`,
};

function startOf(timestamp: Expression<number>, intervalMs: number) {
  return sql<number>`${timestamp} - ${timestamp} % ${sql.lit(intervalMs)}`;
}

/** The totals of all rows that match. */
export async function totals(db: Db, organizationId: string, filter: Filter): Promise<Totals> {
  return await db.selectFrom("audit_log")
    .select([
      measures.calls.as("calls"),
      measures.errors.as("errors"),
      measures.denied.as("denied"),
      measures.averageMs.as("averageMs"),
    ])
    .where((eb) => matching(eb, organizationId, filter)).executeTakeFirstOrThrow();
}

/** The duration that `share` (0..1) of the `calls` rows that match do not exceed; 0 where there are none. */
export async function percentile(
  db: Db,
  organizationId: string,
  { filter, calls, share }: { filter: Filter; calls: number; share: number },
): Promise<number> {
  const row = await db.selectFrom("audit_log").select("duration_ms")
    .where((eb) => matching(eb, organizationId, filter))
    .orderBy("duration_ms").limit(1).offset(Math.max(0, Math.ceil(calls * share) - 1)).executeTakeFirst();
  return row?.duration_ms ?? 0;
}

/** The newest `limit` intervals in which there were calls, oldest first. */
export async function series(
  db: Db,
  organizationId: string,
  { filter, intervalMs, limit }: { filter: Filter; intervalMs: number; limit: number },
): Promise<Point[]> {
  const rows = await db.selectFrom("audit_log")
    .select((eb) => [
      startOf(eb.ref("timestamp"), intervalMs).as("start"),
      measures.calls.as("calls"),
      measures.errors.as("errors"),
      measures.denied.as("denied"),
      measures.averageMs.as("averageMs"),
    ])
    .where((eb) => matching(eb, organizationId, filter))
    .groupBy("start").orderBy("start", "desc").limit(limit).execute();
  return rows.reverse();
}

/** The `limit` tools, connections or users with the most calls, most first; series from `seriesFrom` on. */
export async function top(
  db: Db,
  organizationId: string,
  options: { filter: Filter; by: Grouping; limit: number; intervalMs: number; seriesFrom: number },
): Promise<Group[]> {
  const column = columns[options.by];
  const groups = await db.selectFrom("audit_log")
    .select((eb) => [
      eb.ref(column).$notNull().as("key"),
      measures.calls.as("calls"),
      measures.errors.as("errors"),
      measures.denied.as("denied"),
      measures.averageMs.as("averageMs"),
    ])
    .where((eb) => matching(eb, organizationId, options.filter)).where(column, "is not", null)
    .groupBy(column).orderBy("calls", "desc").orderBy(column).limit(options.limit).execute();
  if (groups.length === 0) return [];
  const scope = { ...options, column, keys: groups.map((group) => group.key) };
  const middles = await medians(db, organizationId, scope);
  const lines = await points(db, organizationId, scope);
  const titles = await titlesOf(db, organizationId, { ...scope, by: options.by });
  return groups.map((group) => ({
    ...group,
    title: titles.get(group.key) ?? null,
    p50Ms: middles.get(group.key) ?? 0,
    series: lines.get(group.key) ?? [],
  }));
}

/** The groups that are measured, and from when on their intervals. */
interface Scope {
  filter: Filter;
  column: typeof columns[Grouping];
  keys: string[];
  intervalMs: number;
  seriesFrom: number;
}

/** The median duration of each group in milliseconds. */
async function medians(
  db: Db,
  organizationId: string,
  scope: Pick<Scope, "filter" | "column" | "keys">,
): Promise<Map<string, number>> {
  const rows = await db.selectFrom((eb) =>
    eb.selectFrom("audit_log").select((inner) => {
      const group = inner.ref(scope.column);
      return [
        inner.ref(scope.column).$notNull().as("key"),
        "duration_ms",
        sql<number>`row_number() over (partition by ${group} order by duration_ms)`.as("place"),
        sql<number>`count(*) over (partition by ${group})`.as("size"),
      ];
    }).where((inner) => matching(inner, organizationId, scope.filter)).where(scope.column, "in", scope.keys)
      .as("ranked")
  ).select(["key", "duration_ms"])
    // The place ceil(size / 2), in whole numbers on every database.
    .where(sql<boolean>`place * 2 = size or place * 2 = size + 1`).execute();
  return new Map(rows.map((row) => [row.key, row.duration_ms]));
}

/** The intervals of each group in which there were calls, oldest first. */
export async function points(
  db: Db,
  organizationId: string,
  scope: Scope,
): Promise<Map<string, Group["series"]>> {
  const rows = await db.selectFrom("audit_log")
    .select((eb) => [
      eb.ref(scope.column).$notNull().as("key"),
      startOf(eb.ref("timestamp"), scope.intervalMs).as("start"),
      measures.calls.as("calls"),
      measures.errors.as("errors"),
    ])
    .where((eb) => matching(eb, organizationId, scope.filter)).where(scope.column, "in", scope.keys)
    .where("timestamp", ">=", scope.seriesFrom)
    .groupBy([scope.column, "start"]).orderBy("start").execute();
  const points = new Map<string, Group["series"]>();
  for (const { key, ...point } of rows) points.set(key, [...points.get(key) ?? [], point]);
  return points;
}

async function titlesOf(
  db: Db,
  organizationId: string,
  scope: { by: Grouping; keys: string[] },
): Promise<Map<string, string>> {
  if (scope.by === "tool") return new Map();
  const rows = scope.by === "connection"
    ? await db.selectFrom("connections").select(["id", "title"])
      .where("organization_id", "=", organizationId).where("id", "in", scope.keys).execute()
    : await db.selectFrom("users").select(["id", "name as title"]).where("id", "in", scope.keys).execute();
  return new Map(rows.map((row) => [row.id, row.title]));
}
