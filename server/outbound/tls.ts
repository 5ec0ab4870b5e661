import net from "node:net";
import tls from "node:tls";
import type { Socket } from "./wire.ts";

/** What a TLS connection needs to know of the host that was asked for. */
export interface TlsOptions {
  readonly host: string;
  /** Certificates (PEM) trusted beside the runtime's own. */
  readonly caCerts: readonly string[];
}

/**
 * A TLS connection as a Socket. It stands on node:tls because Deno's own TLS keeps the TCP connection open when
 * it is closed during a handshake, or a write, that the server never lets end.
 */
export class TlsSocket implements Socket {
  readonly #tls: tls.TLSSocket;
  readonly #arrived: Uint8Array[] = [];
  #reader:
    | { target: Uint8Array; resolve: (n: number | null) => void; reject: (error: unknown) => void }
    | null = null;
  #ended = false;
  #error: unknown = null;

  private constructor(socket: tls.TLSSocket) {
    this.#tls = socket;
    socket.on("data", (bytes: Uint8Array) => {
      this.#arrived.push(bytes);
      if (this.#reader === null) socket.pause();
      this.#serve();
    });
    socket.on("end", () => {
      this.#ended = true;
      this.#serve();
    });
    socket.on("error", (error) => this.#fail(error));
    socket.on("close", () => this.#fail(new Deno.errors.Interrupted("the connection is closed")));
  }

  /** Begins TLS on a connected TCP socket; rejects unless the certificate is valid and the host's. */
  static begin(tcp: net.Socket, { host, caCerts }: TlsOptions): Promise<TlsSocket> {
    const socket = tls.connect({
      socket: tcp,
      host,
      // RFC 6066 section 3: an address is not a server name.
      ...(net.isIP(host) === 0 && { servername: host }),
      ...(caCerts.length > 0 && { ca: [...tls.getCACertificates("default"), ...caCerts] }),
      ALPNProtocols: ["http/1.1"],
      rejectUnauthorized: true,
    });
    return new Promise((resolve, reject) => {
      socket.once("secureConnect", () => resolve(new TlsSocket(socket)));
      socket.on("error", reject);
      socket.once("close", () => reject(new Deno.errors.Interrupted("the connection was closed")));
    });
  }

  read(target: Uint8Array): Promise<number | null> {
    return new Promise((resolve, reject) => {
      this.#reader = { target, resolve, reject };
      this.#serve();
      if (this.#reader !== null && this.#tls.isPaused()) this.#tls.resume();
    });
  }

  /** Rejects only where nothing can have been sent; later failures show when reading. */
  write(bytes: Uint8Array): Promise<number> {
    if (this.#ended || this.#error !== null) return Promise.reject(new Deno.errors.BrokenPipe());
    return new Promise((resolve) => this.#tls.write(bytes, () => resolve(bytes.length)));
  }

  close(): void {
    this.#tls.destroy();
  }

  #fail(error: unknown): void {
    this.#error ??= error;
    this.#serve();
  }

  #serve(): void {
    const reader = this.#reader;
    if (reader === null) return;
    const first = this.#arrived[0];
    if (first !== undefined) {
      this.#reader = null;
      const n = Math.min(first.length, reader.target.length);
      reader.target.set(first.subarray(0, n));
      if (n === first.length) this.#arrived.shift();
      else this.#arrived[0] = first.subarray(n);
      reader.resolve(n);
    } else if (this.#ended || this.#error !== null) {
      this.#reader = null;
      if (this.#ended) reader.resolve(null);
      else reader.reject(this.#error);
    }
  }
}

/** Connects TCP as TlsSocket.begin takes it; the signal gives the attempt up. */
export function connectTcp(address: string, port: number, signal: AbortSignal): Promise<net.Socket> {
  const socket = net.connect({ host: address, port, noDelay: true });
  return new Promise((resolve, reject) => {
    signal.addEventListener("abort", () => socket.destroy());
    socket.once("connect", () => resolve(socket));
    // For good: later errors are told by the TLS above, and one without a listener would end the process.
    socket.on("error", reject);
    socket.once("close", () => reject(new Deno.errors.Interrupted("the connection was closed")));
  });
}
