import { ActivityPage, type ActivityPageProps } from "../../views/activity.tsx";
import { ApiKeyCreatedPage, ApiKeysPage, DeleteApiKeyPage } from "../../views/api_keys.tsx";
import { type KeyConnection, NewApiKeyPage } from "../../views/api_key_new.tsx";
import { HomePage } from "../../views/home.tsx";
import { LogPage } from "../../views/log.tsx";
import { MembersPage, RemoveMemberPage } from "../../views/members.tsx";
import { NewOrganizationPage, SettingsPage } from "../../views/settings.tsx";
import type { ApiKey, Member, Stats } from "../../views/types.ts";
import { ago, HOUR, info, logOf, logsOf, none, type Sample, sampleShell, type Say, wrong } from "./data.ts";

const stats: Stats = {
  totalCalls: 26172,
  errors: 183,
  denied: 31,
  p50: 46,
  p95: 380,
  previousCalls: 24233,
  previousErrors: 121,
};
const quietStats: Stats = { totalCalls: 0, errors: 0, denied: 0, p50: null, p95: null };

/** The start page. */
export function home(say: Say): Sample[] {
  const shell = sampleShell(say);
  const attention = [
    {
      tone: "bad" as const,
      text: say("Gmail did not accept the token (401)."),
      href: "/connections/conn_gmail/credentials",
      action: say("Paste a new token"),
    },
    {
      tone: "warn" as const,
      text: say("Postgres (reporting) takes 1.9 s in the median."),
      href: "/connections/conn_pg",
      action: say("Look"),
    },
  ];
  const done = { connection: true, key: true, client: true };
  return [
    {
      name: "home-first",
      page: (
        <HomePage
          shell={{ ...shell, organization: null, flash: { kind: "bad", text: say("Cannot do this.") } }}
          steps={{ connection: false, key: false, client: false }}
          stats={quietStats}
          attention={[]}
        />
      ),
    },
    {
      name: "home-second",
      page: (
        <HomePage
          shell={shell}
          steps={{ ...done, key: false, client: false }}
          stats={quietStats}
          attention={[]}
        />
      ),
    },
    {
      name: "home",
      page: <HomePage {...{ shell, stats, attention }} steps={done} furtherUnreachable={65} />,
    },
  ];
}

function activityProps(say: Say): ActivityPageProps {
  const calls = [
    60,
    75,
    47,
    120,
    105,
    88,
    55,
    58,
    112,
    110,
    68,
    103,
    117,
    90,
    82,
    135,
    176,
    144,
    175,
    172,
    140,
  ];
  return {
    shell: sampleShell(say),
    period: say("Last 24 hours"),
    stats,
    series: [...calls, ...calls].map((value, index) => ({
      start: ago((42 - index) * HOUR / 2),
      calls: value,
      errors: index === 29 ? 46 : index % 4,
    })),
    logs: logsOf(say),
    info,
    query: { q: "", connection: "", outcome: "", person: "", from: "", to: "" },
    connections: [{ value: say("conn_linear"), text: say("Linear") }, { value: "self", text: "Mesh" }],
    people: [{ value: say("user_1"), text: say("Ann Larsen") }],
  };
}

/** The log. */
export function activity(say: Say): Sample[] {
  const props = activityProps(say);
  const query = { ...props.query, q: say("nothing"), from: say("2026-08-01") };
  const denied = logOf(say, { outcome: "denied", errorMessage: say("the key may not call create_issue") });
  const bare = logOf(say, {
    connectionId: "self",
    toolName: null,
    input: null,
    output: undefined,
    userName: null,
    userId: null,
    keyId: null,
    properties: null,
  });
  return [
    { name: "activity", page: <ActivityPage {...props} /> },
    { name: "activity-none-match", page: <ActivityPage {...props} query={query} logs={[]} info={none} /> },
    { name: "activity-empty", page: <ActivityPage {...props} series={[]} logs={[]} info={none} /> },
    { name: "log", page: <LogPage shell={props.shell} log={denied} hasConnection canTryAgain /> },
    { name: "log-bare", page: <LogPage shell={props.shell} log={bare} hasConnection canTryAgain={false} /> },
  ];
}

function keysOf(say: Say): ApiKey[] {
  const key = (name: string, more: Partial<ApiKey>): ApiKey => ({
    id: say(`key_${name}`),
    name: say(name),
    permissions: {},
    ownerName: say("Ann Larsen"),
    createdAt: ago(90 * HOUR),
    ...more,
  });
  return [
    key("Claude Code on my laptop", {
      permissions: { [say("conn_linear")]: ["*"], conn_github: ["search_code", "get_file", "list_branches"] },
      lastUsedAt: ago(12_000),
      expiresAt: ago(-30 * 24 * HOUR),
    }),
    key("ci", {
      permissions: { "*": ["*"] },
      lastUsedAt: ago(3 * HOUR),
      expiresAt: ago(-3 * 24 * HOUR),
      ownerName: say("Priya Nair"),
    }),
    key("dashboard", { permissions: { self: ["*_LIST", "*_GET"] } }),
    key("old", {
      permissions: { gone: ["a"], gone2: ["b"], gone3: ["*"], self: ["API_KEY_CREATE"] },
      expiresAt: ago(HOUR),
    }),
  ];
}

