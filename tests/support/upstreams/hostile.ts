// Upstreams that misbehave, on raw TCP: each behaviour decides the very bytes and when the connection ends.

import { closeQuietly, nullWhenGone, writeAll } from "../sockets.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export interface HostileRequest {
  readonly method: string;
  readonly path: string;
  /** Names in lower case; of repeated headers the last. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** The JSON-RPC message in the body, an empty object when there is none. */
  readonly message: { id?: string | number; method?: string; params?: Record<string, unknown> };
}

/** One request and the means to answer it; the connection closes when the behaviour returns. */
export interface Exchange {
  readonly request: HostileRequest;
  /** Sends bytes; false when the peer is gone. */
  readonly send: (data: string | Uint8Array) => Promise<boolean>;
  /** Resolves when the peer closes the connection. */
  readonly closed: Promise<void>;
}

export type Behaviour = (exchange: Exchange) => Promise<void>;

export interface Hostile extends AsyncDisposable {
  readonly url: string;
  /** What has been asked so far, oldest first. */
  readonly requests: readonly HostileRequest[];
  /** Bytes handed to the network so far. */
  readonly sentBytes: number;
  /** Connections that are open now. */
  readonly connections: number;
  /** Resolves when so many requests have come in all. */
  readonly received: (count?: number) => Promise<void>;
  /** Changes the behaviour for the requests that come from now on. */
  readonly behave: (next: Behaviour) => void;
  /** Resolves when no connection is open any more. */
  readonly idle: () => Promise<void>;
  readonly stop: () => Promise<void>;
}

/** Starts an upstream on a free loopback port. */
export function startHostile(behaviour: Behaviour): Hostile {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const open = new Map<Deno.TcpConn, Promise<void>>();
  const requests: HostileRequest[] = [];
  const conditions = new Conditions();
  let current = behaviour;
  let sentBytes = 0;

  async function serve(connection: Deno.TcpConn): Promise<void> {
    const reading = new Reading(connection);
    const request = await reading.request();
    if (request) {
      requests.push(request);
      conditions.changed();
      const send = async (data: string | Uint8Array) => {
        const bytes = typeof data === "string" ? encoder.encode(data) : data;
        const connected = await writeAll(connection, bytes);
        if (connected) sentBytes += bytes.length;
        return connected;
      };
      await current({ request, send, closed: reading.closed() });
    }
    closeQuietly(connection);
    open.delete(connection);
    conditions.changed();
  }

  const accepting = (async () => {
    for await (const connection of listener) open.set(connection, serve(connection));
  })();
  const stop = async () => {
    closeQuietly(listener);
    for (const connection of open.keys()) closeQuietly(connection);
    await accepting;
    await Promise.all(open.values());
  };
  return {
    url: `http://127.0.0.1:${listener.addr.port}/mcp`,
    requests,
    get sentBytes() {
      return sentBytes;
    },
    get connections() {
      return open.size;
    },
    behave: (next) => void (current = next),
    received: (count = 1) => conditions.met(() => requests.length >= count),
    idle: () => conditions.met(() => open.size === 0),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/** The URL of a port on which nothing listens: one that was free a moment ago may be taken by another test. */
export function closedPort(): string {
  return "http://127.0.0.1:1/mcp";
}

/** Promises that wait until something is true; looked at anew at each change. */
class Conditions {
  readonly #waiting = new Set<() => void>();

  met(condition: () => boolean): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const check = () => {
      if (!condition()) return;
      this.#waiting.delete(check);
      resolve();
    };
    this.#waiting.add(check);
    check();
    return promise;
  }

  changed(): void {
    for (const check of [...this.#waiting]) check();
  }
}

class Reading {
  readonly #connection: Deno.TcpConn;
  #rest = new Uint8Array();

  constructor(connection: Deno.TcpConn) {
    this.#connection = connection;
  }

  async request(): Promise<HostileRequest | null> {
    let end = -1;
    while ((end = decoder.decode(this.#rest).indexOf("\r\n\r\n")) < 0) {
      if (!await this.#more()) return null;
    }
    const [first = "", ...lines] = decoder.decode(this.#rest).slice(0, end).split("\r\n");
    const [method = "", path = ""] = first.split(" ");
    const headers = Object.fromEntries(lines.map((line) => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    }));
    this.#rest = this.#rest.slice(end + 4);
    const body = await this.#body(headers);
    if (body === null) return null;
    return { method, path, headers, body, message: body ? JSON.parse(body) : {} };
  }

  async #body(headers: Record<string, string>): Promise<string | null> {
    const chunked = headers["transfer-encoding"]?.toLowerCase() === "chunked";
    const length = Number(headers["content-length"] ?? 0);
    const complete = () =>
      chunked ? decoder.decode(this.#rest).endsWith("0\r\n\r\n") : this.#rest.length >= length;
    while (!complete()) {
      if (!await this.#more()) return null;
    }
    const raw = decoder.decode(this.#rest);
    return chunked ? unchunked(raw) : raw;
  }

  async closed(): Promise<void> {
    while (await this.#more()) this.#rest = new Uint8Array();
  }

  async #more(): Promise<boolean> {
    const buffer = new Uint8Array(65_536);
    const size = await nullWhenGone(this.#connection.read(buffer));
    if (!size) return false;
    const joined = new Uint8Array(this.#rest.length + size);
    joined.set(this.#rest);
    joined.set(buffer.subarray(0, size), this.#rest.length);
    this.#rest = joined;
    return true;
  }
}

function unchunked(raw: string): string {
  let text = "";
  let at = 0;
  for (;;) {
    const end = raw.indexOf("\r\n", at);
    const size = parseInt(raw.slice(at, end), 16);
    if (!size) return text;
    text += raw.slice(end + 2, end + 2 + size);
    at = end + 2 + size + 2;
  }
}
