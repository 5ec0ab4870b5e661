import { setImmediate } from "node:timers";
import { AppError } from "../errors.ts";
import { describeError, type Log } from "../log.ts";
import * as auditLog from "../storage/audit_log.ts";
import type { Db } from "../storage/dialect.ts";
import { within } from "./deadline.ts";
import { type Row, rowOfLine } from "./entry.ts";
import { InsertThread } from "./insert_thread.ts";
import type { Journal } from "./journal.ts";
import { textsOf } from "./segment.ts";

/** 64 rows keep the event loop for about 2 ms where the database runs in this thread. */
const batch = { lines: 64, bytes: 256 * 1024 };
/** What a thread of its own is given at once: calls go on meanwhile, but other writers wait for it. */
const threadBatch = { lines: 96, bytes: 128 * 1024 };
/** So many bytes, some 100,000 calls, are worth a thread of its own; fewer can wait until the calls are over. */
const threadBacklog = 64 * 1024 * 1024;
/** The same where somebody waits for them, such as a reader of the log. */
const awaitedBacklog = 512 * 1024;
/** A thread is given up when so little came in for so long, and one that failed is followed by none as long. */
const threadIdleMs = 20_000;
/** Rows wait this long for company, as a row alone costs several times what it costs in a group. */
const gatherMs = 20;
/** The part of the time that moving may take while calls come in and little waits. */
const lowDuty = 0.05;
/** The same where it would be work of this thread, which another takes over once much waits. */
const ownDuty = 0.01;
/** The same for a thread of its own, which leaves the other half to those who also write. */
const threadDuty = 0.5;
/** Calls are coming in where one came within this time. */
const busyMs = 100;
/** The longest pause between batches, as a slow one says little about the next. */
const maxRestMs = 1_000;
const backOffMs = { first: 100, last: 5_000 };
/** An insert that takes longer has failed: a connection may have died without a word. */
export const insertTimeoutMs = 30_000;

interface Waiter {
  reached: () => boolean;
  resolve: () => void;
  reject: (reason: AppError) => void;
}

/** What a mover is made of. */
export interface MoverParts {
  db: Db;
  journal: Journal;
  log: Log;
  /** Bytes that may wait. */
  maxBacklog: number;
  timeoutMs?: number;
  /** The database that a thread of its own may open, where using it keeps this thread busy. */
  threadUrl?: string | null;
  /** Bytes that wait before there is such a thread. */
  threadBacklog?: number | undefined;
  /** Milliseconds after which a thread that is not needed any more is given up. */
  threadIdleMs?: number | undefined;
}

/** Moves lines from the journal into the database in the background, in small batches. */
export class Mover {
  readonly #db: Db;
  readonly #journal: Journal;
  readonly #log: Log;
  readonly #maxBacklog: number;
  readonly #timeoutMs: number;
  readonly #threadUrl: string | null;
  readonly #threadBacklog: number;
  readonly #threadIdleMs: number;
  readonly #flushes = new Set<Waiter>();
  readonly #rooms = new Set<Waiter>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #endRest: (() => void) | null = null;
  #running: Promise<void> | null = null;
  #failures = 0;
  #seen = 0;
  #grewAt = 0;
  #closing = false;
  #thread: InsertThread | null = null;
  #threadIdle: ReturnType<typeof setTimeout> | undefined;
  #threadSpent = false;
  #threadFailedUntil = 0;

  constructor(parts: MoverParts) {
    this.#db = parts.db;
    this.#journal = parts.journal;
    this.#log = parts.log;
    this.#maxBacklog = parts.maxBacklog;
    this.#timeoutMs = parts.timeoutMs ?? insertTimeoutMs;
    this.#threadUrl = parts.threadUrl ?? null;
    this.#threadBacklog = parts.threadBacklog ?? threadBacklog;
    this.#threadIdleMs = parts.threadIdleMs ?? threadIdleMs;
  }