/** Making an API key. */
export function newApiKeys(say: Say): Sample[] {
  const shell = sampleShell(say);
  const connections: KeyConnection[] = [
    {
      id: say("conn_linear"),
      title: say("Linear"),
      address: say("https://mcp.linear.app/mcp"),
      tools: [say("list_issues"), say("create_issue"), say("update_issue")],
    },
    {
      id: "conn_github",
      title: say("GitHub"),
      address: "https://api.githubcopilot.com/mcp",
      tools: [say("search_code")],
    },
    { id: "conn_slack", title: say("Slack"), address: "stdio: npx slack-mcp", tools: [] },
  ];
  const many = Array.from({ length: 12 }, (_, index) => ({
    id: `conn_${index}`,
    title: say(`Server ${index}`),
    address: "https://mcp.example.com/mcp",
    tools: [],
  }));
  const chosen = {
    connections: [say("conn_linear")],
    tools: { [say("conn_linear")]: [say("list_issues")] },
  };
  const target = { name: "linear", url: say("http://localhost:3000/mcp/conn_linear") };
  return [
    { name: "api-key-new", page: <NewApiKeyPage shell={shell} connections={connections} /> },
    {
      name: "api-key-new-wrong",
      page: (
        <NewApiKeyPage
          shell={shell}
          connections={connections}
          chosen={chosen}
          form={wrong(say, "name", "scope")}
        />
      ),
    },
    { name: "api-key-new-many", page: <NewApiKeyPage shell={shell} connections={many} /> },
    { name: "api-key-new-bare", page: <NewApiKeyPage shell={shell} connections={[]} /> },
    {
      name: "api-key-created",
      page: (
        <ApiKeyCreatedPage
          shell={shell}
          name={say("laptop")}
          secret={say("mesh_key_example")}
          expiresAt={ago(-90 * 24 * HOUR)}
          targets={[target, { name: "github", url: say("http://localhost:3000/mcp/conn_github") }]}
          opened={12}
        />
      ),
    },
    {
      name: "api-key-created-bare",
      page: (
        <ApiKeyCreatedPage
          shell={shell}
          name={say("x")}
          secret={say("mesh_key_example")}
          targets={[]}
          opened={0}
        />
      ),
    },
  ];
}

/** API keys. */
export function apiKeys(say: Say): Sample[] {
  const shell = sampleShell(say);
  const titles = { [say("conn_linear")]: say("Linear"), conn_github: say("GitHub") };
  return [
    {
      name: "api-keys",
      page: (
        <ApiKeysPage
          shell={shell}
          keys={keysOf(say)}
          info={{ ...info, hasMore: false, total: 4, to: 4 }}
          q=""
          titles={titles}
        />
      ),
    },
    { name: "api-keys-empty", page: <ApiKeysPage shell={shell} keys={[]} info={none} q="" titles={{}} /> },
    {
      name: "api-keys-none-match",
      page: <ApiKeysPage shell={shell} keys={[]} info={none} q={say("zebra")} titles={{}} />,
    },
    {
      name: "api-key-delete",
      page: (
        <DeleteApiKeyPage
          shell={shell}
          apiKey={{ id: say("key_1"), name: say("laptop"), lastUsedAt: ago(12_000) }}
        />
      ),
    },
  ];
}

function membersOf(say: Say): Member[] {
  const member = (id: string, name: string, ...role: string[]): Member => ({
    id: say(`member_${id}`),
    userId: `user_${id}`,
    role,
    createdAt: ago(400 * HOUR),
    user: {
      id: `user_${id}`,
      name: say(name),
      email: say(`${name.toLowerCase().replace(" ", ".")}@northwind.example`),
    },
  });
  return [
    member("1", "Ann Larsen", "owner"),
    member("2", "Priya Nair", "admin"),
    member("3", "Tomás Ruiz", "user"),
    member("4", "Build Bot", say("custom"), "user"),
  ];
}

/** People and settings. */
export function people(say: Say): Sample[] {
  const shell = sampleShell(say);
  const members = membersOf(say);
  const roles = ["owner", "admin", "user"];
  const organization = {
    id: "org_1",
    name: say("Northwind"),
    slug: say("northwind"),
    description: say("Trading"),
  };
  const reader = sampleShell(say, { canManage: false, theme: "dark" });
  const form = wrong(say, "name", "slug", "description");
  return [
    {
      name: "members",
      page: <MembersPage shell={shell} members={members} info={info} q="" signUpUrl={null} roles={roles} />,
    },
    {
      name: "members-wrong",
      page: (
        <MembersPage
          shell={shell}
          members={members}
          q=""
          signUpUrl="http://localhost:3000/sign-up"
          info={info}
          roles={["user"]}
          form={wrong(say, "email", "role")}
        />
      ),
    },
    {
      name: "members-reader",
      page: <MembersPage shell={reader} members={members} info={info} q="" signUpUrl={null} roles={[]} />,
    },
    {
      name: "member-remove",
      page: <RemoveMemberPage shell={shell} member={members[1] as Member} form={{ message: say("No.") }} />,
    },
    { name: "settings", page: <SettingsPage shell={shell} organization={organization} /> },
    {
      name: "settings-wrong",
      page: (
        <SettingsPage shell={shell} organization={organization} organizationForm={form} accountForm={form} />
      ),
    },
    { name: "settings-reader", page: <SettingsPage shell={reader} organization={organization} /> },
    { name: "organization-new", page: <NewOrganizationPage shell={shell} form={form} /> },
  ];
}
