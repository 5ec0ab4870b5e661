import { joined, maxListLength, readResponses, TooLong, type Watch } from "./answer.ts";
import { Holding, sliceBytes } from "./long_lists.ts";
import { type Outcome, OutcomeScan } from "./outcome_scan.ts";
import { dataOf, hasId, PiecedData, type SseEvent, SseSplitter, withData } from "./sse.ts";

/** How a streamed answer is passed on. */
export interface PassOptions {
  readonly watch: Watch;
  /** Called when nothing of the answer is left to do. */
  readonly done: () => void;
  /** Says what went wrong, for the client and the log. */
  readonly failure: (error: unknown) => Error;
}

/** A streamed answer: what the client reads, and how it is ended early. */
export interface Passage {
  stream(): ReadableStream<Uint8Array>;
  /** Ends the stream from our side: the client sees a regular end. */
  stop(): void;
}

/** The most bytes of a JSON answer; event streams are bounded by their events instead. */
export const maxAnswerBytes = 64 * 1024 * 1024;

/** Events longer than this pass in pieces, and none is longer than that. */
const maxHeldLength = 1024 * 1024;
const maxEventLength = 64 * 1024 * 1024;

const encoder = new TextEncoder();

type Step =
  | { kind: "data"; out: Uint8Array }
  | { kind: "end"; out: Uint8Array | null }
  | { kind: "break"; error: unknown };

/** A streamed answer on its way from the upstream to the client. */
abstract class Passing implements Passage {
  protected readonly watch: Watch;
  protected bytes = 0;
  protected resumable = false;
  protected stopping = false;
  protected readonly holding = new Holding();
  readonly #reader: ReadableStreamDefaultReader<Uint8Array> | null;
  readonly #options: PassOptions;
  #first: Uint8Array | null;
  #settled = false;
  #recorded = false;
  #over = false;
  #left = false;
  #step: Promise<Step> | null = null;
  /** A long step of which the client has not taken all. */
  #rest: Step | null = null;

  constructor(
    reader: ReadableStreamDefaultReader<Uint8Array> | null,
    options: PassOptions,
    first: Uint8Array | null = null,
  ) {
    this.#reader = reader;
    this.#options = options;
    this.#first = first;
    this.watch = options.watch;
  }

  stream(): ReadableStream<Uint8Array> {
    return new ReadableStream<Uint8Array>({
      pull: (controller) => this.#pull(controller),
      cancel: () => this.#leave(),
    }, { highWaterMark: 0 });
  }

  /** Passes what has arrived whole, without a stream. */
  async whole(body: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
    this.bytes = body.length;
    const parts = [await this.take(body), await this.finish()].filter((part) => part !== null);
    return parts.length === 1 && parts[0] === body ? body : joined(parts);
  }

  stop(): void {
    this.stopping = true;
    this.#release();
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
    this.#recorded = true;
  }

  /** Settles an answer that was too long to be held, by what was found while it passed. */
  protected async settleLong(outcome: Outcome): Promise<void> {
    const failure = "instead" in outcome ? this.#options.failure(outcome.instead).message : outcome.failure;
    if (failure !== null) this.resumable = false; // it has come, so nobody comes back for it
    await this.settle(null, failure);
  }

  async #pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    const step = this.#rest ?? await (this.#step = this.#next());
    this.#rest = null;
    if (this.#left) return;
    if (step.kind === "break") return controller.error(step.error);
    if (step.out && step.out.length > 2 * sliceBytes) {
      controller.enqueue(step.out.subarray(0, sliceBytes));
      this.#rest = { ...step, out: step.out.subarray(sliceBytes) };
      return;
    }
    if (step.out) controller.enqueue(step.out);
    if (step.kind === "end") controller.close();
  }

