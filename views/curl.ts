/** Quotes a text for a POSIX shell. */
export function shellQuote(text: string): string {
  return /^[A-Za-z0-9_\-./:=@%+,]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
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
