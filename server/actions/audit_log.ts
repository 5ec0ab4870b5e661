import { z } from "zod";
import { isManager } from "../access/policy.ts";
import { AppError } from "../errors.ts";
import * as auditLog from "../storage/audit_log.ts";
import * as auditStats from "../storage/audit_stats.ts";
import { type Context, defineAction, organizationOf } from "./action.ts";
import { atMost, isoOf } from "./fields.ts";

/** Text to compare with; not every database can be asked for a NUL. */
const word = z.string().max(500).refine((value) => !value.includes("\0"), "it must not contain a NUL");
const maxLabels = 50; // each makes the query longer
const date = z.union([z.iso.datetime({ offset: true, local: true }), z.iso.date()]);
const startDate = date.optional().describe("Only from this time on: ISO 8601 date or date and time, UTC");
const endDate = date.optional().describe("Only up to this time, inclusive; a date means the end of that day");

const text = z.string().nullable();

const log = z.object({
  id: z.string(),
  organizationId: z.string(),
  connectionId: z.string().describe("The connection, or 'self' for actions of the mesh"),
  connectionTitle: text.describe("The connection's title at that time"),
  gatewayId: text,
  toolName: text,
  method: z.string().describe("The JSON-RPC method"),
  input: z.unknown().describe("The tool's arguments, secrets replaced, long parts cut"),
  output: z.unknown().describe("The answer, secrets replaced, long parts cut"),
  isError: z.boolean(),
  outcome: z.enum(["ok", "denied", "failed"]),
  errorMessage: text,
  durationMs: z.number(),
  timestamp: z.string().describe("ISO 8601"),
  userId: text,
  keyId: text,
  clientId: text,
  requestId: z.string(),
  traceId: text,
  userAgent: text,
  upstreamStatus: z.number().nullable().describe("The HTTP status of the upstream server's answer"),
  requestBytes: z.number(),
  responseBytes: z.number(),
  properties: z.record(z.string(), z.string()).nullable(),
});

export const listLogs = defineAction({
  name: "MONITORING_LOGS_LIST",
  title: "List logged calls",
  description:
    "Lists recorded calls and actions, newest first. Owners and admins see those of the whole organization, others their own.",
  readOnly: true,
  input: z.object({
    connectionId: word.optional().describe("Only calls of this connection; 'self' for the mesh's own"),
    gatewayId: word.optional().describe("Only calls that came through this gateway"),
    toolName: word.optional().describe("Only calls of this tool"),
    userId: word.optional().describe("Only calls of this user"),
    isError: z.boolean().optional().describe("true: only denied and failed calls; false: only the others"),
    outcome: z.enum(["ok", "denied", "failed"]).optional().describe("Only calls that ended so"),
    startDate,
    endDate,
    search: word.optional().describe(
      "Only calls in which this is part of the tool name, the request id, or the user's name or e-mail address",
    ),
    properties: atMost(maxLabels, z.record(word, word)).optional().describe(
      "Only calls with all of these labels",
    ),
    limit: z.int().min(1).max(1000).default(100).describe("At most so many rows"),
    offset: z.int().min(0).max(1_000_000_000).default(0).describe("Leaves out so many of the newest rows"),
  }),
  output: z.object({
    logs: z.array(log),
    total: z.number().describe("How many rows match in all"),
    offset: z.number(),
    limit: z.number(),
  }),
  run: async (ctx, { limit, offset, startDate, endDate, ...narrow }) => {
    const organizationId = organizationOf(ctx);
    const filter = { ...narrow, ...period(startDate, endDate), onlyOfUser: scopeOf(ctx) };
    await ctx.audit.flush();
    const rows = await auditLog.list(ctx.db, organizationId, { filter, limit, offset });
    const total = await auditLog.count(ctx.db, organizationId, filter);
    return { logs: rows.map(logOf), total, offset, limit };
  },
});

export const getLog = defineAction({
  name: "MONITORING_LOG_GET",
  title: "Get a logged call",
  description: "Gives one recorded call or action.",
  readOnly: true,
  input: z.object({ id: z.string().describe("The id of the row, log_...") }),
  output: z.object({ log }),
  run: async (ctx, { id }) => {
    await ctx.audit.flush();
    const row = await auditLog.find(ctx.db, organizationOf(ctx), id);
    const scope = scopeOf(ctx);
    if (!row || (scope !== undefined && row.userId !== scope)) {
      throw new AppError("not_found", `Cannot get the log: there is no log '${id}'`);
    }
    return { log: logOf(row) };
  },
});

const minuteMs = 60_000;
const intervals = { "1m": minuteMs, "5m": 5 * minuteMs, "1h": 60 * minuteMs, "1d": 24 * 60 * minuteMs };
/** The most points of the series, and of the series of each group. */
const maxPoints = { all: 1500, group: 31 };
const maxGroups = { tool: 50, user: 50, connection: 1000 };

const point = z.object({
  timestamp: z.string().describe("When the interval begins, ISO 8601, UTC"),
  calls: z.number(),
  errors: z.number(),
});

