import { lookup } from "node:dns/promises";
import { CertifiedSocket, type Handshake } from "./certified.ts";
import { OutboundError, type OutboundStage } from "./errors.ts";
import type { OutboundPolicy } from "./policy.ts";
import { certificateRefusal, type Lingering, TlsSocket } from "./tls.ts";
import type { TlsIdentity } from "./tls_identity.ts";
import type { Socket } from "./wire.ts";
import type { Leaving } from "./leaving.ts";

/** Where a connection goes: an origin, taken apart. */
export interface Endpoint {
  /** Scheme, host and port, for messages. */
  readonly origin: string;
  readonly tls: boolean;
  /** Which connections may serve it: those to its origin, with its TLS identity, of its tenant. */
  readonly pool: string;
  readonly identity: TlsIdentity | null;
  /** Host name or address, without brackets and final dot. */
  readonly host: string;
  readonly port: number;
}

/** How connections are made, for all of an Outbound. */
export interface DialSettings {
  readonly policy: OutboundPolicy;
  /** The addresses of a host name; throws when there are none. */
  readonly resolve: (host: string) => Promise<string[]>;
  /** Certificates (PEM) trusted beside the runtime's own. */
  readonly caCerts: readonly string[];
  readonly lingering: Lingering;
}

/** A step on the way to a connection. */
export type DialStep = "dns" | "connect" | "tls";

/** How long making a connection may take, who may end it, and who hears of its steps. */
export interface DialBounds {
  readonly timeoutMs: number;
  readonly signal?: Leaving | undefined;
  readonly onStep?: ((step: DialStep, event: "begins" | "ended") => void) | undefined;
}

/** The addresses of a host name as the system knows them, the hosts file included. */
export async function systemResolve(host: string): Promise<string[]> {
  return (await lookup(host, { all: true, verbatim: true })).map(({ address }) => address);
}

/** Opens a connection to a checked address of the endpoint; throws OutboundError. */
export async function dial(
  endpoint: Endpoint,
  settings: DialSettings,
  bounds: DialBounds,
): Promise<Socket> {
  const attempt = new Attempt(endpoint, bounds);
  const ends = performance.now() + bounds.timeoutMs;
  const addresses = await attempt.run(
    "dns",
    bounds.timeoutMs,
    () => addressesOf(endpoint.host, settings.resolve),
  );
  // One address that may not be reached condemns the name: an honest name does not mix them.
  for (const address of addresses) {
    const refusal = settings.policy.refusal(endpoint.host, address);
    if (refusal !== null) throw attempt.error("refused", refusal);
  }
  let failure = attempt.error("dns", "the host name has no address");
  for (const [index, address] of addresses.entries()) {
    // Each address gets an equal share of the time that is left, so that a dead one does not use it up.
    const share = (ends - performance.now()) / (addresses.length - index);
    try {
      return await attempt.connect(address, share, settings);
    } catch (error) {
      if (!(error instanceof OutboundError) || error.stage === "aborted") throw error;
      failure = error;
    }
  }
  throw failure;
}

async function addressesOf(host: string, resolve: DialSettings["resolve"]): Promise<string[]> {
  return /^[\d.]+$|:/.test(host) ? [host] : await resolve(host);
}

const failed = {
  dns: "the host name cannot be resolved",
  connect: "no connection can be made",
  tls: "the TLS handshake failed",
};
const tooSlow = {
  dns: "the host name was not resolved in time",
  connect: "no connection was made in time",
  tls: "the TLS handshake did not end in time",
};

/** One try to reach an endpoint, ended by its time-out or the caller's signal. */
class Attempt {
  readonly #endpoint: Endpoint;
  readonly #signal: Leaving | undefined;
  readonly #onStep: DialBounds["onStep"];

  constructor(endpoint: Endpoint, { signal, onStep }: DialBounds) {
    this.#endpoint = endpoint;
    this.#signal = signal;
    this.#onStep = onStep;
  }

  error(stage: OutboundStage, reason: string, cause?: unknown): OutboundError {
    return new OutboundError(stage, `Cannot call "${this.#endpoint.origin}": ${reason}`, cause);
  }

  async connect(address: string, timeoutMs: number, settings: DialSettings): Promise<Socket> {
    const { origin, host, port, tls, identity } = this.#endpoint;
    const { caCerts, lingering } = settings;
    if (tls && lingering.isFull(origin)) {
      throw this.error("tls", "too many TLS connections are given up and not ended by the server");
    }
    const ends = performance.now() + timeoutMs;
    const tcp = await this.run(
      "connect",
      timeoutMs,
      (signal) => Deno.connect({ hostname: address, port, signal }),
    );
    tcp.setNoDelay(true);
    if (!tls) return tcp;
    if (identity?.client) {
      return await this.#certified(tcp, ends - performance.now(), { host, identity, caCerts });
    }
    // Server name and certificate are those of the host that was asked for, not of the address.
    const options = {
      hostname: host,
      caCerts: [...caCerts, ...identity?.caCertificates ?? []],
      alpnProtocols: ["http/1.1"],
    };
    const secure = await Deno.startTls(tcp, options).catch((error) => {
      tcp.close();
      throw this.#failed("tls", error);
    });
    const socket = new TlsSocket(secure, (ended) => void lingering.until(origin, ended));
    try {
      await this.run("tls", ends - performance.now(), () => secure.handshake());
      return socket;
    } catch (error) {
      socket.close();
      throw error;
    }
  }

  /** The handshake with a client certificate. */
  async #certified(tcp: Deno.TcpConn, timeoutMs: number, handshake: Handshake): Promise<Socket> {
    let socket: CertifiedSocket | null = null;
    try {
      return await this.run("tls", timeoutMs, () => {
        socket = new CertifiedSocket(tcp, handshake);
        return socket.handshake();
      });
    } catch (error) {
      (socket ?? tcp).close();
      throw error;
    }
  }

  /** Runs one step until its time-out or the caller's signal; a socket that comes later is closed. */
  async run<T extends object>(
    stage: DialStep,
    timeoutMs: number,
    step: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    if (this.#signal?.aborted) throw this.#abortion();
    this.#onStep?.(stage, "begins");
    const end = new AbortController();
    let stop = (_: OutboundError) => {};
    const stopped = new Promise<never>((_, reject) => stop = reject);
    const onAbort = () => stop(this.#abortion());
    const timer = setTimeout(() => stop(this.error("timeout", tooSlow[stage])), timeoutMs);
    this.#signal?.addEventListener("abort", onAbort);
    const result = step(end.signal);
    try {
      const done = await Promise.race([result, stopped]);
      this.#onStep?.(stage, "ended");
      return done;
    } catch (error) {
      if (!(error instanceof OutboundError)) throw this.#failed(stage, error);
      end.abort();
      result.then((late) => "close" in late && typeof late.close === "function" && late.close(), () => {});
      throw error;
    } finally {
      clearTimeout(timer);
      this.#signal?.removeEventListener("abort", onAbort);
    }
  }

  #failed(stage: DialStep, error: unknown): OutboundError {
    return this.error(stage, certificateRefusal(error) ?? failed[stage], error);
  }

  #abortion(): OutboundError {
    return this.error("aborted", "the caller ended the exchange", this.#signal?.reason);
  }
}
