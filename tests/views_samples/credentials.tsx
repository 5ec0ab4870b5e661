import type { CredentialKind } from "../../views/components/credential_fields.tsx";
import {
  ConnectionCredentialsPage,
  type ConnectionCredentialsPageProps,
  EndCredentialPage,
} from "../../views/connection_credentials.tsx";
import type { Connection } from "../../views/types.ts";
import type { Credential, CredentialHolder } from "../../views/credential_words.ts";
import { DisconnectPage } from "../../views/disconnect.tsx";
import { ElsewherePage, MyConnectionPage, NothingToConnectPage } from "../../views/my_connection.tsx";
import { MyConnectionsPage } from "../../views/my_connections.tsx";
import {
  ago,
  connectionOf,
  connectionPage,
  HOUR,
  info,
  none,
  type Sample,
  sampleShell,
  type Say,
  wrong,
} from "./data.ts";

function credentialOf(say: Say, title: string, more: Partial<Credential> = {}): Credential {
  return {
    connection_id: say(`conn_${title.toLowerCase()}`),
    title: say(title),
    url: say(`https://mcp.${title.toLowerCase()}.app/mcp`),
    mode: "per_user",
    type: "oauth",
    personal_headers: null,
    shared: false,
    status: "not_connected",
    reason: null,
    account: null,
    connected_at: null,
    can_connect: true,
    ...more,
  };
}

function credentialsOf(say: Say): Credential[] {
  const connected = { status: "connected" as const, account: say("ann@northwind.example") };
  return [
    credentialOf(say, "Gmail", {
      status: "needs_attention",
      reason: say("Gmail ended the access. Reconnect to go on."),
      connected_at: ago(90 * 24 * HOUR),
    }),
    credentialOf(say, "GitHub", {
      type: "static",
      status: "needs_attention",
      reason: say("GitHub did not accept the token (401). Reconnect, or paste a new token."),
      connected_at: ago(12 * 24 * HOUR),
    }),
    credentialOf(say, "Figma"),
    credentialOf(say, "Sentry", { can_connect: false }),
    credentialOf(say, "Jira", { type: "static", personal_headers: [say("X-Email"), say("X-Api-Key")] }),
    credentialOf(say, "Linear", { ...connected, connected_at: ago(3 * HOUR) }),
    credentialOf(say, "Slack", {
      ...connected,
      type: "static",
      account: null,
      connected_at: ago(5 * 24 * HOUR),
    }),
    credentialOf(say, "Notion", {
      ...connected,
      mode: "shared",
      shared: true,
      account: say("mesh@northwind.example"),
      connected_at: ago(24 * HOUR),
    }),
  ];
}

/** What a person has connected. */
export function myConnections(say: Say): Sample[] {
  const shell = sampleShell(say, { path: "/my-connections" });
  const all = credentialsOf(say);
  const query = { q: "", status: "" } as const;
  const [gmail, github, figma, sentry, jira, linear, slack, notion] = all;
  if (!gmail || !github || !figma || !sentry || !jira || !linear || !slack || !notion) return [];
  const one = (name: string, item: Credential) => ({
    name: `my-connection-${name}`,
    page: <MyConnectionPage shell={shell} item={item} />,
  });
  return [
    {
      name: "my-connections",
      page: <MyConnectionsPage shell={shell} all={all} items={all} info={info} query={query} />,
    },
    {
      name: "my-connections-none-match",
      page: (
        <MyConnectionsPage
          shell={{ ...shell, canManage: false }}
          all={[gmail]}
          items={[]}
          info={none}
          query={{ q: say("nothing"), status: "connected" }}
        />
      ),
    },
    {
      name: "my-connections-empty",
      page: <MyConnectionsPage shell={shell} all={[]} items={[]} info={none} query={query} />,
    },
    one("sign-in", figma),
    one("again", gmail),
    one("token", { ...github, status: "not_connected", reason: null }),
    one("token-again", github),
    one("headers", jira),
    one("connected", linear),
    one("connected-token", slack),
    one("shared", { ...notion, status: "not_connected" }),
    one("shared-connected", notion),
    one("not-now", sentry),
    {
      name: "my-connection-wrong",
      page: <MyConnectionPage shell={shell} item={github} form={wrong(say, "token")} />,
    },
    {
      name: "my-connection-wrong-headers",
      page: (
        <MyConnectionPage
          shell={shell}
          item={{ ...jira, status: "connected" }}
          form={wrong(say, say("header.X-Email"))}
        />
      ),
    },
    {
      name: "my-connection-nothing",
      page: (
        <NothingToConnectPage shell={shell} connection={connectionOf(say, "Linear")} sharedAccess={null} />
      ),
    },
    {
      name: "my-connection-nothing-user",
      page: (
        <NothingToConnectPage
          shell={{ ...shell, canManage: false }}
          connection={connectionOf(say, "Linear")}
          sharedAccess={null}
        />
      ),
    },
    {
      name: "my-connection-waits",
      page: (
        <NothingToConnectPage
          shell={{ ...shell, canManage: false }}
          connection={connectionOf(say, "Linear")}
          sharedAccess="needs_attention"
        />
      ),
    },
    {
      name: "my-connection-off",
      page: (
        <NothingToConnectPage
          shell={shell}
          connection={connectionOf(say, "Linear", { status: "inactive" })}
          sharedAccess="not_connected"
        />
      ),
    },
    {
      name: "my-connection-elsewhere",
      page: (
        <ElsewherePage
          shell={shell}
          item={figma}
          organization={{ id: "org_2", name: say("Fabrikam") }}
        />
      ),
    },
    { name: "disconnect", page: <DisconnectPage shell={shell} item={linear} /> },
    { name: "disconnect-shared", page: <DisconnectPage shell={shell} item={notion} form={wrong(say)} /> },
  ];
}

