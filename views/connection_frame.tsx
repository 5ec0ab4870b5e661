import type { Child } from "hono/jsx";
import type { Connection, Health, Shell, TestResult } from "./types.ts";
import { Badge, connectionState, Tile } from "./components/badge.tsx";
import { Button, ButtonLink } from "./components/button.tsx";
import { EmptyState, Notice } from "./components/card.tsx";
import { Form } from "./components/form.tsx";
import { Tabs } from "./components/tabs.tsx";
import { TestPanel } from "./components/test_panel.tsx";
import { type CredentialStatus, reconnectWords, type Standing } from "./credential_words.ts";
import { Time } from "./components/time.tsx";
import { addressOf, duration } from "./format.ts";
import { Layout } from "./layout.tsx";
import { paths } from "./paths.ts";

export type ConnectionTab = "tools" | "resources" | "prompts" | "credentials" | "activity" | "settings";

/** What every page of one connection is given. */
export interface ConnectionPageProps {
  shell: Shell;
  connection: Connection;
  /** Median of the last seven days, beside the state. */
  medianMs?: number | null | undefined;
  /** Null while the upstream has not said. */
  counts: { tools: number | null; resources: number | null; prompts: number | null };
  standing?: Standing | undefined;
  /** Null while the server was not checked in the background yet. */
  health?: Health | null | undefined;
  /** How the reader's own credential stands; null where the connection wants none of each person. */
  own?: CredentialStatus | null | undefined;
  /** The test that was just made. */
  test?: TestResult | null | undefined;
}

export interface ConnectionFrameProps extends ConnectionPageProps {
  /** Null where no tab is shown as current. */
  tab: ConnectionTab | null;
  children?: Child;
}

const names: Record<ConnectionTab, string> = {
  tools: "Tools",
  resources: "Resources",
  prompts: "Prompts",
  credentials: "Credentials",
  activity: "Activity",
  settings: "Settings",
};

function tabsOf({ connection, counts, shell, tab }: ConnectionFrameProps) {
  const shown: ConnectionTab[] = ["tools", "resources", "prompts"];
  if (shell.canManage) shown.push("credentials");
  shown.push("activity");
  if (shell.canManage) shown.push("settings");
  return shown.map((one) => ({
    text: names[one],
    href: one === "tools" ? paths.connection(connection.id) : paths.connectionTab(connection.id, one),
    count: one === "tools" || one === "resources" || one === "prompts" ? counts[one] ?? undefined : undefined,
    current: one === tab,
  }));
}

/** What needs the reader, or those whom they look after, with the way to it. */
function Needs({ shell, connection, standing, own }: ConnectionPageProps) {
  const { id, title, status } = connection;
  if (status === "inactive") return <div class="needs" id="connection-needs" />;
  const mine = paths.myConnection(id);
  const shared = shell.canManage ? standing?.sharedAccess : null;
  const waits = !shell.canManage && (standing?.sharedAccess ?? "connected") !== "connected";
  const people = shell.canManage ? standing?.needReconnect ?? 0 : 0;
  const others = own === "needs_attention" ? people - 1 : people;
  return (
    <div class="needs" id="connection-needs">
      {own === "not_connected" && (
        <Notice tone="warn">
          {`${title} wants your own account before you can call it. `}
          <a href={mine}>Connect it</a>
        </Notice>
      )}
      {own === "needs_attention" && (
        <Notice tone="warn">
          {`Your access to ${title} has ended: your calls fail. `}
          <a href={mine}>Reconnect</a>
        </Notice>
      )}
      {waits && (
        <Notice tone="warn">
          {`${title} waits for an administrator who signs in there: calls fail until then.`}
        </Notice>
      )}
      {shared === "not_connected" && (
        <Notice tone="warn">
          {`Nobody has signed in at ${title} yet, so calls fail. `}
          <a href={paths.connectionTab(id, "credentials")}>Choose whose account it uses</a>
        </Notice>
      )}
      {shared === "needs_attention" && (
        <Notice tone="warn">
          {`${title} ended the access that everybody calls with. `}
          <a href={mine}>Reconnect</a>
        </Notice>
      )}
      {others > 0 && (
        <Notice tone="warn">
          {`${reconnectWords(people)}. `}
          <a href={paths.connectionTab(id, "credentials")}>Show who</a>
        </Notice>
      )}
    </div>
  );
}

