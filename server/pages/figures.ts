import type { SeriesPoint, Stats } from "../../views/types.ts";
import { perform } from "../actions/action.ts";
import { getStats } from "../actions/audit_log.ts";
import type { VisitContext } from "../visit.ts";
import { contextOf } from "./page.ts";

const hourMs = 3600_000;
export const dayMs = 24 * hourMs;

/** A time, both ends in milliseconds since 1970. */
export interface Span {
  from: number;
  to: number;
}

/** The figures of a time beside those of the same time before it, and its calls over time. */
export async function figuresOf(
  c: VisitContext,
  { span, connectionId }: { span: Span; connectionId?: string },
): Promise<{ stats: Stats; series: SeriesPoint[] }> {
  const length = span.to - span.from;
  const only = connectionId ? { connectionId } : {};
  const interval = length <= 2 * dayMs ? "1h" : "1d";
  const now = await perform(getStats, contextOf(c), { ...datesOf(span), ...only, interval });
  const before = await perform(getStats, contextOf(c), {
    ...datesOf({ from: span.from - length, to: span.from - 1 }),
    ...only,
    interval: "1d",
  });
  const stats = {
    totalCalls: now.totalCalls,
    errors: Math.round(now.errorRate * now.totalCalls),
    denied: now.series.reduce((sum, point) => sum + point.denied, 0),
    p50: now.totalCalls === 0 ? null : now.p50,
    p95: now.totalCalls === 0 ? null : now.p95,
    previousCalls: before.totalCalls,
    previousErrors: Math.round(before.errorRate * before.totalCalls),
  };
  return {
    stats,
    series: now.series.map(({ timestamp, calls, errors }) => ({ start: timestamp, calls, errors })),
  };
}

function datesOf({ from, to }: Span): { startDate: string; endDate: string } {
  return { startDate: new Date(from).toISOString(), endDate: new Date(to).toISOString() };
}
