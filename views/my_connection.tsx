import type { Child } from "hono/jsx";
import type { ConnectionStatus, FormState, OrganizationChoice, Shell } from "./types.ts";
import { Tile } from "./components/badge.tsx";
import { Button, ButtonLink } from "./components/button.tsx";
import { Fact, Facts, Grant, Notice } from "./components/card.tsx";
import { Form, FormMessage, TextField } from "./components/form.tsx";
import { Time } from "./components/time.tsx";
import { adviceWords, type Credential, type CredentialStatus, hostOf } from "./credential_words.ts";
import { Layout } from "./layout.tsx";
import { paths } from "./paths.ts";

/**
 * Posts `from` (`page`) to /my-connections/:id/connect, or token, or header.NAME for each name, to
 * /my-connections/:id/token.
 */
export interface MyConnectionPageProps {
  shell: Shell;
  item: Credential;
  form?: FormState | undefined;
}

interface QuestionProps {
  title: string;
  shell: Shell;
  name: string;
  url?: string | null;
  lead?: Child;
  foot?: Child;
  children?: Child;
}

/** One card that asks one thing about one connection. */
function Question({ title, shell, name, url, lead, foot, children }: QuestionProps) {
  return (
    <Layout title={title} shell={shell} place="my-connections">
      <div class="card question stack">
        <header class="thing-head">
          <Tile name={name} large />
          <div class="thing-text">
            <h1>{title}</h1>
            {url && <p class="sub mono">{hostOf(url)}</p>}
          </div>
        </header>
        {lead && <p class="lead">{lead}</p>}
        {children}
      </div>
      {foot && <p class="question-foot">{foot}</p>}
    </Layout>
  );
}

/** What connecting means. */
function Meanings({ item, shell }: { item: Credential; shell: Shell }) {
  const { title, type, shared } = item;
  const organization = shell.organization?.name ?? "the organization";
  return (
    <ul class="grants">
      {type === "oauth" && (
        <Grant
          title={`You sign in at ${title}`}
          note="It asks you there whether Mesh may act for you, and sends you back. Mesh never sees your password."
        />
      )}
      {shared
        ? (
          <Grant
            title="Everybody calls as that account"
            note={`What the people of ${organization} may call of ${title} runs as the account that you sign in with.`}
          />
        )
        : (
          <Grant
            title="Calls run as you"
            note={`Those that you, your API keys and your applications make to ${title} through Mesh. Nobody else's.`}
          />
        )}
      <Grant
        title={type === "oauth" ? "The access stays in the vault" : "It stays in the vault"}
        note="Encrypted, and never shown again: not to your clients, not to an administrator. You can disconnect at any time."
      />
    </ul>
  );
}

function SignInForm({ item, shell, again }: { item: Credential; shell: Shell; again: boolean }) {
  return (
    <Form csrf={shell.csrf} action={paths.connectMine(item.connection_id)}>
      <input type="hidden" name="from" value="page" />
      <div class="row end">
        <ButtonLink href={paths.myConnections}>Not now</ButtonLink>
        <Button kind="main">{again ? `Reconnect ${item.title}` : `Connect ${item.title}`}</Button>
      </div>
    </Form>
  );
}

/** The names of the controls for the values of headers. */
export function headerField(name: string): string {
  return `header.${name}`;
}

function SecretFields({ item, form }: { item: Credential; form: FormState | undefined }) {
  const first = item.status === "not_connected";
  const common = { type: "password", autocomplete: "off", mono: true } as const;
  const plain = { autocapitalize: "off", spellcheck: "false" };
  if (item.personal_headers === null) {
    return (
      <TextField
        {...common}
        attributes={plain}
        name="token"
        label={`Your token for ${item.title}`}
        required
        autofocus={item.status !== "connected"}
        error={form?.errors?.token}
        hint="Make one in your account there, often under “API tokens” or “Personal access tokens”."
      />
    );
  }
  return (
    <>
      {item.personal_headers.map((name, index) => (
        <TextField
          key={name}
          {...common}
          attributes={plain}
          id={`f-header-${index}`}
          name={headerField(name)}
          label={name}
          required={first}
          autofocus={index === 0 && item.status !== "connected"}
          {...(!first && { hint: "Left empty, the stored value stays." })}
          error={form?.errors?.[headerField(name)]}
        />
      ))}
    </>
  );
}

function SecretForm({ item, shell, form, again }: MyConnectionPageProps & { again: boolean }) {
  return (
    <Form csrf={shell.csrf} action={paths.saveMine(item.connection_id)} class="stack">
      <SecretFields item={item} form={form} />
      <div class="row end">
        <ButtonLink href={paths.myConnections}>{again ? "Cancel" : "Not now"}</ButtonLink>
        <Button kind="main">{again ? "Replace" : `Connect ${item.title}`}</Button>
      </div>
    </Form>
  );
}

function Asking({ item, shell, form }: MyConnectionPageProps) {
  const { title, status, shared } = item;
  const again = status === "needs_attention";
  const organization = shell.organization?.name ?? "your organization";
  return (
    <Question
      title={again ? `Reconnect ${title}` : `Connect ${title}`}
      shell={shell}
      name={title}
      url={item.url}
      lead={shared
        ? `Mesh asks for an account at ${title} that everybody in ${organization} calls with.`
        : `Mesh asks for your own account at ${title}, so that what you call there runs as you.`}
      foot={
        <>
          {"Were you sent here by a client? It only passed on the link: Mesh of "}
          <b>{organization}</b>
          {` asks, and the client sees nothing of what you enter. You are signed in as ${shell.user.email}.`}
        </>
      }
    >
      <FormMessage state={form} />
      {again && !form?.message && <Notice tone="bad">{adviceWords(item)}</Notice>}
      <Meanings item={item} shell={shell} />
      {!item.can_connect
        ? (
          <Notice tone="quiet">
            {`${title} cannot be connected now: it may be switched off. An administrator of ${organization} can tell.`}
          </Notice>
        )
        : item.type === "oauth"
        ? <SignInForm item={item} shell={shell} again={again} />
        : <SecretForm item={item} shell={shell} form={form} again={again} />}
    </Question>
  );
}

