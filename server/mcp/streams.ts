import { describeError } from "../log.ts";
import type { Passage } from "./call.ts";
import { bearerActor } from "../access/bearer.ts";
import { noMessage } from "./message.ts";
import { missingAction } from "./needs.ts";

/** Of the 1024 connections that an organization may have to a server; calls need the others. */
const maxOfServer = 768;
const maxOfPerson = 256;

/** What counting a stream, and looking after it, takes of its request. */
type Asking = Pick<Passage, "actor" | "target" | "services"> & { request: Pick<Request, "headers"> };

/** A stream that is counted. */
export interface OpenStream {
  /** Says how it is ended from our side. */
  readonly onStop: (stop: () => void) => void;
  /** To be called once it has ended. */
  readonly end: () => void;
}

/**
 * The event streams without an end. Each holds a connection to its server for as long as its client likes, and those of
 * an organization share them: nobody may take so many that calls have none. As no request follows that
 * could be refused, a stream is ended where its token, its person's role or its connection is no longer what it was.
 */
export class Streams {
  readonly #everyMs: number;
  readonly #counts = new Map<string, number>();
  readonly #open = new Map<OpenStream, () => Promise<void>>();
  #timer: ReturnType<typeof setInterval> | undefined;
  #checking = false;

  constructor(everyMs = 5000) {
    this.#everyMs = everyMs;
  }

  /** Counts a stream; null where there is no room for it. */
  begin(asking: Asking): OpenStream | null {
    const server = asking.target.target.pool;
    const person = `${server} ${asking.actor.userId}`;
    if (this.#count(server) >= maxOfServer || this.#count(person) >= maxOfPerson) return null;
    this.#add([server, person], 1);
    let stopIt = () => {};
    const stream = {
      onStop: (stop: () => void) => void (stopIt = stop),
      end: () => {
        if (!this.#open.delete(stream)) return;
        this.#add([server, person], -1);
        if (this.#open.size === 0) clearInterval(this.#timer);
      },
    };
    const isAllowed = allowance(asking);
    if (this.#open.size === 0) this.#timer = setInterval(() => this.#check(), this.#everyMs);
    this.#open.set(stream, async () => {
      if (!await isAllowed()) stopIt();
    });
    return stream;
  }

  /** One after the other, as they may be many and nothing waits for it. */
  async #check(): Promise<void> {
    if (this.#checking) return;
    this.#checking = true;
    try {
      for (const check of [...this.#open.values()]) await check();
    } finally {
      this.#checking = false;
    }
  }

  #count(name: string): number {
    return this.#counts.get(name) ?? 0;
  }

  #add(names: readonly string[], change: number): void {
    for (const name of names) {
      const count = this.#count(name) + change;
      if (count === 0) this.#counts.delete(name);
      else this.#counts.set(name, count);
    }
  }
}

/** Whether what the stream was opened with would open it now; true while nobody can tell. */
function allowance({ actor, target, services, request }: Asking): () => Promise<boolean> {
  const { id, organizationId } = target;
  const headers = new Headers({ authorization: request.headers.get("authorization") ?? "" });
  return async () => {
    try {
      const now = await bearerActor(headers, { identities: services.identities, resource: id });
      if (now?.userId !== actor.userId || missingAction(now, id, noMessage) !== null) return false;
      const connection = await services.upstream.target(organizationId, id);
      return connection !== null && connection.status !== "inactive";
    } catch (error) {
      services.log.warn("the right to a stream could not be checked", { error: describeError(error) });
      return true;
    }
  };
}
