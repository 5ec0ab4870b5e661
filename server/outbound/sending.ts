import { setImmediate } from "node:timers";

/**
 * Sends requests that are made in one turn of the event loop right after each other. To send to a server that sleeps is
 * dear, as it has to be woken: in between, the work of other calls would let it fall asleep again and again. A request
 * that nothing else is under way with is sent at once.
 */
export class Sending {
  readonly #answered = () => void this.#underWay--;
  #underWay = 0;
  #waiting: (() => void)[] = [];

  /** Starts to send, now or at the end of this turn; what it returns is called when the answer has begun or will not. */
  send(start: () => void): () => void {
    if (++this.#underWay === 1) start();
    else if (this.#waiting.push(start) === 1) setImmediate(() => this.#flush());
    return this.#answered;
  }

  #flush(): void {
    const starts = this.#waiting;
    this.#waiting = [];
    for (const start of starts) start();
  }
}
