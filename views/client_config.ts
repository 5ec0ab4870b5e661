import { curlText, shellQuote } from "./curl.ts";

/** What a client needs to reach one MCP address of the mesh. */
export interface ClientTarget {
  /** Name of the server in the client's configuration, made by `serverName()`. */
  name: string;
  /** Full address, such as `http://localhost:3000/mcp/conn_...`. */
  url: string;
}

/** A ready-to-paste configuration: `file` says where the text belongs, null for a command. */
export interface ClientConfig {
  id: string;
  title: string;
  file: string | null;
  text: string;
  /** A sentence about what to do with it. */
  note: string;
}

const KEY_PLACEHOLDER = "YOUR_API_KEY";

/** Makes a configuration name out of a title: lower-case letters, digits and dashes. */
export function serverName(title: string): string {
  const name = title.toLowerCase().normalize("NFKD").replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "");
  return name.slice(0, 40) || "mesh";
}

function json(value: unknown): string {
  return JSON.stringify(value, null, 2);
}

type Entries = Record<string, unknown>;

/** Makes an object with one entry a target. */
function each(targets: readonly ClientTarget[], entry: (url: string) => unknown): Entries {
  return Object.fromEntries(targets.map(({ name, url }) => [name, entry(url)]));
}

function claudeCode(targets: readonly ClientTarget[], authorization: string): string {
  const header = shellQuote(`Authorization: ${authorization}`);
  return targets.map(({ name, url }) =>
    `claude mcp add --transport http ${name} ${shellQuote(url)} \\\n  --header ${header}`
  ).join("\n");
}

function claudeDesktop(targets: readonly ClientTarget[], authorization: string): string {
  return json({
    mcpServers: each(targets, (url) => ({
      command: "npx",
      args: [
        "-y",
        "mcp-remote",
        url,
        ...(url.startsWith("http://") ? ["--allow-http"] : []),
        "--header",
        // The header's value goes through the environment: some systems split arguments at spaces.
        "Authorization:${MESH_AUTH}",
      ],
      env: { MESH_AUTH: authorization },
    })),
  });
}

function codex(targets: readonly ClientTarget[], authorization: string): string {
  return targets.map(({ name, url }) =>
    [
      `[mcp_servers.${name}]`,
      `url = ${JSON.stringify(url)}`,
      `http_headers = { "Authorization" = ${JSON.stringify(authorization)} }`,
    ].join("\n")
  ).join("\n\n");
}

interface Client extends Omit<ClientConfig, "text"> {
  write(targets: readonly ClientTarget[], key: string | undefined): string;
}

function bearer(key: string | undefined): string {
  return `Bearer ${key ?? KEY_PLACEHOLDER}`;
}

const clients: readonly Client[] = [
  {
    id: "claude-code",
    title: "Claude Code",
    file: null,
    note: "Run it in a terminal; /mcp inside Claude Code then shows the server.",
    write: (targets, key) => claudeCode(targets, bearer(key)),
  },
  {
    id: "claude-desktop",
    title: "Claude Desktop",
    file: "claude_desktop_config.json",
    note: "Settings, Developer, Edit Config opens the file. It needs Node.js; restart Claude afterwards.",
    write: (targets, key) => claudeDesktop(targets, bearer(key)),
  },
  {
    id: "cursor",
    title: "Cursor",
    file: "~/.cursor/mcp.json",
    note: "The same text in .cursor/mcp.json of a project is for that project only.",
    write: (targets, key) =>
      json({ mcpServers: each(targets, (url) => ({ url, headers: { Authorization: bearer(key) } })) }),
  },
  {
    id: "vscode",
    title: "VS Code",
    file: ".vscode/mcp.json",
    note: "Keep the file out of version control: it holds the key.",
    write: (targets, key) =>
      json({
        servers: each(targets, (url) => ({ type: "http", url, headers: { Authorization: bearer(key) } })),
      }),
  },
  {
    id: "windsurf",
    title: "Windsurf",
    file: "~/.codeium/windsurf/mcp_config.json",
    note: "Reload the servers in Windsurf afterwards.",
    write: (targets, key) =>
      json({
        mcpServers: each(targets, (url) => ({ serverUrl: url, headers: { Authorization: bearer(key) } })),
      }),
  },
  {
    id: "codex",
    title: "Codex",
    file: "~/.codex/config.toml",
    note: "Start Codex anew; it lists the server's tools.",
    write: (targets, key) => codex(targets, bearer(key)),
  },
  {
    id: "curl",
    title: "curl",
    file: null,
    note: "Lists the tools, without any client.",
    write: ([first], key) =>
      first
        ? curlText({ url: first.url, key: key ?? KEY_PLACEHOLDER, method: "tools/list", params: {} })
        : "",
  },
];

/** Gives the configurations of the clients that we know, in the order shown; without a key a placeholder stands in it. */
export function clientConfigs(targets: readonly ClientTarget[], key?: string): ClientConfig[] {
  return clients.map(({ id, title, file, note, write }) => ({
    id,
    title,
    file,
    note,
    text: write(targets, key),
  }));
}

/** The address of a connection's proxy below the mesh's own address. */
export function proxyUrl(baseUrl: string, connectionId: string): string {
  return `${baseUrl.replace(/\/+$/, "")}/mcp/${encodeURIComponent(connectionId)}`;
}

/** The address of the mesh's own management server. */
export function managementUrl(baseUrl: string): string {
  return `${baseUrl.replace(/\/+$/, "")}/mcp`;
}