  async #next(): Promise<Step> {
    try {
      for (;;) {
        const chunk = await this.#read();
        if (chunk === null) {
          const out = await this.finish();
          this.#end();
          return { kind: "end", out };
        }
        this.bytes += chunk.length;
        const out = await this.take(chunk);
        if (out) return { kind: "data", out };
      }
    } catch (error) {
      return await this.#failed(error);
    }
  }

  async #read(): Promise<Uint8Array | null> {
    const first = this.#first;
    this.#first = null;
    if (first) return first;
    const step = await this.#reader?.read();
    return step?.value ?? null;
  }

  async #failed(cause: unknown): Promise<Step> {
    const answered = this.#recorded;
    let error = this.#options.failure(cause);
    this.resumable = false; // the client is told, so it does not come back
    try {
      await this.settle(null, error.message);
    } catch (unrecorded) {
      error = this.#options.failure(unrecorded);
    }
    this.#release();
    this.#end();
    const last = answered ? null : this.broken(error.message);
    return last ? { kind: "end", out: last } : { kind: "break", error };
  }

  /** The client has left: M11 cancels the call; L07 lets it run to its end. */
  async #leave(): Promise<void> {
    this.#left = true;
    if (!this.watch.cancelOnLeave) {
      this.#drain(); // not waited for: the client is gone, and this may take long
      return;
    }
    // A step under way finds the end of the stream, and the call settled.
    this.#release();
    const failure = this.watch.endless ? null : "The client left before the answer";
    // Where the row cannot be written, the log has said so and nobody is left to be told.
    await this.settle(null, failure).then(undefined, () => undefined);
    this.#end();
  }

  /** Reads on for nobody, so that the upstream can finish and the row says how it ended. */
  async #drain(): Promise<void> {
    let step = await this.#step;
    while (step === null || step.kind === "data") step = await this.#next();
  }

  #release(): void {
    // A stream that failed by itself has nothing to cancel; whoever reads it learns of the failure.
    this.#reader?.cancel().then(undefined, () => undefined);
  }

  #end(): void {
    this.holding.set(0);
    if (!this.#over) this.#options.done();
    this.#over = true;
  }
}

/** A JSON body too long to be parsed; its last chunk waits for the row. */
class JsonPassing extends Passing {
  readonly #scan: OutcomeScan | null;
  #held: Uint8Array | null = null;

  constructor(reader: ReadableStreamDefaultReader<Uint8Array>, first: Uint8Array, options: PassOptions) {
    super(reader, options, first);
    this.#scan = options.watch.id === null ? null : new OutcomeScan(options.watch);
  }

  protected override take(chunk: Uint8Array): Promise<Uint8Array | null> {
    if (this.bytes > maxAnswerBytes) throw new TooLong(`more than ${maxAnswerBytes} bytes`);
    this.#scan?.push(chunk);
    const out = this.#held;
    this.#held = chunk;
    return Promise.resolve(out);
  }

  protected override async finish(): Promise<Uint8Array | null> {
    if (this.#scan) await this.settleLong(this.#scan.end());
    else await this.settle(null, null);
    return this.#held;
  }

  protected override broken(): null {
    return null;
  }
}

/** An event stream; whole events pass as they arrive, the answer's event after its row is written. */
class SsePassing extends Passing {
  readonly #decoder = new TextDecoder();
  readonly #splitter: SseSplitter;
  /** True while the decoder holds no part of a character. */
  #clean = true;
  /** Characters of the event that is passing in pieces. */
  #passed = 0;
  /** Reads that event where it may be the answer. */
  #long: { data: PiecedData; scan: OutcomeScan } | null = null;

  constructor(reader: ReadableStreamDefaultReader<Uint8Array> | null, options: PassOptions) {
    super(reader, options);
    this.#splitter = new SseSplitter(options.watch.mustRewrite ? maxListLength : maxHeldLength);
  }

