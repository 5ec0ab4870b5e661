import type { ConnectionPageProps } from "../../views/connection_frame.tsx";
import type { ConnectionItem } from "../../views/connections.tsx";
import type { Connection, FormState, Log, PageInfo, PublicShell, Shell, Tool } from "../../views/types.ts";

/** A page with sample data, by a name for its file. */
export interface Sample {
  name: string;
  page: unknown;
}

/** Turns a plain text into the one that the sample shows: itself for a preview, something hostile for a test. */
export type Say = (plain: string) => string;

const NOW = Date.now();
export const ago = (ms: number) => new Date(NOW - ms).toISOString();
export const HOUR = 3_600_000;

export function sampleShell(say: Say, more: Partial<Shell> = {}): Shell {
  return {
    csrf: say("csrf-value"),
    theme: "system",
    path: "/connections",
    user: { id: "user_1", name: say("Ann Larsen"), email: say("ann@northwind.example") },
    organization: { id: "org_1", name: say("Northwind") },
    organizations: [{ id: "org_1", name: say("Northwind") }, { id: "org_2", name: say("Fabrikam") }],
    canManage: true,
    counts: { connections: 12, members: 24, apiKeys: 7, applications: 5, needReconnect: 2 },
    ...more,
  };
}

export function publicShell(say: Say): PublicShell {
  return { csrf: say("csrf-value"), theme: "system" };
}

export const info: PageInfo = { page: 1, from: 1, to: 6, total: 12, hasMore: true };

export function connectionOf(say: Say, title: string, more: Partial<Connection> = {}): Connection {
  return {
    id: say(`conn_${title.toLowerCase()}`),
    title: say(title),
    description: say("Issues and projects"),
    connection_type: "HTTP",
    connection_url: say(`https://mcp.${title.toLowerCase()}.app/mcp`),
    connection_headers: { headers: { [say("X-Team")]: "***" } },
    status: "active",
    has_token: true,
    created_at: ago(90 * HOUR),
    ...more,
  };
}

export function itemsOf(say: Say): ConnectionItem[] {
  const item = (
    connection: Connection,
    [toolCount, medianMs, calls]: [number | null, number | null, number],
    daily: number[],
  ) => ({ connection, toolCount, medianMs, calls, daily });
  return [
    item(connectionOf(say, "Linear"), [24, 38, 12480], [1500, 1550, 1700, 1650, 1900, 1850, 2330]),
    item(
      connectionOf(say, "GitHub", { connection_url: say("https://api.githubcopilot.com/mcp") }),
      [41, 112, 9031],
      [1200, 1100, 1300, 1500, 1250, 1400, 1500],
    ),
    item(
      connectionOf(say, "Postgres (reporting)", {
        connection_type: "STDIO",
        connection_url: null,
        connection_headers: { command: say("npx"), args: [say("@acme/pg-mcp")] },
      }),
      [8, 1900, 2214],
      [100, 100, 300, 900, 600, 100, 200],
    ),
    {
      ...item(
        connectionOf(say, "Gmail", {
          status: "error",
          status_reason: say("Gmail did not accept the token (401). Paste a new one under Credentials."),
        }),
        [null, null, 1807],
        [500, 500, 400, 500, 20, 10, 5],
      ),
      health: { checked_at: ago(60_000), ok_at: ago(3 * HOUR) },
    },
    item(
      connectionOf(say, "Internal search", { connection_url: say("https://search.northwind.internal/mcp") }),
      [5, 21, 640],
      [20, 20, 90, 20, 90, 90, 140],
    ),
    {
      ...item(connectionOf(say, "Calendar"), [9, 95, 320], [50, 40, 50, 40, 60, 40, 40]),
      standing: { needReconnect: 3, sharedAccess: null },
    },
    {
      ...item(connectionOf(say, "Notion", { status: "error" }), [null, null, 0], [0, 0, 0, 0, 0, 0, 0]),
      standing: { needReconnect: 0, sharedAccess: "not_connected" },
    },
    {
      ...item(connectionOf(say, "Figma"), [4, 40, 12], [1, 2, 1, 2, 1, 2, 3]),
      standing: { needReconnect: 0, sharedAccess: "needs_attention" },
    },
    item(connectionOf(say, "Slack", { status: "inactive" }), [13, null, 0], [0, 0, 0, 0, 0, 0, 0]),
  ];
}

