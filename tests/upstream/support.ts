// Streams and watches for tests of how answers are passed on.
import type { Settled, Watch } from "../../server/upstream/answer.ts";

const encoder = new TextEncoder();

export interface Watched extends Watch {
  readonly settlements: Settled[];
}

/** A watch for the answer to request 1 that notes what it is told. */
export function watchFor(overrides: Partial<Watch> = {}): Watched {
  const settlements: Settled[] = [];
  return {
    id: 1,
    rewrite: () => false,
    mustRewrite: false,
    settle: (settled) => {
      settlements.push(settled);
      return undefined;
    },
    cancelOnLeave: false,
    endless: false,
    errorText: (failure) =>
      JSON.stringify({ jsonrpc: "2.0", id: 1, error: { code: -32603, message: failure } }),
    endText: null,
    ...overrides,
    settlements,
  };
}

/** A source that the test feeds, and that notes when it is cancelled. */
export interface Source {
  readonly reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly cancelled: Promise<void>;
  send(data: string | Uint8Array): void;
  end(): void;
  fail(error: unknown): void;
}

export function source(): Source {
  const cancelled = Promise.withResolvers<void>();
  let controller: ReadableStreamDefaultController<Uint8Array>;
  const stream = new ReadableStream<Uint8Array>({
    start: (started) => void (controller = started),
    cancel: () => cancelled.resolve(),
  });
  return {
    reader: stream.getReader(),
    cancelled: cancelled.promise,
    send: (data) => controller.enqueue(typeof data === "string" ? encoder.encode(data) : data),
    end: () => controller.close(),
    fail: (error) => controller.error(error),
  };
}

export const answer = (result: unknown = {}, id: unknown = 1) =>
  JSON.stringify({ jsonrpc: "2.0", id, result });
export const event = (data: string) => `event: message\ndata: ${data}\n\n`;

/** What is read of a stream until it ends. */
export async function textOf(stream: ReadableStream<Uint8Array>): Promise<string> {
  return await new Response(stream).text();
}
