import {
  type AuthInfo,
  type CallToolResult,
  createMcpHandler,
  isLegacyRequest,
  ProtocolError,
  ProtocolErrorCode,
  Server,
  WebStandardStreamableHTTPServerTransport,
} from "@modelcontextprotocol/server";
import type { Actor } from "../access/actor.ts";
import { scopeToAsk } from "../access/scopes.ts";
import { perform, type RequestFacts } from "../actions/action.ts";
import { describeFor } from "../actions/description.ts";
import { findAction } from "../actions/mod.ts";
import { AppError, httpStatus } from "../errors.ts";
import { describeError } from "../log.ts";
import type { Services } from "../services.ts";
import { version } from "../version.ts";
import { Guard } from "./guard.ts";
import { isJson, readBody } from "../body.ts";
import { errorResponse, type Message, MessageError, parseMessage, rpcCodes } from "./message.ts";

/** Who asks, and for which request. */
interface Caller {
  actor: Actor;
  facts: RequestFacts;
}

type Handler = (request: Request, actor: Actor, facts: RequestFacts) => Promise<Response>;

const instructions =
  "Manages the MCP Mesh: its connections to MCP servers, members, API keys and the log of calls.";

/** The management endpoint `/mcp`: the actions as tools, for both protocol eras, without sessions. */
export function managementHandler(services: Services): Handler {
  const callers = new WeakMap<AuthInfo, Caller>();
  const modern = createMcpHandler(({ authInfo }) => makeServer(services, authInfo && callers.get(authInfo)), {
    legacy: "reject",
    onerror: (error) => services.log.debug("management request refused", { error: describeError(error) }),
  });
  const guard = new Guard(services.config);
  async function serve(request: Request, caller: Caller, body: unknown): Promise<Response> {
    // The body is read, and the runtime aborts the signal of its own requests also when they succeed.
    const head = new Request(request.url, { method: "POST", headers: request.headers });
    if (await isLegacyRequest(head, body)) return await serveLegacy(services, caller, { head, body });
    const authInfo: AuthInfo = { token: "", clientId: caller.actor.clientId ?? "", scopes: [] };
    callers.set(authInfo, caller);
    return await modern.fetch(head, { authInfo, parsedBody: body });
  }
  return async (request, actor, facts) => {
    if (request.method !== "POST") return notAllowed(); // L05
    try {
      const { text, message } = await readMessage(request);
      const answer = await serve(request, { actor, facts }, JSON.parse(text));
      const scope = scopeNeeded(actor, message);
      if (scope === null) return answer;
      await answer.body?.cancel(); // a refusal that the log has; the client is told what to ask for (RS08)
      return forbidden(message, guard.insufficientScope(request, scope));
    } catch (error) {
      return refusal(error);
    }
  };
}

function scopeNeeded(actor: Actor, { method, params }: Message): string | null {
  if (actor.kind !== "token" || method !== "tools/call" || typeof params.name !== "string") return null;
  return findAction(params.name) ? scopeToAsk(actor, { resource: "self", actions: [params.name] }) : null;
}

function forbidden({ id, params }: Message, challenge: string): Response {
  const message = `Cannot run ${params.name}: it was not allowed to this client`;
  const response = errorResponse(id, { status: 403, code: rpcCodes.invalidParams, message });
  response.headers.set("www-authenticate", challenge);
  return response;
}

/** The one JSON-RPC message of a POST (G09, G10), and none of a method that this server does not honour (M06). */
async function readMessage(request: Request): Promise<{ text: string; message: Message }> {
  if (!isJson(request.headers.get("content-type"))) {
    throw new AppError(
      "unsupported_media_type",
      "Cannot read the request: its content type is not application/json",
    );
  }
  const text = await readBody(request);
  const message = parseMessage(text);
  if (message.method === "subscriptions/listen") {
    const answer = { status: 404, code: rpcCodes.methodNotFound, id: message.id };
    throw new MessageError("Cannot subscribe: the lists of this server do not change by themselves", answer);
  }
  return { text, message };
}

/** One exchange of the handshake era (X02). Nothing is kept between requests, so every one may be the first. */
async function serveLegacy(
  services: Services,
  caller: Caller,
  { head, body }: { head: Request; body: unknown },
): Promise<Response> {
  const server = makeServer(services, caller);
  const transport = new WebStandardStreamableHTTPServerTransport({ enableJsonResponse: true });
  await server.connect(transport);
  try {
    return await transport.handleRequest(head, { parsedBody: body });
  } finally {
    await server.close();
  }
}

function makeServer(services: Services, caller: Caller | undefined): Server {
  if (!caller) throw new Error("Cannot serve a management request: nobody is known to ask");
  const server = new Server({ name: "mcp-mesh", title: "MCP Mesh", version }, {
    capabilities: { tools: {} },
    instructions,
    cacheHints: { "tools/list": { ttlMs: 0, cacheScope: "private" } }, // M07: filtered by who asks
  });
  server.setRequestHandler("tools/list", () => ({ tools: describeFor(caller.actor) }));
  server.setRequestHandler("tools/call", ({ params }) => call(services, caller, params));
  return server;
}

async function call(
  services: Services,
  { actor, facts }: Caller,
  params: { name: string; arguments?: Record<string, unknown> | undefined },
): Promise<CallToolResult> {
  const action = findAction(params.name);
  if (!action) {
    throw new ProtocolError(
      ProtocolErrorCode.InvalidParams,
      `Cannot run '${params.name}': there is no such tool`,
    );
  }
  try {
    const context = Object.freeze({ ...services, actor, request: facts });
    const output = await perform(action, context, params.arguments);
    return { content: [{ type: "text", text: JSON.stringify(output) }], structuredContent: output };
  } catch (error) {
    return { isError: true, content: [{ type: "text", text: sentenceOf(error, facts) }] };
  }
}

function sentenceOf(error: unknown, facts: RequestFacts): string {
  if (!(error instanceof AppError)) {
    return `Internal error; the log has it under the request id '${facts.id}'`;
  }
  const others = Object.entries(error.fields ?? {}).filter(([, message]) => !error.message.includes(message));
  return [error.message, ...others.map(([field, message]) => `${field}: ${message}`)].join("\n");
}

function refusal(error: unknown): Response {
  if (error instanceof MessageError) {
    const { id, status, code, message } = error;
    return errorResponse(id, { status, code, message });
  }
  if (error instanceof AppError) {
    const status = httpStatus[error.code];
    return errorResponse(null, { status, code: rpcCodes.invalidRequest, message: error.message });
  }
  throw error;
}

function notAllowed(): Response {
  const response = errorResponse(null, {
    status: 405,
    code: rpcCodes.invalidRequest,
    message: "Cannot open a stream: this server has no sessions; send a POST",
  });
  response.headers.set("allow", "POST");
  return response;
}
