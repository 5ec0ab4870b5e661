import type { Failure, Stage } from "./failure.ts";

/** The stages of a test in their order; the first that fails is the one that is named. */
export const stages = [
  "dns",
  "tcp",
  "tls",
  "http",
  "auth_discovery",
  "token",
  "handshake",
  "list",
] as const satisfies readonly Stage[];

export type DiagnosisStage = typeof stages[number];

/** What a test found at one stage; `ms` is 0 where it was skipped. */
export interface StageResult {
  stage: DiagnosisStage;
  /** False for the stage that failed and for those that it kept from being tried. */
  ok: boolean;
  ms: number;
  /** True for a stage that was not needed (`ok`) or not tried (not `ok`). */
  skipped?: true;
  /** A few words: what was found, or why it was skipped. */
  detail?: string;
}

/** What a test of an upstream found; times in milliseconds. */
export interface Diagnosis {
  healthy: boolean;
  /** Until the end of the handshake, or until it failed. */
  latencyMs: number;
  /** The first stage that failed, with a code for programs, a sentence, and what to do; null where none did. */
  stage: DiagnosisStage | null;
  code: string | null;
  /** Where it is healthy: what else is worth knowing, or null. */
  message: string | null;
  advice: string | null;
  protocolVersion: string | null;
  /** Names of the tools that the server lists now; null where it was not asked, or failed. */
  tools: string[] | null;
  stages: StageResult[];
}

/** Notes the results of the stages as they come, in whatever order they were measured. */
export class Course {
  readonly #results = new Map<DiagnosisStage, StageResult>();
  readonly #failures = new Map<DiagnosisStage, Failure>();

  pass(stage: DiagnosisStage, ms: number, detail?: string): void {
    this.#results.set(stage, { stage, ok: true, ms: rounded(ms), ...(detail ? { detail } : {}) });
  }

  /** Notes a stage that was not needed. */
  skip(stage: DiagnosisStage, detail?: string): void {
    this.#results.set(stage, { stage, ok: true, ms: 0, skipped: true, ...(detail ? { detail } : {}) });
  }

  fail(failure: Failure, ms: number): void {
    const stage = stages.find((known) => known === failure.stage) ?? "list";
    this.#results.set(stage, { stage, ok: false, ms: rounded(ms) });
    this.#failures.set(stage, failure);
  }

  /** The first failure in the order of the stages. */
  get failure(): (Failure & { stage: DiagnosisStage }) | null {
    for (const stage of stages) {
      const failure = this.#failures.get(stage);
      if (failure) return { ...failure, stage };
    }
    return null;
  }

  /** Every stage in order; what comes after a failure counts as not tried. */
  get results(): StageResult[] {
    let failed = false;
    return stages.map((stage) => {
      const found = failed ? undefined : this.#results.get(stage);
      if (found && !found.ok) failed = true;
      return found ?? { stage, ok: false, ms: 0, skipped: true };
    });
  }
}

/** The diagnosis of an upstream that was not even asked. */
export function failedDiagnosis(failure: Failure & { stage: DiagnosisStage }): Diagnosis {
  const course = new Course();
  course.fail(failure, 0);
  return {
    ...failure,
    healthy: false,
    latencyMs: 0,
    protocolVersion: null,
    tools: null,
    stages: course.results,
  };
}

/** Milliseconds with two digits after the point. */
export function rounded(ms: number): number {
  return Math.round(ms * 100) / 100;
}
