import { ActivityPage, type ActivityQuery, ActivityRows } from "../../views/activity.tsx";
import { perform } from "../actions/action.ts";
import { listLogs } from "../actions/audit_log.ts";
import { listConnectionUsage } from "../actions/connection_usage.ts";
import { type VisitContext, wantsPart } from "../visit.ts";
import { dayMs, figuresOf, type Span } from "./figures.ts";
import { named, readLogNames } from "./log_names.ts";
import { contextOf, infoOf, oneOf, pageOf, shellOf } from "./page.ts";

const pageSize = 50;
const maxChoices = 200;
const openSpanMs = 30 * dayMs; // before an end without a beginning

/** The log: figures and chart of a time, and every call with filters out of the address. */
export async function showActivity(c: VisitContext): Promise<Response> {
  const query = queryOf(c);
  const place = pageOf(c, pageSize);
  const { logs, total } = await perform(listLogs, contextOf(c), {
    ...(query.q && { search: query.q }),
    ...(query.connection && { connectionId: query.connection }),
    ...(query.outcome && { outcome: query.outcome }),
    ...(query.person && { userId: query.person }),
    ...(query.from && { startDate: query.from }),
    ...(query.to && { endDate: query.to }),
    limit: place.limit,
    offset: place.offset,
  });
  const names = await readLogNames(c, logs);
  const rows = {
    logs: logs.map((log) => named(log, names)),
    info: infoOf(place, { shown: logs.length, total }),
    query,
  };
  if (wantsPart(c)) return await c.html(<ActivityRows {...rows} />);
  const { span, period } = periodOf(query, Date.now());
  const figures = await figuresOf(c, { span, connectionId: query.connection });
  const byTitle = { orderBy: "title" as const, figures: false, limit: maxChoices };
  const { items } = await perform(listConnectionUsage, contextOf(c), byTitle);
  return await c.html(
    <ActivityPage
      shell={await shellOf(c)}
      {...rows}
      {...figures}
      period={period}
      connections={[
        ...items.map(({ id, title }) => ({ value: id, text: title })),
        { value: "self", text: "Mesh" },
      ]}
      people={[...names.people].map(([value, text]) => ({ value, text }))}
    />,
  );
}

function queryOf(c: VisitContext): ActivityQuery {
  const text = (name: string, max: number) =>
    (c.req.query(name) ?? "").trim().replaceAll("\0", "").slice(0, max);
  return {
    q: text("q", 200),
    connection: text("connection", 100),
    outcome: oneOf(c.req.query("outcome"), ["", "ok", "denied", "failed"]),
    person: text("person", 100),
    from: dayOf(c.req.query("from")),
    to: dayOf(c.req.query("to")),
  };
}

function dayOf(text = ""): string {
  const isDay = /^\d{4}-\d{2}-\d{2}$/.test(text) && !Number.isNaN(Date.parse(text));
  return isDay && new Date(text).toISOString().startsWith(text) ? text : "";
}

/** The time of figures and chart, and what it is called. Days are UTC. */
function periodOf({ from, to }: ActivityQuery, now: number): { span: Span; period: string } {
  if (from === "" && to === "") return { span: { from: now - dayMs, to: now }, period: "Last 24 hours" };
  const end = to === "" ? now : Date.parse(to) + dayMs - 1;
  const begin = from === "" ? end + 1 - openSpanMs : Date.parse(from);
  const words = from === "" ? `30 days up to ${to}` : to === "" ? `Since ${from}` : `${from} to ${to}`;
  // A beginning behind the end is no time at all, and no error either.
  return { span: { from: Math.min(begin, end), to: end }, period: words };
}
