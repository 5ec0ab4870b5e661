import { ActivityFigures, ActivityPage, type ActivityQuery, ActivityRows } from "../../views/activity.tsx";
import { perform } from "../actions/action.ts";
import { listLogs } from "../actions/audit_log.ts";
import { listConnectionUsage } from "../actions/connection_usage.ts";
import type { Choice } from "../../views/components/form.tsx";
import { type VisitContext, wantsPart } from "../visit.ts";
import { dayMs, figuresOf, type Span } from "./figures.ts";
import { named, readLogNames } from "./log_names.ts";
import { titlesOf } from "./connection_titles.ts";
import { contextOf, infoOf, oneOf, pageOf, shellOf, toLastPage } from "./page.ts";

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
  const last = toLastPage(c, place, total);
  if (last) return last;
  const names = await readLogNames(c, logs);
  const rows = {
    logs: logs.map((log) => named(log, names)),
    info: infoOf(place, { shown: logs.length, total }),
    query,
  };
  const part = wantsPart(c);
  if (part && !hasOtherFigures(c, query)) return await c.html(<ActivityRows {...rows} />);
  const { span, period } = periodOf(query, Date.now());
  const figures = await figuresOf(c, { span, connectionId: query.connection });
  if (part) {
    return await c.html(
      <>
        <ActivityRows {...rows} />
        <ActivityFigures {...figures} period={period} />
      </>,
    );
  }
  const byTitle = { orderBy: "title" as const, figures: false, limit: maxChoices };
  const { items } = await perform(listConnectionUsage, contextOf(c), byTitle);
  return await c.html(
    <ActivityPage
      shell={await shellOf(c)}
      {...rows}
      {...figures}
      period={period}
      connections={withChosen([
        ...items.map(({ id, title }) => ({ value: id, text: title })),
        { value: "self", text: "Mesh" },
      ], { value: query.connection, text: await titleOf(c, query.connection) })}
      people={withChosen(
        [...names.people].map(([value, text]) => ({ value, text })),
        { value: query.person, text: query.person },
      )}
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

/** The choices with the one that is made, which may be of what is gone, or beyond what is offered. */
function withChosen(choices: Choice[], chosen: Choice): Choice[] {
  const known = chosen.value === "" || choices.some(({ value }) => value === chosen.value);
  return known ? choices : [...choices, chosen];
}

async function titleOf(c: VisitContext, id: string): Promise<string> {
  return (await titlesOf(c, [id])).get(id) ?? id;
}

/** True where the figures on the page that asks, as its address says, are of another time or connection. */
function hasOtherFigures(c: VisitContext, query: ActivityQuery): boolean {
  const address = c.req.header("hx-current-url") ?? "";
  const shown = URL.canParse(address) ? new URL(address).searchParams : new URLSearchParams();
  return (["connection", "from", "to"] as const).some((name) => (shown.get(name) ?? "") !== query[name]);
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
