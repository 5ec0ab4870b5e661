// X.509 certificates made on the spot (RFC 5280), so that no key lies in the repository and no tool is needed.
import { generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";

/** A certificate and its key, both PEM. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** An authority that signs for names and addresses. */
export class Authority {
  readonly #keys = generateKeyPairSync("ec", { namedCurve: "P-256" });
  readonly #name: Uint8Array;
  readonly cert: string;

  constructor(name: string) {
    this.#name = distinguishedName(name);
    const basicConstraints = extension("2.5.29.19", sequence(boolean(true)), true);
    this.cert = this.#sign({
      subject: this.#name,
      key: this.#keys.publicKey,
      extensions: [basicConstraints],
    });
  }

  /** A server certificate for host names and IPv4 addresses. */
  issue(names: readonly string[], validity: { from?: Date; to?: Date } = {}): Certificate {
    const keys = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const alternatives = names.map((name) =>
      /^[\d.]+$/.test(name)
        ? element(0x87, Uint8Array.from(name.split("."), Number))
        : element(0x82, new TextEncoder().encode(name))
    );
    const cert = this.#sign({
      subject: distinguishedName("server"),
      key: keys.publicKey,
      extensions: [extension("2.5.29.17", sequence(...alternatives))],
      ...validity,
    });
    return { cert, key: keys.privateKey.export({ type: "pkcs8", format: "pem" }) as string };
  }

  /** The authority's own certificate, as a server would show it that signs for itself. */
  get self(): Certificate {
    return { cert: this.cert, key: this.#keys.privateKey.export({ type: "pkcs8", format: "pem" }) as string };
  }

  #sign(
    options: { subject: Uint8Array; key: KeyObject; extensions: Uint8Array[]; from?: Date; to?: Date },
  ): string {
    const algorithm = sequence(objectId("1.2.840.10045.4.3.2")); // ecdsa-with-SHA256
    const day = 86_400_000;
    const { from = new Date(Date.now() - day), to = new Date(Date.now() + day) } = options;
    const toBeSigned = sequence(
      element(0xa0, integer(Uint8Array.of(2))),
      integer(Uint8Array.of(1, ...randomBytes(15))),
      algorithm,
      this.#name,
      sequence(time(from), time(to)),
      options.subject,
      options.key.export({ type: "spki", format: "der" }),
      element(0xa3, sequence(...options.extensions)),
    );
    const signature = sign("sha256", toBeSigned, this.#keys.privateKey);
    const der = sequence(toBeSigned, algorithm, element(0x03, Uint8Array.of(0, ...signature)));
    const lines = btoa(String.fromCharCode(...der)).match(/.{1,64}/g)!;
    return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
  }
}

// DER, X.690 section 8
function element(tag: number, ...parts: Uint8Array[]): Uint8Array {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Uint8Array.from([tag, ...size, ...parts.flatMap((part) => [...part])]);
}

function sequence(...parts: Uint8Array[]): Uint8Array {
  return element(0x30, ...parts);
}

function integer(bytes: Uint8Array): Uint8Array {
  return element(0x02, bytes);
}

function boolean(value: boolean): Uint8Array {
  return element(0x01, Uint8Array.of(value ? 0xff : 0));
}

function objectId(text: string): Uint8Array {
  const [first, second, ...rest] = text.split(".").map(Number);
  const bytes = [first! * 40 + second!];
  for (const arc of rest) {
    const groups = [arc & 0x7f];
    for (let left = arc >> 7; left > 0; left >>= 7) groups.unshift((left & 0x7f) | 0x80);
    bytes.push(...groups);
  }
  return element(0x06, Uint8Array.from(bytes));
}

function distinguishedName(name: string): Uint8Array {
  const commonName = sequence(objectId("2.5.4.3"), element(0x0c, new TextEncoder().encode(name)));
  return sequence(element(0x31, commonName));
}

function time(date: Date): Uint8Array {
  const text = date.toISOString().replace(/[-:T]/g, "").slice(2, 14) + "Z";
  return element(0x17, new TextEncoder().encode(text));
}

function extension(id: string, value: Uint8Array, critical = false): Uint8Array {
  return sequence(objectId(id), ...(critical ? [boolean(true)] : []), element(0x04, value));
}
