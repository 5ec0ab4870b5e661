import type { FormState, Shell } from "./types.ts";
import { Badge } from "./components/badge.tsx";
import { Button, ButtonLink } from "./components/button.tsx";
import { Card, Fact, Facts, Notice } from "./components/card.tsx";
import { CodeBlock } from "./components/code.tsx";
import { CredentialFields, kindOf } from "./components/credential_fields.tsx";
import { Form, FormMessage } from "./components/form.tsx";
import { Cell, Row, Table } from "./components/table.tsx";
import { Time } from "./components/time.tsx";
import { ConfirmPage } from "./confirm.tsx";
import { ConnectionFrame, type ConnectionPageProps } from "./connection_frame.tsx";
import {
  adviceWords,
  type CredentialHolder,
  credentialState,
  needing,
  reasonWords,
  reconnectWords,
} from "./credential_words.ts";
import { destroyedWords } from "./disconnect.tsx";
import { plural } from "./format.ts";
import { paths } from "./paths.ts";

/**
 * Posts kind, whose, token, headers, remove_header (repeated), personal_headers, and the OAuth client's fields to
 * /connections/:id/credentials.
 */
export interface ConnectionCredentialsPageProps extends ConnectionPageProps {
  /** Who has connected; those that need attention first. */
  holders: readonly CredentialHolder[];
  redirectUri: string;
  /** The page on which people connect, to be handed on. */
  connectUrl: string;
  form?: FormState | undefined;
}

/** What stands in an address for the owner of the credential of the organization. */
export const sharedOwnerName = "shared";

function ownerName({ user_id }: CredentialHolder): string {
  return user_id ?? sharedOwnerName;
}

function nameOf({ name, email }: CredentialHolder): string {
  return name || email || "somebody who left";
}

function HolderRow(
  { holder, connection: { id: connectionId, title } }: {
    holder: CredentialHolder;
    connection: { id: string; title: string };
  },
) {
  const { tone } = credentialState(holder);
  const text = holder.status === "connected" ? "Connected" : "Needs to reconnect";
  return (
    <Row>
      <Cell as="main">
        <div class="thing-text">
          <b>{holder.name || holder.email || "Somebody who left"}</b>
          {holder.email && holder.name && <span class="small second">{holder.email}</span>}
        </div>
      </Cell>
      <Cell as="state">
        <Badge tone={tone}>{text}</Badge>
      </Cell>
      <Cell as="note">
        {holder.status === "needs_attention"
          ? <p class="small">{reasonWords({ title, reason: holder.reason })}</p>
          : holder.account && <p class="small second">{`as ${holder.account}`}</p>}
      </Cell>
      <Cell label="Since">
        <Time at={holder.connected_at} none="–" />
      </Cell>
      <Cell as="actions">
        <ButtonLink
          kind="quiet"
          class="small"
          href={paths.endCredential(connectionId, ownerName(holder))}
          about={nameOf(holder)}
        >
          Disconnect
        </ButtonLink>
      </Cell>
    </Row>
  );
}

/** The people who have connected, and how those hear of it who have not. */
function People({ connection, holders, connectUrl, shell }: ConnectionCredentialsPageProps) {
  const people = holders.filter(({ user_id }) => user_id !== null);
  const broken = needing(people);
  const members = shell.counts?.members;
  return (
    <section class="stack" aria-labelledby="people">
      <div class="card-head">
        <h2 id="people">Who has connected</h2>
        <div class="row">
          {people.length > 0 && members !== undefined && (
            <span class="small second">{`${people.length} of ${plural(members, "member")}`}</span>
          )}
          <ButtonLink class="small" href={paths.myConnection(connection.id)}>Your own account</ButtonLink>
        </div>
      </div>
      {broken.length > 0 && (
        <Notice tone="warn">
          {`${
            reconnectWords(broken.length)
          }: their calls fail until they do. They see it under My connections, and their clients show them the link.`}
        </Notice>
      )}
      {people.length > 0
        ? (
          <Table
            label="Who has connected"
            columns={[
              { title: "Person" },
              { title: "State" },
              { title: "As whom", silent: true },
              { title: "Since" },
              { title: "Actions", silent: true },
            ]}
          >
            {people.map((holder) => (
              <HolderRow key={ownerName(holder)} holder={holder} connection={connection} />
            ))}
          </Table>
        )
        : (
          <p class="second">
            Nobody yet. Whoever calls a tool without having connected gets the link to do it; you can also
            hand it on.
          </p>
        )}
      <CodeBlock id="connect-url" text={connectUrl} label="Where people connect" wrap />
    </section>
  );
}

