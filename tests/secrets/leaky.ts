// Servers that repeat whatever they were sent in confidence, in every place that an answer has for words.
import { listen } from "../support/upstreams/listener.ts";

/** How the MCP server answers: where it repeats the headers of the request. */
export const leaks = [
  "result",
  "tool_error",
  "rpc_error",
  "status_400",
  "status_401",
  "status_403",
  "status_404",
  "status_500",
  "redirect",
  "words",
  "not_an_answer",
  "content_type",
  "events",
  "events_error",
] as const;

export type Leak = (typeof leaks)[number];

/**
 * An MCP server. At /calls it lists one tool for each way to leak; at `/` and the name of a leak it answers everything
 * in that way.
 */
export async function startLeakyServer(): Promise<{ url: string } & AsyncDisposable> {
  const { port, stop } = await listen(async (request) => {
    const { pathname } = new URL(request.url);
    if (request.method !== "POST") return new Response(null, { status: 405 });
    const message = await request.json();
    if (message.id === undefined) return new Response(null, { status: 202 });
    if (pathname !== "/calls") return leak(pathname.slice(1) as Leak, { request, id: message.id });
    if (message.method === "tools/call") return leak(message.params.name, { request, id: message.id });
    const result = resultOf(message, request);
    return result
      ? rpc(message.id, { result })
      : rpc(message.id, { error: { code: -32601, message: "No such method" } });
  });
  return { url: `http://127.0.0.1:${port}`, [Symbol.asyncDispose]: stop };
}

const modern = "2026-07-28";
const shared = { resultType: "complete", ttlMs: 0, cacheScope: "private" };

interface Message {
  readonly method: string;
  readonly params?: { readonly protocolVersion?: string };
}

function resultOf({ method, params = {} }: Message, request: Request): object | null {
  const serverInfo = { name: "leaky", version: "1.0.0" };
  const capabilities = { tools: {} };
  switch (method) {
    case "initialize":
      return { protocolVersion: params.protocolVersion, capabilities, serverInfo };
    case "server/discover":
      return { ...shared, supportedVersions: [modern], capabilities, serverInfo };
    case "tools/list":
      return { ...shared, tools: toolsFor(request) };
    default:
      return null;
  }
}

function toolsFor(request: Request): object[] {
  const description = `You sent ${repeated(request)}`;
  const inputSchema = { type: "object", properties: { sent: { type: "string", default: description } } };
  return leaks.map((name) => ({ name, description, inputSchema }));
}

function rpc(id: unknown, rest: object): Response {
  return Response.json({ jsonrpc: "2.0", id, ...rest });
}

/** All values of the request's headers, without the names that would give them away, and its address. */
function repeated({ headers, url }: Request): string {
  const { pathname, searchParams } = new URL(url);
  return [...headers].map(([, value]) => value).concat(pathname, ...searchParams.values()).join(" and ");
}

function leak(how: Leak, { request, id }: { request: Request; id: unknown }): Response {
  const text = `I was sent ${repeated(request)}`;
  const content = [{ type: "text", text }];
  const body = { jsonrpc: "2.0", id, error: { code: -32000, message: text, data: text } };
  const [, status] = /^status_(\d+)$/.exec(how) ?? [];
  if (status !== undefined) {
    const challenge = { "www-authenticate": `Bearer error="invalid_token", error_description="${text}"` };
    return Response.json(body, { status: Number(status), headers: challenge });
  }
  switch (how) {
    case "tool_error":
      return rpc(id, { result: { resultType: "complete", content, isError: true } });
    case "rpc_error":
      return Response.json(body);
    case "redirect":
      return new Response(null, {
        status: 302,
        headers: { location: `http://127.0.0.1:1/${encodeURI(text)}` },
      });
    case "words":
      return new Response(text, { headers: { "content-type": "text/plain" } });
    case "not_an_answer":
      return Response.json({ [text]: text, id: text, error: text });
    case "content_type":
      return new Response(text, { headers: { "content-type": `text/${text.replaceAll(" ", "-")}` } });
    case "events":
      return events({ jsonrpc: "2.0", id, result: { resultType: "complete", content } });
    case "events_error":
      return events(body);
    default:
      return rpc(id, { result: { resultType: "complete", content } });
  }
}

function events(message: object): Response {
  return new Response(`data: ${JSON.stringify(message)}\n\n`, {
    headers: { "content-type": "text/event-stream" },
  });
}

/**
 * An authorization server, and at /mcp a server that wants its tokens. It agrees to everything, and where it answers
 * an error, it repeats what it was sent: at /token always, at /register and /authorize when it is told to.
 */
