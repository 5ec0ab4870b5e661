import type { FormState, PageInfo, Permissions, Shell } from "./types.ts";
import { Badge } from "./components/badge.tsx";
import { ButtonLink } from "./components/button.tsx";
import { Card, EmptyState, Fact, Facts, PageHead } from "./components/card.tsx";
import { SecretOnce } from "./components/secret.tsx";
import { Cell, Paging, Row, Table } from "./components/table.tsx";
import { Time } from "./components/time.tsx";
import { ConfirmPage } from "./confirm.tsx";
import { Layout } from "./layout.tsx";
import { paths } from "./paths.ts";
import { permissionSummary } from "./permissions.ts";

/** What somebody has allowed an application. */
export interface Application {
  id: string;
  clientName: string;
  source: "document" | "dynamic" | "manual";
  host: string | null;
  returnsTo: string | null;
  resource: string;
  resourceTitle: string | null;
  permissions: Permissions;
  userId: string;
  userName: string;
  createdAt: string;
  lastUsedAt: string | null;
}

/** An application that an admin registered. */
export interface OauthClient {
  clientId: string;
  name: string;
  redirectUris: readonly string[];
  confidential: boolean;
  ownerName: string | null;
  permissions: Permissions | null;
  createdAt: string;
}

export interface ApplicationsPageProps {
  shell: Shell;
  applications: readonly Application[];
  info: PageInfo;
  /** Those that admins have registered; null for readers who do not look after them. */
  clients: readonly OauthClient[] | null;
  /** Titles of connections by id, to name them in the permissions. */
  titles: Readonly<Record<string, string>>;
}

function originOf({ source, host, returnsTo }: Application): string {
  if (source === "document") return `from ${host}`;
  if (source === "manual") return "registered by an administrator";
  return returnsTo === null ? "registered itself" : `registered itself, returns to ${returnsTo}`;
}

/** What it may do, in words. */
function summaryOf({ resource, resourceTitle, permissions }: Application): string {
  return permissionSummary(permissions, resourceTitle === null ? {} : { [resource]: resourceTitle });
}

function ApplicationRow({ application, shell }: { application: Application; shell: Shell }) {
  const { id, clientName, userName, userId, createdAt, lastUsedAt } = application;
  return (
    <Row>
      <Cell as="main">
        <div class="thing-text">
          <b>{clientName}</b>
          <span class="small second">{originOf(application)}</span>
        </div>
      </Cell>
      <Cell as="note" label="May do">{summaryOf(application)}</Cell>
      {shell.canManage && <Cell label="Acts for">{userId === shell.user.id ? "you" : userName}</Cell>}
      <Cell label="Since">
        <Time at={createdAt} />
      </Cell>
      <Cell label="Last used">
        <Time at={lastUsedAt} />
      </Cell>
      <Cell as="actions">
        <ButtonLink kind="quiet" href={paths.revokeApplication(id)} about={`${clientName} of ${userName}`}>
          Revoke
        </ButtonLink>
      </Cell>
    </Row>
  );
}

function Applications({ shell, applications, info }: ApplicationsPageProps) {
  if (applications.length === 0) {
    return (
      <EmptyState
        title="No application is connected"
        actions={<ButtonLink href={paths.connections}>Show the connections</ButtonLink>}
      >
        Give the address of a connection to Claude, ChatGPT, Cursor, VS Code or any other MCP client. It needs
        nothing else: it sends you here to sign in and to say what it may do.
      </EmptyState>
    );
  }
  return (
    <Table
      label="Applications"
      columns={[
        { title: "Application" },
        { title: "May do" },
        ...(shell.canManage ? [{ title: "Acts for" }] : []),
        { title: "Since" },
        { title: "Last used" },
        { title: "Actions", silent: true },
      ]}
      foot={<Paging info={info} path={paths.applications} />}
    >
      {applications.map((application) => (
        <ApplicationRow key={application.id} application={application} shell={shell} />
      ))}
    </Table>
  );
}

function ClientRow({ client, titles }: { client: OauthClient; titles: Readonly<Record<string, string>> }) {
  const { clientId, name, redirectUris, confidential, ownerName, permissions } = client;
  return (
    <Row>
      <Cell as="main">
        <div class="thing-text">
          <b>{name}</b>
          <code class="second">{clientId}</code>
        </div>
      </Cell>
      <Cell as="note" label="Returns to">
        {redirectUris.length === 0
          ? <span class="muted">no person is asked</span>
          : redirectUris.map((uri) => <code key={uri} class="line">{uri}</code>)}
      </Cell>
      <Cell as="note" label="Without a person">
        {permissions === null
          ? <span class="muted">nothing</span>
          : `${permissionSummary(permissions, titles)}, as ${ownerName ?? "somebody who left"}`}
      </Cell>
      <Cell as="state">
        <Badge tone="quiet">{confidential ? "with a secret" : "no secret"}</Badge>
      </Cell>
      <Cell as="actions">
        <ButtonLink kind="quiet" href={paths.deleteOauthClient(clientId)} about={name}>Delete</ButtonLink>
      </Cell>
    </Row>
  );
}

