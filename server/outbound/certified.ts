import { isIP } from "node:net";
import { Duplex } from "node:stream";
import * as tls from "node:tls";
import type { TlsIdentity } from "./tls_identity.ts";
import type { Socket } from "./wire.ts";

/** The authorities that the runtime trusts; an older one names only those that it brings along. */
function systemAuthorities(): readonly string[] {
  return tls.getCACertificates?.("default") ?? tls.rootCertificates;
}

const pieceBytes = 16 * 1024;

/**
 * The encrypted side of a connection, read only on demand: given a TCP connection of its own, node:tls of this
 * runtime reads on while nobody takes what it has, without bound.
 */
class Ciphertext extends Duplex {
  readonly #tcp: Deno.TcpConn;
  #pulling = false;
  #ended = false;
  /** Called when a pull has brought something, or the end. */
  pulled = () => {};
  /** Called when there is nothing more to pull. */
  exhausted = () => {};

  constructor(tcp: Deno.TcpConn) {
    super();
    this.#tcp = tcp;
  }

  /** Takes what comes next, however often it is asked meanwhile. */
  async pull(): Promise<void> {
    if (this.#pulling || this.destroyed) return;
    this.#pulling = true;
    try {
      if (this.#ended) {
        // What was received before the end needs its turns until it is decrypted.
        for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setTimeout(resolve, 0));
        this.exhausted();
        return;
      }
      const piece = new Uint8Array(pieceBytes);
      const n = await this.#tcp.read(piece);
      // The end is not passed on, as node:tls would take it for the end of TLS.
      if (n === null) this.#ended = true;
      else this.push(piece.subarray(0, n));
    } catch (error) {
      this.destroy(error instanceof Error ? error : undefined);
    } finally {
      this.#pulling = false;
      this.pulled();
    }
  }

  override _read(): void {
    // Only `pull` reads.
  }

  override _write(bytes: Uint8Array, _: string, done: (error?: Error | null) => void): void {
    this.#send(bytes).then(() => done(), done);
  }

  async #send(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) at += await this.#tcp.write(bytes.subarray(at));
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#tcp.close();
    done(error);
  }
}

/** What the handshake needs: whose certificate the server must have, what is trusted, and what is shown. */
export interface Handshake {
  /** Host name or address that was asked for. */
  readonly host: string;
  readonly identity: TlsIdentity;
  /** Certificates (PEM) trusted beside the runtime's own and those of the identity. */
  readonly caCerts: readonly string[];
}

/** A TLS connection that shows a client certificate; node:tls makes it, as Deno.startTls takes none. */
export class CertifiedSocket implements Socket {
  readonly #ciphertext: Ciphertext;
  readonly #secure: tls.TLSSocket;
  #rest: Uint8Array = new Uint8Array(0);
  #error: Error | null = null;
  #ready = false;
  #wake = () => {};

  /** Takes the TCP connection over, also where that throws. */
  constructor(tcp: Deno.TcpConn, { host, identity, caCerts }: Handshake) {
    this.#ciphertext = new Ciphertext(tcp);
    const wake = () => this.#wake();
    const trusted = [...caCerts, ...identity.caCertificates];
    this.#secure = tls.connect({
      socket: this.#ciphertext,
      // Server name and certificate are those of the host that was asked for, not of the address. RFC 6066 section 3
      ...(isIP(host) === 0 ? { servername: host } : { host }),
      cert: identity.client?.certificate,
      key: identity.client?.key,
      // A list stands in the place of the runtime's own.
      ...(trusted.length === 0 ? {} : { ca: [...systemAuthorities(), ...trusted] }),
      ALPNProtocols: ["http/1.1"],
    });
    this.#secure.once("secureConnect", () => this.#ready = true);
    for (const event of ["secureConnect", "readable", "end", "close"]) this.#secure.on(event, wake);
    const fail = (error: Error) => {
      this.#error ??= error;
      wake();
    };
    this.#secure.on("error", fail);
    this.#ciphertext.on("error", fail);
    this.#ciphertext.pulled = wake;
    // RFC 8446 section 6.1: without a close_notify the end may have been made by somebody in between.
    this.#ciphertext.exhausted = () => fail(new Error("the connection ended without the end of TLS"));
  }

  /** Resolves once the server is the right one and has what it needs of us. */
  async handshake(): Promise<this> {
    while (!this.#ready) await this.#more();
    return this;
  }

  async read(buffer: Uint8Array): Promise<number | null> {
    while (this.#rest.length === 0) {
      const piece: Uint8Array | null = this.#secure.read();
      if (piece !== null) this.#rest = piece;
      else if (this.#secure.readableEnded) return null;
      else await this.#more();
    }
    const taken = this.#rest.subarray(0, buffer.length);
    buffer.set(taken);
    this.#rest = this.#rest.subarray(taken.length);
    return taken.length;
  }

  /** Waits until something has happened; throws where nothing can any more. */
  async #more(): Promise<void> {
    if (this.#error !== null) throw this.#error;
    if (this.#secure.destroyed) throw this.#secure.errored ?? new Error("the connection is closed");
    const woken = new Promise<void>((resolve) => this.#wake = resolve);
    void this.#ciphertext.pull();
    await woken;
  }

  write(bytes: Uint8Array): Promise<number> {
    if (!this.#secure.writable) return Promise.reject(new Error("the connection is closed"));
    // A failure after this point says nothing of how much was sent; it shows when reading.
    return new Promise((resolve) => this.#secure.write(bytes, () => resolve(bytes.length)));
  }

  close(): void {
    this.#secure.destroy();
    this.#ciphertext.destroy();
  }
}
