import type { FormState, Shell } from "./types.ts";
import { proxyUrl, serverName } from "./client_config.ts";
import { Button, ButtonLink } from "./components/button.tsx";
import { Card, PageHead } from "./components/card.tsx";
import { ClientConfigs } from "./components/client_configs.tsx";
import { CodeBlock } from "./components/code.tsx";
import { entered, Form, FormMessage, TextField } from "./components/form.tsx";
import { SecretOnce } from "./components/secret.tsx";
import { Layout } from "./layout.tsx";
import { paths } from "./paths.ts";

/** Its form posts name and makes a key that may call this connection and nothing else. */
export interface ConnectClientPageProps {
  shell: Shell;
  connection: { id: string; title: string };
  /** The mesh's own address, such as `http://localhost:3000`. */
  baseUrl: string;
  /** The key in clear, when it was made by this very request. */
  newKey?: string | undefined;
  form?: FormState;
}

/** How to reach a connection from a client: its address, a key, and configuration to paste. */
export function ConnectClientPage({ shell, connection, baseUrl, newKey, form }: ConnectClientPageProps) {
  const url = proxyUrl(baseUrl, connection.id);
  return (
    <Layout title={`Connect a client · ${connection.title}`} shell={shell} place="connections">
      <PageHead
        title={`Connect a client to ${connection.title}`}
        lead="The client talks to Mesh; Mesh adds the credentials and records every call."
        actions={<ButtonLink href={paths.connection(connection.id)}>Back to the connection</ButtonLink>}
      />
      <div class="stack narrow">
        <Card title="1. Address">
          <CodeBlock id="mesh-url" text={url} label="MCP over HTTP" />
        </Card>
        <Card title="2. Key">
          {newKey
            ? <SecretOnce id="new-key" label="API key" value={newKey} />
            : (
              <Form csrf={shell.csrf} action={paths.connectClient(connection.id)} class="stack">
                <FormMessage state={form} />
                <p class="muted">
                  {"Make a key that may call this connection only, or take one from "}
                  <a href={paths.apiKeys}>API keys</a>.
                </p>
                <TextField
                  {...entered(form, "name", `Client of ${connection.title}`)}
                  label="Name of the key"
                  autocomplete="off"
                  hint="Who or what uses it; the log shows this name."
                  required
                />
                <div class="row">
                  <Button kind="main">Make a key</Button>
                </div>
              </Form>
            )}
        </Card>
        <section aria-label="Configuration">
          <div class="card-head">
            <h2>3. Configuration</h2>
            {!newKey && <span class="small muted">YOUR_API_KEY stands where the key goes</span>}
          </div>
          <ClientConfigs targets={[{ name: serverName(connection.title), url }]} apiKey={newKey} />
        </section>
      </div>
    </Layout>
  );
}
