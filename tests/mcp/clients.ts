// The official clients, of both generations, in front of a relayed connection.
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { Client as OldClient } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as OldTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
} from "@modelcontextprotocol/sdk/types.js";
import type { Json, Site } from "./support.ts";

export const modes = ["auto", "legacy", "pin", "old"] as const;

/** How a client opens: the new one as each of its modes says, or the old one, which knows the legacy era alone. */
export type Mode = typeof modes[number];

export interface CallOptions {
  onprogress?: (progress: { progress: number }) => void;
  signal?: AbortSignal;
}

/** What the tests do with either client. */
export interface AnyClient {
  readonly version: string | undefined;
  readonly serverName: string | undefined;
  listTools(): Promise<string[]>;
  call(name: string, args?: Record<string, unknown>, options?: CallOptions): Promise<Json>;
  /** Ends the session where there is one, and closes the client. */
  end(): Promise<void>;
  close(): Promise<void>;
}

const info = { name: "test", version: "1.0.0" };
const capabilities = { sampling: {}, elicitation: { form: {} }, roots: {} };

const sampled = {
  role: "assistant" as const,
  model: "m",
  content: { type: "text" as const, text: "from the model" },
};
const elicited = {
  action: "accept" as const,
  content: { username: "Ann", email: "a@example.com", name: "Ann" },
};
const roots = { roots: [{ uri: "file:///here", name: "here" }] };

/** Keeps answers reachable until they are aborted: an idle stream would else outlive its client. */
function keeping(): typeof fetch {
  const kept = new Set<Response>();
  return async (input, init) => {
    const response = await fetch(input, init);
    kept.add(response);
    init?.signal?.addEventListener("abort", () => kept.delete(response));
    return response;
  };
}

/** What a client's person does with a link. */
export type OpenLink = (url: string, message: string) => Promise<"accept" | "decline">;

/** Connects a client that answers what servers ask; one with `openLink` says that it opens links. */
export async function connectClient(
  { url, key }: Pick<Site, "url" | "key">,
  mode: Mode,
  openLink?: OpenLink,
): Promise<AnyClient> {
  const requestInit = { headers: { authorization: `Bearer ${key}` } };
  const options = { requestInit, fetch: keeping(), openLink };
  return mode === "old" ? await old(new URL(url), options) : await current(new URL(url), options, mode);
}

type Options = { requestInit: RequestInit; fetch: typeof fetch; openLink: OpenLink | undefined };

function capabilitiesFor(openLink: OpenLink | undefined) {
  return { ...capabilities, elicitation: { form: {}, ...openLink && { url: {} } } };
}

async function answerTo(params: object, openLink: OpenLink | undefined) {
  if (!openLink || !("url" in params) || !("message" in params)) return elicited;
  return { action: await openLink(String(params.url), String(params.message)) };
}

async function current(
  url: URL,
  { openLink, ...options }: Options,
  mode: Exclude<Mode, "old">,
): Promise<AnyClient> {
  const versionNegotiation = { mode: mode === "pin" ? { pin: "2026-07-28" } : mode };
  const client = new Client(info, { capabilities: capabilitiesFor(openLink), versionNegotiation });
  client.setRequestHandler("sampling/createMessage", () => sampled);
  client.setRequestHandler("elicitation/create", ({ params }) => answerTo(params, openLink));
  client.setRequestHandler("roots/list", () => roots);
  const transport = new StreamableHTTPClientTransport(url, options);
  await client.connect(transport);
  return {
    version: client.getNegotiatedProtocolVersion(),
    serverName: client.getServerVersion()?.name,
    listTools: async () => (await client.listTools()).tools.map(({ name }) => name),
    call: (name, args = {}, options = {}) => client.callTool({ name, arguments: args }, options),
    end: async () => {
      await transport.terminateSession();
      await client.close();
    },
    close: () => client.close(),
  };
}

async function old(url: URL, { openLink, ...options }: Options): Promise<AnyClient> {
  const client = new OldClient(info, { capabilities: capabilitiesFor(openLink) });
  client.setRequestHandler(CreateMessageRequestSchema, () => sampled);
  client.setRequestHandler(
    ElicitRequestSchema,
    ({ params }: { params: object }) => answerTo(params, openLink),
  );
  client.setRequestHandler(ListRootsRequestSchema, () => roots);
  const transport = new OldTransport(url, options);
  await client.connect(transport as Parameters<typeof client.connect>[0]);
  return {
    version: transport.protocolVersion,
    serverName: client.getServerVersion()?.name,
    listTools: async () => (await client.listTools()).tools.map(({ name }: { name: string }) => name),
    call: (name, args = {}, options = {}) => client.callTool({ name, arguments: args }, undefined, options),
    end: async () => {
      await transport.terminateSession();
      await client.close();
    },
    close: () => client.close(),
  };
}
