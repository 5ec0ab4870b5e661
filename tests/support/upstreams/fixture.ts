// Our own MCP server for tests, on the official SDK: both eras at one URL, with every tool, prompt and
// resource that the official conformance suite calls.
import {
  createMcpHandler,
  hostHeaderValidationResponse,
  isInitializeRequest,
  isLegacyRequest,
  localhostAllowedHostnames,
  localhostAllowedOrigins,
  McpServer,
  MissingRequiredClientCapabilityError,
  originValidationResponse,
  ProtocolError,
  ProtocolErrorCode,
  type ServerContext,
  WebStandardStreamableHTTPServerTransport,
} from "@modelcontextprotocol/server";
import * as z from "zod";
import { registerPrompts, registerResources } from "./fixture_documents.ts";
import { askingTools, singleRoundTools, statefulTools } from "./fixture_input_tools.ts";
import {
  FixtureState,
  type FixtureTool,
  MemoryEventStore,
  text,
  tool,
  type ToolAnswer,
} from "./fixture_state.ts";
import { listen } from "./listener.ts";
import { handleTasks, TaskBoard, taskTools } from "./fixture_tasks.ts";
import { changingTools, contentTools, probeTools, schemaTools, streamingTools } from "./fixture_tools.ts";

/** A request as the fixture received it; header names are in lower case. */
export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface FixtureOptions {
  /** Which revisions are served: legacy = 2025-11-25 with sessions, modern = 2026-07-28. */
  readonly era?: "both" | "legacy" | "modern";
  /** The only `Authorization` header that is let in; any other gets 401. */
  readonly authorization?: string;
  /** Answers a request in place of the server, on any path; undefined lets it in. */
  readonly guard?: (request: Request) => Promise<Response | undefined>;
  readonly port?: number;
}

export interface Fixture extends AsyncDisposable {
  readonly url: string;
  /** Every request since the start, oldest first. */
  readonly seen: readonly SeenRequest[];
  /** Resolves when a tool has noted the event, for example `cancelled LABEL` of `wait_for_cancel`. */
  readonly happened: (event: string) => Promise<void>;
  /** The ids of the open legacy sessions. */
  readonly sessions: () => string[];
  /** Forgets every legacy session, as a restarted server would. */
  readonly forgetSessions: () => Promise<void>;
  readonly stop: () => Promise<void>;
}