/** The access that an administrator has signed in for. */
function SharedAccess({ connection, holders }: ConnectionCredentialsPageProps) {
  const holder = holders.find(({ user_id }) => user_id === null);
  const broken = holder?.status === "needs_attention";
  const state = credentialState(holder ?? { status: "not_connected" });
  return (
    <Card title="Shared access" actions={<Badge tone={state.tone}>{state.text}</Badge>} class="stack">
      {broken
        ? (
          <Notice tone="bad">
            {adviceWords({ ...connection, reason: holder.reason, type: "oauth", personal_headers: null })}
          </Notice>
        )
        : holder === undefined && (
          <p class="second">
            {`Nobody has signed in at ${connection.title} yet. Calls fail until an administrator does: everybody calls as that account then. Where each is to call as themselves, choose “Each person their own” below instead.`}
          </p>
        )}
      {holder && (
        <Facts>
          {holder.account && <Fact name="As whom">{holder.account}</Fact>}
          <Fact name="Connected">
            <Time at={holder.connected_at} none="–" />
          </Fact>
        </Facts>
      )}
      <div class="row">
        <ButtonLink kind={holder && !broken ? "plain" : "main"} href={paths.myConnection(connection.id)}>
          {holder ? "Reconnect…" : `Connect ${connection.title}…`}
        </ButtonLink>
        {holder && (
          <ButtonLink kind="quiet" href={paths.endCredential(connection.id, sharedOwnerName)}>
            Disconnect…
          </ButtonLink>
        )}
      </div>
    </Card>
  );
}

/** Whose credential calls carry, who has connected, and what needs attention; values are written, never shown. */
export function ConnectionCredentialsPage(props: ConnectionCredentialsPageProps) {
  const { shell, connection, form, redirectUri } = props;
  const personal = connection.credential_mode === "per_user";
  const sharedSignIn = !personal && kindOf(connection) === "oauth";
  return (
    <ConnectionFrame {...props} tab="credentials">
      <div class={personal ? "stack" : "stack narrow"}>
        {personal && <People {...props} />}
        {sharedSignIn && <SharedAccess {...props} />}
        <Card title="Credential" class="stack narrow">
          <Form csrf={shell.csrf} action={paths.connectionTab(connection.id, "credentials")} class="stack">
            <FormMessage state={form} />
            <CredentialFields form={form} connection={connection} redirectUri={redirectUri} />
            <div class="row">
              <Button kind="main">Save</Button>
            </div>
          </Form>
        </Card>
      </div>
    </ConnectionFrame>
  );
}

export interface EndCredentialPageProps {
  shell: Shell;
  connection: { id: string; title: string; credential_type?: "static" | "oauth" | undefined };
  holder: CredentialHolder;
}

/** Asks before somebody's credential, or the shared one, is ended. */
export function EndCredentialPage({ shell, connection, holder }: EndCredentialPageProps) {
  const { id, title } = connection;
  const shared = holder.user_id === null;
  const who = nameOf(holder);
  return (
    <ConfirmPage
      shell={shell}
      place="connections"
      title={shared ? `Disconnect “${title}” for everybody` : `Disconnect ${who} from “${title}”`}
      consequences={[
        shared
          ? `Everybody's calls to ${title} fail until somebody connects it again.`
          : `What ${who}, their API keys and their applications call of ${title} fails until they connect again. Nobody else is affected.`,
        destroyedWords({ title, type: connection.credential_type ?? "static" }),
        "Its tools stay listed, and the log keeps what was called.",
      ]}
      action={paths.endCredential(id, ownerName(holder))}
      confirm={shared ? "Disconnect" : `Disconnect ${who}`}
      cancel={paths.connectionTab(id, "credentials")}
    />
  );
}
