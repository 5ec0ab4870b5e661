import type { Connection, Health, PageInfo, Shell } from "./types.ts";
import { Badge, connectionState, Tile } from "./components/badge.tsx";
import { ButtonLink } from "./components/button.tsx";
import { EmptyState, PageHead } from "./components/card.tsx";
import { Sparkline } from "./components/chart.tsx";
import { Filters, PillSelect, SearchBox } from "./components/filters.tsx";
import { Cell, Results, Row, RowLink } from "./components/table.tsx";
import { Time } from "./components/time.tsx";
import type { Standing } from "./credential_words.ts";
import { addressOf, count, duration } from "./format.ts";
import { Layout } from "./layout.tsx";
import { paths } from "./paths.ts";

export type ConnectionStatusFilter = "" | "active" | "inactive" | "error";
export type ConnectionSort = "used" | "title" | "created";

/** The query of the list's address: `?q=&status=&sort=&page=`. */
export interface ConnectionsQuery {
  q: string;
  status: ConnectionStatusFilter;
  sort: ConnectionSort;
}

/** A connection with its figures of the last seven days. */
export interface ConnectionItem {
  connection: Connection;
  /** Null while the tools are not known. */
  toolCount: number | null;
  medianMs: number | null;
  calls: number;
  /** Calls a day, oldest first. */
  daily: readonly number[];
  standing?: Standing | undefined;
  /** Null while the server was not checked in the background yet. */
  health?: Health | null | undefined;
}

export interface ConnectionRowsProps {
  items: readonly ConnectionItem[];
  info: PageInfo;
  query: ConnectionsQuery;
  canManage: boolean;
}

export interface ConnectionsPageProps extends Omit<ConnectionRowsProps, "canManage"> {
  shell: Shell;
}

const ROWS_ID = "connection-rows";

function ConnectionRow({ item }: { item: ConnectionItem }) {
  const { connection } = item;
  const state = connectionState(connection, { ...item, listed: item.toolCount !== null });
  return (
    <Row link quiet={connection.status === "inactive"}>
      <Cell as="main">
        <div class="thing">
          <Tile name={connection.title} />
          <div class="thing-text">
            <RowLink href={paths.connection(connection.id)}>{connection.title}</RowLink>
            <span class="sub mono">{addressOf(connection)}</span>
          </div>
        </div>
      </Cell>
      <Cell as="state">
        <Badge tone={state.tone}>{state.text}</Badge>
        {connection.status === "error" && item.health?.ok_at && (
          <p class="small muted">
            {"last answered "}
            <Time at={item.health.ok_at} />
          </p>
        )}
      </Cell>
      <Cell numeric label="Tools">{item.toolCount === null ? "–" : count(item.toolCount)}</Cell>
      <Cell numeric label="Median">{duration(item.medianMs)}</Cell>
      <Cell numeric label="Calls, 7 days">{count(item.calls)}</Cell>
      <Cell as="wide">
        {item.daily.length > 0 && <Sparkline values={item.daily} label="Calls a day, oldest first" />}
      </Cell>
    </Row>
  );
}

/** The rows of the list with count and paging: the whole answer to a request of htmx for `#connection-rows`. */
export function ConnectionRows({ items, info, query, canManage }: ConnectionRowsProps) {
  const { q, status, sort } = query;
  const narrowed = q !== "" || status !== "";
  return (
    <Results
      id={ROWS_ID}
      label="Connections"
      columns={[
        { title: "Connection" },
        { title: "Status" },
        { title: "Tools", numeric: true },
        { title: "Median", numeric: true },
        { title: "Calls, 7 days", numeric: true },
        { title: "Calls a day", silent: true },
      ]}
      info={info}
      path={paths.connections}
      query={{ q, status, sort: sort === "used" ? "" : sort }}
      empty={items.length === 0 && (narrowed ? <NoMatch /> : <NoConnections canManage={canManage} />)}
    >
      {items.map((item) => <ConnectionRow key={item.connection.id} item={item} />)}
    </Results>
  );
}

function NoMatch() {
  return (
    <EmptyState
      title="No connection matches"
      actions={<ButtonLink href={paths.connections}>Show all connections</ButtonLink>}
    >
      Try another word, or another status.
    </EmptyState>
  );
}

function NoConnections({ canManage }: { canManage: boolean }) {
  return (
    <EmptyState
      title="No connections yet"
      actions={canManage && (
        <>
          <ButtonLink kind="main" icon="plus" href={paths.newConnection}>New connection</ButtonLink>
          <ButtonLink href={paths.importConnections}>Import mcp.json</ButtonLink>
        </>
      )}
    >
      {canManage
        ? "A connection is an MCP server that your clients reach through Mesh. Paste its URL, or the mcp.json that you already have."
        : "An owner or administrator of the organization can add one."}
    </EmptyState>
  );
}

/** The list of connections with search, status, order and paging in the address. */
export function ConnectionsPage({ shell, items, info, query }: ConnectionsPageProps) {
  const empty = info.total === 0 && query.q === "" && query.status === "";
  return (
    <Layout title="Connections" shell={shell} place="connections">
      <PageHead
        title="Connections"
        lead={`MCP servers that ${
          shell.organization?.name ?? "nobody yet"
        } can call. Credentials stay in the vault.`}
        actions={shell.canManage && !empty && (
          <>
            <ButtonLink href={paths.importConnections}>Import mcp.json</ButtonLink>
            <ButtonLink kind="main" icon="plus" href={paths.newConnection}>New connection</ButtonLink>
          </>
        )}
      />
      {!empty && (
        <Filters action={paths.connections} target={ROWS_ID} label="Connections">
          <SearchBox label="Search connections" value={query.q} />
          <PillSelect
            label="Status"
            name="status"
            value={query.status}
            choices={[
              { value: "", text: "any" },
              { value: "active", text: "on" },
              { value: "error", text: "not reachable" },
              { value: "inactive", text: "off" },
            ]}
          />
          <PillSelect
            end
            label="Sort"
            name="sort"
            value={query.sort}
            choices={[
              { value: "used", text: "most used" },
              { value: "title", text: "name" },
              { value: "created", text: "newest" },
            ]}
          />
        </Filters>
      )}
      <ConnectionRows items={items} info={info} query={query} canManage={shell.canManage} />
    </Layout>
  );
}
