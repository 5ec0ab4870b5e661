import type { Log, Outcome, PageInfo, SeriesPoint, Shell, Stats } from "./types.ts";
import { ButtonLink } from "./components/button.tsx";
import { Card, EmptyState, PageHead } from "./components/card.tsx";
import { BarChart, ChartKey } from "./components/chart.tsx";
import { Filters, PillInput, PillSelect, SearchBox } from "./components/filters.tsx";
import type { Choice } from "./components/form.tsx";
import { LogFigures } from "./components/log_figures.tsx";
import { logColumns, LogRows } from "./components/log_rows.tsx";
import { Results } from "./components/table.tsx";
import { Layout } from "./layout.tsx";
import { paths } from "./paths.ts";

/** The query of the address: `?q=&connection=&outcome=&person=&from=&to=&page=`; days as `2026-08-22`, in UTC. */
export interface ActivityQuery {
  q: string;
  connection: string;
  outcome: "" | Outcome;
  person: string;
  from: string;
  to: string;
}

export interface ActivityRowsProps {
  logs: readonly Log[];
  info: PageInfo;
  query: ActivityQuery;
}

/** What figures and chart say of a time, of one connection where the list is narrowed to it. */
export interface ActivityFiguresProps {
  /** The time in words: `Last 24 hours`. */
  period: string;
  stats: Stats;
  series: readonly SeriesPoint[];
}

export interface ActivityPageProps extends ActivityRowsProps, ActivityFiguresProps {
  shell: Shell;
  /** Connections by id and title, `self` as Mesh among them. */
  connections: readonly Choice[];
  /** People by user id and name. */
  people: readonly Choice[];
}

const ROWS_ID = "activity-rows";

function isNarrowed(query: ActivityQuery): boolean {
  return Object.values(query).some((value) => value !== "");
}

/** The rows with count and paging: the whole answer to a request of htmx for `#activity-rows`. */
export function ActivityRows({ logs, info, query }: ActivityRowsProps) {
  return (
    <Results
      id={ROWS_ID}
      label="Calls, newest first"
      columns={logColumns}
      info={info}
      path={paths.activity}
      query={{ ...query }}
      empty={logs.length === 0 && (isNarrowed(query) ? <NoMatch /> : <NoCalls />)}
    >
      <LogRows logs={logs} />
    </Results>
  );
}

function NoMatch() {
  return (
    <EmptyState
      title="No call matches"
      actions={<ButtonLink href={paths.activity}>Show all calls</ButtonLink>}
    >
      Try another word, or a longer period.
    </EmptyState>
  );
}

function NoCalls() {
  return (
    <EmptyState
      title="No calls yet"
      actions={<ButtonLink kind="main" href={paths.connections}>Connect a client</ButtonLink>}
    >
      Every call through Mesh is listed here: who made it, what came back, how long it took.
    </EmptyState>
  );
}

const outcomes: readonly Choice[] = [
  { value: "", text: "any" },
  { value: "ok", text: "ok" },
  { value: "denied", text: "denied" },
  { value: "failed", text: "failed" },
];

function ActivityFilters({ query, connections, people }: ActivityPageProps) {
  const any = { value: "", text: "any" };
  return (
    <Filters action={paths.activity} target={ROWS_ID} label="Calls">
      <SearchBox label="Tool, person, request id" value={query.q} />
      <PillSelect
        label="Connection"
        name="connection"
        value={query.connection}
        choices={[any, ...connections]}
      />
      <PillSelect label="Outcome" name="outcome" value={query.outcome} choices={outcomes} />
      <PillSelect label="Person" name="person" value={query.person} choices={[any, ...people]} />
      <PillInput label="From" name="from" value={query.from} />
      <PillInput label="To" name="to" value={query.to} />
    </Filters>
  );
}

function Figures({ period, stats, series, apart }: ActivityFiguresProps & { apart?: boolean }) {
  return (
    <div id="activity-figures" hx-swap-oob={apart ? "true" : undefined}>
      <LogFigures stats={stats} label={period} />
      <Card title="Calls and errors" actions={<ChartKey />} class="chart-card">
        <BarChart series={series} />
      </Card>
    </div>
  );
}

/** What the answer to a request of htmx holds beside the rows where their time or connection is another one. */
export function ActivityFigures(props: ActivityFiguresProps) {
  return (
    <>
      <Period period={props.period} apart />
      <Figures {...props} apart />
    </>
  );
}

function Period({ period, apart }: { period: string; apart?: boolean }) {
  return <span id="activity-period" hx-swap-oob={apart ? "true" : undefined}>{`${period}.`}</span>;
}

/** The log: key figures, calls over time, and every call with filters in the address. */
export function ActivityPage(props: ActivityPageProps) {
  const { shell, period, logs, info, query } = props;
  const empty = info.total === 0 && !isNarrowed(query);
  return (
    <Layout title="Activity" shell={shell} place="activity">
      <PageHead
        title="Activity"
        lead={
          <>
            {shell.canManage
              ? "Every call, who made it and what came back. "
              : "Your calls and what came back. "}
            <Period period={period} />
          </>
        }
      />
      {!empty && (
        <>
          <Figures {...props} />
          <ActivityFilters {...props} />
        </>
      )}
      <ActivityRows logs={logs} info={info} query={query} />
    </Layout>
  );
}
