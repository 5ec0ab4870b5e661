import { messageOf } from "../errors.ts";
import { describeError, type Log } from "../log.ts";
import type { Db } from "../storage/dialect.ts";
import * as keyRotations from "../storage/key_rotations.ts";
import type { KeyRotation } from "../storage/key_rotations.ts";
import { updateKeyFile } from "./key_file.ts";
import type { MasterKeys } from "./master_keys.ts";
import { forgetOldKeys, reasonToRemember } from "./rotation.ts";

const everyMs = 1000;
const noteEveryMs = 60_000;
/** How long an old key must be unused before it is forgotten by itself. */
const rememberMs = 7 * 24 * 60 * 60 * 1000;

/** Follows rotations of the master key while nothing is opened, and keeps the key file up to date. */
export class KeyWatch {
  readonly #db: Db;
  readonly #keys: MasterKeys;
  readonly #log: Log;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #running: Promise<void> | null = null;
  #closing = false;
  #told = "";
  #notedAt = -Infinity;

  constructor(parts: { db: Db; keys: MasterKeys; log: Log }) {
    this.#db = parts.db;
    this.#keys = parts.keys;
    this.#log = parts.log;
  }

  start(): void {
    this.#running = this.#look().finally(() => {
      this.#running = null;
      if (!this.#closing) this.#timer = setTimeout(() => this.start(), everyMs);
    });
  }

  async close(): Promise<void> {
    this.#closing = true;
    clearTimeout(this.#timer);
    await this.#running;
  }

  async #look(): Promise<void> {
    try {
      const rotations = await keyRotations.list(this.#db);
      const latest = rotations.at(-1);
      if (!latest) return;
      this.#keys.follow(rotations);
      if (latest.state === "running") {
        this.#tell(latest, () => this.#log.info("rotating the master key", ids(latest)));
      } else if (this.#keys.given !== latest.to) await this.#catchUp(latest);
      else await this.#forgetUnused(rotations);
    } catch (error) {
      this.#tell(describeError(error), () => {
        this.#log.warn("cannot follow rotations of the master key", { error: describeError(error) });
      });
    }
  }

  /** Once for each state of a rotation, and for each kind of trouble. */
  #tell(about: KeyRotation | string, tell: () => void): void {
    const what = typeof about === "string" ? about : `${about.from} ${about.to} ${about.state}`;
    if (what !== this.#told) tell();
    this.#told = what;
  }

  /** This process was given a key that has been replaced. */
  async #catchUp(latest: KeyRotation): Promise<void> {
    const { given, source } = this.#keys;
    let trouble = "set ENCRYPTION_KEY to the new one before `mesh keys forget-old`";
    if (source.kind === "file") {
      try {
        updateKeyFile(this.#keys, latest.to);
        this.#log.info("the key file holds the new master key", { file: source.path, ...ids(latest) });
        return;
      } catch (error) {
        trouble = messageOf(error);
      }
    }
    this.#tell(latest, () => {
      this.#log.warn("this process was given a master key that has been replaced", {
        given,
        key: latest.to,
        advice: trouble,
      });
    });
    if (performance.now() < this.#notedAt + noteEveryMs) return;
    await keyRotations.noteOldKey(this.#db, given, { at: Date.now(), by: Deno.hostname() });
    this.#notedAt = performance.now();
  }

  async #forgetUnused(rotations: readonly KeyRotation[]): Promise<void> {
    const longAgo = Date.now() - rememberMs;
    const old = rotations.filter(({ state }) => state === "finished");
    if (old.length === 0 || reasonToRemember(rotations, Date.now()) !== null) return;
    const used = old.map(({ finishedAt, oldKeyUsedAt }) => Math.max(finishedAt ?? 0, oldKeyUsedAt ?? 0));
    if (Math.max(...used) > longAgo) return;
    const forgotten = await forgetOldKeys({ db: this.#db, keys: this.#keys, by: "server" });
    if (forgotten.length > 0) {
      this.#log.info("replaced master keys are forgotten", { keys: forgotten.join(", ") });
    }
  }
}

function ids({ from, to }: KeyRotation): { from: string; to: string } {
  return { from, to };
}
