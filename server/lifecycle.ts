/** Counts what is running, so that a stop can let calls finish and close what does not end by itself. */
export class Lifecycle {
  draining = false;
  #running = 0;
  #idle: (() => void) | null = null;
  readonly #endless = new Set<() => void>();

  enter(): void {
    this.#running++;
  }

  leave(): void {
    if (--this.#running === 0) this.#idle?.();
  }

  /** Registers the end of a stream that lives until the client leaves; returns how to take it back. */
  endless(close: () => void): () => void {
    if (this.draining) close(); // it came while the others were being closed
    this.#endless.add(close);
    return () => this.#endless.delete(close);
  }

  /** Closes endless streams and waits for running calls, at most `limitMs` milliseconds; true where all ended. */
  async drain(limitMs: number): Promise<boolean> {
    this.draining = true;
    for (const close of this.#endless) close();
    if (this.#running === 0) return true;
    return await new Promise<boolean>((resolve) => {
      const timer = setTimeout(() => resolve(false), limitMs);
      this.#idle = () => {
        clearTimeout(timer);
        resolve(true);
      };
    });
  }
}