export const getStats = defineAction({
  name: "MONITORING_STATS",
  title: "Get call statistics",
  description:
    "Counts recorded calls and measures their durations, over time and by tool, connection or user. Owners and admins see the whole organization, others their own calls.",
  readOnly: true,
  input: z.object({
    startDate,
    endDate,
    interval: z.enum(["1m", "5m", "1h", "1d"]).default("1h").describe("The length of the series' intervals"),
    groupBy: z.enum(["tool", "connection", "user"]).default("tool").describe("What `top` lists"),
    connectionId: word.optional().describe("Only calls of this connection"),
  }),
  output: z.object({
    totalCalls: z.number(),
    errorRate: z.number().describe("The share of denied and failed calls, 0 to 1"),
    errorRatePercent: z.string().describe("The same as text, such as '2.50%'"),
    avgDurationMs: z.number(),
    p50: z.number().describe("The median duration in milliseconds"),
    p95: z.number().describe("The duration in milliseconds that 95 of 100 calls do not exceed"),
    series: z.array(point.extend({ denied: z.number(), avgDurationMs: z.number() })).describe(
      "Oldest first; with a startDate also the intervals without calls; at most the newest 1500",
    ),
    top: z.array(z.object({
      key: z.string().describe("The tool's name, or the id of the connection or user"),
      title: text.describe("The name of the connection or user, where it exists"),
      calls: z.number(),
      errors: z.number(),
      denied: z.number(),
      avgDurationMs: z.number(),
      p50Ms: z.number(),
      series: z.array(point).describe("As `series`, at most the newest 31"),
    })).describe("Most calls first"),
  }),
  run: async (ctx, input) => {
    const organizationId = organizationOf(ctx);
    const span = period(input.startDate, input.endDate);
    const filter = { ...span, connectionId: input.connectionId, onlyOfUser: scopeOf(ctx) };
    await ctx.audit.flush();
    const totals = await auditStats.totals(ctx.db, organizationId, filter);
    const share = (part: number) =>
      auditStats.percentile(ctx.db, organizationId, { filter, calls: totals.calls, share: part });
    return {
      totalCalls: totals.calls,
      errorRate: rate(totals),
      errorRatePercent: `${(rate(totals) * 100).toFixed(2)}%`,
      avgDurationMs: totals.averageMs,
      p50: await share(0.5),
      p95: await share(0.95),
      ...await overTime(ctx, filter, input),
    };
  },
});

async function overTime(
  ctx: Context,
  filter: auditLog.Filter,
  { interval, groupBy: by }: { interval: keyof typeof intervals; groupBy: auditStats.Grouping },
) {
  const organizationId = organizationOf(ctx);
  const intervalMs = intervals[interval];
  const points = await auditStats.series(ctx.db, organizationId, {
    filter,
    intervalMs,
    limit: maxPoints.all,
  });
  const last = lastInterval(filter.to, { points, intervalMs });
  const seriesFrom = Math.max(filter.from ?? 0, last - (maxPoints.group - 1) * intervalMs);
  const limit = maxGroups[by];
  const groups = await auditStats.top(ctx.db, organizationId, { filter, by, limit, intervalMs, seriesFrom });
  const span = { from: filter.from, last, intervalMs };
  return {
    series: filled(points, { ...span, max: maxPoints.all, empty: { ...none, denied: 0, averageMs: 0 } })
      .map(({ start, averageMs, ...counts }) => ({
        timestamp: isoOf(start),
        avgDurationMs: averageMs,
        ...counts,
      })),
    top: groups.map(({ averageMs, series, ...group }) => ({
      ...group,
      avgDurationMs: averageMs,
      series: filled(series, { ...span, max: maxPoints.group, empty: none })
        .map(({ start, ...counts }) => ({ timestamp: isoOf(start), ...counts })),
    })),
  };
}

const none = { calls: 0, errors: 0 };

/** The beginning of the last interval to show: that of `to`, but none in the future without calls. */
function lastInterval(
  to: number | undefined,
  { points, intervalMs }: { points: { start: number }[]; intervalMs: number },
): number {
  const newest = Math.max(Date.now(), points.at(-1)?.start ?? 0);
  const end = Math.min(to ?? newest, newest);
  return end - end % intervalMs;
}

/** The newest `max` points; where `from` is known, with empty ones for the intervals between. */
function filled<T extends { start: number }>(
  points: T[],
  span: { from: number | undefined; last: number; intervalMs: number; max: number; empty: Omit<T, "start"> },
): (T | Omit<T, "start"> & { start: number })[] {
  if (span.from === undefined) return points.slice(-span.max);
  const byStart = new Map(points.map((entry) => [entry.start, entry]));
  const oldest = span.last - (span.max - 1) * span.intervalMs;
  const all = [];
  for (
    let start = Math.max(span.from - span.from % span.intervalMs, oldest);
    start <= span.last;
    start += span.intervalMs
  ) {
    all.push(byStart.get(start) ?? { ...span.empty, start });
  }
  return all;
}

/** Owners and admins see all rows of the organization, others those of their own calls: the user they are cut to. */
function scopeOf(ctx: Context): string | undefined {
  return isManager(ctx.actor) ? undefined : ctx.actor.userId;
}

function period(startDate: string | undefined, endDate: string | undefined) {
  return {
    from: startDate === undefined ? undefined : timeOf(startDate),
    to: endDate === undefined
      ? undefined
      : timeOf(endDate.length === 10 ? `${endDate}T23:59:59.999Z` : endDate),
  };
}

function timeOf(text: string): number {
  // A time without a zone is UTC, as the dates of the answer are.
  return Date.parse(text.includes("T") && !/(?:Z|[+-]\d{2}:?\d{2})$/.test(text) ? `${text}Z` : text);
}

function rate({ calls, errors }: auditStats.Totals): number {
  return calls === 0 ? 0 : errors / calls;
}

function logOf(row: auditLog.Log) {
  return { ...row, timestamp: isoOf(row.timestamp) };
}
