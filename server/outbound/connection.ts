import { Answer, type OutboundExchange, TextAnswer } from "./answer.ts";
import { type BodyReader, ChunkedBody, CloseBody, LengthBody } from "./body.ts";
import { OutboundError, type OutboundStage } from "./errors.ts";
import { headLength, Malformed, parseHead, type ResponseHead } from "./head.ts";
import { certificateRefusal } from "./tls.ts";
import { type Socket, Wire } from "./wire.ts";
import type { Leaving } from "./leaving.ts";

/** Who lends connections out: keeps the clock of their deadlines and hears how each exchange ended. */
export interface Lender {
  /** The time in milliseconds, up to one tick late. */
  now(): number;
  /** The count of ticks that lies this many milliseconds ahead. */
  deadlineIn(milliseconds: number): number;
  /** Starts to send a request, now or soon; what it returns is called when the answer has begun or will not. */
  send(start: () => void): () => void;
  /** The connection can carry another exchange. */
  returned(connection: Connection): void;
  closed(connection: Connection): void;
}

/** What bounds one exchange; what is absent, and a time of 0, does not. */
export interface Limits {
  /** From the start of sending to the end of the headers. */
  headersTimeoutMs?: number | undefined;
  /** From one received byte of the body to the next, while the caller waits for it. */
  idleTimeoutMs?: number | undefined;
  maxBodyBytes?: number | undefined;
  signal?: Leaving | undefined;
}

/** A request ready to be sent: head with its empty line, and body. */
export interface Message {
  readonly method: string;
  readonly head: string;
  readonly body: Uint8Array | string;
}

const noLimits: Limits = {};
const maxHeadBytes = 64 * 1024;
const wholeBodyBytes = 64 * 1024;
const maxInterim = 16;
const idleLimitMs = 4000;
// RFC 9110 section 9.2.2
const idempotent: ReadonlySet<string> = new Set(["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"]);

/** One HTTP/1.1 connection, used for one exchange at a time. */
export class Connection {
  readonly #wire: Wire;
  readonly #lender: Lender;
  readonly #origin: string;
  readonly #idleEnded: () => void;
  readonly #aborted: () => void;
  #busy = false;
  #uses = 0;
  #limits = noLimits;
  #stage: OutboundStage = "headers";
  #failure: OutboundError | null = null;
  #allowedBytes = Infinity;
  #reusable = true;
  /** Bytes in the buffer that hold no end of a head, and heads before the final one. */
  #scanned = 0;
  #interim = 0;

  closed = false;
  /** The lender's count of ticks at which the current wait has taken too long; 0 is never. */
  deadline = 0;
  /** When it was last returned, on the lender's clock, and for how many milliseconds it may then rest. */
  idleSince = 0;
  idleLimitMs = idleLimitMs;

  constructor(socket: Socket, origin: string, lender: Lender) {
    this.#wire = new Wire(socket);
    this.#origin = origin;
    this.#lender = lender;
    this.#idleEnded = () => {
      if (!this.#busy) this.destroy();
    };
    this.#aborted = () => this.#fail("aborted", "the caller ended the exchange", this.#limits.signal?.reason);
  }