/** What a test may show to be otherwise, wherever it is made. */
const tested = ["#connection-state", "#connection-answered", "#connection-needs", "#connection-tabs"];

/** Tests the connection; the answer is the page that it was made on. */
function TestForm({ shell, connection, counts, tab }: ConnectionFrameProps) {
  const action = paths.testConnection(connection.id);
  // What somebody has entered for a tool stays; lists that are not known yet hold nothing that could be lost.
  const unknown = (tab === "tools" || tab === "resources" || tab === "prompts") && counts[tab] === null;
  return (
    <Form
      csrf={shell.csrf}
      action={action}
      hx-post={action}
      hx-target="#test-panel"
      hx-select="#test-panel"
      hx-select-oob={(unknown ? [...tested, "#connection-lists"] : tested).join(",")}
      hx-swap="outerHTML"
      hx-sync="this:drop"
    >
      {tab && <input type="hidden" name="tab" value={tab} />}
      <Button>Test</Button>
    </Form>
  );
}

/** What stands where a server lists nothing, or nothing that is known yet. */
export function NothingListed({ page, things, known }: {
  page: ConnectionPageProps;
  things: string;
  known: boolean;
}) {
  const { connection, standing } = page;
  const reason = known
    ? `The server offers no ${things}, or none that you may use.`
    : connection.credential_mode === "per_user"
    ? "They are read from the server when the first person connects their account."
    : standing?.sharedAccess === "not_connected"
    ? "They are read from the server when somebody has signed in there."
    : page.shell.canManage
    ? `The server has not answered so far. Test says how far it came and asks for the ${things} again.`
    : "The server has not answered so far. An administrator can test it.";
  return <EmptyState title={known ? `No ${things}` : `The ${things} are not known yet`}>{reason}</EmptyState>;
}

/** The head of a connection's pages: name, address, state, test and tabs. */
export function ConnectionFrame(props: ConnectionFrameProps) {
  const { shell, connection, medianMs, test, tab, children } = props;
  const state = connectionState(connection, { ...props, listed: connection.tools !== null });
  const answers = state.text === "Healthy" || state.text === "Slow";
  const measured = answers && medianMs !== null && medianMs !== undefined;
  const title = tab === null || tab === "tools" ? connection.title : `${names[tab]} · ${connection.title}`;
  return (
    <Layout title={title} shell={shell} place="connections">
      <header class="page-head">
        <div class="page-title thing-head">
          <Tile name={connection.title} large />
          <div class="thing-text">
            <h1>{connection.title}</h1>
            <p class="sub mono">{addressOf(connection)}</p>
            <p class="small muted" id="connection-answered">
              {props.health?.ok_at && connection.status === "active" && (
                <>
                  {"Last answered "}
                  <Time at={props.health.ok_at} />
                </>
              )}
            </p>
          </div>
        </div>
        <div class="row actions">
          <Badge id="connection-state" tone={state.tone} large>
            {measured ? `${state.text}, ${duration(medianMs)}` : state.text}
          </Badge>
          {shell.canManage && <TestForm {...props} />}
          <ButtonLink kind="main" href={paths.connectClient(connection.id)}>Connect a client</ButtonLink>
        </div>
      </header>
      {tab !== "credentials" && <Needs {...props} />}
      <TestPanel test={test} connection={connection} health={props.health} />
      <Tabs id="connection-tabs" label="Parts of the connection" tabs={tabsOf(props)} />
      {children}
    </Layout>
  );
}

/** What POST /connections/:id/test answers where the page that asked has a form of its own; htmx takes parts of it. */
export function ConnectionTestPage(
  props: ConnectionPageProps & { test: TestResult; tab?: ConnectionTab | null },
) {
  return (
    <ConnectionFrame {...props} tab={props.tab ?? null}>
      <ButtonLink href={paths.connection(props.connection.id)}>Back to the tools</ButtonLink>
    </ConnectionFrame>
  );
}
