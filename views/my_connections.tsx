import type { PageInfo, Shell } from "./types.ts";
import { Badge, Tile } from "./components/badge.tsx";
import { Button, ButtonLink } from "./components/button.tsx";
import { EmptyState, Notice, PageHead } from "./components/card.tsx";
import { Filters, PillSelect, SearchBox } from "./components/filters.tsx";
import { Form } from "./components/form.tsx";
import { Cell, Results, Row, RowLink } from "./components/table.tsx";
import { Time } from "./components/time.tsx";
import {
  adviceWords,
  type Credential,
  credentialState,
  type CredentialStatus,
  hostOf,
  listed,
  needing,
} from "./credential_words.ts";
import { plural } from "./format.ts";
import { Layout } from "./layout.tsx";
import { paths } from "./paths.ts";

/** The query of the list's address: `?q=&status=&page=`. */
export interface MyConnectionsQuery {
  q: string;
  status: "" | CredentialStatus;
}

export interface MyConnectionRowsProps {
  /** Of the forms in the rows. */
  csrf: string;
  /** The page of the list that is shown: what needs attention first. */
  items: readonly Credential[];
  info: PageInfo;
  query: MyConnectionsQuery;
  canManage: boolean;
}

export interface MyConnectionsPageProps extends Omit<MyConnectionRowsProps, "canManage" | "csrf"> {
  shell: Shell;
  /** All of them, whatever the search says. */
  all: readonly Credential[];
}

const ROWS_ID = "my-connection-rows";

/** What can be done about one; leading to the sign-in of a server posts to /my-connections/:id/connect. */
function Actions({ item, csrf }: { item: Credential; csrf: string }) {
  const { connection_id: id, title, type, status } = item;
  const connected = status === "connected";
  const kind = connected ? "quiet" : status === "needs_attention" ? "main" : "plain";
  const verb = status === "not_connected"
    ? "Connect"
    : connected && type === "static"
    ? "Replace"
    : "Reconnect";
  return (
    <div class="row end">
      {item.can_connect && (type === "oauth"
        ? (
          <Form csrf={csrf} action={paths.connectMine(id)}>
            <input type="hidden" name="from" value="list" />
            <Button kind={kind} class="small" about={title}>{verb}</Button>
          </Form>
        )
        : (
          <ButtonLink kind={kind} class="small" href={paths.myConnection(id)} about={title}>
            {verb}
          </ButtonLink>
        ))}
      {status !== "not_connected" && (
        <ButtonLink kind="quiet" class="small" href={paths.disconnectMine(id)} about={title}>
          Disconnect
        </ButtonLink>
      )}
    </div>
  );
}

function MyConnectionRow({ item, csrf }: { item: Credential; csrf: string }) {
  const state = credentialState(item);
  const { status } = item;
  return (
    <Row link>
      <Cell as="main">
        <div class="thing">
          <Tile name={item.title} />
          <div class="thing-text">
            <RowLink href={paths.myConnection(item.connection_id)}>{item.title}</RowLink>
            <span class="sub mono">{hostOf(item.url)}</span>
          </div>
        </div>
      </Cell>
      <Cell as="state">
        <Badge tone={state.tone}>{state.text}</Badge>
      </Cell>
      <Cell as="note">
        {status === "needs_attention" && <p class="small">{adviceWords(item)}</p>}
        {status === "connected" && <p class="small second">{ownerWords(item)}</p>}
        {status === "not_connected" && !item.can_connect && (
          <p class="small muted">It cannot be connected now.</p>
        )}
      </Cell>
      <Cell {...(item.connected_at !== null && { label: "Since" })}>
        {item.connected_at && <Time at={item.connected_at} />}
      </Cell>
      <Cell as="actions">
        <Actions item={item} csrf={csrf} />
      </Cell>
    </Row>
  );
}

function ownerWords({ account, shared }: Credential): string {
  if (shared) return account ? `everybody, as ${account}` : "everybody";
  return account ? `as ${account}` : "";
}

/** The rows of the list with count and paging: the whole answer to a request of htmx for `#my-connection-rows`. */
export function MyConnectionRows({ csrf, items, info, query, canManage }: MyConnectionRowsProps) {
  const narrowed = query.q !== "" || query.status !== "";
  return (
    <Results
      id={ROWS_ID}
      label="My connections"
      columns={[
        { title: "Connection" },
        { title: "State" },
        { title: "As whom", silent: true },
        { title: "Since" },
        { title: "Actions", silent: true },
      ]}
      info={info}
      path={paths.myConnections}
      query={{ ...query }}
      empty={items.length === 0 && (narrowed ? <NoMatch /> : <NothingToConnect canManage={canManage} />)}
    >
      {items.map((item) => <MyConnectionRow key={item.connection_id} item={item} csrf={csrf} />)}
    </Results>
  );
}

function NoMatch() {
  return (
    <EmptyState
      title="No connection matches"
      actions={<ButtonLink href={paths.myConnections}>Show all of them</ButtonLink>}
    >
      Try another word, or another state.
    </EmptyState>
  );
}

function NothingToConnect({ canManage }: { canManage: boolean }) {
  return (
    <EmptyState
      title="Nothing asks for your own account"
      actions={<ButtonLink href={paths.connections}>Show the connections</ButtonLink>}
    >
      {canManage
        ? "Choose “Each person their own” under a connection's credentials: then everybody connects their account here."
        : "All connections here work with a credential that an administrator looks after. You have nothing to do."}
    </EmptyState>
  );
}

/** What needs the reader, in words. */
function Attention({ all }: { all: readonly Credential[] }) {
  const broken = needing(all);
  const open = all.filter(({ status, can_connect }) => status === "not_connected" && can_connect);
  if (broken.length === 0) return null;
  const names = listed(broken.map(({ title }) => title));
  return (
    <div class="attention">
      <Notice tone="warn">
        <b>
          {broken.length === 1 ? "1 connection needs you" : `${plural(broken.length, "connection")} need you`}
        </b>
        {`: ${names}. Calls to ${broken.length === 1 ? "it" : "them"} fail until you reconnect.`}
        {open.length > 0 &&
          ` ${plural(open.length, "other")} ${open.length === 1 ? "is" : "are"} not connected yet.`}
      </Notice>
    </div>
  );
}

/** What each person has connected with their own account, and what needs them. */
export function MyConnectionsPage({ shell, all, items, info, query }: MyConnectionsPageProps) {
  return (
    <Layout title="My connections" shell={shell} place="my-connections">
      <PageHead
        title="My connections"
        lead="Servers that you reach with your own account. Mesh keeps the access; your clients never see it."
      />
      <Attention all={all} />
      {all.length > 0 && (
        <Filters action={paths.myConnections} target={ROWS_ID} label="My connections">
          <SearchBox label="Search my connections" value={query.q} />
          <PillSelect
            label="State"
            name="status"
            value={query.status}
            choices={[
              { value: "", text: "any" },
              { value: "needs_attention", text: "needs you" },
              { value: "not_connected", text: "not connected" },
              { value: "connected", text: "connected" },
            ]}
          />
        </Filters>
      )}
      <MyConnectionRows
        csrf={shell.csrf}
        items={items}
        info={info}
        query={query}
        canManage={shell.canManage}
      />
    </Layout>
  );
}
