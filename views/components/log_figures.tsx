import type { Stats } from "../types.ts";
import { count, duration, percent, plural } from "../format.ts";
import { KeyFigures } from "./card.tsx";

function signed(value: number, digits: number): string {
  const text = Math.abs(value).toFixed(digits);
  return `${value < 0 ? "−" : "+"}${text}`;
}

function callsNote({ totalCalls, previousCalls }: Stats): string | undefined {
  if (previousCalls === null || previousCalls === undefined) return undefined;
  if (previousCalls === 0) return "none in the period before";
  const change = 100 * (totalCalls - previousCalls) / previousCalls;
  return Math.abs(change) < 0.5 ? "as in the period before" : `${signed(change, 0)} % on the period before`;
}

function errorsNote({ errors, totalCalls, previousCalls, previousErrors }: Stats): string | undefined {
  const failed = plural(errors, "call"); // those that were denied too
  if (!previousCalls || previousErrors === null || previousErrors === undefined || totalCalls === 0) {
    return failed;
  }
  const points = 100 * errors / totalCalls - 100 * previousErrors / previousCalls;
  return `${failed}, ${Math.abs(points) < 0.05 ? "as before" : `${signed(points, 1)} points`}`;
}

/** The key figures of a period: calls, errors, how long they took, what was denied. */
export function LogFigures({ stats, label }: { stats: Stats; label: string }) {
  return (
    <KeyFigures
      label={label}
      figures={[
        { label: "Calls", value: count(stats.totalCalls), note: callsNote(stats) },
        { label: "Errors", value: percent(stats.errors, stats.totalCalls), note: errorsNote(stats) },
        {
          label: "Median, 95th",
          value: duration(stats.p50),
          aside: stats.p95 === null ? undefined : duration(stats.p95),
          note: "from call to answer",
        },
        {
          label: "Denied",
          value: count(stats.denied),
          note: stats.denied === 0 ? "nothing refused" : "refused by permission",
        },
      ]}
    />
  );
}
