import type { FormState, Shell } from "./types.ts";
import { Badge, type Tone } from "./components/badge.tsx";
import { Button, ButtonLink } from "./components/button.tsx";
import { Card, PageHead } from "./components/card.tsx";
import { CredentialFields } from "./components/credential_fields.tsx";
import { entered, Form, FormMessage, TextAreaField, TextField } from "./components/form.tsx";
import { Cell, Row, Table } from "./components/table.tsx";
import { saysTheWay, WayFields } from "./components/way_fields.tsx";
import { plural } from "./format.ts";
import { Layout } from "./layout.tsx";
import { paths } from "./paths.ts";

/** Posts url, title, description, the fields of the credential, and those of the way to the server to /connections. */
export interface NewConnectionPageProps {
  shell: Shell;
  redirectUri: string;
  form?: FormState;
}

function MoreFields({ form }: { form: FormState | undefined }) {
  const given = Boolean(form?.values?.description || form?.errors?.description) || saysTheWay(form);
  return (
    <details class="fold" open={given}>
      <summary>Description, time-out and certificates</summary>
      <div class="stack">
        <TextAreaField {...entered(form, "description")} label="Description" note="optional" rows={2} />
        <WayFields form={form} />
      </div>
    </details>
  );
}

/** A new connection from the URL of an MCP server. */
export function NewConnectionPage({ shell, redirectUri, form }: NewConnectionPageProps) {
  return (
    <Layout title="New connection" shell={shell} place="connections">
      <PageHead
        title="New connection"
        lead="Paste the URL of an MCP server. Mesh asks it for its tools right away."
        actions={<ButtonLink href={paths.importConnections}>Import mcp.json instead</ButtonLink>}
      />
      <Card class="narrow">
        <Form csrf={shell.csrf} action={paths.connections} class="stack">
          <FormMessage state={form} />
          <TextField
            {...entered(form, "url")}
            label="URL"
            type="url"
            mono
            placeholder="https://mcp.example.com/mcp"
            autocomplete="off"
            autofocus
            required
          />
          <TextField
            {...entered(form, "title")}
            label="Title"
            note="optional"
            autocomplete="off"
            hint="Without one, the server's host is taken, with its port."
          />
          <CredentialFields form={form} redirectUri={redirectUri} />
          <MoreFields form={form} />
          <div class="row end">
            <ButtonLink href={paths.connections}>Cancel</ButtonLink>
            <Button kind="main">Add connection</Button>
          </div>
        </Form>
      </Card>
    </Layout>
  );
}

export type ImportState = "ready" | "refused" | "created" | "failed";

/** One server of a pasted mcp.json. */
export interface ImportedServer {
  /** Its key in the file. */
  name: string;
  /** URL or command. */
  address: string;
  /** Names of the headers and variables that go to the vault. */
  secrets: readonly string[];
  /** `created` with a message means that it exists but did not answer yet. */
  state: ImportState;
  /** Why it is refused or failed, or what to know about it. */
  message?: string | undefined;
  /** The connection that was made. */
  connectionId?: string | undefined;
}

/** Posts json, action (`preview` or `create`) and, to create, server (repeated, by name) to /connections/import. */
export interface ImportConnectionsPageProps {
  shell: Shell;
  /** The pasted text, given back while nothing is created. */
  json?: string | undefined;
  /** What was found or done; missing before the first look. */
  servers?: readonly ImportedServer[] | undefined;
  form?: FormState;
}

const states: Record<ImportState, { tone: Tone; text: string }> = {
  ready: { tone: "quiet", text: "Ready" },
  refused: { tone: "warn", text: "Cannot be taken over" },
  created: { tone: "good", text: "Created" },
  failed: { tone: "bad", text: "Not created" },
};

function ServerRow({ server, index }: { server: ImportedServer; index: number }) {
  const state = states[server.state];
  const id = `server-${index}`;
  const name = server.connectionId
    ? <a class="row-link" href={paths.connection(server.connectionId)}>{server.name}</a>
    : server.state === "ready"
    ? <label class="row-link" for={id}>{server.name}</label>
    : <b>{server.name}</b>;
  return (
    <Row>
      <Cell as="main">
        <div class="thing">
          {server.state === "ready" && (
            <input type="checkbox" id={id} name="server" value={server.name} checked />
          )}
          <div class="thing-text">
            {name}
            <span class="sub mono">{server.address}</span>
          </div>
        </div>
      </Cell>
      <Cell as="note" label="To the vault:">
        {server.secrets.length > 0 ? server.secrets.join(", ") : "nothing"}
      </Cell>
      <Cell as="note">
        <Badge tone={server.state === "created" && server.message ? "warn" : state.tone}>{state.text}</Badge>
        {server.message && <p class="small second">{server.message}</p>}
      </Cell>
    </Row>
  );
}

function Servers({ servers }: { servers: readonly ImportedServer[] }) {
  return (
    <Table
      label="Servers in the file"
      columns={[{ title: "Server" }, { title: "To the vault" }, { title: "Result" }]}
    >
      {servers.map((server, index) => <ServerRow key={index} server={server} index={index} />)}
    </Table>
  );
}

/** Connections from an mcp.json: paste, look at what was found, create; a result a server. */
export function ImportConnectionsPage({ shell, json, servers, form }: ImportConnectionsPageProps) {
  const ready = servers?.filter((server) => server.state === "ready").length ?? 0;
  const done = servers?.some((server) => server.state === "created" || server.state === "failed") ?? false;
  return (
    <Layout title="Import mcp.json" shell={shell} place="connections">
      <PageHead
        title="Import mcp.json"
        lead="The configuration of Claude, Cursor, VS Code or Windsurf, as it is. Its secrets go to the vault."
        actions={!done && <ButtonLink href={paths.newConnection}>Paste a URL instead</ButtonLink>}
      />
      {done && servers
        ? (
          <div class="stack">
            <Servers servers={servers} />
            <div class="row">
              <ButtonLink kind="main" href={paths.connections}>Show all connections</ButtonLink>
            </div>
          </div>
        )
        : (
          <Form csrf={shell.csrf} action={paths.importConnections} class="stack">
            <FormMessage state={form} />
            <TextAreaField
              name="json"
              label="mcp.json"
              mono
              rows={servers ? 6 : 14}
              value={json}
              error={form?.errors?.json}
              placeholder='{ "mcpServers": { "linear": { "url": "https://mcp.linear.app/mcp" } } }'
              required
            />
            {servers && <Servers servers={servers} />}
            <div class="row end">
              <ButtonLink href={paths.connections}>Cancel</ButtonLink>
              <Button kind={ready > 0 ? "plain" : "main"} name="action" value="preview">
                {servers ? "Look again" : "Show what is in it"}
              </Button>
              {ready > 0 && (
                <Button kind="main" name="action" value="create">
                  {`Create ${plural(ready, "connection")}`}
                </Button>
              )}
            </div>
          </Form>
        )}
    </Layout>
  );
}
