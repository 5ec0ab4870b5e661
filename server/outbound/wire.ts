import { Buffer } from "node:buffer";

/** The byte stream below HTTP, as Deno's TCP connections have it. */
export interface Socket {
  read(buffer: Uint8Array): Promise<number | null>;
  /** Rejects only where none of these bytes were sent. */
  write(bytes: Uint8Array): Promise<number>;
  close(): void;
}

const inputBytes = 16 * 1024;
const nothing = new Uint8Array(0);
const encoder = new TextEncoder();

/** A socket with its buffers: bytes received and not yet taken, and how much of a request was sent. */
export class Wire {
  readonly #socket: Socket;
  #input = new Uint8Array(inputBytes);
  /** The same bytes, to be read as characters. */
  #characters = Buffer.from(this.#input.buffer);
  readonly #output = new Uint8Array(inputBytes);
  #start = 0;
  #end = 0;
  #pending: Promise<number | null> | null = null;
  #request: Uint8Array = nothing;
  #sent = 0;
  #sending: "no" | "yes" | "failed" = "no";
  /** Bytes received since `request` was called. */
  received = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  get buffered(): number {
    return this.#end - this.#start;
  }

  /** Whether the whole request was sent. */
  get allSent(): boolean {
    return this.#sending === "no";
  }

  /** Whether it is certain that nothing of the request was sent. */
  get noneSent(): boolean {
    return this.#sending === "failed" && this.#sent === 0;
  }

  close(): void {
    try {
      this.#socket.close();
    } catch (error) {
      // Closing twice, or after the peer's reset, changes nothing.
      if (!(error instanceof Deno.errors.BadResource)) throw error;
    }
  }

  /** Reads on while idle and calls `ended` when the peer closes or speaks out of turn. */
  watch(ended: () => void): void {
    this.#start = this.#end = 0;
    this.#pending = this.#socket.read(this.#input);
    this.#pending.then(ended, ended);
  }

  /** Takes a request and returns what starts to send it; a failure shows when reading. */
  request(head: string, body: Uint8Array | string): () => void {
    this.received = this.#sent = 0;
    this.#sending = "yes";
    this.#request = this.#encode(head, body);
    return this.#send;
  }

  readonly #send = (): void => void this.#socket.write(this.#request).then(this.#wrote, this.#notWritten);

  readonly #wrote = (count: number): void => {
    this.#sent += count;
    this.#request = this.#request.subarray(count);
    if (this.#request.length > 0) return this.#send();
    this.#request = nothing; // an empty part would keep the whole in memory
    this.#sending = "no";
  };

  readonly #notWritten = (): void => {
    this.#request = nothing;
    this.#sending = "failed";
  };

  // One piece, so that a request usually is one segment and one system call.
  #encode(head: string, body: Uint8Array | string): Uint8Array {
    const text = typeof body === "string" ? head + body : head;
    const most = text.length * 3 + (typeof body === "string" ? 0 : body.length);
    const out = most <= this.#output.length ? this.#output : new Uint8Array(most);
    let at = encoder.encodeInto(text, out).written;
    if (at !== text.length) {
      // Header values may hold obs-text, which is one byte a character (RFC 9110 section 5.5).
      at = Buffer.from(out.buffer).write(head, 0, "latin1");
      if (typeof body === "string") at += encoder.encodeInto(body, out.subarray(at)).written;
    }
    if (typeof body !== "string") {
      out.set(body, at);
      at += body.length;
    }
    return out.subarray(0, at);
  }

  /** Waits for more bytes in the buffer; false at the end of the stream. */
  async fill(): Promise<boolean> {
    return this.took(await this.reading());
  }

  /** The two halves of `fill`: what comes of the first is to be given to the second at once. */
  reading(): Promise<number | null> {
    const pending = this.#pending;
    this.#pending = null;
    if (pending !== null) return pending;
    this.#makeRoom();
    return this.#socket.read(this.#input.subarray(this.#end));
  }

  took(count: number | null): boolean {
    if (count === null) return false;
    this.#end += count;
    this.received += count;
    return true;
  }

  #makeRoom(): void {
    if (this.#start === this.#end) this.#start = this.#end = 0;
    if (this.#end < this.#input.length) return;
    const kept = this.#input.subarray(this.#start, this.#end);
    if (this.#start === 0) {
      this.#input = new Uint8Array(this.#input.length * 2);
      this.#characters = Buffer.from(this.#input.buffer);
    }
    this.#input.set(kept);
    this.#end -= this.#start;
    this.#start = 0;
  }

  /** Waits for bytes into `target`; null at the end of the stream. Only while nothing is buffered. */
  async readInto(target: Uint8Array): Promise<number | null> {
    const n = await this.#socket.read(target);
    if (n !== null) this.received += n;
    return n;
  }

  /** The buffered bytes, valid until the next call. */
  view(): Uint8Array {
    return this.#input.subarray(this.#start, this.#end);
  }

  /** Drops the first `count` buffered bytes. */
  skip(count: number): void {
    this.#start += count;
  }

  /** Takes the first `count` buffered bytes as text, one character a byte. */
  takeText(count: number): string {
    const from = this.#start;
    this.#start += count;
    return this.#characters.toString("latin1", from, this.#start);
  }
}