  /** Bytes that wait in the journal. */
  get backlog(): number {
    return this.#journal.appended - this.#journal.moved;
  }

  /** Says that the journal has grown. Cheap enough for every row. */
  wake(): void {
    if (this.#timer !== undefined || this.#running || this.#closing) return;
    this.#timer = setTimeout(() => this.#start(), gatherMs);
  }

  /** Undefined while the journal may grow; else a promise for the time when it may again. */
  room(): Promise<void> | undefined {
    if (this.backlog < this.#maxBacklog || this.#closing) return undefined;
    this.#start();
    this.#endRest?.();
    return this.#wait(this.#rooms, () => this.backlog < this.#maxBacklog);
  }

  /** Resolves when everything in the journal now is in the database; rejects `unavailable` when that fails. */
  async flush(): Promise<void> {
    const goal = this.#journal.appended;
    if (this.#journal.moved >= goal) return;
    if (this.#closing) throw new AppError("unavailable", "Cannot read the audit log: the server is stopping");
    const done = this.#wait(this.#flushes, () => this.#journal.moved >= goal);
    this.#start();
    this.#endRest?.();
    await done;
  }

  /** Stops after the batch that is running; who waits for room goes on. */
  async close(): Promise<void> {
    this.#closing = true;
    clearTimeout(this.#timer);
    this.#endRest?.();
    for (const waiter of this.#rooms) waiter.resolve();
    this.#rooms.clear();
    await this.#running;
    this.#endThread();
    this.#rejectFlushes(new Error("The server is stopping"));
  }

  #wait(waiters: Set<Waiter>, reached: () => boolean): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    waiters.add({ reached, resolve, reject });
    return promise;
  }

  #start(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#running || this.#closing) return;
    this.#running = this.#run().finally(() => {
      this.#running = null;
      if (this.backlog > 0) this.wake();
    });
  }

  async #run(): Promise<void> {
    while (!this.#closing) {
      const began = performance.now();
      const outcome = await this.#moveBatch();
      if (outcome === "failed") await this.#rest(this.#backOff());
      else {
        this.#settle();
        if (outcome === "none" && this.#flushes.size === 0) return;
        const duty = this.#duty();
        await this.#rest(Math.min(maxRestMs, (performance.now() - began) * (1 / duty - 1)));
      }
    }
  }

  /** Moves the next rows, where there are any. */
  async #moveBatch(): Promise<"moved" | "none" | "failed"> {
    try {
      const thread = this.#threadFor(this.backlog);
      const limits = thread ? threadBatch : batch;
      const chunk = this.#journal.read(limits);
      if (!chunk) return "none";
      if (!(thread && await this.#insertIn(thread, chunk.lines))) {
        await this.#insert(this.#parse(textsOf(chunk.lines)));
      }
      this.#journal.advance(chunk.lines.length);
      if (this.#failures > 0) this.#log.info("audit log is moving again", { backlogBytes: this.backlog });
      this.#failures = 0;
      return "moved";
    } catch (error) {
      if (this.#failures === 0) {
        this.#log.error("cannot move the audit log into the database; its rows wait in the journal", {
          error: describeError(error),
          backlogBytes: this.backlog,
        });
      }
      this.#failures++;
      this.#rejectFlushes(error);
      return "failed";
    }
  }

  /** The thread to use: while there is one, and a new one where much waits; null where this thread does it. */
  #threadFor(backlog: number): InsertThread | null {
    const enough = this.#flushes.size > 0
      ? Math.min(awaitedBacklog, this.#threadBacklog)
      : this.#threadBacklog;
    if (this.#threadUrl === null || backlog < enough) {
      if (this.#threadSpent) this.#endThread();
      return this.#thread;
    }
    if (this.#thread === null && performance.now() < this.#threadFailedUntil) return null;
    clearTimeout(this.#threadIdle);
    this.#threadSpent = false;
    this.#threadIdle = setTimeout(() => this.#spendThread(), this.#threadIdleMs);
    return this.#thread ??= new InsertThread(this.#threadUrl);
  }

  /** Gives the thread up, between two of its batches: one that is ended within a batch looks like one that failed. */
  #spendThread(): void {
    if (this.#running) this.#threadSpent = true;
    else this.#endThread();
  }

  #endThread(): void {
    clearTimeout(this.#threadIdle);
    this.#threadSpent = false;
    this.#thread?.close();
    this.#thread = null;
  }

  /** True where the thread has put the rows into the database; false where this thread has to try and say why. */
  async #insertIn(thread: InsertThread, lines: Uint8Array): Promise<boolean> {
    try {
      const failure = await within(this.#timeoutMs, thread.insert(lines));
      if (failure === null) return true;
      this.#log.debug("the thread for the audit log failed", { failure });
    } catch (error) {
      this.#log.debug("the thread for the audit log is late", { error: describeError(error) });
    }
    this.#threadFailedUntil = performance.now() + threadIdleMs;
    this.#endThread();
    return false;
  }

  #parse(lines: string[]): Row[] {
    return lines.flatMap((line) => {
      const row = rowOfLine(line);
      if (!row) this.#keepAside(line, "it is not a row");
      return row ?? [];
    });
  }

  /** Inserts rows, those excepted that the database refuses for what they hold, which it finds by halving. */
  async #insert(rows: Row[]): Promise<void> {
    try {
      // Should a batch that was given up arrive after all, its rows are there already: ids are inserted once.
      await within(this.#timeoutMs, auditLog.insertMany(this.#db, rows));
    } catch (error) {
      if (!auditLog.isRefusal(error)) throw error;
      if (rows.length === 1) return this.#keepAside(JSON.stringify(rows[0]), describeError(error));
      const half = rows.length >> 1;
      await this.#insert(rows.slice(0, half));
      await this.#insert(rows.slice(half));
    }
  }

  #keepAside(line: string, reason: string): void {
    const path = this.#journal.rejectedPath;
    Deno.writeTextFileSync(path, `${line}\n`, { append: true, mode: 0o600 });
    this.#log.error("a row of the audit log was refused by the database", { reason, keptIn: path });
  }

  #settle(): void {
    for (const waiters of [this.#flushes, this.#rooms]) {
      for (const waiter of waiters) {
        if (!waiter.reached()) continue;
        waiters.delete(waiter);
        waiter.resolve();
      }
    }
  }

  #rejectFlushes(cause: unknown): void {
    const reason = "Cannot read the audit log: the database does not take rows now";
    for (const waiter of this.#flushes) waiter.reject(new AppError("unavailable", reason, { cause }));
    this.#flushes.clear();
  }

  /** The part of the time to work: little while calls come in, more the more waits, all of it when someone does. */
  #duty(): number {
    const now = performance.now();
    if (this.#journal.appended !== this.#seen) this.#grewAt = now;
    this.#seen = this.#journal.appended;
    if (this.#flushes.size > 0 || this.#rooms.size > 0 || now - this.#grewAt > busyMs) return 1;
    if (this.#thread) return threadDuty;
    const pressure = (this.backlog / this.#maxBacklog - 0.25) * 2;
    const least = this.#threadUrl === null ? lowDuty : ownDuty;
    return least + (1 - least) * Math.min(1, Math.max(0, pressure));
  }

  #backOff(): number {
    return Math.min(backOffMs.last, backOffMs.first * 2 ** (this.#failures - 1));
  }

  /** Lets others run for so long at least, or until a flush is asked for. */
  async #rest(ms: number): Promise<void> {
    // A timer takes a millisecond at least.
    if (ms < 1) return await new Promise((resolve) => setImmediate(resolve));
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, ms);
    this.#endRest = resolve;
    await promise;
    clearTimeout(timer);
    this.#endRest = null;
  }
}
