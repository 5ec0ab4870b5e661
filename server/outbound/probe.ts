import { parseAddress } from "./addresses.ts";
import { dial, type DialSettings, type DialStep, type Endpoint } from "./dial.ts";
import { OutboundError } from "./errors.ts";
import type { Leaving } from "./leaving.ts";

/** One step on the way to a server: name resolution, TCP connection or TLS handshake, with its time. */
export interface ProbeStep {
  readonly stage: "dns" | "tcp" | "tls";
  readonly ok: boolean;
  /** How long it took, in milliseconds; 0 for a step that was not taken. */
  readonly ms: number;
  /** True for a step that the address does not need, or that came after the failure. */
  readonly skipped: boolean;
}

/** The three steps in order, and why the failing one failed. */
export interface Probe {
  readonly steps: readonly ProbeStep[];
  readonly error: OutboundError | null;
}

const stages = { dns: "dns", connect: "tcp", tls: "tls" } as const;

/** Connects to an endpoint as an exchange would, sends nothing, closes, and says how far it came. */
export async function probe(
  endpoint: Endpoint,
  settings: DialSettings,
  bounds: { timeoutMs: number; signal?: Leaving | undefined },
): Promise<Probe> {
  const times = new Map<DialStep, number>();
  let current: DialStep = "dns";
  let began = performance.now();
  const onStep = (step: DialStep, event: "begins" | "ended") => {
    const now = performance.now();
    if (event === "ended") times.set(step, now - began);
    current = step;
    began = now;
  };
  const error = await dial(endpoint, settings, { ...bounds, onStep }).then(
    (socket) => {
      socket.close();
      return null;
    },
    (error: unknown) => error,
  );
  if (error === null) return { steps: stepsOf(endpoint, times, null), error: null };
  if (!(error instanceof OutboundError)) throw error;
  const failed = failedStep(error, current);
  times.set(failed, performance.now() - began);
  return { steps: stepsOf(endpoint, times, failed), error };
}

/** The step at which it ended: the policy judges the addresses that a connection would go to. */
function failedStep({ stage }: OutboundError, current: DialStep): DialStep {
  if (stage === "refused") return "connect";
  return stage === "dns" || stage === "connect" || stage === "tls" ? stage : current;
}

function stepsOf(
  { host, tls }: Endpoint,
  times: ReadonlyMap<DialStep, number>,
  failed: DialStep | null,
): ProbeStep[] {
  const order: DialStep[] = ["dns", "connect", "tls"];
  const end = failed === null ? order.length : order.indexOf(failed);
  return order.map((step, at) => {
    const needed = step === "dns" ? parseAddress(host) === null : step === "connect" || tls;
    const taken = needed && at <= end || at === end;
    return { stage: stages[step], ok: at < end, ms: taken ? times.get(step) ?? 0 : 0, skipped: !taken };
  });
}
