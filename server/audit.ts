import { within } from "./audit/deadline.ts";
import {
  type AuditCall,
  type AuditEntry,
  type AuditSubject,
  lineOf,
  type Row,
  rowOfLine,
  subjectPart,
} from "./audit/entry.ts";
import { Journal } from "./audit/journal.ts";
import { insertTimeoutMs, Mover } from "./audit/mover.ts";
import { Retention } from "./audit/retention.ts";
import { AppError } from "./errors.ts";
import { describeError, type Log } from "./log.ts";
import * as auditLog from "./storage/audit_log.ts";
import { type Db, runsInThread } from "./storage/dialect.ts";

export type { AuditCall, AuditEntry, AuditSubject };

/** What all rows of one caller at one connection begin with; made by `subject`. */
export type AuditSubjectPart = string;

/** A call that has ended. */
export interface AuditEnded extends AuditCall {
  readonly subject: AuditSubjectPart;
}

/** What the audit log is made of. */
export interface AuditOptions {
  db: Db;
  /** DATA_DIR; the journal is the folder `journal` in it, which several processes may share. */
  dir: string;
  log: Log;
  /** Days that rows are kept; 0 keeps them for ever. */
  retentionDays: number;
  /** Bytes that may wait for the database before callers wait too; 256 MiB by default. */
  maxBacklogBytes?: number;
  /** The URL of `db`, so that a thread of its own can write to it where much comes in. */
  databaseUrl?: string;
  /** Bytes that wait before there is such a thread; 64 MiB by default. */
  threadBacklogBytes?: number;
  /** Milliseconds after which a thread that is not needed any more is given up; 20 s by default. */
  threadIdleMs?: number;
}

const defaultBacklogBytes = 256 * 1024 * 1024;
/** The most that start and stop wait for rows to be moved; what is left then is moved later. */
const patienceMs = 5_000;
/** Rows that one statement inserts: a database bounds how many values that may have. */
const maxDirect = 64;
/** How long after a row was lost the next call is let through to find out. */
const trialMs = 10_000;

/**
 * The log of calls and actions, one row each, denials included.
 * Once `record` has returned, or its promise has resolved, the row survives the end of the process.
 */
export class Audit {
  readonly #db: Db;
  readonly #log: Log;
  readonly #journal: Journal;
  readonly #mover: Mover;
  readonly #retention: Retention;
  readonly #direct = new Set<Promise<void>>();
  #ended: AuditEnded[] = [];
  #gathering: Promise<void> | null = null;
  #journalFails = false;
  /** When a call was made whose row is nowhere; null once rows can be written again. */
  #lostAt: number | null = null;