function holderOf(say: Say, name: string, more: Partial<CredentialHolder> = {}): CredentialHolder {
  return {
    user_id: say(`usr_${name.toLowerCase()}`),
    name: say(name),
    email: say(`${name.toLowerCase()}@northwind.example`),
    status: "connected",
    reason: null,
    account: null,
    connected_at: ago(30 * HOUR),
    ...more,
  };
}

function credentialsPage(say: Say, more: Partial<Connection> = {}): ConnectionCredentialsPageProps {
  const page = connectionPage(say);
  return {
    ...page,
    connection: { ...page.connection, ...more },
    holders: [],
    redirectUri: say("https://mesh.northwind.example/oauth/callback"),
    connectUrl: say("https://mesh.northwind.example/my-connections/conn_linear"),
  };
}

/** Whose credential a connection uses, and who has connected. */
export function credentialSettings(say: Say): Sample[] {
  const personal = { credential_mode: "per_user", credential_type: "oauth", has_token: false } as const;
  const shared = { credential_mode: "shared", credential_type: "oauth", has_token: false } as const;
  const broken = {
    status: "needs_attention" as const,
    reason: say("Linear ended the access. Reconnect to go on."),
  };
  const people = [
    holderOf(say, "Priya", broken),
    holderOf(say, "Omar", { ...broken, name: null }),
    holderOf(say, "Ann", { account: say("ann@northwind.example") }),
    holderOf(say, "Gone", { name: null, email: null }),
  ];
  const everybody = holderOf(say, "All", {
    user_id: null,
    name: null,
    email: null,
    account: say("mesh@northwind.example"),
  });
  const ofKind = (kind: CredentialKind, more: Partial<Connection>) => ({
    name: `credentials-${kind}`,
    page: <ConnectionCredentialsPage {...credentialsPage(say, more)} />,
  });
  const client = {
    client_id: say("mesh"),
    client_secret: "***",
    private_key: "***",
    scope: say("read write"),
    authorization_server: say("https://auth.linear.app"),
  };
  return [
    {
      name: "credentials",
      page: (
        <ConnectionCredentialsPage
          {...credentialsPage(say)}
          form={wrong(say, "token", "headers", "oauth_client_id", "machine_private_key")}
        />
      ),
    },
    ofKind("none", { has_token: false, connection_headers: null }),
    ofKind("headers", {
      has_token: false,
      credential_mode: "per_user",
      personal_headers: [say("X-Api-Key"), say("X-Email")],
    }),
    ofKind("oauth", { ...shared, oauth_config: client }),
    ofKind("client_credentials", {
      ...shared,
      oauth_config: { ...client, grant_type: "client_credentials" },
    }),
    {
      name: "credentials-people",
      page: <ConnectionCredentialsPage {...credentialsPage(say, personal)} holders={people} />,
    },
    {
      name: "credentials-nobody",
      page: <ConnectionCredentialsPage {...credentialsPage(say, personal)} holders={[]} />,
    },
    {
      name: "credentials-shared",
      page: <ConnectionCredentialsPage {...credentialsPage(say, shared)} holders={[everybody]} />,
    },
    {
      name: "credentials-shared-broken",
      page: (
        <ConnectionCredentialsPage
          {...credentialsPage(say, shared)}
          holders={[{ ...everybody, ...broken }]}
        />
      ),
    },
    ...people.slice(0, 1).map((holder) => ({
      name: "credential-end",
      page: (
        <EndCredentialPage
          shell={sampleShell(say)}
          connection={{ ...connectionOf(say, "Linear"), ...personal }}
          holder={holder}
        />
      ),
    })),
    {
      name: "credential-end-shared",
      page: (
        <EndCredentialPage
          shell={sampleShell(say)}
          connection={{ ...connectionOf(say, "Linear"), ...shared }}
          holder={everybody}
        />
      ),
    },
  ];
}
