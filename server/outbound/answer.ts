import { Buffer } from "node:buffer";
import type { ResponseHead } from "./head.ts";

type Body = Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array<ArrayBuffer>> | null;

/** An answer; its body is whole when small, a stream when large or of unknown length, null when there is none. */
export interface OutboundExchange {
  readonly status: number;
  /** Names in lower case, in the order received. */
  readonly headers: [name: string, value: string][];
  readonly body: Body;
  /** A whole body of ASCII as text, where that is cheaper to have than the bytes; else null. */
  readonly text: string | null;
  /** The value of a header by its lower-case name, several joined by commas; null when absent. */
  header(name: string): string | null;
}

abstract class Headed {
  readonly status: number;
  readonly headers: [name: string, value: string][];

  constructor({ status, headers }: ResponseHead) {
    this.status = status;
    this.headers = headers;
  }

  header(name: string): string | null {
    let found: string | null = null;
    for (const [key, value] of this.headers) {
      if (key === name) found = found === null ? value : `${found}, ${value}`;
    }
    return found;
  }
}

/** An answer with the body that it has. */
export class Answer extends Headed implements OutboundExchange {
  readonly body: Body;
  readonly text = null;

  constructor(head: ResponseHead, body: Body) {
    super(head);
    this.body = body;
  }
}

const ascii = /^\p{ASCII}*$/u;

/** An answer whose whole body is there as a text, one character a byte: an array of its own would be dearer. */
export class TextAnswer extends Headed implements OutboundExchange {
  readonly #bytes: string;

  constructor(head: ResponseHead, bytes: string) {
    super(head);
    this.#bytes = bytes;
  }

  get body(): Uint8Array<ArrayBuffer> {
    const body = new Uint8Array(this.#bytes.length);
    Buffer.from(body.buffer).write(this.#bytes, "latin1");
    return body;
  }

  get text(): string | null {
    return ascii.test(this.#bytes) ? this.#bytes : null;
  }
}
