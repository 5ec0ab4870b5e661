import type { ApiKey, FormState, PageInfo, Shell } from "./types.ts";
import type { ClientTarget } from "./client_config.ts";
import { Badge } from "./components/badge.tsx";
import { ButtonLink } from "./components/button.tsx";
import { Card, EmptyState, Notice, PageHead } from "./components/card.tsx";
import { ClientConfigs } from "./components/client_configs.tsx";
import { SecretOnce } from "./components/secret.tsx";
import { Filters, SearchBox } from "./components/filters.tsx";
import { Cell, Results, Row } from "./components/table.tsx";
import { count } from "./format.ts";
import { Time } from "./components/time.tsx";
import { ConfirmPage } from "./confirm.tsx";
import { Layout } from "./layout.tsx";
import { paths } from "./paths.ts";
import { permissionSummary } from "./permissions.ts";

export interface ApiKeysPageProps {
  shell: Shell;
  keys: readonly ApiKey[];
  info: PageInfo;
  /** What is searched for, `?q=`: names of keys and of their owners. */
  q: string;
  /** Titles of connections by id, to name them in the permissions. */
  titles: Readonly<Record<string, string>>;
}

const ROWS_ID = "api-key-rows";

function isPast(iso: string | null | undefined): boolean {
  return Boolean(iso) && Date.parse(iso ?? "") <= Date.now();
}

function KeyRow({ apiKey, titles }: { apiKey: ApiKey; titles: Readonly<Record<string, string>> }) {
  const expired = isPast(apiKey.expiresAt);
  return (
    <Row quiet={expired}>
      <Cell as="main">
        <div class="thing-text">
          <b>{apiKey.name}</b>
          <span class="small second">{permissionSummary(apiKey.permissions, titles)}</span>
        </div>
      </Cell>
      <Cell label="Owner">{apiKey.ownerName ?? "–"}</Cell>
      <Cell label="Last used">
        <Time at={apiKey.lastUsedAt} />
      </Cell>
      <Cell label="Expires">
        {expired ? <Badge tone="bad">Expired</Badge> : <Time at={apiKey.expiresAt} />}
      </Cell>
      <Cell as="actions">
        <ButtonLink kind="quiet" href={paths.deleteApiKey(apiKey.id)} about={`key ${apiKey.name}`}>
          Delete
        </ButtonLink>
      </Cell>
    </Row>
  );
}

/** The rows with count and paging: the whole answer to a request of htmx for `#api-key-rows`. */
export function ApiKeyRows({ keys, info, q, titles }: Omit<ApiKeysPageProps, "shell">) {
  const none = q === ""
    ? (
      <EmptyState
        title="No API keys yet"
        actions={<ButtonLink kind="main" icon="plus" href={paths.newApiKey}>New API key</ButtonLink>}
      >
        A client sends a key with every call. Make one for each client, so that each can be taken back alone.
      </EmptyState>
    )
    : (
      <EmptyState
        title="No API key matches"
        actions={<ButtonLink href={paths.apiKeys}>Show all API keys</ButtonLink>}
      >
        Try another word of the key's name or its owner's.
      </EmptyState>
    );
  return (
    <Results
      id={ROWS_ID}
      label="API keys"
      columns={[
        { title: "Key" },
        { title: "Owner" },
        { title: "Last used" },
        { title: "Expires" },
        { title: "Actions", silent: true },
      ]}
      info={info}
      path={paths.apiKeys}
      query={{ q }}
      empty={keys.length === 0 && none}
    >
      {keys.map((apiKey) => <KeyRow key={apiKey.id} apiKey={apiKey} titles={titles} />)}
    </Results>
  );
}

/** The API keys that the reader may see, with search and paging in the address. */
export function ApiKeysPage({ shell, ...list }: ApiKeysPageProps) {
  const any = list.keys.length > 0 || list.q !== "";
  const create = <ButtonLink kind="main" icon="plus" href={paths.newApiKey}>New API key</ButtonLink>;
  return (
    <Layout title="API keys" shell={shell} place="api-keys">
      <PageHead
        title="API keys"
        lead="What clients show to be let in. A key can do what it says, and never more than its owner."
        actions={any && create}
      />
      {any && (
        <Filters action={paths.apiKeys} target={ROWS_ID} label="API keys">
          <SearchBox label="Search API keys" value={list.q} />
        </Filters>
      )}
      <ApiKeyRows {...list} />
    </Layout>
  );
}

export interface ApiKeyCreatedPageProps {
  shell: Shell;
  name: string;
  /** The key in clear: this is the only page that ever shows it. */
  secret: string;
  expiresAt?: string | null | undefined;
  /** The MCP addresses that the key opens, the first ten. */
  targets: readonly ClientTarget[];
  /** How many it opens in all. */
  opened: number;
}

/** The answer to making a key: the key itself, once, and configuration that holds it. */
export function ApiKeyCreatedPage(
  { shell, name, secret, expiresAt, targets, opened }: ApiKeyCreatedPageProps,
) {
  return (
    <Layout title="New API key" shell={shell} place="api-keys">
      <PageHead
        title={`Key “${name}” is made`}
        lead={expiresAt
          ? (
            <>
              {"It expires "}
              <Time at={expiresAt} />.
            </>
          )
          : "It works until you delete it."}
        actions={<ButtonLink href={paths.apiKeys}>All API keys</ButtonLink>}
      />
      <div class="stack narrow">
        <Card>
          <SecretOnce id="new-key" label="API key" value={secret} />
        </Card>
        {targets.length > 0
          ? (
            <section aria-label="Configuration">
              <div class="card-head">
                <h2>Configuration with this key</h2>
                {opened > targets.length && (
                  <p class="small second">
                    {`${count(targets.length)} of ${count(opened)} addresses; `}
                    <a href={paths.connections}>a connection</a> {"shows its own under “Connect a client”"}
                  </p>
                )}
              </div>
              <ClientConfigs targets={targets} apiKey={secret} />
            </section>
          )
          : <Notice tone="quiet">This key opens no MCP address yet: it may call nothing.</Notice>}
      </div>
    </Layout>
  );
}

export interface DeleteApiKeyPageProps {
  shell: Shell;
  apiKey: Pick<ApiKey, "id" | "name" | "lastUsedAt">;
  form?: FormState | undefined;
}

/** Asks before a key is deleted. */
export function DeleteApiKeyPage({ shell, apiKey, form }: DeleteApiKeyPageProps) {
  return (
    <ConfirmPage
      shell={shell}
      place="api-keys"
      title={`Delete API key “${apiKey.name}”`}
      consequences={[
        "Whatever uses it is refused from its next request on.",
        apiKey.lastUsedAt ? "It has been used." : "It has never been used.",
        "It cannot be brought back; a new key has another text.",
      ]}
      action={paths.deleteApiKey(apiKey.id)}
      confirm="Delete API key"
      cancel={paths.apiKeys}
      form={form}
    />
  );
}
