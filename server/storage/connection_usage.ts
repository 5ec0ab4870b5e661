import { sql } from "kysely";
import { medians, points } from "./audit_stats.ts";
import { fields } from "./connections.ts";
import type { Db } from "./dialect.ts";
import { type Condition, whereOf } from "./filters.ts";

const dayMs = 24 * 3600_000;

/** A connection without its lists, and how it was used. */
export interface UsedConnection {
  id: string;
  title: string;
  description: string | null;
  connection_type: string;
  connection_url: string | null;
  status: string;
  status_reason: string | null;
  /** Null while its server never listed any. */
  toolCount: number | null;
  calls: number;
  /** Half of its calls were faster, in milliseconds; null without calls. */
  medianMs: number | null;
  /** Calls a day, oldest first. */
  daily: number[];
}

export type UsageOrder = "used" | "title" | "created";

/** What is listed: the days up to now that count, and whose calls where not all do. */
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
  if (rows.length === 0) return { items: [], totalCount };
  const scope = {
    filter,
    column: "connection_id" as const,
    keys: rows.map(({ id }) => id),
    intervalMs: dayMs,
    seriesFrom: from,
  };
  const middles = await medians(db, organizationId, scope);
  const days = await points(db, organizationId, scope);
  const items = rows.map(({ known, tool_count, calls, ...row }) => ({
    ...row,
    toolCount: known ? tool_count : null,
    calls,
    medianMs: middles.get(row.id) ?? null,
    daily: Array.from({ length: query.days }, (_, day) => {
      return days.get(row.id)?.find(({ start }) => start === from + day * dayMs)?.calls ?? 0;
    }),
  }));
  return { items, totalCount };
}

async function rowsOf(db: Db, organizationId: string, query: UsageQuery & { from: number }) {
  const { from, onlyOfUser } = query;
  return await db.selectFrom("connections")
    .leftJoin(
      (eb) => {
        const counted = eb.selectFrom("audit_log")
          .select((log) => ["connection_id", log.fn.countAll<number>().as("counted")])
          .where("organization_id", "=", organizationId).where("timestamp", ">=", from);
        const own = onlyOfUser === undefined ? counted : counted.where("user_id", "=", onlyOfUser);
        return own.groupBy("connection_id").as("used");
      },
      (join) => join.onRef("used.connection_id", "=", "connections.id"),
    )
    .select([
      "id",
      "title",
      "description",
      "connection_type",
      "connection_url",
      "status",
      "status_reason",
      "tool_count",
      sql<number>`coalesce(used.counted, 0)`.as("calls"),
      sql<number>`case when tools is null then 0 else 1 end`.as("known"),
    ])
    .where("organization_id", "=", organizationId).where(whereOf(query.where, fields))
    .orderBy(orders[query.order]).limit(query.limit).offset(query.offset).execute();
}