  private constructor(options: AuditOptions, journal: Journal) {
    this.#db = options.db;
    this.#log = options.log;
    this.#journal = journal;
    const maxBacklog = options.maxBacklogBytes ?? defaultBacklogBytes;
    const { db, log, databaseUrl } = options;
    const threadUrl = databaseUrl !== undefined && runsInThread(db) ? databaseUrl : null;
    const { threadBacklogBytes: threadBacklog, threadIdleMs } = options;
    this.#mover = new Mover({ db, journal, log, maxBacklog, threadUrl, threadBacklog, threadIdleMs });
    this.#retention = new Retention({
      db: options.db,
      log: options.log,
      days: options.retentionDays,
      alsoHourly: () => this.#adopt(),
    });
  }

  /** Opens the log and moves what an earlier process could not. Throws `unavailable` without a writable folder. */
  static async open(options: AuditOptions): Promise<Audit> {
    const audit = new Audit(options, await Journal.open(`${options.dir}/journal`));
    await audit.#moveLeftBehind();
    audit.#retention.start();
    return audit;
  }

  /**
   * Undefined while calls may be recorded; else a promise to wait for before the call is made. Throws `unavailable`
   * while rows can be written nowhere: what a call does cannot be undone when that shows after it. Now and then one
   * is let through, as the database may be back.
   */
  room(): Promise<void> | undefined {
    if (this.#lostAt !== null) this.#probe(this.#lostAt);
    return this.#mover.room();
  }

  #probe(lostAt: number): void {
    try {
      this.#journal.probe();
      this.#lostAt = null;
    } catch (cause) {
      if (performance.now() - lostAt < trialMs) throw unrecordable(cause);
      this.#lostAt = performance.now(); // one call finds out for all
    }
  }

  /**
   * Records a call. Returns undefined once its row is on disk. Where the journal cannot be written it returns a
   * promise for the row in the database, which rejects with `unavailable` when that fails too.
   */
  record(entry: AuditEntry): Promise<void> | undefined {
    return this.#write(lineOf(subjectPart(entry), entry));
  }

  /** What all rows of one caller at one connection begin with. */
  subject(subject: AuditSubject): AuditSubjectPart {
    return subjectPart(subject);
  }

  /**
   * Records a call that has ended. The rows of those that end at about the same time are made and written together,
   * which is several times cheaper. The promise is that of all of them: it resolves once they are on disk and
   * rejects with `unavailable` where they can be recorded nowhere.
   */
  recordEnded(call: AuditEnded): Promise<void> {
    this.#ended.push(call);
    return this.#gathering ??= Promise.resolve().then(() => this.#writeEnded());
  }

  #writeEnded(): Promise<void> | undefined {
    const ended = this.#ended;
    this.#ended = [];
    this.#gathering = null;
    let lines = "";
    for (const call of ended) lines += lineOf(call.subject, call);
    return this.#write(lines);
  }

  #write(lines: string): Promise<void> | undefined {
    try {
      this.#journal.append(lines);
      this.#mover.wake();
      this.#journalFails = false;
      return undefined;
    } catch (error) {
      return this.#recordDirectly(lines, error);
    }
  }

  /** Resolves when everything recorded so far is in the database; rejects `unavailable` when that fails. */
  async flush(): Promise<void> {
    await Promise.allSettled([this.#gathering]);
    await Promise.allSettled(this.#direct);
    await this.#mover.flush();
  }

  /** Moves what it can within seconds and stops; what is left waits on disk for the next start. */
  async close(): Promise<void> {
    await this.#flushPatiently("stopping");
    try {
      await within(patienceMs, Promise.all([this.#mover.close(), this.#retention.close()]));
    } catch (error) {
      this.#log.warn("the audit log is closed while the database is busy", { error: describeError(error) });
    }
    this.#journal.close();
  }

  #recordDirectly(lines: string, reason: unknown): Promise<void> {
    if (!this.#journalFails) {
      this.#log.error("cannot write the audit journal; rows go straight to the database", {
        error: describeError(reason),
      });
    }
    this.#journalFails = true;
    this.#mover.wake();
    const rows = lines.trimEnd().split("\n").map(rowOfLine) as Row[];
    const insert = within(insertTimeoutMs, this.#insert(rows)).then(() => {
      this.#lostAt = null;
    }, (cause) => {
      this.#lostAt = performance.now();
      // A client that has left is not told, so the log is.
      const requestIds = rows.map((row) => row.request_id).join(", ");
      this.#log.error("calls were not recorded", { requestIds, error: describeError(cause) });
      throw unrecordable(cause);
    });
    this.#direct.add(insert);
    const forget = () => void this.#direct.delete(insert);
    insert.then(forget, forget);
    return insert;
  }

  async #insert(rows: Row[]): Promise<void> {
    for (let at = 0; at < rows.length; at += maxDirect) {
      await auditLog.insertMany(this.#db, rows.slice(at, at + maxDirect));
    }
  }

  async #moveLeftBehind(): Promise<void> {
    const bytes = this.#mover.backlog;
    if (bytes === 0) return;
    this.#log.info("moving rows of the audit log that an earlier process left in the journal", { bytes });
    await this.#flushPatiently("starting");
  }

  async #adopt(): Promise<void> {
    if (await this.#journal.adopt() > 0) this.#mover.wake();
  }

  async #flushPatiently(state: string): Promise<void> {
    try {
      await within(patienceMs, this.flush());
    } catch (error) {
      this.#log.warn("rows of the audit log stay in the journal", { state, error: describeError(error) });
    }
  }
}

function unrecordable(cause: unknown): AppError {
  return new AppError("unavailable", "Cannot record the call in the audit log", { cause });
}
