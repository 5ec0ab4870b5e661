/** What tells an exchange that its caller has left: the part of an AbortSignal that exchanges look at. */
export interface Leaving {
  readonly aborted: boolean;
  readonly reason: unknown;
  addEventListener(type: "abort", listener: () => void): void;
  removeEventListener(type: "abort", listener: () => void): void;
}

/** The same for the way of every call, where an AbortController would be a part of its time. */
export class CallerLeaving implements Leaving {
  #listeners: (() => void)[] = [];
  aborted = false;
  readonly reason = undefined;

  addEventListener(_type: "abort", listener: () => void): void {
    this.#listeners.push(listener);
  }

  removeEventListener(_type: "abort", listener: () => void): void {
    this.#listeners = this.#listeners.filter((one) => one !== listener);
  }

  /** Says that the caller has left, once. */
  abort(): void {
    if (this.aborted) return;
    this.aborted = true;
    for (const listener of this.#listeners) listener();
  }
}
