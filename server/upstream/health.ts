import { AppError } from "../errors.ts";
import { describeError, type Log } from "../log.ts";
import * as connectionHealth from "../storage/connection_health.ts";
import type { HealthRow } from "../storage/connection_health.ts";
import * as connections from "../storage/connections.ts";
import type { ConnectionRow } from "../storage/connections.ts";
import type { Db } from "../storage/dialect.ts";
import type { Diagnosed } from "./diagnosis.ts";
import { type DiagnosisStage, failedDiagnosis } from "./diagnosis_course.ts";
import { subjectOf, type SubjectServices } from "./diagnosis_subject.ts";
import type { Failure } from "./failure.ts";
import { keepFinding, outcomeOf, statusOf, withLostTools } from "./health_keeping.ts";

/** What checking takes; a part of the services. */
export interface HealthServices extends SubjectServices {
  readonly db: Db;
  readonly log: Log;
}

/** How often connections are checked; times in milliseconds. */
export interface HealthOptions {
  readonly intervalMs: number;
  /** How often it looks for what is due; a twentieth of the interval, 1 to 15 s, when absent. */
  readonly tickMs?: number;
  /** How often it looks for connections that have no schedule yet; a fifth of the interval when absent. */
  readonly enrolMs?: number;
  /** Checks at a time, 4 when absent. */
  readonly parallel?: number;
  /** How long a check is left to the process that took it, 2 minutes when absent. */
  readonly leaseMs?: number;
}

const enrolledAtOnce = 500;
/** Failures in a row that give a connection the status `error`: one may be chance. */
const failuresUntilError = 2;

/**
 * Checks connections in the background, each by one process of many. It keeps no process alive, and the log hears of
 * it when a connection's status changes.
 */
export class Health {
  readonly #services: HealthServices;
  readonly #options: Required<HealthOptions>;
  readonly #closed = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #round: Promise<void> | null = null;
  #queue: HealthRow[] = [];
  #filling: Promise<number> | null = null;
  #troubled = false;
  #enrolAt = 0;

  /** How often it has looked for what is due. */
  rounds = 0;

  constructor(services: HealthServices, options: HealthOptions) {
    this.#services = services;
    const tickMs = Math.min(15_000, Math.max(1000, options.intervalMs / 20));
    const enrolMs = options.intervalMs / 5;
    this.#options = { tickMs, enrolMs, parallel: 4, leaseMs: 120_000, ...options };
  }

  start(): void {
    this.#later();
  }

  /** Ends what is under way without a result and resolves when nothing is running any more. */
  async close(): Promise<void> {
    this.#closed.abort();
    clearTimeout(this.#timer);
    await this.#round;
  }

  get #closing(): boolean {
    return this.#closed.signal.aborted;
  }

