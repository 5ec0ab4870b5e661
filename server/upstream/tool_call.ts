import { type Client, isSpecType, type Tool } from "@modelcontextprotocol/client";
import type { Outbound } from "../outbound.ts";
import { type Bounds, Conversation, type Peer } from "./conversation.ts";

/** What a tool gave back. */
export interface ToolAnswer {
  content: Record<string, unknown>[];
  structuredContent?: unknown;
  isError: boolean;
  /** From the call to its whole answer, without the handshake. */
  durationMs: number;
}

/** A tool of an upstream and what it is given. */
export interface ToolCall {
  name: string;
  arguments: Record<string, unknown>;
  /** The tool as the upstream listed it, where that is known: it may ask for arguments as headers. */
  definition: Record<string, unknown> | undefined;
}

const bounds: Bounds = { totalMs: 330_000, maxBytes: 20_000_000 };
const silenceMs = 60_000;
const longestMs = 300_000;

/** Calls a tool of an upstream; a time-out of 60 s starts again with each progress. Throws ConversationError. */
export async function callTool(outbound: Outbound, peer: Peer, call: ToolCall): Promise<ToolAnswer> {
  const conversation = await Conversation.open(outbound, peer, bounds);
  try {
    const began = performance.now();
    const result = await conversation.run("call", (client) => send(client, call));
    const durationMs = Math.round((performance.now() - began) * 100) / 100;
    const { content, structuredContent, isError = false } = result;
    return {
      content: content.map((block) => ({ ...block })),
      ...(structuredContent === undefined ? {} : { structuredContent }),
      isError,
      durationMs,
    };
  } finally {
    await conversation.close();
  }
}

async function send(client: Client, { name, arguments: args, definition }: ToolCall) {
  const toolDefinition = definition && definitionOf(definition);
  return await client.callTool({ name, arguments: args }, {
    timeout: silenceMs,
    maxTotalTimeout: longestMs,
    resetTimeoutOnProgress: true,
    onprogress: () => {}, // asks the upstream for progress, which the time-out listens to
    ...(toolDefinition ? { toolDefinition } : {}),
  });
}

/** The definition without its output schema: a result that does not keep to it is still shown. */
function definitionOf(definition: Record<string, unknown>): Tool | undefined {
  const { outputSchema: _, ...rest } = definition;
  return isSpecType.Tool(rest) ? rest : undefined;
}
