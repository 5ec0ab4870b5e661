import { type ExpressionBuilder, sql } from "kysely";
import type { Filter } from "./audit_log.ts";
import { points } from "./audit_stats.ts";
import { fields } from "./connections.ts";
import type { Db } from "./dialect.ts";
import { type Condition, whereOf } from "./filters.ts";
import type { Schema } from "./schema.ts";

const dayMs = 24 * 3600_000;
const maxMeasured = 200; // calls of a connection

/** A connection without its lists, and how it was used. */
export interface UsedConnection {
  id: string;
  title: string;
  description: string | null;
  connection_type: string;
  connection_url: string | null;
  status: string;
  status_reason: string | null;
  credential_mode: string;
  credential_type: string;
  oauth_config: string | null;
  /** Null while its server never listed any. */
  toolCount: number | null;
  calls: number;
  /** Half of its latest 200 calls were faster, in milliseconds; null without calls. */
  medianMs: number | null;
  /** Calls a day, oldest first. */
  daily: number[];
}

export type UsageOrder = "used" | "title" | "created";

/** What is listed: the days up to now that count (0: no figures), and whose calls where not all do. */
export interface UsageQuery {
  where: Condition | undefined;
  order: UsageOrder;
  days: number;
  onlyOfUser: string | undefined;
  limit: number;
  offset: number;
}

const orders = {
  used: sql`calls desc, title_lower asc, id asc`,
  title: sql`title_lower asc, id asc`,
  created: sql`created_at desc, id desc`,
} as const;

/** One page of an organization's connections with their use, and how many match in all. */
export async function list(
  db: Db,
  organizationId: string,
  query: UsageQuery,
): Promise<{ items: UsedConnection[]; totalCount: number }> {
  const today = Date.now() - Date.now() % dayMs;
  const from = today - (query.days - 1) * dayMs;
  const filter = { from, onlyOfUser: query.onlyOfUser };
  const { totalCount } = await db.selectFrom("connections").where("organization_id", "=", organizationId)
    .where(whereOf(query.where, fields)).select((eb) => eb.fn.countAll<number>().as("totalCount"))
    .executeTakeFirstOrThrow();
  const rows = await rowsOf(db, organizationId, { ...query, from });
  // What was not called has no figures to ask for.
  const keys = rows.filter(({ calls }) => calls > 0).map(({ id }) => id);
  const scope = { filter, column: "connection_id" as const, keys, intervalMs: dayMs, seriesFrom: from };
  const middles = await medians(db, organizationId, scope);
  const days = keys.length === 0 ? null : await points(db, organizationId, scope);
  const items = rows.map(({ known, tool_count, calls, ...row }) => ({
    ...row,
    toolCount: known ? tool_count : null,
    calls,
    medianMs: middles.get(row.id) ?? null,
    daily: Array.from({ length: query.days }, (_, day) => {
      const start = from + day * dayMs;
      return days?.get(row.id)?.find((point) => point.start === start)?.calls ?? 0;
    }),
  }));
  return { items, totalCount };
}

/** The median of each connection's latest calls: it costs the same however many there were. */
async function medians(
  db: Db,
  organizationId: string,
  { keys, filter: { from = 0, onlyOfUser } }: { keys: string[]; filter: Filter },
): Promise<Map<string, number>> {
  const found = keys.map(async (id): Promise<[string, number]> => {
    const latest = db.selectFrom("audit_log").select("duration_ms")
      .where("organization_id", "=", organizationId).where("connection_id", "=", id)
      .where("timestamp", ">=", from).orderBy("timestamp", "desc").limit(maxMeasured);
    const own = onlyOfUser === undefined ? latest : latest.where("user_id", "=", onlyOfUser);
    const sorted = (await own.execute()).map((row) => row.duration_ms).sort((a, b) => a - b);
    return [id, sorted[Math.ceil(sorted.length / 2) - 1] ?? 0];
  });
  return new Map(await Promise.all(found));
}

async function rowsOf(db: Db, organizationId: string, query: UsageQuery & { from: number }) {
  const known = db.selectFrom("connections")
    .select(["id", "title", "description", "connection_type", "connection_url", "status", "status_reason"])
    .select(["credential_mode", "credential_type", "oauth_config"])
    .select(["tool_count", sql<number>`case when tools is null then 0 else 1 end`.as("known")])
    .where("organization_id", "=", organizationId).where(whereOf(query.where, fields));
  const counted = query.days === 0 ? known.select(sql<number>`0`.as("calls")) : known.leftJoin(
    (eb) => countsOf(eb, organizationId, query).as("used"),
    (join) => join.onRef("used.connection_id", "=", "connections.id"),
  ).select(sql<number>`coalesce(used.counted, 0)`.as("calls"));
  return await counted.orderBy(orders[query.order]).limit(query.limit).offset(query.offset).execute();
}

function countsOf(
  eb: ExpressionBuilder<Schema, "connections">,
  organizationId: string,
  { from, onlyOfUser }: { from: number; onlyOfUser: string | undefined },
) {
  const counted = eb.selectFrom("audit_log")
    .select((log) => ["connection_id", log.fn.countAll<number>().as("counted")])
    .where("organization_id", "=", organizationId).where("timestamp", ">=", from);
  const own = onlyOfUser === undefined ? counted : counted.where("user_id", "=", onlyOfUser);
  return own.groupBy("connection_id");
}