  /**
   * Sends a request and reads the answer, its body too when that is small; throws OutboundError. Where the request
   * failed and may be sent once more, that is left to `again`.
   */
  async exchange(
    message: Message,
    limits: Limits,
    again?: () => Promise<OutboundExchange>,
  ): Promise<OutboundExchange> {
    this.#begin(limits);
    // Waiting for a connection, the caller may have left without an event that could still be heard.
    if (limits.signal?.aborted) {
      this.#aborted();
      throw this.#end(this.#failure);
    }
    try {
      const answered = this.#lender.send(this.#wire.request(message.head, message.body));
      let head: ResponseHead | null;
      try {
        while ((head = this.#head()) === null) {
          const came = this.#wire.took(await this.#wire.reading());
          if (!came) throw new Malformed("it closed the connection without an answer");
        }
      } finally {
        answered();
      }
      this.#reusable = head.keepAlive;
      if (head.keepAliveSeconds !== null) {
        // The server's own limit less a second for the way there, so that it is never met.
        this.idleLimitMs = Math.min(idleLimitMs, head.keepAliveSeconds * 1000 - 1000);
      }
      this.#stage = "body";
      const answer = this.#answer(message.method, head);
      return answer instanceof Promise ? await answer : answer;
    } catch (error) {
      const failure = this.#end(error);
      if (again !== undefined && await this.#mayRepeat(message.method)) return await again();
      throw failure;
    }
  }

  /**
   * Whether the request that just failed may be sent once more on another connection. That takes a reused
   * connection on which not one byte came back: an idle connection closed by the server. Even then the server
   * may have acted, so a request that is not idempotent is repeated only if none of it was sent
   * (RFC 9110 section 9.2.2, RFC 9112 section 9.3.1).
   */
  async #mayRepeat(method: string): Promise<boolean> {
    if (this.#uses < 2 || this.#failure !== null || this.#wire.received > 0) return false;
    if (idempotent.has(method)) return true;
    // The outcome of the write may arrive just after that of the read.
    await new Promise((resolve) => setTimeout(resolve, 0));
    return this.#wire.noneSent;
  }

  /** Called by the lender when the deadline has passed. */
  expire(): void {
    const waited = this.#stage === "headers"
      ? "it did not answer in time"
      : "it stopped in the middle of the answer";
    this.#fail("timeout", waited);
  }

  /** Ends the exchange that is under way, as the program ends. */
  breakOff(): void {
    if (this.#busy) this.#fail(this.#stage, "the mesh was stopped before the answer");
  }

  /** Closes the socket; the connection is of no more use. */
  destroy(): void {
    if (this.closed) return;
    this.closed = true;
    this.deadline = 0;
    this.#wire.close();
    this.#limits.signal?.removeEventListener("abort", this.#aborted);
    this.#limits = noLimits;
    this.#lender.closed(this);
  }

  get resting(): boolean {
    return !this.#busy;
  }

  /** Begins to be idle: watches for the server's close. */
  rest(): void {
    this.#busy = false;
    this.idleSince = this.#lender.now();
    this.#wire.watch(this.#idleEnded);
  }

  #begin(limits: Limits): void {
    this.#busy = true;
    this.#uses++;
    this.#limits = limits;
    this.#stage = "headers";
    this.#scanned = this.#interim = 0;
    this.#allowedBytes = limits.maxBodyBytes ?? Infinity;
    this.deadline = limits.headersTimeoutMs ? this.#lender.deadlineIn(limits.headersTimeoutMs) : 0;
    limits.signal?.addEventListener("abort", this.#aborted);
  }

  /** The head of the answer; null while it has not arrived. */
  #head(): ResponseHead | null {
    for (;;) {
      const length = headLength(this.#wire.view(), this.#scanned);
      if (length === 0) {
        this.#scanned = Math.max(0, this.#wire.buffered - 3);
        if (this.#wire.buffered >= maxHeadBytes) throw new Malformed("its headers are too long");
        return null;
      }
      const head = parseHead(this.#wire.takeText(length));
      if (head.status >= 200) return head;
      // 100 and 103 announce, 101 would change the protocol, which was not asked for (RFC 9110 section 15.2).
      if (head.status === 101) throw new Malformed("it switched protocols");
      if (++this.#interim > maxInterim) throw new Malformed("it sent too many interim answers");
      this.#scanned = 0;
    }
  }

  #answer(method: string, head: ResponseHead): OutboundExchange | Promise<OutboundExchange> {
    const { status } = head;
    // RFC 9112 section 6.3, rules 1, 3, 5 and 7
    if (method === "HEAD" || status === 204 || status === 304) {
      this.#finish();
      return new Answer(head, null);
    }
    if (head.contentLength !== null) {
      if (head.contentLength > this.#allowedBytes) throw this.#tooLarge();
      if (head.contentLength > wholeBodyBytes) {
        return new Answer(head, this.#stream(new LengthBody(this.#wire, head.contentLength)));
      }
      if (head.contentLength > this.#wire.buffered) return this.#whole(head, head.contentLength);
      const whole = this.#wire.takeText(head.contentLength);
      this.#finish();
      return new TextAnswer(head, whole);
    }
    if (!head.chunked) {
      this.#reusable = false;
      return new Answer(head, this.#stream(new CloseBody(this.#wire)));
    }
    const body = new ChunkedBody(this.#wire);
    const first = this.#counted(body.arrived());
    if (!body.done) return new Answer(head, this.#stream(body, first));
    this.#finish();
    return new Answer(head, first);
  }

  async #whole(head: ResponseHead, length: number): Promise<OutboundExchange> {
    const whole = await new LengthBody(this.#wire, length).whole(() => this.#awaitBytes());
    this.#finish();
    return new Answer(head, whole);
  }

  #stream(body: BodyReader, first?: Uint8Array<ArrayBuffer>): ReadableStream<Uint8Array<ArrayBuffer>> {
    this.deadline = 0;
    // Once the body has ended the connection may serve another exchange, which this stream must leave alone.
    let ended = false;
    return new ReadableStream({
      start: (controller) => {
        if (first && first.length > 0) controller.enqueue(first);
      },
      pull: async (controller) => {
        try {
          const piece = await this.#nextPiece(body);
          if (piece.length > 0) controller.enqueue(piece);
          if (!body.done) return;
          ended = true;
          controller.close();
          this.#finish();
        } catch (error) {
          ended = true;
          controller.error(this.#end(error));
        }
      },
      cancel: () => {
        if (!ended) this.destroy();
      },
    }, { highWaterMark: 0 });
  }

  async #nextPiece(body: BodyReader): Promise<Uint8Array<ArrayBuffer>> {
    if (this.#failure) throw this.#failure;
    for (;;) {
      this.#awaitBytes();
      const piece = await body.next();
      if (piece.length === 0 && !body.done) continue;
      // Time that the caller takes to ask for more is not the server's.
      this.deadline = 0;
      return this.#counted(piece);
    }
  }

  #awaitBytes(): void {
    const { idleTimeoutMs } = this.#limits;
    if (idleTimeoutMs) this.deadline = this.#lender.deadlineIn(idleTimeoutMs);
  }

  #counted(piece: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
    this.#allowedBytes -= piece.length;
    if (this.#allowedBytes < 0) throw this.#tooLarge();
    return piece;
  }

  #finish(): void {
    // Bytes after the answer, or a request still being sent, would run into the next exchange.
    if (!this.#reusable || this.#wire.buffered > 0 || !this.#wire.allSent || this.idleLimitMs <= 0) {
      this.destroy();
      return;
    }
    this.deadline = 0;
    this.#limits.signal?.removeEventListener("abort", this.#aborted);
    this.#limits = noLimits;
    this.#lender.returned(this);
  }

  #fail(stage: OutboundStage, reason: string, cause?: unknown): void {
    this.#failure ??= this.#error(stage, reason, cause);
    this.destroy();
  }

  // The reason that was given for closing counts, not the broken read that followed from it.
  #end(error: unknown): OutboundError {
    this.destroy();
    if (this.#failure) return this.#failure;
    if (error instanceof OutboundError) return error;
    if (error instanceof Malformed) return this.#error(this.#stage, error.message);
    const refusal = certificateRefusal(error);
    if (refusal !== null) return this.#error("tls", refusal, error);
    return this.#error(this.#wire.noneSent ? "send" : this.#stage, "the connection broke", error);
  }

  #tooLarge(): OutboundError {
    return this.#error("too_large", `the answer is larger than ${this.#limits.maxBodyBytes} bytes`);
  }

  #error(stage: OutboundStage, reason: string, cause?: unknown): OutboundError {
    return new OutboundError(stage, `Cannot call "${this.#origin}": ${reason}`, cause);
  }
}
