import { Connection, type Lender } from "./connection.ts";
import { dial, type DialSettings, type Endpoint } from "./dial.ts";
import { OutboundError } from "./errors.ts";
import { Sending } from "./sending.ts";
import type { Leaving } from "./leaving.ts";

/** How many connections an origin may have, and how many of them may rest. */
export interface PoolLimits {
  readonly maxSockets: number;
  readonly maxIdle: number;
}

/** How long making or getting a connection may take, and who may end it. */
export interface OpenBounds {
  readonly timeoutMs: number;
  readonly signal?: Leaving | undefined;
}

/** The connections to one origin with one TLS identity; `open` counts those in use, at rest and being made. */
interface Origin {
  readonly key: string;
  readonly name: string;
  open: number;
  readonly idle: Connection[];
  /** Callers in line, each to be given a connection, or null for the right to make one. */
  readonly line: Set<(given: Connection | null) => void>;
}

const tickMs = 100;
const behindMs = 50;

/** All connections of an Outbound, by origin, with one timer for their deadlines. */
export class Pool implements Lender {
  readonly #settings: DialSettings;
  readonly #limits: PoolLimits;
  readonly #origins = new Map<string, Origin>();
  readonly #connections = new Map<Connection, Origin>();
  readonly #sending = new Sending();
  #tick = 0;
  #tickedAt = 0;
  #timer: ReturnType<typeof setInterval> | undefined;
  #closing = false;

  constructor(settings: DialSettings, limits: PoolLimits) {
    this.#settings = settings;
    this.#limits = limits;
  }

  /** How many connections exist, and how many of them are at rest. */
  get size(): { open: number; idle: number } {
    let idle = 0;
    for (const origin of this.#origins.values()) idle += origin.idle.length;
    return { open: this.#connections.size, idle };
  }

  /** Whether the event loop has been held up, so that servers may have closed connections unseen. */
  isBehind(now: number): boolean {
    return this.#timer !== undefined && now - this.#tickedAt > tickMs + behindMs;
  }

  /** Lets the event loop see what its sockets have to tell: one turn is not always enough. */
  async catchUp(): Promise<void> {
    for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setTimeout(resolve, 0));
  }

  /** A connection at rest, the latest used first; null when there is none. */
  take(endpoint: Endpoint, now: number): Connection | null {
    const idle = this.#origins.get(endpoint.pool)?.idle;
    if (idle === undefined) return null;
    for (let connection = idle.pop(); connection; connection = idle.pop()) {
      if (now - connection.idleSince < connection.idleLimitMs) return connection;
      connection.destroy();
    }
    return null;
  }

  /** A new connection, or while the origin has all that it may have, the next that becomes free. */
  async open(endpoint: Endpoint, bounds: OpenBounds): Promise<Connection> {
    const origin = this.#originOf(endpoint);
    if (origin.open < this.#limits.maxSockets) origin.open++;
    else {
      const given = await this.#inLine(origin, bounds);
      if (given !== null) return given;
    }
    try {
      const connection = new Connection(await dial(endpoint, this.#settings, bounds), endpoint.origin, this);
      this.#connections.set(connection, origin);
      this.#startTimer();
      return connection;
    } catch (error) {
      this.#freed(origin);
      throw error;
    }
  }

  /** Closes what is at rest now, and what is in use when it comes back. */
  close(): void {
    this.#closing = true;
    for (const origin of [...this.#origins.values()]) {
      for (const connection of [...origin.idle]) connection.destroy();
    }
  }

  /** Ends what is in use. */
  breakOff(): void {
    for (const connection of [...this.#connections.keys()]) connection.breakOff();
  }

  now(): number {
    return this.#tickedAt;
  }

  deadlineIn(milliseconds: number): number {
    return this.#tick + 1 + Math.ceil(milliseconds / tickMs);
  }

  send(start: () => void): () => void {
    return this.#sending.send(start);
  }

  returned(connection: Connection): void {
    const origin = this.#connections.get(connection)!;
    const next = origin.line.size > 0 ? first(origin.line) : undefined;
    if (next) next(connection);
    else if (this.#closing || origin.idle.length >= this.#limits.maxIdle) connection.destroy();
    else {
      origin.idle.push(connection);
      connection.rest();
    }
  }

  closed(connection: Connection): void {
    const origin = this.#connections.get(connection)!;
    this.#connections.delete(connection);
    if (this.#connections.size === 0) this.#stopTimer();
    const at = origin.idle.indexOf(connection);
    if (at >= 0) origin.idle.splice(at, 1);
    this.#freed(origin);
  }

  #originOf({ pool, origin: name }: Endpoint): Origin {
    let origin = this.#origins.get(pool);
    if (origin === undefined) {
      origin = { key: pool, name, open: 0, idle: [], line: new Set() };
      this.#origins.set(pool, origin);
    }
    return origin;
  }

  // The place goes to the first in line, or is given up.
  #freed(origin: Origin): void {
    const next = first(origin.line);
    if (next) next(null);
    else if (--origin.open === 0) this.#origins.delete(origin.key);
  }

  #inLine(origin: Origin, { timeoutMs, signal }: OpenBounds): Promise<Connection | null> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        origin.line.delete(take);
        clearTimeout(timer);
        signal?.removeEventListener("abort", onAbort);
      };
      const take = (given: Connection | null) => {
        leave();
        resolve(given);
      };
      const fail = (stage: "timeout" | "aborted", reason: string) => {
        leave();
        reject(new OutboundError(stage, `Cannot call "${origin.name}": ${reason}`, signal?.reason));
      };
      const onAbort = () => fail("aborted", "the caller ended the exchange");
      const timer = setTimeout(() => fail("timeout", "all its connections are in use"), timeoutMs);
      signal?.addEventListener("abort", onAbort);
      origin.line.add(take);
    });
  }

  #startTimer(): void {
    if (this.#timer !== undefined) return;
    this.#tickedAt = performance.now();
    this.#timer = setInterval(() => this.#check(), tickMs);
    Deno.unrefTimer(this.#timer);
  }

  #stopTimer(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #check(): void {
    this.#tick++;
    const now = this.#tickedAt = performance.now();
    for (const connection of this.#connections.keys()) {
      if (connection.deadline > 0 && connection.deadline <= this.#tick) connection.expire();
      else if (connection.resting && now - connection.idleSince >= connection.idleLimitMs) {
        connection.destroy();
      }
    }
  }
}

function first<T>(set: Set<T>): T | undefined {
  return set.values().next().value;
}