export async function startLeakyIssuer(): Promise<LeakyIssuer> {
  let issuer = "";
  const state: Pick<LeakyIssuer, "refusing" | "grant"> = { refusing: "token", grant: null };
  const { port, stop } = await listen(async (request) => {
    const { pathname, searchParams } = new URL(request.url);
    switch (pathname) {
      case "/.well-known/oauth-protected-resource/mcp":
        return Response.json({ resource: `${issuer}/mcp`, authorization_servers: [issuer] });
      case "/.well-known/oauth-authorization-server":
        return Response.json(metadata(issuer));
      case "/authorize":
        return authorize(searchParams, state.refusing === "authorize");
      case "/register":
        return await register(request, state.refusing === "register");
      case "/token":
      case "/revoke":
        return await grant(request, state);
      case "/userinfo":
        return Response.json({ sub: "ann", email: repeated(request) });
      case "/mcp":
        return protectedAnswer(request, { issuer, wantsMore: state.refusing === "scope" });
      default:
        return new Response(null, { status: 404 });
    }
  });
  issuer = `http://127.0.0.1:${port}`;
  return Object.assign(state, { issuer, [Symbol.asyncDispose]: stop });
}

export interface LeakyIssuer extends AsyncDisposable {
  readonly issuer: string;
  /** Where it refuses, and repeats what it was sent; `scope`: its server wants more than a token allows. */
  refusing: "authorize" | "register" | "token" | "scope" | "nothing";
  /** What it grants where it refuses nothing. */
  grant: Record<string, unknown> | null;
}

function protectedAnswer(
  request: Request,
  { issuer, wantsMore }: { issuer: string; wantsMore: boolean },
): Response {
  const sent = repeated(request);
  const body = { error: "invalid_token", error_description: `I was sent ${sent}` };
  const about = `resource_metadata="${issuer}/.well-known/oauth-protected-resource/mcp"`;
  const more = wantsMore && request.headers.has("authorization");
  const challenge = more ? `Bearer error="insufficient_scope", scope="${sent}", ${about}` : `Bearer ${about}`;
  return Response.json(body, { status: more ? 403 : 401, headers: { "www-authenticate": challenge } });
}

function metadata(issuer: string): object {
  return {
    issuer,
    authorization_endpoint: `${issuer}/authorize`,
    token_endpoint: `${issuer}/token`,
    registration_endpoint: `${issuer}/register`,
    revocation_endpoint: `${issuer}/revoke`,
    userinfo_endpoint: `${issuer}/userinfo`,
    response_types_supported: ["code"],
    grant_types_supported: ["authorization_code", "refresh_token", "client_credentials"],
    code_challenge_methods_supported: ["S256"],
    token_endpoint_auth_methods_supported: [
      ...["client_secret_basic", "client_secret_post", "none", "private_key_jwt"],
    ],
  };
}

function authorize(asked: URLSearchParams, refuses: boolean): Response {
  const back = new URL(asked.get("redirect_uri") ?? "");
  const state = asked.get("state") ?? "";
  back.searchParams.set("state", state);
  if (refuses) {
    back.searchParams.set("error", "access_denied");
    back.searchParams.set("error_description", `I was sent ${state} and ${asked.get("code_challenge")}`);
  } else {
    back.searchParams.set("code", crypto.randomUUID() + crypto.randomUUID());
  }
  return new Response(null, { status: 302, headers: { location: back.href } });
}

async function register(request: Request, refuses: boolean): Promise<Response> {
  const asked = await request.json();
  if (!refuses) return Response.json({ ...asked, client_id: crypto.randomUUID() }, { status: 201 });
  const error_description = `I was sent ${JSON.stringify(asked)}`;
  return Response.json({ error: "invalid_client_metadata", error_description }, { status: 400 });
}

async function grant(request: Request, { refusing, grant }: Pick<LeakyIssuer, "refusing" | "grant">) {
  const body = new URLSearchParams(await request.text());
  const basic = /^Basic (.+)$/.exec(request.headers.get("authorization") ?? "")?.[1];
  const sent = [...body.values(), basic, basic && atob(basic), repeated(request)].join(" and ");
  if (refusing !== "token") return Response.json({ ...grant, scope: `openid ${sent}` });
  const refusal = {
    error: "invalid_request",
    error_description: `I was sent ${sent}`,
    error_uri: `urn:${sent}`,
  };
  return Response.json(refusal, { status: 400 });
}