function Connected({ item, shell, form }: MyConnectionPageProps) {
  const { connection_id: id, title, type, account, connected_at, shared } = item;
  return (
    <Question title={`${title} is connected`} shell={shell} name={title} url={item.url}>
      {form?.message
        ? <FormMessage state={form} />
        : <Notice tone="good">You can go back to your client and try again.</Notice>}
      <Facts>
        <Fact name="Who calls with it">
          {shared ? "Everybody who may call it" : `You, ${shell.user.email}`}
        </Fact>
        {account && <Fact name={`Account at ${title}`}>{account}</Fact>}
        <Fact name="Connected">
          <Time at={connected_at} none="–" />
        </Fact>
      </Facts>
      {item.can_connect && type === "static" && (
        <details class="fold" open={form !== undefined}>
          <summary>{item.personal_headers === null ? "Replace the token" : "Replace the values"}</summary>
          <SecretForm item={item} shell={shell} form={form && { ...form, message: undefined }} again />
        </details>
      )}
      {item.can_connect && type === "oauth" && (
        <p class="small second">
          {`Where your client sends you here once more, ${title} wants you to allow more than you did: reconnect.`}
        </p>
      )}
      <div class="row between">
        <ButtonLink class="bad" href={paths.disconnectMine(id)}>Disconnect…</ButtonLink>
        <div class="row">
          {item.can_connect && type === "oauth" && (
            <Form csrf={shell.csrf} action={paths.connectMine(id)}>
              <input type="hidden" name="from" value="page" />
              <Button>Reconnect</Button>
            </Form>
          )}
          <ButtonLink href={paths.myConnections}>My connections</ButtonLink>
        </div>
      </div>
    </Question>
  );
}

/** One connection that wants an account of the reader: what it is, who asks, what connecting means, and the button. */
export function MyConnectionPage(props: MyConnectionPageProps) {
  return props.item.status === "connected" ? <Connected {...props} /> : <Asking {...props} />;
}

export interface NothingToConnectPageProps {
  shell: Shell;
  connection: {
    id: string;
    title: string;
    connection_url?: string | null | undefined;
    status: ConnectionStatus;
  };
  /** How the access stands that somebody signs in for on behalf of all; null where there is no such thing. */
  sharedAccess: CredentialStatus | null;
}

function nothingWords({ shell, connection, sharedAccess }: NothingToConnectPageProps): [string, string] {
  const { title, status } = connection;
  const organization = shell.organization?.name ?? "the organization";
  if (status === "inactive") {
    return [
      `${title} is switched off`,
      `Calls to it are refused until an administrator switches it on again.`,
    ];
  }
  if (sharedAccess === "not_connected" || sharedAccess === "needs_attention") {
    const why = sharedAccess === "not_connected"
      ? `Nobody has signed in there for ${organization} yet`
      : `It ended the access that everybody in ${organization} calls with`;
    return [`${title} waits for an administrator`, `${why}. Calls fail until an administrator connects it.`];
  }
  const lead = shell.canManage
    ? "It works with the credential that the organization shares."
    : `An administrator of ${organization} looks after its credential. If your calls are refused, tell them.`;
  return [`${title} needs nothing from you`, lead];
}

/** A connection that works with a credential of the organization, or with none. */
export function NothingToConnectPage(props: NothingToConnectPageProps) {
  const { shell, connection: { id, title, connection_url } } = props;
  const [heading, lead] = nothingWords(props);
  return (
    <Question title={heading} shell={shell} name={title} url={connection_url ?? null} lead={lead}>
      <div class="row end">
        <ButtonLink href={paths.myConnections}>My connections</ButtonLink>
        {shell.canManage && (
          <ButtonLink kind="main" href={paths.connectionTab(id, "credentials")}>
            Show its credentials
          </ButtonLink>
        )}
      </div>
    </Question>
  );
}

/** Posts organizationId to /my-connections/:id/organization. */
export interface ElsewherePageProps {
  shell: Shell;
  item: Credential;
  /** Where the connection is. */
  organization: OrganizationChoice;
}

/** A connection of another organization that the reader belongs to. */
export function ElsewherePage({ shell, item, organization }: ElsewherePageProps) {
  return (
    <Question
      title={`${item.title} belongs to ${organization.name}`}
      shell={shell}
      name={item.title}
      url={item.url}
      lead={`You are in ${
        shell.organization?.name ?? "no organization"
      } now. Change to ${organization.name} to ${
        item.status === "connected" ? "see what is connected" : "connect your account"
      }.`}
    >
      <Form csrf={shell.csrf} action={paths.moveToMine(item.connection_id)}>
        <input type="hidden" name="organizationId" value={organization.id} />
        <div class="row end">
          <ButtonLink href={paths.myConnections}>Not now</ButtonLink>
          <Button kind="main">{`Change to ${organization.name}`}</Button>
        </div>
      </Form>
    </Question>
  );
}
