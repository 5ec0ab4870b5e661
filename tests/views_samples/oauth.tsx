import {
  type Application,
  ApplicationsPage,
  DeleteOauthClientPage,
  type OauthClient,
  OauthClientCreatedPage,
  RevokeApplicationPage,
} from "../../views/applications.tsx";
import { type ConsentAsked, ConsentGonePage, ConsentPage } from "../../views/consent.tsx";
import { LeavingPage } from "../../views/leaving.tsx";
import { NewOauthClientPage } from "../../views/oauth_client_new.tsx";
import { ago, HOUR, info, none, publicShell, type Sample, sampleShell, type Say, wrong } from "./data.ts";

function askedOf(say: Say, more: Partial<ConsentAsked> = {}): ConsentAsked {
  const tool = (name: string, readOnly: boolean, title: string | null = null) => ({
    name: say(name),
    title: title === null ? null : say(title),
    readOnly,
  });
  return {
    requestId: say("ask_1"),
    client: { name: say("Claude Code"), source: "document", host: say("claude.ai"), unproven: true },
    redirect: { host: say("localhost:3118"), kind: "loopback" },
    organizations: [{ id: say("org_1"), name: say("Northwind"), title: say("Linear") }],
    tools: [
      tool("list_issues", true, "Find issues by filter"),
      tool("get_issue", true),
      tool("create_issue", false),
    ],
    ...more,
  };
}

/** What applications and those who let them in see. */
export function consents(say: Say): Sample[] {
  const shell = publicShell(say);
  const user = { name: say("Ann Larsen"), email: say("ann@northwind.example") };
  const usual = { shell, user, organizationId: say("org_1"), others: ["prompt:*", "resource:*"] };
  const client = { name: say("Acme Agent"), source: "dynamic" as const, host: null, unproven: false };
  const mesh = askedOf(say, {
    client,
    redirect: { host: say("agent.example"), kind: "web" },
    organizations: [
      { id: say("org_1"), name: say("Northwind"), title: null },
      { id: say("org_2"), name: say("Fabrikam"), title: null },
    ],
    tools: null,
  });
  const unknown = askedOf(say, {
    client: { ...client, source: "manual" },
    redirect: { host: say("cursor:"), kind: "app" },
    tools: null,
  });
  const others = [...usual.others, say("prompt:summary"), say("list_gone")];
  return [
    { name: "consent", page: <ConsentPage {...usual} asked={askedOf(say)} scope="all" chosen={[]} /> },
    {
      name: "consent-chosen",
      page: (
        <ConsentPage
          {...usual}
          asked={askedOf(say)}
          scope="chosen"
          chosen={[say("list_issues")]}
          others={others}
          form={wrong(say)}
        />
      ),
    },
    {
      name: "consent-mesh",
      page: <ConsentPage {...usual} asked={mesh} scope="read" chosen={[]} others={[]} />,
    },
    {
      name: "consent-mesh-step",
      page: (
        <ConsentPage
          {...usual}
          asked={mesh}
          scope="chosen"
          chosen={[say("API_KEY_CREATE")]}
          others={[say("API_KEY_CREATE")]}
          form={wrong(say, "organizationId")}
        />
      ),
    },
    { name: "consent-unknown", page: <ConsentPage {...usual} asked={unknown} scope="all" chosen={[]} /> },
    { name: "consent-gone", page: <ConsentGonePage shell={shell} /> },
    {
      name: "leaving",
      page: (
        <LeavingPage
          shell={shell}
          url="/?code=1"
          host={say("agent.example")}
          clientName={say("Agent")}
        />
      ),
    },
  ];
}

/** Applications that are connected or registered. */
export function applications(say: Say): Sample[] {
  const shell = sampleShell(say);
  const reader = sampleShell(say, { canManage: false, theme: "dark" });
  const application = (name: string, more: Partial<Application> = {}): Application => ({
    id: say(`consent_${name}`),
    clientName: say(name),
    source: "document",
    host: say("claude.ai"),
    returnsTo: say("localhost:3118"),
    resource: say("conn_linear"),
    resourceTitle: say("Linear"),
    permissions: { [say("conn_linear")]: ["*"] },
    userId: "user_1",
    userName: say("Ann Larsen"),
    createdAt: ago(40 * HOUR),
    lastUsedAt: ago(12_000),
    ...more,
  });
  const all = [
    application("Claude Code"),
    application("Cursor", {
      source: "dynamic",
      host: null,
      returnsTo: say("cursor:"),
      permissions: { [say("conn_linear")]: ["list_issues", "get_issue", "prompt:*"] },
      userId: "user_2",
      userName: say("Priya Nair"),
    }),
    application("Nightly report", {
      source: "manual",
      host: null,
      returnsTo: null,
      resource: "self",
      resourceTitle: null,
      permissions: { self: ["*_LIST", "*_GET"] },
      lastUsedAt: null,
    }),
  ];
  const client: OauthClient = {
    clientId: say("client_1"),
    name: say("Nightly report"),
    redirectUris: [],
    confidential: true,
    ownerName: say("Ann Larsen"),
    permissions: { self: ["*_LIST", "*_GET"], [say("conn_linear")]: ["*"] },
    createdAt: ago(400 * HOUR),
  };
  const claude: OauthClient = {
    ...client,
    clientId: say("client_2"),
    name: say("Claude"),
    redirectUris: [say("https://claude.ai/api/mcp/auth_callback"), say("https://claude.com/callback")],
    confidential: false,
    ownerName: null,
    permissions: null,
  };
  const titles = { [say("conn_linear")]: say("Linear") };
  const some = { ...info, hasMore: false, total: 3, to: 3 };
  const connections = [{ id: say("conn_linear"), title: say("Linear") }];
  return [
    {
      name: "applications",
      page: (
        <ApplicationsPage
          shell={shell}
          applications={all}
          info={some}
          clients={[client, claude]}
          titles={titles}
        />
      ),
    },
    {
      name: "applications-reader",
      page: <ApplicationsPage shell={reader} applications={all} info={some} clients={null} titles={{}} />,
    },
    {
      name: "applications-empty",
      page: <ApplicationsPage shell={shell} applications={[]} info={none} clients={[]} titles={{}} />,
    },
    ...all.map((one, index) => ({
      name: `application-revoke-${index}`,
      page: <RevokeApplicationPage shell={shell} application={one} />,
    })),
    { name: "oauth-client-new", page: <NewOauthClientPage shell={shell} connections={connections} /> },
    {
      name: "oauth-client-new-wrong",
      page: (
        <NewOauthClientPage
          shell={shell}
          connections={[]}
          form={wrong(say, "name", "redirect_uris", "alone")}
        />
      ),
    },
    {
      name: "oauth-client-created",
      page: <OauthClientCreatedPage shell={shell} client={claude} secret={say("shown-once")} />,
    },
    {
      name: "oauth-client-created-bare",
      page: <OauthClientCreatedPage shell={shell} client={client} secret={null} />,
    },
    { name: "oauth-client-delete", page: <DeleteOauthClientPage shell={shell} client={claude} /> },
  ];
}
