import { messageOf } from "../errors.ts";
import type { Socket } from "./wire.ts";

/**
 * Counts, by origin, the TLS connections that are given up but cannot be closed yet: the runtime keeps a socket
 * until the server has ended the handshake, or has read what was sent, or closes itself. A server that does
 * neither can hold no more than `most`, after which it is called no longer.
 */
export class Lingering {
  static readonly most = 32;
  readonly #counts = new Map<string, number>();

  isFull(origin: string): boolean {
    return (this.#counts.get(origin) ?? 0) >= Lingering.most;
  }

  async until(origin: string, ended: Promise<void>): Promise<void> {
    this.#add(origin, 1);
    await ended;
    this.#add(origin, -1);
  }

  #add(origin: string, change: number): void {
    const count = (this.#counts.get(origin) ?? 0) + change;
    if (count > 0) this.#counts.set(origin, count);
    else this.#counts.delete(origin);
  }
}

// RFC 8446 section 6.2; with TLS 1.3 they arrive after the handshake, in the place of an answer.
const certificateAlerts =
  /received fatal alert: (?:(CertificateRequired)|BadCertificate|UnsupportedCertificate|CertificateRevoked|CertificateExpired|CertificateUnknown|UnknownCA|AccessDenied)\b/;

/** What a server has said of our client certificate, when that is why it ended the connection; or null. */
export function certificateRefusal(error: unknown): string | null {
  const alert = certificateAlerts.exec(messageOf(error));
  if (alert === null) return null;
  return alert[1] ? "the server demands a client certificate" : "the server refuses the client certificate";
}

/** A TLS connection whose close ends a read at once, also where the socket itself has to linger. */
export class TlsSocket implements Socket {
  readonly #tls: Deno.TlsConn;
  readonly #linger: (ended: Promise<void>) => void;
  #rejectRead: ((error: Error) => void) | null = null;
  #closed = false;

  constructor(tls: Deno.TlsConn, linger: (ended: Promise<void>) => void) {
    this.#tls = tls;
    this.#linger = linger;
  }

  read(buffer: Uint8Array): Promise<number | null> {
    return new Promise((resolve, reject) => {
      this.#rejectRead = reject;
      this.#tls.read(buffer).then(resolve, reject);
    });
  }

  write(bytes: Uint8Array): Promise<number> {
    return this.#tls.write(bytes);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#rejectRead?.(new Deno.errors.Interrupted("the connection is closed"));
    this.#linger(this.#end());
  }

  async #end(): Promise<void> {
    try {
      await this.#tls.closeWrite();
    } catch {
      // The server was faster, which is as good an end.
    }
    this.#tls.close();
  }
}
