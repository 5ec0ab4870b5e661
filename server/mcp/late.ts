import type { Lifecycle } from "../lifecycle.ts";
import type { Relayed } from "../upstream/relay.ts";

const tickMs = 250;
/** A call that has waited for about a second for its upstream's answer is late. */
const lateAfterTicks = 4;

/** A call in the list of those that wait, which hangs together as a ring. */
class Waiting {
  ticks = 0;
  before: Waiting = this;
  after: Waiting = this;
  readonly late: () => void;

  constructor(late: () => void) {
    this.late = late;
  }

  /** Takes a place right before another. */
  enter(other: Waiting): void {
    this.after = other;
    this.before = other.before;
    this.before.after = other.before = this;
  }

  leave(): void {
    this.before.after = this.after;
    this.after.before = this.before;
    this.before = this.after = this;
  }
}

/** Calls that wait for their upstream, all watched by one timer, as a timer each would cost a part of a short call. */
export class Patience {
  /** The ring's fixed point, longest waiting first behind it. A Set would cost a call a third of its time. */
  readonly #ring = new Waiting(() => {});
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(lifecycle: Lifecycle) {
    lifecycle.endless(() => this.#pause());
  }

  /** What `pending` gives, or what `late` gives once that has taken too long. */
  orLate<T>(pending: Promise<T>, late: () => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const waiting = new Waiting(() => resolve(late()));
      waiting.enter(this.#ring);
      this.#timer ??= setInterval(() => this.#tick(), tickMs);
      pending.then((value) => {
        waiting.leave();
        resolve(value);
      }, (error: unknown) => {
        waiting.leave();
        reject(error);
      });
    });
  }

  #tick(): void {
    if (this.#ring.after === this.#ring) return this.#pause();
    for (let waiting = this.#ring.after; waiting !== this.#ring;) {
      const { after } = waiting;
      if (++waiting.ticks === lateAfterTicks) {
        waiting.leave();
        waiting.late();
      }
      waiting = after;
    }
  }

  #pause(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}

/** An answer that is begun before the upstream's is there. */
export interface LateAnswer {
  readonly pending: Promise<Relayed>;
  /** Gives the call up. */
  readonly abort: () => void;
  /** The JSON text that tells the client of a failure. */
  readonly errorText: (error: unknown) => Promise<string>;
}

/**
 * An event stream that holds the answer when it comes. The runtime tells that a client has left only while an answer
 * is being sent, so a late one is begun for that (M11); a client of the modern era takes either form.
 */
export function lateStream({ pending, abort, errorText }: LateAnswer): ReadableStream<Uint8Array> {
  const reader = eventsOf(pending, errorText).then((events) => events.getReader());
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { value, done } = await (await reader).read();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    cancel() {
      abort();
      // Whatever comes all the same is not wanted, and neither is a failure to stop it.
      reader.then((events) => events.cancel()).then(undefined, () => undefined);
    },
  }, { highWaterMark: 0 });
}

async function eventsOf(
  pending: Promise<Relayed>,
  errorText: LateAnswer["errorText"],
): Promise<ReadableStream<Uint8Array>> {
  try {
    const { body, contentType, status } = await pending;
    if (body instanceof ReadableStream) return isEvents(contentType) ? body : body.pipeThrough(asEvent());
    if (body !== null) return new Blob([body]).stream().pipeThrough(asEvent());
    throw new Error(`The server answered ${status} without an answer`);
  } catch (error) {
    return new Blob([await errorText(error)]).stream().pipeThrough(asEvent());
  }
}

function isEvents(contentType: string | null): boolean {
  return contentType !== null && /^text\/event-stream/i.test(contentType);
}

const encoder = new TextEncoder();

/** Turns JSON into one event. A line break of JSON is white space between its parts, so a blank says the same. */
function asEvent(): TransformStream<Uint8Array, Uint8Array> {
  return new TransformStream({
    start: (controller) => controller.enqueue(encoder.encode("data: ")),
    transform: (chunk, controller) =>
      controller.enqueue(chunk.map((byte) => byte === 0x0a || byte === 0x0d ? 0x20 : byte)),
    flush: (controller) => controller.enqueue(encoder.encode("\n\n")),
  });
}