  /** Waits a tick, give or take a half, so that processes that started together drift apart. */
  #later(): void {
    if (this.#closing) return;
    this.#timer = setTimeout(() => {
      this.#round = this.#look().finally(() => {
        this.rounds++;
        this.#later();
      });
    }, this.#options.tickMs * (0.5 + Math.random()));
    Deno.unrefTimer(this.#timer);
  }

  async #look(): Promise<void> {
    const { db, log } = this.#services;
    try {
      const { intervalMs, enrolMs, parallel } = this.#options;
      const now = Date.now();
      if (now >= this.#enrolAt) {
        const entered = await connectionHealth.enrol(db, {
          now,
          spreadMs: intervalMs,
          limit: enrolledAtOnce,
        });
        if (entered < enrolledAtOnce) this.#enrolAt = now + enrolMs;
      }
      const works = await Promise.allSettled(Array.from({ length: parallel }, () => this.#work()));
      for (const work of works) if (work.status === "rejected") throw work.reason;
      if (this.#troubled) log.info("connections are checked again");
      this.#troubled = false;
    } catch (error) {
      if (!this.#troubled) log.warn("connections cannot be checked", { error: describeError(error) });
      this.#troubled = true;
      this.#queue = [];
    }
  }

  async #work(): Promise<void> {
    for (let taken = await this.#take(); taken !== null; taken = await this.#take()) {
      await this.#check(taken.row, taken.until);
    }
  }

  /** The next check that is due and nobody else's; null where there is none now. */
  async #take(): Promise<{ row: HealthRow; until: number } | null> {
    const { db } = this.#services;
    while (!this.#closing) {
      const row = this.#queue.shift();
      if (row === undefined) {
        if (await (this.#filling ??= this.#fill()) === 0) return null;
        continue;
      }
      const until = Date.now() + this.#options.leaseMs;
      const claim = { connectionId: row.connection_id, dueAt: row.due_at, until };
      if (await connectionHealth.claim(db, row.organization_id, claim)) return { row, until };
    }
    return null;
  }

  async #fill(): Promise<number> {
    try {
      const limit = this.#options.parallel * 4;
      const rows = await connectionHealth.due(this.#services.db, { now: Date.now(), limit });
      this.#queue.push(...rows);
      return rows.length;
    } finally {
      this.#filling = null;
    }
  }

  async #check(health: HealthRow, claimed: number): Promise<void> {
    const { db } = this.#services;
    const { connection_id: connectionId, organization_id: organizationId } = health;
    const dueAgain = (until: number) =>
      connectionHealth.claim(db, organizationId, { connectionId, dueAt: claimed, until });
    const row = await connections.find(db, organizationId, connectionId);
    if (row === null) return await connectionHealth.remove(db, organizationId, connectionId);
    const found = row.status === "inactive" ? null : await this.#examine(row, health);
    if (this.#closing) return void await dueAgain(health.due_at);
    if (found === null) return void await dueAgain(Date.now() + this.#options.intervalMs);
    const diagnosis = withLostTools(row, found.diagnosis, found.catalog);
    const failures = diagnosis.healthy ? 0 : health.failures + 1;
    const { intervalMs } = this.#options;
    const outcome = outcomeOf(diagnosis, { now: Date.now(), intervalMs, failures });
    const settled = await connectionHealth.settle(db, organizationId, { connectionId, claimed, outcome });
    if (settled) await this.#keep(row, { ...found, diagnosis }, failures);
  }

  /** Null for a connection without an address. What keeps it from being tested is a finding too. */
  async #examine(row: ConnectionRow, before: HealthRow): Promise<Diagnosed | null> {
    try {
      const subject = await subjectOf(this.#services, row, null);
      if (subject === null) return null;
      // The SDK's client is loaded by the first check, not by the start.
      const { diagnose } = await import("./diagnosis.ts");
      return await diagnose(this.#services.outbound, subject, { signal: this.#closed.signal });
    } catch (error) {
      const failure = obstacle(error, row.title);
      if (!(error instanceof AppError) && !before.result?.includes(`"${failure.code}"`)) {
        this.#services.log.warn("a connection cannot be checked", {
          ...factsOf(row),
          error: describeError(error),
        });
      }
      return { catalog: null, diagnosis: failedDiagnosis(failure) };
    }
  }

  /** Keeps lists that have changed, and the status where this check changes it. */
  async #keep(row: ConnectionRow, { diagnosis, catalog }: Diagnosed, failures: number): Promise<void> {
    const { db, upstream, log } = this.#services;
    const { healthy, stage, code } = diagnosis;
    const turned = healthy
      ? row.status === "error"
      : row.status === "active" && failures >= failuresUntilError;
    const status = turned ? statusOf(row, diagnosis) : null;
    if (!await keepFinding(db, row, { catalog, status })) return;
    upstream.forget(row.id);
    if (!turned) return;
    if (healthy) log.info("a connection works again", factsOf(row));
    else log.warn("a connection fails", { ...factsOf(row), stage, code });
  }
}

function factsOf(row: ConnectionRow) {
  return { organizationId: row.organization_id, connectionId: row.id };
}

/** Why a connection could not even be tested: an address that is never called, or a secret that does not open. */
function obstacle(error: unknown, title: string): Failure & { stage: DiagnosisStage } {
  if (error instanceof AppError && error.code === "outbound_refused") {
    return { stage: "tcp", code: error.code, message: error.message, advice: null };
  }
  const message = error instanceof AppError
    ? error.message
    : `${title} cannot be tested: its secrets do not open`;
  return { stage: "token", code: "credential", message, advice: "Give its credential again" };
}
