// A TLS end before a plain server, which demands client certificates: what Deno's own listeners cannot.
import { X509Certificate } from "node:crypto";
import { type AddressInfo, connect, type Socket } from "node:net";
import { createServer, type Server, type TLSSocket } from "node:tls";
import type { Certificate } from "./certificates.ts";

/** What the front shows, and whose client certificates it takes. */
export interface TlsFrontOptions {
  readonly certificate: Certificate;
  /** The authority of the clients, PEM. */
  readonly clients: string;
  /** Where the bytes go: a port of this machine. */
  readonly to: number;
}

/** One line per connection: which client certificate it showed, and which server name it asked for. */
export interface Shown {
  readonly fingerprint: string;
  readonly serverName: string | null;
}

/** A running front; connections without a certificate of its authority never reach the server behind it. */
export class TlsFront implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Those let in, in order. */
  readonly shown: Shown[] = [];
  /** Handshakes that failed. */
  refused = 0;
  port = 0;

  private constructor({ certificate, clients, to }: TlsFrontOptions) {
    this.#server = createServer({
      ...certificate,
      ca: [clients],
      requestCert: true,
      rejectUnauthorized: true,
      ALPNProtocols: ["http/1.1"],
    }, (secure) => this.#pass(secure, to));
    this.#server.on("tlsClientError", () => this.refused++);
    this.#server.on("connection", (socket: Socket) => this.#hold(socket));
  }

  static start(options: TlsFrontOptions): Promise<TlsFront> {
    const front = new TlsFront(options);
    return new Promise((resolve) =>
      front.#server.listen(0, "127.0.0.1", () => {
        front.port = (front.#server.address() as AddressInfo).port;
        resolve(front);
      })
    );
  }

  /** TCP connections that clients have open. */
  get open(): number {
    return this.#sockets.size;
  }

  at(host: string): string {
    return `https://${host}:${this.port}/`;
  }

  #hold(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("close", () => this.#sockets.delete(socket));
  }

  #pass(secure: TLSSocket, to: number): void {
    this.shown.push({
      fingerprint: new X509Certificate(secure.getPeerCertificate().raw).fingerprint256,
      serverName: "servername" in secure && typeof secure.servername === "string" ? secure.servername : null,
    });
    const inner = connect(to, "127.0.0.1");
    secure.pipe(inner);
    inner.pipe(secure);
    for (const [one, other] of [[secure, inner], [inner, secure]] as const) {
      one.on("error", () => other.destroy());
      one.on("close", () => other.destroy());
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}

/** How a certificate shows in `shown`. */
export function fingerprintOf(certificate: Certificate): string {
  return new X509Certificate(certificate.cert).fingerprint256;
}
