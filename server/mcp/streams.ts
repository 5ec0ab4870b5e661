import type { Passage } from "./call.ts";

/** Of the 1024 connections that a server may have; calls need the others. */
const maxOfServer = 768;
const maxOfPerson = 256;

/**
 * Counts the event streams without an end. Each holds a connection to its server for as long as its client likes, and
 * all organizations share those to one server: nobody may take so many that calls have none.
 */
export class Streams {
  readonly #open = new Map<string, number>();

  /** Counts a stream and gives what is to be called at its end; null where there is no room for it. */
  begin({ actor, target }: Pick<Passage, "actor" | "target">): (() => void) | null {
    const server = target.target.pool;
    const person = `${server} ${actor.userId}`;
    if (this.#count(server) >= maxOfServer || this.#count(person) >= maxOfPerson) return null;
    this.#add([server, person], 1);
    let isOpen = true;
    return () => {
      if (isOpen) this.#add([server, person], -1);
      isOpen = false;
    };
  }

  #count(name: string): number {
    return this.#open.get(name) ?? 0;
  }

  #add(names: readonly string[], change: number): void {
    for (const name of names) {
      const count = this.#count(name) + change;
      if (count === 0) this.#open.delete(name);
      else this.#open.set(name, count);
    }
  }
}
