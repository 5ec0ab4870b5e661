import type { Call } from "./call.ts";

/**
 * Streamed calls of legacy sessions. Servers answer a cancelled call nothing, and many leave its stream open, so the
 * relay ends it: else the row would wait, and say in the end that the server was silent (L11).
 */
export class Running {
  readonly #calls = new Map<string, () => void>();

  /** Notes how a call is ended; returns how to take that back. */
  add(call: Call, stop: () => void): () => void {
    const key = keyOf(call, call.message.id);
    if (key === null) return () => {};
    this.#calls.set(key, stop);
    return () => {
      if (this.#calls.get(key) === stop) this.#calls.delete(key);
    };
  }

  /** Ends the call that an accepted cancellation names; one that nobody knows is ignored. */
  cancelledBy(call: Call): void {
    const { method, params } = call.message;
    if (method !== "notifications/cancelled") return;
    const key = keyOf(call, params.requestId);
    if (key !== null) this.#calls.get(key)?.();
  }
}

/** Sessions are bound to their user and connection, so their ids tell calls of different people apart. */
function keyOf({ request, modern }: Call, id: unknown): string | null {
  const session = modern ? null : request.headers.get("mcp-session-id");
  return session === null ? null : `${session}\n${JSON.stringify(id)}`;
}
