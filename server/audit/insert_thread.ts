/** The answer of the thread to one group of lines: null where their rows are in the database, else why not. */
export type InsertAnswer = { failure: string | null };

/**
 * Puts rows into the database from a thread of its own, for a database that would keep this one busy meanwhile.
 * It is made when much comes in and given up when little does, as it takes some 30 MiB.
 */
export class InsertThread {
  readonly #worker: Worker;
  #settle: ((failure: string | null) => void) | null = null;
  #broken: string | null = null;

  constructor(databaseUrl: string) {
    this.#worker = new Worker(import.meta.resolve("./insert_worker.ts"), {
      type: "module",
      name: databaseUrl,
    });
    this.#worker.onmessage = ({ data }: MessageEvent<InsertAnswer>) => this.#answer(data.failure);
    this.#worker.onerror = (event) => {
      event.preventDefault(); // else it would end the process
      this.#broken = event.message;
      this.#answer(event.message);
    };
  }

  /** Inserts the rows of journal lines, one group at a time; returns why that failed, or null. */
  async insert(lines: Uint8Array): Promise<string | null> {
    if (this.#broken !== null) return this.#broken;
    const { promise, resolve } = Promise.withResolvers<string | null>();
    this.#settle = resolve;
    // A copy that goes over: with a part of an array all of it would be copied.
    const own = lines.slice();
    this.#worker.postMessage(own, [own.buffer]);
    return await promise;
  }

  /** Ends the thread; rows that it has not confirmed are inserted again by whoever asked. */
  close(): void {
    this.#worker.terminate();
    this.#answer("the thread was ended");
  }

  #answer(failure: string | null): void {
    this.#settle?.(failure);
    this.#settle = null;
  }
}
