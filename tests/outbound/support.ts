// Raw TCP servers that answer exactly what a test says, and short ways to call them.
import assert from "node:assert/strict";
import {
  Outbound,
  OutboundError,
  type OutboundExchange,
  type OutboundRequest,
  type OutboundStage,
} from "../../server/outbound.ts";

const decoder = new TextDecoder();
const encoder = new TextEncoder();

/** One accepted connection of a raw server. */
export class Peer {
  readonly #socket: Deno.Conn;
  /** 0 for the first connection that the server accepted. */
  readonly index: number;
  #received = new Uint8Array(0);

  constructor(socket: Deno.Conn, index: number) {
    this.#socket = socket;
    this.index = index;
  }

  /** What has come in and was not yet taken by `request`. */
  get received(): Uint8Array<ArrayBuffer> {
    return this.#received;
  }

  /** Takes all that has come in. */
  take(): Uint8Array<ArrayBuffer> {
    const taken = this.#received;
    this.#received = new Uint8Array(0);
    return taken;
  }

  /** The next request, head and body (by Content-Length); null when the client has closed. */
  async request(): Promise<string | null> {
    for (;;) {
      const text = decoder.decode(this.#received);
      const end = text.indexOf("\r\n\r\n");
      const length = end < 0 ? 0 : Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0);
      if (end >= 0 && this.#received.length >= end + 4 + length) {
        const whole = decoder.decode(this.#received.subarray(0, end + 4 + length));
        this.#received = this.#received.slice(end + 4 + length);
        return whole;
      }
      if (!await this.more()) return null;
    }
  }

  /** Waits for more bytes of the client; false when it has closed or reset the connection. */
  async more(): Promise<boolean> {
    const buffer = new Uint8Array(64 * 1024);
    const n = await this.#socket.read(buffer).catch(() => null);
    if (n === null) return false;
    const joined = new Uint8Array(this.#received.length + n);
    joined.set(this.#received);
    joined.set(buffer.subarray(0, n), this.#received.length);
    this.#received = joined;
    return true;
  }

  /** Writes text (one byte a character) or bytes; nothing happens when the client is gone. */
  async write(data: string | Uint8Array): Promise<void> {
    const bytes = typeof data === "string" ? Uint8Array.from(data, (char) => char.charCodeAt(0)) : data;
    for (let at = 0; at < bytes.length;) {
      const n = await this.#socket.write(bytes.subarray(at)).catch(() => -1);
      if (n < 0) return;
      at += n;
    }
  }

  /** Ends the TLS handshake, where the server speaks TLS. */
  async handshake(): Promise<void> {
    await (this.#socket as Deno.TlsConn).handshake();
  }

  close(): void {
    try {
      this.#socket.close();
    } catch {
      // Closed already.
    }
  }
}

/** A TCP server that runs `script` for each connection and closes it afterwards. */
export class RawServer implements AsyncDisposable {
  readonly #listener: Deno.Listener;
  readonly #peers = new Set<Peer>();
  readonly #running: Promise<void>;
  readonly url: string;
  readonly port: number;
  accepted = 0;
  /** Connections accepted and not yet ended. */
  get open(): number {
    return this.#peers.size;
  }

  constructor(script: (peer: Peer) => Promise<void>, listener?: Deno.Listener) {
    this.#listener = listener ?? Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { hostname, port } = this.#listener.addr as Deno.NetAddr;
    this.port = port;
    this.url = `http://${hostname}:${port}/`;
    this.#running = this.#accept(script);
  }

  async #accept(script: (peer: Peer) => Promise<void>): Promise<void> {
    const scripts: Promise<void>[] = [];
    for await (const socket of this.#listener) {
      const peer = new Peer(socket, this.accepted++);
      this.#peers.add(peer);
      scripts.push(
        script(peer).finally(() => {
          peer.close();
          this.#peers.delete(peer);
        }),
      );
    }
    await Promise.all(scripts);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const peer of this.#peers) peer.close();
    await this.#running;
  }
}

/** A server that gives the same bytes to every request. */
export function answering(bytes: string, then: "close" | "keep" = "keep"): RawServer {
  return new RawServer(async (peer) => {
    while (await peer.request() !== null) {
      await peer.write(bytes);
      if (then === "close") return;
    }
  });
}

export const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/** Answers every request of a client with `ok`. */
export async function answerAll(peer: Peer): Promise<void> {
  while (await peer.request() !== null) await peer.write(ok);
}

/** A wire to a port, which passes the bytes on in both directions until it is cut. */
export class Wire extends RawServer {
  readonly cut: () => void;

  constructor(port: number) {
    const { promise, resolve } = Promise.withResolvers<void>();
    super(async (peer) => {
      const upstream = await Deno.connect({ hostname: "127.0.0.1", port });
      const back = (async () => {
        const buffer = new Uint8Array(64 * 1024);
        for (let n = await upstream.read(buffer); n !== null; n = await upstream.read(buffer)) {
          await peer.write(buffer.slice(0, n));
        }
      })().catch(() => {});
      const forth = (async () => {
        while (await peer.more()) await upstream.write(peer.take());
      })().catch(() => {});
      await promise;
      peer.close();
      await forth;
      upstream.close();
      await back;
    });
    this.cut = resolve;
  }
}

/** An Outbound that may reach loopback, closed at the end of the block. */
export class TestOutbound extends Outbound implements Disposable {
  constructor(options: Partial<ConstructorParameters<typeof Outbound>[0]> = {}) {
    super({ allow: [], loopbackAllowed: true, ...options });
  }

  /** GET, or what `request` says. */
  call(url: string, request: Partial<OutboundRequest> = {}): Promise<OutboundExchange> {
    return this.exchange(this.target(url), { method: "GET", headers: [], ...request });
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** The whole body as text. */
export async function textOf(answer: OutboundExchange): Promise<string> {
  return await new Response(answer.body).text();
}

/** Asserts that the promise fails at a stage with a message that matches, and gives the error back. */
export async function failsAt(
  stage: OutboundStage,
  pattern: RegExp,
  promise: Promise<unknown>,
): Promise<OutboundError> {
  const error = await promise.then(() => null, (error) => error);
  assert(error instanceof OutboundError, `expected an OutboundError, got ${error}`);
  assert.equal(error.stage, stage, error.message);
  assert.match(error.message, pattern);
  return error;
}

/** Resolves once a count does not grow any more. */
export async function standsStill(count: () => number): Promise<void> {
  for (let seen = -1; seen !== count();) {
    seen = count();
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

/** `count` bytes that do not repeat within a few hundred. */
export function pattern(count: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length: count }, (_, i) => (i * 7 + (i >> 8)) & 0xff);
}

/** Text as chunks of the chunked coding, one a part, without the last chunk. */
export function chunks(...parts: string[]): string {
  return parts.map((part) => `${encoder.encode(part).length.toString(16)}\r\n${part}\r\n`).join("");
}
