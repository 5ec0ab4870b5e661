import { type SseEvent, SseSplitter, withData } from "./sse.ts";

/** What is known of an answer when it is settled. */
export interface Settled {
  /** The JSON-RPC response, parsed; null where it was too long to look into, or there was none. */
  answer: Record<string, unknown> | null;
  /** Bytes that came from the upstream. */
  bytes: number;
  /** Why there is no whole answer; null where there is one. */
  failure: string | null;
  /** True where the stream carried event ids, so that a client can fetch the rest by GET (L06). */
  resumable: boolean;
}

/** What the proxy wants to know of, and change in, the answer to one message. */
export interface Watch {
  /** The id whose response is the answer; null where none is expected. */
  readonly id: string | number | null;
  /** Changes the answer in place; returns true where it did. */
  readonly rewrite: (answer: Record<string, unknown>) => boolean;
  /** True where the answer may not pass unread, however long it is. */
  readonly mustRewrite: boolean;
  /** Called once, before the client can have its whole answer. */
  readonly settle: (settled: Settled) => Promise<void> | undefined;
  /** True where a client that leaves cancels the call (M11), false where the call goes on (L07). */
  readonly cancelOnLeave: boolean;
  /** Text of an error answer for the client. */
  readonly errorText: (failure: string) => string;
}

const captureBytes = 256 * 1024;
const maxEventLength = 1024 * 1024;
const maxEventBytes = 64 * 1024 * 1024;
const maxListLength = 20 * 1024 * 1024;
const encoder = new TextEncoder();

/** True where the value is the response to the watched request. */
function isAnswer(value: unknown, watch: Watch): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  return "id" in value && value.id === watch.id && ("result" in value || "error" in value);
}

/** A whole JSON answer: read, changed where it must be, settled, handed on. Throws where it is not JSON. */
export async function wholeAnswer(
  body: Uint8Array<ArrayBuffer>,
  watch: Watch,
): Promise<Uint8Array<ArrayBuffer>> {
  let answer: Record<string, unknown> | null = null;
  if (body.length > 0) {
    const parsed: unknown = JSON.parse(new TextDecoder().decode(body));
    if (isAnswer(parsed, watch)) answer = parsed;
    else if (typeof parsed === "object" && parsed !== null) answer = parsed as Record<string, unknown>;
  }
  const changed = answer !== null && watch.rewrite(answer);
  const settling = watch.settle({ answer, bytes: body.length, failure: null, resumable: false });
  if (settling) await settling;
  return changed ? encoder.encode(JSON.stringify(answer)) : body;
}

/** All bytes of a stream within a limit; null where there are more, the stream being cancelled. */
export async function readWhole(
  stream: ReadableStream<Uint8Array>,
  limit = maxListLength,
): Promise<Uint8Array<ArrayBuffer> | null> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of stream) {
    size += chunk.length;
    if (size > limit) return null;
    chunks.push(chunk);
  }
  const whole = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}

/** How a streamed answer is passed on. */
export interface PassOptions {
  readonly watch: Watch;
  /** Called when nothing of the answer is left to do. */
  readonly done: () => void;
  /** Says what went wrong, for the client and the log. */
  readonly failure: (error: unknown) => Error;
  /** The most bytes that pass. */
  readonly maxBytes: number;
}

type Step =
  | { kind: "data"; out: Uint8Array }
  | { kind: "end"; out: Uint8Array | null }
  | { kind: "break"; error: unknown };

/** A streamed answer on its way from the upstream to the client. */
abstract class Passing {
  protected bytes = 0;
  protected resumable = false;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #done: () => void;
  #settled = false;
  #left = false;
  #step: Promise<Step> | null = null;

  constructor(source: ReadableStream<Uint8Array>, protected readonly options: PassOptions) {
    this.#reader = source.getReader();
    let ended = false;
    this.#done = () => {
      if (!ended) options.done();
      ended = true;
    };
  }

  protected get watch(): Watch {
    return this.options.watch;
  }

  stream(): ReadableStream<Uint8Array> {
    return new ReadableStream<Uint8Array>({
      pull: (controller) => this.#pull(controller),
      cancel: () => this.#leave(),
    }, { highWaterMark: 0 });
  }

  /** Ends the stream from our side: the client sees a regular end. */
  stop(): void {
    // A failed source has nothing to end; its reader learns of the failure by itself.
    this.#reader.cancel().then(undefined, () => undefined);
  }

  /** Takes a chunk and returns what the client gets now. */
  protected abstract take(chunk: Uint8Array): Promise<Uint8Array | null>;
  /** Takes the end of the stream and returns what the client gets last. */
  protected abstract finish(): Promise<Uint8Array | null>;
  /** What the client gets when the upstream fails in the middle; null breaks the body off. */
  protected abstract broken(failure: string): Uint8Array | null;

  protected get settled(): boolean {
    return this.#settled;
  }

  protected async settle(answer: Record<string, unknown> | null, failure: string | null): Promise<void> {
    if (this.#settled) return;
    this.#settled = true;
    await this.watch.settle({ answer, bytes: this.bytes, failure, resumable: this.resumable });
  }

  async #pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    const step = await (this.#step = this.#next());
    if (this.#left) return;
    if (step.kind === "break") return controller.error(step.error);
    if (step.out) controller.enqueue(step.out);
    if (step.kind === "end") controller.close();
  }

  async #next(): Promise<Step> {
    try {
      for (;;) {
        const { value, done } = await this.#reader.read();
        if (done) {
          const out = await this.finish();
          this.#done();
          return { kind: "end", out };
        }
        this.bytes += value.length;
        if (this.bytes > this.options.maxBytes) throw new Error("The answer is longer than allowed");
        const out = await this.take(value);
        if (out) return { kind: "data", out };
      }
    } catch (error) {
      return await this.#failed(error);
    }
  }

  async #failed(cause: unknown): Promise<Step> {
    const answered = this.#settled;
    let error = this.options.failure(cause);
    try {
      await this.settle(null, error.message);
    } catch (unrecorded) {
      error = this.options.failure(unrecorded);
    }
    this.#done();
    // Where the stream failed by itself this finds it closed; where we gave up on it, this frees the socket.
    this.#reader.cancel(cause).then(undefined, () => undefined);
    const last = answered ? null : this.broken(error.message);
    return last ? { kind: "end", out: last } : { kind: "break", error };
  }

  /** The client has left: M11 cancels the call; L07 lets it run to its end. */
  async #leave(): Promise<void> {
    this.#left = true;
    if (this.watch.cancelOnLeave) {
      await this.settle(null, "The client left before the answer");
      await this.#reader.cancel();
      this.#done();
      return;
    }
    this.#drain();
  }

  async #drain(): Promise<void> {
    let step = this.#step === null ? null : await this.#step;
    while (step === null || step.kind === "data") step = await this.#next();
  }
}