export function toolsOf(say: Say): Tool[] {
  return [
    { name: say("list_issues"), title: say("Find issues by filter"), annotations: { readOnlyHint: true } },
    {
      name: say("create_issue"),
      description: say("Create an issue in a team."),
      annotations: { readOnlyHint: false },
      inputSchema: {
        type: "object",
        required: [say("team"), say("title")],
        properties: {
          [say("team")]: { type: "string", default: say("Platform") },
          [say("title")]: { type: "string", description: say("One line.") },
          [say("description")]: { type: "string", maxLength: 4000 },
          [say("priority")]: {
            type: "integer",
            minimum: 0,
            maximum: 4,
            default: 2,
            description: say("0 none, 1 urgent, 4 low"),
          },
          [say("state")]: { enum: [say("Backlog"), say("Todo"), say("Done")], default: say("Backlog") },
          [say("notify")]: { type: "boolean" },
          [say("labels")]: { type: "array", items: { type: "string" }, default: [say("bug")] },
        },
      },
    },
    {
      name: say("update_issue"),
      description: say("Change fields of an issue"),
      annotations: { readOnlyHint: false },
    },
    {
      name: say("delete_issue"),
      description: say("Delete an issue"),
      annotations: { destructiveHint: true },
    },
    { name: say("list_teams"), title: say("Teams you can see"), annotations: { readOnlyHint: true } },
    { name: say("add_comment"), title: say("Comment on an issue") },
  ];
}

export function logOf(say: Say, more: Partial<Log> = {}): Log {
  return {
    id: say("log_1"),
    organizationId: say("org_1"),
    connectionId: say("conn_linear"),
    connectionTitle: say("Linear"),
    toolName: say("create_issue"),
    method: say("tools/call"),
    input: { [say("team")]: say("Platform"), token: "***" },
    output: { content: [{ type: "text", text: say("created") }] },
    isError: false,
    outcome: "ok",
    durationMs: 184,
    timestamp: ago(12_000),
    userId: say("user_1"),
    userName: say("Ann Larsen"),
    keyId: say("key_1"),
    keyName: say("laptop"),
    clientName: say("Claude Code"),
    requestId: say("req_01"),
    traceId: say("4bf92f3577b34da6"),
    userAgent: say("claude-code/2.1"),
    upstreamStatus: 200,
    requestBytes: 312,
    responseBytes: 1204,
    properties: { [say("team")]: say("platform") },
    ...more,
  };
}

export function logsOf(say: Say): Log[] {
  return [
    logOf(say),
    logOf(say, {
      id: say("log_2"),
      toolName: say("search_code"),
      connectionTitle: say("GitHub"),
      durationMs: 412,
    }),
    logOf(say, {
      id: say("log_3"),
      toolName: say("delete_branch"),
      connectionTitle: say("GitHub"),
      userName: say("ci-bot"),
      clientName: null,
      outcome: "denied",
      isError: true,
      errorMessage: say("the key may not call delete_branch"),
      durationMs: 1,
      timestamp: ago(3 * 60_000),
    }),
    logOf(say, {
      id: say("log_4"),
      toolName: say("send_email"),
      connectionTitle: say("Gmail"),
      userName: say("Priya Nair"),
      outcome: "failed",
      isError: true,
      errorMessage: say("Gmail did not accept the token (401)"),
      durationMs: 3,
      timestamp: ago(2 * HOUR),
    }),
    logOf(say, {
      id: say("log_5"),
      connectionId: "self",
      toolName: say("API_KEY_CREATE"),
      timestamp: ago(50 * HOUR),
    }),
  ];
}

export function wrong(say: Say, ...names: string[]): FormState {
  return {
    values: Object.fromEntries(names.map((name) => [name, say(`entered ${name}`)])),
    errors: Object.fromEntries(names.map((name) => [name, say(`${name} is not acceptable`)])),
    message: say("Cannot save: see the fields below"),
  };
}

/** A list without rows. */
export const none: PageInfo = { page: 1, from: 0, to: 0, total: 0, hasMore: false };

/** What every page of one connection is given. */
export function connectionPage(say: Say): ConnectionPageProps {
  return {
    shell: sampleShell(say),
    connection: connectionOf(say, "Linear"),
    medianMs: 38,
    counts: { tools: 6, resources: 3, prompts: 2 },
  };
}
