import type { Lifecycle } from "../lifecycle.ts";

const tickMs = 25;

/** One call whose client may leave before the upstream has answered. */
export interface Departure {
  /** Aborts when the client has left. */
  readonly signal: AbortSignal;
  /** Ends the watch: from here on the body of the answer tells. */
  stop(): void;
}

/**
 * Tells of clients that leave before the upstream has answered (M11). Touching a request's signal costs more than
 * the rest of a short call, so only those are asked that have waited for a while, all by one timer.
 */
export class Departures {
  readonly #waiting = new Set<Waiting>();
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(lifecycle: Lifecycle) {
    lifecycle.endless(() => this.#pause());
  }

  watch(request: Request): Departure {
    const waiting = new Waiting(request, this.#waiting);
    this.#waiting.add(waiting);
    this.#timer ??= setInterval(() => this.#tick(), tickMs);
    return waiting;
  }

  #tick(): void {
    for (const waiting of this.#waiting) waiting.tick();
    if (this.#waiting.size === 0) this.#pause();
  }

  #pause(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}

class Waiting implements Departure {
  readonly #request: Request;
  readonly #all: Set<Waiting>;
  readonly #controller = new AbortController();
  #ticks = 0;
  #over = false;

  constructor(request: Request, all: Set<Waiting>) {
    this.#request = request;
    this.#all = all;
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  tick(): void {
    if (++this.#ticks < 2) return;
    this.#all.delete(this);
    const { signal } = this.#request;
    signal.addEventListener("abort", () => this.#left());
    if (signal.aborted) this.#left();
  }

  #left(): void {
    // The runtime may abort the signal of a request also when it was answered.
    if (!this.#over) this.#controller.abort();
  }

  stop(): void {
    this.#over = true;
    this.#all.delete(this);
  }
}