/** A JSON body; its last chunk waits for the end, so that the row is written before the answer is whole. */
class JsonPassing extends Passing {
  #held: Uint8Array | null = null;
  readonly #captured: Uint8Array[] = [];

  protected override take(chunk: Uint8Array): Promise<Uint8Array | null> {
    if (this.bytes <= captureBytes) this.#captured.push(chunk);
    const out = this.#held;
    this.#held = chunk;
    return Promise.resolve(out);
  }

  protected override async finish(): Promise<Uint8Array | null> {
    await this.settle(this.bytes <= captureBytes ? this.#answer() : null, null);
    return this.#held;
  }

  protected override broken(): null {
    return null;
  }

  #answer(): Record<string, unknown> | null {
    const decoder = new TextDecoder();
    const text = this.#captured.map((chunk) => decoder.decode(chunk, { stream: true })).join("");
    const parsed: unknown = JSON.parse(text); // not JSON: the held chunk never goes out, and the row says why
    return isAnswer(parsed, this.watch) ? parsed : null;
  }
}

/** An event stream; whole events pass as they arrive, the answer's event after its row is written. */
class SsePassing extends Passing {
  readonly #decoder = new TextDecoder();
  readonly #splitter: SseSplitter;
  /** Characters of the event that is passing in pieces. */
  #passed = 0;

  constructor(source: ReadableStream<Uint8Array>, options: PassOptions) {
    super(source, options);
    this.#splitter = new SseSplitter(options.watch.mustRewrite ? maxListLength : maxEventLength);
  }

  protected override async take(chunk: Uint8Array): Promise<Uint8Array | null> {
    const fresh = this.#splitter.empty;
    let out = "";
    let changed = false;
    for (const event of this.#splitter.push(this.#decoder.decode(chunk, { stream: true }))) {
      const text = await this.#pass(event);
      changed ||= text !== event.text;
      out += text;
    }
    if (out === "") return null;
    return fresh && this.#splitter.empty && !changed ? chunk : encoder.encode(out);
  }

  protected override async finish(): Promise<Uint8Array | null> {
    await this.settle(null, this.watch.id === null ? null : "The stream ended before the answer");
    const rest = this.#splitter.end();
    return rest === "" ? null : encoder.encode(rest);
  }

  protected override broken(failure: string): Uint8Array | null {
    return this.watch.id === null || this.#splitter.inPieces
      ? null
      : encoder.encode(`data: ${this.watch.errorText(failure)}\n\n`);
  }

  #bound(length: number): void {
    this.#passed += length;
    if (this.watch.mustRewrite) throw new Error("The list is longer than can be filtered");
    if (this.#passed > maxEventBytes) throw new Error("One event of the stream is longer than allowed");
  }

  async #pass(event: SseEvent): Promise<string> {
    if (!event.partial) this.#passed = 0;
    if (/(^|[\r\n])id:/.test(event.text)) this.resumable = true;
    const { data } = event;
    if (this.settled || this.watch.id === null || !/"(result|error)"/.test(data)) {
      if (event.partial) this.#bound(event.text.length);
      return event.text;
    }
    if (event.oversize) {
      await this.settle(null, null);
      return event.text;
    }
    const parsed: unknown = JSON.parse(data);
    if (!isAnswer(parsed, this.watch)) return event.text;
    const changed = this.watch.rewrite(parsed);
    await this.settle(parsed, null);
    return changed ? withData(event, JSON.stringify(parsed)) : event.text;
  }
}

/** A streamed answer: what the client reads, and how it is ended early. */
export interface Passage {
  stream(): ReadableStream<Uint8Array>;
  stop(): void;
}

/** Passes a JSON body on as it comes. */
export function passJson(source: ReadableStream<Uint8Array>, options: PassOptions): Passage {
  return new JsonPassing(source, options);
}

/** Passes an event stream on as it comes. */
export function passSse(source: ReadableStream<Uint8Array>, options: PassOptions): Passage {
  return new SsePassing(source, options);
}
