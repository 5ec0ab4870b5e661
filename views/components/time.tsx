import { exactTime, relativeTime } from "../format.ts";

/** A moment (ISO 8601) as its distance from now, exact in the title; without one, `none` is said. */
export function Time(
  { at, none = "never", now = Date.now() }: { at: string | null | undefined; none?: string; now?: number },
) {
  const moment = at ? Date.parse(at) : NaN;
  if (Number.isNaN(moment)) return <span class="muted">{none}</span>;
  return (
    <time datetime={new Date(moment).toISOString()} title={exactTime(moment)}>
      {relativeTime(moment, now)}
    </time>
  );
}

/** A moment (ISO 8601) exactly, with its distance from now behind it. */
export function ExactTime({ at, now = Date.now() }: { at: string; now?: number }) {
  const moment = Date.parse(at);
  if (Number.isNaN(moment)) return <span>{at}</span>;
  return (
    <time datetime={new Date(moment).toISOString()}>
      {exactTime(moment)} <span class="muted">({relativeTime(moment, now)})</span>
    </time>
  );
}
