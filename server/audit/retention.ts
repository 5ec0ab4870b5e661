import { describeError, type Log } from "../log.ts";
import * as auditLog from "../storage/audit_log.ts";
import type { Db } from "../storage/dialect.ts";

const hourMs = 60 * 60 * 1000;
const dayMs = 24 * hourMs;
const batchRows = 200;
/** Between two batches, so that old rows never keep calls waiting. */
const restMs = 50;

/** Removes rows that are older than the setting says, at start and every hour, a few at a time. */
export class Retention {
  readonly #db: Db;
  readonly #log: Log;
  readonly #days: number;
  readonly #alsoHourly: () => Promise<void>;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #running: Promise<void> | null = null;
  #closing = false;
  #endRest: (() => void) | null = null;

  constructor(parts: { db: Db; log: Log; days: number; alsoHourly: () => Promise<void> }) {
    this.#db = parts.db;
    this.#log = parts.log;
    this.#days = parts.days;
    this.#alsoHourly = parts.alsoHourly;
  }

  start(): void {
    this.#running = this.#sweep().finally(() => {
      this.#running = null;
      if (!this.#closing) this.#timer = setTimeout(() => this.start(), hourMs);
    });
  }

  async close(): Promise<void> {
    this.#closing = true;
    clearTimeout(this.#timer);
    this.#endRest?.();
    await this.#running;
  }

  async #sweep(): Promise<void> {
    try {
      await this.#alsoHourly();
      if (this.#days > 0) await this.#removeOld(Date.now() - this.#days * dayMs);
    } catch (error) {
      this.#log.warn("cannot remove old rows of the audit log; trying again in an hour", {
        error: describeError(error),
      });
    }
  }

  async #removeOld(before: number): Promise<void> {
    let removed = 0;
    let organizationId = await auditLog.nextOrganization(this.#db, null);
    while (organizationId !== null && !this.#closing) {
      const count = await auditLog.removeOlder(this.#db, organizationId, { before, limit: batchRows });
      removed += count;
      if (count < batchRows) organizationId = await auditLog.nextOrganization(this.#db, organizationId);
      if (count > 0) await this.#rest();
    }
    if (removed > 0) this.#log.info("removed old rows of the audit log", { removed, days: this.#days });
  }

  async #rest(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, restMs);
    this.#endRest = resolve;
    await promise;
    clearTimeout(timer);
    this.#endRest = null;
  }
}
