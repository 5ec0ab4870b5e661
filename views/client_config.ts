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

export const KEY_PLACEHOLDER = "YOUR_API_KEY";

/** Makes a configuration name out of a title: lower-case letters, digits and dashes. */
export function serverName(title: string): string {
  const name = title.toLowerCase().normalize("NFKD").replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "");
  return name.slice(0, 40) || "mesh";
}

function json(value: unknown): string {
  return JSON.stringify(value, null, 2);
}

/** Quotes a text for a POSIX shell. */
export function shellQuote(text: string): string {
  return /^[A-Za-z0-9_\-./:=@%+,]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
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

/** Gives the configurations of the clients that we know, in the order shown; without a key a placeholder stands in it. */
export function clientConfigs(targets: readonly ClientTarget[], key?: string): ClientConfig[] {
  const authorization = `Bearer ${key ?? KEY_PLACEHOLDER}`;
  const headers = { Authorization: authorization };
  const file = (id: string, title: string, where: string, text: string, note: string): ClientConfig => ({
    id,
    title,
    file: where,
    text,
    note,
  });
  return [
    {
      id: "claude-code",
      title: "Claude Code",
      file: null,
      text: claudeCode(targets, authorization),
      note: "Run it in a terminal; /mcp inside Claude Code then shows the server.",
    },
    file(
      "claude-desktop",
      "Claude Desktop",
      "claude_desktop_config.json",
      claudeDesktop(targets, authorization),
      "Settings, Developer, Edit Config opens the file. It needs Node.js; restart Claude afterwards.",
    ),
    file(
      "cursor",
      "Cursor",
      "~/.cursor/mcp.json",
      json({ mcpServers: each(targets, (url) => ({ url, headers })) }),
      "The same text in .cursor/mcp.json of a project is for that project only.",
    ),
    file(
      "vscode",
      "VS Code",
      ".vscode/mcp.json",
      json({ servers: each(targets, (url) => ({ type: "http", url, headers })) }),
      "Keep the file out of version control: it holds the key.",
    ),
    file(
      "windsurf",
      "Windsurf",
      "~/.codeium/windsurf/mcp_config.json",
      json({ mcpServers: each(targets, (url) => ({ serverUrl: url, headers })) }),
      "Reload the servers in Windsurf afterwards.",
    ),
    file(
      "codex",
      "Codex",
      "~/.codex/config.toml",
      codex(targets, authorization),
      "Start Codex anew; it lists the server's tools.",
    ),
    {
      id: "curl",
      title: "curl",
      file: null,
      text: targets[0] ? curlText({ url: targets[0].url, key, method: "tools/list", params: {} }) : "",
      note: "Lists the tools, without any client.",
    },
  ];
}

/** The address of a connection's proxy below the mesh's own address. */
export function proxyUrl(baseUrl: string, connectionId: string): string {
  return `${baseUrl.replace(/\/+$/, "")}/mcp/${encodeURIComponent(connectionId)}`;
}

/** The address of the mesh's own management server. */
export function managementUrl(baseUrl: string): string {
  return `${baseUrl.replace(/\/+$/, "")}/mcp`;
}

/** One request to an MCP address; `protocolVersion` is the revision that the upstream speaks. */
export interface CurlRequest {
  url: string;
  key?: string | undefined;
  method: string;
  params: Readonly<Record<string, unknown>>;
  protocolVersion?: string | null | undefined;
}

const FIRST_MODERN = "2026-07-28";
const LAST_LEGACY = "2025-11-25";

/** Writes a request as commands for a shell: one for a stateless server, a handshake before it for an older one. */
export function curlText(request: CurlRequest): string {
  return (request.protocolVersion ?? LAST_LEGACY) >= FIRST_MODERN ? modernCurl(request) : legacyCurl(request);
}

function headerLines(headers: readonly string[]): string {
  return headers.map((header) => `  -H ${header} \\\n`).join("");
}

function bearer(key: string | undefined): string {
  return key === undefined
    ? '"Authorization: Bearer $MESH_API_KEY"'
    : shellQuote(`Authorization: Bearer ${key}`);
}

// M01 and M03: what routes the message stands in the headers too, and every request says who asks.
function modernCurl({ url, key, method, params, protocolVersion }: CurlRequest): string {
  const version = protocolVersion ?? FIRST_MODERN;
  const target = params.name ?? params.uri;
  const body = {
    jsonrpc: "2.0",
    id: 1,
    method,
    params: {
      ...params,
      _meta: {
        "io.modelcontextprotocol/protocolVersion": version,
        "io.modelcontextprotocol/clientInfo": { name: "curl", version: "1" },
        "io.modelcontextprotocol/clientCapabilities": {},
      },
    },
  };
  const headers = [
    bearer(key),
    "'Content-Type: application/json'",
    "'Accept: application/json, text/event-stream'",
    shellQuote(`MCP-Protocol-Version: ${version}`),
    shellQuote(`Mcp-Method: ${method}`),
    ...(typeof target === "string" ? [shellQuote(`Mcp-Name: ${headerText(target)}`)] : []),
  ];
  return `curl -sS ${shellQuote(url)} \\\n${headerLines(headers)}  -d ${shellQuote(JSON.stringify(body))}`;
}

// M01: a value that is no plain visible ASCII travels as base64 of its UTF-8.
function headerText(value: string): string {
  if (/^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(value) && !value.startsWith("=?")) return value;
  return `=?base64?${btoa(String.fromCharCode(...new TextEncoder().encode(value)))}?=`;
}

function legacyCurl({ url, key, method, params }: CurlRequest): string {
  const post = (body: unknown, session: boolean) =>
    `curl -sS "$url" \\\n${
      headerLines([
        bearer(key),
        "'Content-Type: application/json'",
        "'Accept: application/json, text/event-stream'",
        ...(session ? ['"Mcp-Session-Id: $session"'] : []),
      ])
    }  -d ${shellQuote(JSON.stringify(body))}`;
  const hello = {
    jsonrpc: "2.0",
    id: 0,
    method: "initialize",
    params: { protocolVersion: LAST_LEGACY, capabilities: {}, clientInfo: { name: "curl", version: "1" } },
  };
  return [
    `url=${shellQuote(url)}`,
    `session=$(${
      post(hello, false)
    } \\\n  -D - -o /dev/null | tr -d '\\r' | sed -n 's/^[Mm]cp-[Ss]ession-[Ii]d: //p')`,
    post({ jsonrpc: "2.0", method: "notifications/initialized" }, true),
    post({ jsonrpc: "2.0", id: 1, method, params }, true),
  ].join("\n");
}
