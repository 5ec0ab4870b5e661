import type { Log, PageInfo, Prompt, Resource } from "./types.ts";
import { ButtonLink } from "./components/button.tsx";
import { EmptyState } from "./components/card.tsx";
import { logColumns, LogRows } from "./components/log_rows.tsx";
import { Cell, Paging, Row, Table } from "./components/table.tsx";
import { ConnectionFrame, type ConnectionPageProps, NothingListed } from "./connection_frame.tsx";
import { bytes } from "./format.ts";
import { paths } from "./paths.ts";

export interface ConnectionResourcesPageProps extends ConnectionPageProps {
  /** Null while the upstream has not said. */
  resources: readonly Resource[] | null;
}

/** What a connection offers to read. */
export function ConnectionResourcesPage(props: ConnectionResourcesPageProps) {
  const { resources } = props;
  return (
    <ConnectionFrame {...props} tab="resources">
      <div id="connection-lists">
        {resources && resources.length > 0
          ? (
            <Table
              label="Resources"
              columns={[{ title: "Resource" }, { title: "Type" }, { title: "Size", numeric: true }]}
            >
              {resources.map((resource) => (
                <Row>
                  <Cell as="main">
                    <div class="thing-text">
                      <b>{resource.title ?? resource.name ?? resource.uri}</b>
                      <span class="sub mono">{resource.uri}</span>
                      {resource.description && <span class="small second">{resource.description}</span>}
                    </div>
                  </Cell>
                  <Cell label="Type">
                    <span class="mono">{resource.mimeType ?? "–"}</span>
                  </Cell>
                  <Cell numeric label="Size">{bytes(resource.size)}</Cell>
                </Row>
              ))}
            </Table>
          )
          : <NothingListed page={props} things="resources" known={resources !== null} />}
      </div>
    </ConnectionFrame>
  );
}

export interface ConnectionPromptsPageProps extends ConnectionPageProps {
  /** Null while the upstream has not said. */
  prompts: readonly Prompt[] | null;
}

/** The prompts that a connection offers, with their arguments. */
export function ConnectionPromptsPage(props: ConnectionPromptsPageProps) {
  const { prompts } = props;
  return (
    <ConnectionFrame {...props} tab="prompts">
      <div id="connection-lists">
        {prompts && prompts.length > 0
          ? (
            <Table label="Prompts" columns={[{ title: "Prompt" }, { title: "Arguments" }]}>
              {prompts.map((prompt) => (
                <Row>
                  <Cell as="main">
                    <div class="thing-text">
                      <b class="mono">{prompt.name}</b>
                      <span class="small second">{prompt.description ?? prompt.title ?? ""}</span>
                    </div>
                  </Cell>
                  <Cell as="note" label="Arguments">
                    {(prompt.arguments ?? []).length === 0 ? "none" : (
                      <ul>
                        {(prompt.arguments ?? []).map((argument) => (
                          <li>
                            <code>{argument.name}</code>
                            {argument.required && <span class="muted">, required</span>}
                            {argument.description && <span class="second">{`: ${argument.description}`}
                            </span>}
                          </li>
                        ))}
                      </ul>
                    )}
                  </Cell>
                </Row>
              ))}
            </Table>
          )
          : <NothingListed page={props} things="prompts" known={prompts !== null} />}
      </div>
    </ConnectionFrame>
  );
}

export interface ConnectionActivityPageProps extends ConnectionPageProps {
  logs: readonly Log[];
  info: PageInfo;
}

/** The calls of one connection, newest first. */
export function ConnectionActivityPage(props: ConnectionActivityPageProps) {
  const { connection, logs, info } = props;
  return (
    <ConnectionFrame {...props} tab="activity">
      {logs.length > 0
        ? (
          <Table
            label="Calls"
            columns={logColumns}
            foot={<Paging info={info} path={paths.connectionTab(connection.id, "activity")} />}
          >
            <LogRows logs={logs} withoutPlace />
          </Table>
        )
        : (
          <EmptyState
            title="No calls yet"
            actions={
              <ButtonLink kind="main" href={paths.connectClient(connection.id)}>Connect a client</ButtonLink>
            }
          >
            Every call through Mesh is listed here: who made it, what came back, how long it took.
          </EmptyState>
        )}
    </ConnectionFrame>
  );
}