  protected override async take(chunk: Uint8Array): Promise<Uint8Array | null> {
    const fresh = this.#clean && this.#splitter.empty;
    let out = "";
    let changed = false;
    for (const event of this.#splitter.push(this.#decoder.decode(chunk, { stream: true }))) {
      const text = await this.#pass(event);
      changed ||= text !== event.text;
      out += text;
    }
    this.#clean = (chunk.at(-1) ?? 0) < 0x80;
    // What is handed out counts until more is asked for.
    if (this.watch.mustRewrite) this.holding.set(Math.max(this.#splitter.held, out.length));
    if (out === "") return null;
    // What consists of whole events goes on as it came.
    return fresh && this.#clean && this.#splitter.empty && !changed ? chunk : encoder.encode(out);
  }

  protected override async finish(): Promise<Uint8Array | null> {
    const event = this.#splitter.end();
    const rest = event ? await this.#pass(event) : "";
    if (this.settled || this.watch.id === null) {
      await this.settle(null, null);
      return rest === "" ? null : encoder.encode(rest);
    }
    if (this.stopping) return await this.#stopped(rest);
    const failure = "The stream ended before the answer";
    await this.settle(null, failure);
    // Where events have ids the client comes back for the rest (SEP-1699); else it would wait for nothing.
    const last = this.resumable ? null : this.broken(failure);
    return last ?? (rest === "" ? null : encoder.encode(rest));
  }

  /** Ends a subscription with its result (M12), and a call that was cancelled with nothing (L11). */
  async #stopped(rest: string): Promise<Uint8Array | null> {
    const { endless, endText } = this.watch;
    this.resumable = false; // nobody comes back for it
    await this.settle(null, endless ? null : "The client cancelled the call");
    return encoder.encode(endText === null ? rest : `${rest}data: ${endText}\n\n`);
  }

  protected override broken(failure: string): Uint8Array | null {
    return this.watch.id === null || this.#splitter.inPieces
      ? null
      : encoder.encode(`data: ${this.watch.errorText(failure)}\n\n`);
  }

  async #pass(event: SseEvent): Promise<string> {
    const { text } = event;
    // The modern era has no way to come back.
    if (!this.watch.cancelOnLeave && hasId(text)) this.resumable = true;
    if (event.part !== "whole") return await this.#passLong(event);
    const { watch } = this;
    if (!watch.mustRewrite && (this.settled || !mentionsResponse(text))) return text;
    const data = dataOf(text);
    if (data === "") return text;
    const { answer, changed } = readResponses(data, watch);
    if (answer) await this.settle(answer, null);
    return changed === null ? text : withData(text, changed);
  }

  async #passLong({ text, part }: SseEvent): Promise<string> {
    if (part === "piece") this.#bound(text.length);
    if (!this.settled && this.watch.id !== null) {
      this.#long ??= { data: new PiecedData(), scan: new OutcomeScan(this.watch) };
      this.#long.scan.push(encoder.encode(this.#long.data.push(text)));
    }
    if (part === "last") {
      const outcome = this.#long?.scan.end() ?? null;
      this.#long = null;
      this.#passed = 0;
      if (outcome && !("instead" in outcome)) await this.settleLong(outcome);
    }
    return text;
  }

  #bound(length: number): void {
    this.#passed += length;
    if (this.watch.mustRewrite) throw new TooLong("a list longer than can be filtered");
    if (this.#passed > maxEventLength) {
      throw new TooLong(`an event of more than ${maxEventLength} characters`);
    }
  }
}

function mentionsResponse(text: string): boolean {
  return text.includes('"result"') || text.includes('"error"');
}

/** Passes a JSON body on as it comes, `first` being what was read of it already. */
export function passJson(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  first: Uint8Array,
  options: PassOptions,
): Passage {
  return new JsonPassing(reader, first, options);
}

/** Passes an event stream on as it comes. */
export function passSse(reader: ReadableStreamDefaultReader<Uint8Array>, options: PassOptions): Passage {
  return new SsePassing(reader, options);
}

/** Passes an event stream that has arrived whole. Throws what `options.failure` would be told. */
export function passWholeSse(
  body: Uint8Array<ArrayBuffer>,
  options: PassOptions,
): Promise<Uint8Array<ArrayBuffer>> {
  return new SsePassing(null, options).whole(body);
}
