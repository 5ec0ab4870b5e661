import type { OutboundExchange } from "./outbound/answer.ts";
import type { Message } from "./outbound/connection.ts";
import { type DialSettings, systemResolve } from "./outbound/dial.ts";
import { OutboundError } from "./outbound/errors.ts";
import { follow, type OutboundInit } from "./outbound/follow.ts";
import type { Leaving } from "./outbound/leaving.ts";
import { OutboundPolicy, type PolicyOptions } from "./outbound/policy.ts";
import { Pool } from "./outbound/pool.ts";
import { type Probe, probe } from "./outbound/probe.ts";
import { Lingering } from "./outbound/tls.ts";
import { tlsIdentity, type TlsOptions } from "./outbound/tls_identity.ts";
import {
  compose,
  type OutboundRequest,
  type OutboundTarget,
  parseTarget,
  type TargetOwner,
} from "./outbound/request.ts";

export type { OutboundExchange } from "./outbound/answer.ts";
export { OutboundError, type OutboundStage } from "./outbound/errors.ts";
export { CallerLeaving, type Leaving } from "./outbound/leaving.ts";
export type { OutboundInit } from "./outbound/follow.ts";
export { parseOutboundAllow } from "./outbound/policy.ts";
export type { Probe, ProbeStep } from "./outbound/probe.ts";
export type { OutboundRequest, OutboundTarget } from "./outbound/request.ts";
export { type TlsIdentity, tlsIdentity, type TlsOptions } from "./outbound/tls_identity.ts";

/** Settings of an Outbound; the policy's are those of OUTBOUND_ALLOW and of the mesh's own address. */
export interface OutboundOptions extends PolicyOptions {
  /** The addresses of a host name; by default as the system knows them, the hosts file included. */
  resolve?: (host: string) => Promise<string[]>;
  /** Certificates (PEM) trusted beside the runtime's own. */
  caCerts?: readonly string[];
  /** Connections to one origin at a time, 1024 by default: open event streams count. */
  maxSockets?: number;
  /** Connections to one origin kept for the next request, 64 by default. */
  maxIdle?: number;
}

/** One request on its way. */
interface Attempt {
  readonly target: OutboundTarget;
  readonly request: OutboundRequest;
  readonly message: Message;
}

const connectTimeoutMs = 10_000;

/** The one HTTP client of the program: it connects to nothing that the outbound policy does not permit. */
export class Outbound {
  readonly #settings: DialSettings;
  readonly #pool: Pool;

  constructor(options: OutboundOptions) {
    this.#settings = {
      policy: new OutboundPolicy(options),
      resolve: options.resolve ?? systemResolve,
      caCerts: options.caCerts ?? [],
      lingering: new Lingering(),
    };
    this.#pool = new Pool(this.#settings, {
      maxSockets: options.maxSockets ?? 1024,
      maxIdle: options.maxIdle ?? 64,
    });
  }

  /**
   * Reads a URL into a target that can be kept, with what its TLS takes beside the usual, and for a tenant with
   * connections of its own; throws OutboundError for one that is never called.
   */
  target(url: string, { tenant, ...tls }: TlsOptions & Pick<TargetOwner, "tenant"> = {}): OutboundTarget {
    return parseTarget(url, { identity: tlsIdentity(tls), tenant });
  }

  /** Sends one request; follows no redirect, takes any status for an answer; rejects with OutboundError. */
  exchange(target: OutboundTarget, request: OutboundRequest): Promise<OutboundExchange> {
    try {
      const attempt = { target, request, message: compose(target, request) };
      const now = performance.now();
      const busy = this.#pool.isBehind(now) || request.signal?.aborted;
      const rested = busy ? null : this.#pool.take(target, now);
      if (rested === null) return this.#attempt(attempt, true);
      return rested.exchange(attempt.message, request, () => this.#attempt(attempt, false));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** The same where something may have to be waited for first. */
  async #attempt(attempt: Attempt, mayRepeat: boolean): Promise<OutboundExchange> {
    const { target, request, message } = attempt;
    if (this.#pool.isBehind(performance.now())) await this.#pool.catchUp();
    if (request.signal?.aborted) throw aborted(target, request.signal);
    const again = mayRepeat ? () => this.#attempt(attempt, false) : undefined;
    const rested = mayRepeat ? this.#pool.take(target, performance.now()) : null;
    if (rested) return await rested.exchange(message, request, again);
    const bounds = { timeoutMs: request.connectTimeoutMs ?? connectTimeoutMs, signal: request.signal };
    const connection = await this.#pool.open(target, bounds);
    // One that others have used before, where there was a line.
    return await connection.exchange(message, request, again);
  }

  /**
   * The platform's `fetch` for libraries and OAuth, through the outbound policy: at most five redirects, each
   * checked, credentials kept to their origin, bodies capped. Throws OutboundError, or the signal's reason.
   */
  fetch(input: string | URL | Request, init?: OutboundInit): Promise<Response> {
    return follow((target, request) => this.exchange(target, request), input, init);
  }

  /** Makes a connection of its own and closes it unused: where that fails is a result, not an exception. */
  async probe(
    target: OutboundTarget,
    bounds: { timeoutMs?: number; signal?: Leaving | undefined } = {},
  ): Promise<Probe> {
    return await probe(target, this.#settings, { timeoutMs: connectTimeoutMs, ...bounds });
  }

  /** How many connections exist, and how many of them are at rest. */
  get sockets(): { open: number; idle: number } {
    return this.#pool.size;
  }

  /** Ends the exchanges under way, each with an error that says why. */
  breakOff(): void {
    this.#pool.breakOff();
  }

  /** Closes connections at rest now and those in use when their exchange ends. */
  close(): void {
    this.#pool.close();
  }
}

function aborted(target: OutboundTarget, signal: Leaving): OutboundError {
  return new OutboundError(
    "aborted",
    `Cannot call "${target.origin}": the caller ended the exchange`,
    signal.reason,
  );
}