/** Starts the fixture on a free loopback port of this process. */
export async function startFixture(options: FixtureOptions = {}): Promise<Fixture> {
  const { era = "both", authorization, guard } = options;
  const state = new FixtureState();
  const board = new TaskBoard();
  const modern = createMcpHandler(() => buildServer(state, board), {
    legacy: "reject",
    onerror: () => {},
  });
  state.notify = modern.notify;
  const legacy = new LegacySessions(() => buildServer(state, board));
  const seen: SeenRequest[] = [];

  async function handle(request: Request): Promise<Response> {
    const path = new URL(request.url).pathname;
    const body = request.body ? await request.clone().text() : "";
    seen.push({ method: request.method, path, headers: Object.fromEntries(request.headers), body });
    const refused = hostHeaderValidationResponse(request, localhostAllowedHostnames()) ??
      originValidationResponse(request, localhostAllowedOrigins());
    if (refused) return refused;
    const guarded = await guard?.(request);
    if (guarded) return guarded;
    if (path !== "/mcp") return new Response("Not found", { status: 404 });
    if (authorization !== undefined && request.headers.get("authorization") !== authorization) {
      return new Response("Unauthorized", { status: 401, headers: { "www-authenticate": "Bearer" } });
    }
    if (era === "legacy" || (era === "both" && await isLegacyRequest(request))) {
      return await legacy.handle(request, body);
    }
    return await modern.fetch(request);
  }

  const listener = await listen(handle, options.port);
  const stop = async () => {
    board.stop();
    await modern.close();
    await legacy.close();
    await listener.stop();
  };
  return {
    url: `http://127.0.0.1:${listener.port}/mcp`,
    seen,
    happened: (event) => state.happened(event),
    sessions: () => legacy.ids(),
    forgetSessions: () => legacy.close(),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

class LegacySessions {
  readonly #build: () => McpServer;
  readonly #open = new Map<string, WebStandardStreamableHTTPServerTransport>();

  constructor(build: () => McpServer) {
    this.#build = build;
  }

  ids(): string[] {
    return [...this.#open.keys()];
  }

  async handle(request: Request, body: string): Promise<Response> {
    const id = request.headers.get("mcp-session-id");
    const known = id === null ? undefined : this.#open.get(id);
    if (known) return await known.handleRequest(request);
    // L02: only 404 makes a client initialize anew.
    if (id !== null) return refusal({ status: 404, code: -32001, message: "Session not found" });
    if (request.method !== "POST" || !isInitializeRequest(parsed(body))) {
      return refusal({
        status: 400,
        code: -32000,
        message: "Bad Request: Mcp-Session-Id header is required",
      });
    }
    const transport: WebStandardStreamableHTTPServerTransport = new WebStandardStreamableHTTPServerTransport({
      sessionIdGenerator: () => crypto.randomUUID(),
      onsessioninitialized: (session) => void this.#open.set(session, transport),
      onsessionclosed: (session) => void this.#open.delete(session),
      eventStore: new MemoryEventStore(),
      retryInterval: 100,
    });
    await this.#build().connect(transport);
    return await transport.handleRequest(request);
  }

  async close(): Promise<void> {
    const transports = [...this.#open.values()];
    this.#open.clear();
    for (const transport of transports) await transport.close();
  }
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

function refusal({ status, code, message }: { status: number; code: number; message: string }): Response {
  return Response.json({ jsonrpc: "2.0", error: { code, message }, id: null }, { status });
}

function buildServer(state: FixtureState, board: TaskBoard): McpServer {
  const server = new McpServer({ name: "mesh-test-fixture", title: "Fixture", version: "1.0.0" }, {
    capabilities: {
      logging: {},
      tools: { listChanged: true },
      prompts: { listChanged: true },
      resources: { subscribe: true, listChanged: true },
      extensions: { "io.modelcontextprotocol/tasks": {} },
    },
    instructions: "A server for tests",
    requestState: { verify: state.codec.verify },
    cacheHints: { "tools/list": { ttlMs: 1000, cacheScope: "public" } },
  });
  const extra = Array.from({ length: state.extraTools }, (_, index) =>
    tool({
      name: `extra_tool_${index + 1}`,
      description: "A tool added while the server runs",
      input: {},
      run: () => text("Added later"),
    }));
  const tools = [
    ...contentTools(),
    ...streamingTools(),
    ...probeTools(state),
    ...schemaTools(),
    ...askingTools(),
    ...singleRoundTools(),
    ...statefulTools(state),
    ...changingTools(state, server),
    ...taskTools(board),
    ...extra,
  ];
  registerTools(server, tools);
  registerResources(server);
  registerPrompts(server, state);
  handleTasks(server, board);
  const subscription = { params: z.looseObject({ uri: z.string() }) };
  for (const method of ["resources/subscribe", "resources/unsubscribe"]) {
    server.server.setRequestHandler(method, subscription, () => ({}));
  }
  return server;
}

function registerTools(server: McpServer, tools: FixtureTool[]): void {
  for (const { name, input, run, ...config } of tools) {
    server.registerTool(name, { ...config, inputSchema: input }, run);
  }
  // The SDK's own handler makes every error a tool result; a missing capability is a protocol error (M05).
  server.server.setRequestHandler("tools/call", async ({ params }, context) => {
    const called = tools.find(({ name }) => name === params.name);
    if (!called) throw new ProtocolError(ProtocolErrorCode.InvalidParams, `Tool ${params.name} not found`);
    return await answer(called, params.arguments ?? {}, context);
  });
}

async function answer(called: FixtureTool, args: unknown, context: ServerContext): Promise<ToolAnswer> {
  try {
    return await called.run(args, context);
  } catch (error) {
    if (error instanceof MissingRequiredClientCapabilityError) throw error;
    return { ...text(error instanceof Error ? error.message : String(error)), isError: true };
  }
}
