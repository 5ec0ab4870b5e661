// What the per-request and per-session server objects of one fixture share.
import {
  type CallToolResult,
  CLIENT_CAPABILITIES_META_KEY,
  createRequestStateCodec,
  type EventStore,
  type InputRequiredResult,
  type JSONRPCMessage,
  type ServerContext,
  type ServerNotifier,
  type StandardSchemaWithJSON,
  type ToolAnnotations,
} from "@modelcontextprotocol/server";
import * as z from "zod";

export type ToolAnswer = CallToolResult | InputRequiredResult;

/** A tool of the fixture: what `tools/list` shows and what `tools/call` runs. */
export interface FixtureTool {
  readonly name: string;
  readonly title?: string;
  readonly description: string;
  readonly input: StandardSchemaWithJSON;
  readonly annotations?: ToolAnnotations;
  readonly run: (args: unknown, context: ServerContext) => ToolAnswer | Promise<ToolAnswer>;
}

/** Defines a tool whose arguments are parsed by its Zod schema before `run` sees them. */
export function tool<Shape extends z.ZodRawShape>(
  { input, run, ...rest }: Omit<FixtureTool, "input" | "run"> & {
    input: Shape;
    run: (args: z.infer<z.ZodObject<Shape>>, context: ServerContext) => ToolAnswer | Promise<ToolAnswer>;
  },
): FixtureTool {
  const schema = z.object(input);
  return { ...rest, input: schema, run: (args, context) => run(schema.parse(args), context) };
}

export function text(value: string): CallToolResult {
  return { content: [{ type: "text", text: value }] };
}

export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

const declarations = z.object({
  elicitation: z.looseObject({}).optional(),
  sampling: z.looseObject({}).optional(),
  roots: z.looseObject({}).optional(),
  extensions: z.record(z.string(), z.unknown()).optional(),
});

/** Gives the capabilities that the client declared in this modern request. */
export function declaredCapabilities({ mcpReq }: ServerContext): z.infer<typeof declarations> {
  const envelope = new Map<string, unknown>(Object.entries(mcpReq.envelope ?? {}));
  return declarations.parse(envelope.get(CLIENT_CAPABILITIES_META_KEY) ?? {});
}

export class FixtureState {
  readonly codec = createRequestStateCodec<{ step: string; name?: string }>({
    key: crypto.getRandomValues(new Uint8Array(32)),
  });
  readonly #events: string[] = [];
  readonly #waiting = new Set<() => void>();
  extraTools = 0;
  extraPrompts = 0;
  /** Reaches the open `subscriptions/listen` streams; set once the modern handler exists. */
  notify: ServerNotifier | null = null;

  /** Notes that something happened inside a tool, for `happened`. */
  note(event: string): void {
    this.#events.push(event);
    for (const check of this.#waiting) check();
  }

  /** Resolves when the event has been noted, at once if it already was. */
  happened(event: string): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const check = () => {
      if (!this.#events.includes(event)) return;
      this.#waiting.delete(check);
      resolve();
    };
    this.#waiting.add(check);
    check();
    return promise;
  }
}

/** Keeps the events of a session's streams so that a dropped stream can be resumed. */
export class MemoryEventStore implements EventStore {
  readonly #events: { id: string; stream: string; message: JSONRPCMessage }[] = [];

  storeEvent(stream: string, message: JSONRPCMessage): Promise<string> {
    const id = `${stream}:${this.#events.length}`;
    this.#events.push({ id, stream, message });
    return Promise.resolve(id);
  }

  getStreamIdForEventId(id: string): Promise<string | undefined> {
    return Promise.resolve(this.#events.find((event) => event.id === id)?.stream);
  }

  async replayEventsAfter(
    lastId: string,
    { send }: { send: (id: string, message: JSONRPCMessage) => Promise<void> },
  ): Promise<string> {
    const from = this.#events.findIndex((event) => event.id === lastId);
    const stream = this.#events[from]?.stream ?? "";
    for (const event of this.#events.slice(from + 1)) {
      // A priming event carries no message and is not replayed.
      if (event.stream === stream && Object.keys(event.message).length > 0) {
        await send(event.id, event.message);
      }
    }
    return stream;
  }
}