function Clients({ clients, titles }: {
  clients: readonly OauthClient[];
  titles: Readonly<Record<string, string>>;
}) {
  return (
    <section class="home-part" aria-labelledby="clients">
      <div class="card-head">
        <h2 id="clients">Registered by administrators</h2>
        <ButtonLink icon="plus" href={paths.newOauthClient}>Register an application</ButtonLink>
      </div>
      {clients.length === 0
        ? (
          <p class="second small">
            None. Most applications register by themselves; register one here where it asks for a client id,
            or where it is to act without a person.
          </p>
        )
        : (
          <Table
            label="Registered by administrators"
            columns={[
              { title: "Application" },
              { title: "Returns to" },
              { title: "Without a person" },
              { title: "Secret" },
              { title: "Actions", silent: true },
            ]}
          >
            {clients.map((client) => <ClientRow key={client.clientId} client={client} titles={titles} />)}
          </Table>
        )}
    </section>
  );
}

/** The applications that people let act for them, and those that admins registered. */
export function ApplicationsPage(props: ApplicationsPageProps) {
  const { shell, clients, titles } = props;
  return (
    <Layout title="Applications" shell={shell} place="applications">
      <PageHead
        title="Applications"
        lead={shell.canManage
          ? "What may act for the people of this organization. What is revoked is refused from its next request on."
          : "What you let act for you here. What you revoke is refused from its next request on."}
      />
      <Applications {...props} />
      {clients && <Clients clients={clients} titles={titles} />}
    </Layout>
  );
}

export interface RevokeApplicationPageProps {
  shell: Shell;
  application: Application;
}

/** Asks before an application is cut off. */
export function RevokeApplicationPage({ shell, application }: RevokeApplicationPageProps) {
  const { id, clientName, userId, userName, lastUsedAt } = application;
  const own = userId === shell.user.id;
  return (
    <ConfirmPage
      shell={shell}
      place="applications"
      title={`Revoke “${clientName}”`}
      consequences={[
        `It acts for ${own ? "you" : userName}: ${summaryOf(application)}.`,
        "It is refused from its next request on, wherever it runs.",
        lastUsedAt === null ? "It has never been used." : "It has been used.",
        own
          ? "To connect it again, you are asked again."
          : `To connect it again, ${userName} is asked again.`,
      ]}
      action={paths.revokeApplication(id)}
      confirm="Revoke application"
      cancel={paths.applications}
    />
  );
}

export interface OauthClientCreatedPageProps {
  shell: Shell;
  client: Pick<OauthClient, "clientId" | "name" | "redirectUris">;
  /** The secret in clear: this is the only page that ever shows it; null where there is none. */
  secret: string | null;
}

/** The answer to registering an application: its id and, once, its secret. */
export function OauthClientCreatedPage({ shell, client, secret }: OauthClientCreatedPageProps) {
  return (
    <Layout title="Application registered" shell={shell} place="applications">
      <PageHead
        title={`“${client.name}” is registered`}
        lead="Enter these where the application asks for them."
        actions={<ButtonLink href={paths.applications}>All applications</ButtonLink>}
      />
      <Card class="stack narrow">
        <Facts>
          <Fact name="Client id">
            <code>{client.clientId}</code>
          </Fact>
          {client.redirectUris.length > 0 && (
            <Fact name="Returns to">
              {client.redirectUris.map((uri) => <code key={uri} class="line">{uri}</code>)}
            </Fact>
          )}
        </Facts>
        {secret === null
          ? <p class="second">It has no secret: it proves itself by the address that it returns to.</p>
          : <SecretOnce id="client-secret" label="Client secret" value={secret} />}
      </Card>
    </Layout>
  );
}

export interface DeleteOauthClientPageProps {
  shell: Shell;
  client: Pick<OauthClient, "clientId" | "name">;
  form?: FormState | undefined;
}

/** Asks before a registered application is deleted. */
export function DeleteOauthClientPage({ shell, client, form }: DeleteOauthClientPageProps) {
  return (
    <ConfirmPage
      shell={shell}
      place="applications"
      title={`Delete application “${client.name}”`}
      consequences={[
        "It is refused from its next request on, for everybody who allowed it something.",
        "Its client id cannot be brought back.",
      ]}
      action={paths.deleteOauthClient(client.clientId)}
      confirm="Delete application"
      cancel={paths.applications}
      form={form}
    />
  );
}
