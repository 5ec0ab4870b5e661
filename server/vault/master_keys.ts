import { timingSafeEqual } from "node:crypto";
import { Buffer } from "node:buffer";
import { AppError, messageOf } from "../errors.ts";
import type { KeyRotation } from "../storage/key_rotations.ts";
import { checkValue, decrypt, encrypt, keyId } from "./envelope.ts";

/** Where a process has its master key from. */
export type KeySource = { readonly kind: "setting" } | { readonly kind: "file"; readonly path: string };

/** A key with its name. */
export interface NamedKey {
  readonly id: string;
  readonly key: Uint8Array;
}

/**
 * The master keys that this process knows: the one it was given, those that took its place since, and the one that
 * is being replaced. What wraps anew is always the newest.
 */
export class MasterKeys {
  readonly source: KeySource;
  #given: string;
  #newest: string;
  readonly #known = new Map<string, Uint8Array>();

  constructor(given: Uint8Array, source: KeySource = { kind: "setting" }) {
    this.source = source;
    this.#given = this.#newest = keyId(given);
    this.#known.set(this.#given, given);
  }

  /** The name of the key that this process was given by its setting or its file. */
  get given(): string {
    return this.#given;
  }

  /** Says that the key file holds this key now. */
  set given(id: string) {
    this.#given = id;
  }

  /** The key that wraps anew. */
  get newest(): NamedKey {
    return { id: this.#newest, key: this.of(this.#newest) };
  }

  has(id: string): boolean {
    return this.#known.has(id);
  }

  /** The key of a name. Throws where this process does not know it. */
  of(id: string): Uint8Array {
    const key = this.#known.get(id);
    if (key) return key;
    throw new Error(`Cannot use the master key '${id}': this process knows '${this.ids.join("', '")}'`);
  }

  get ids(): string[] {
    return [...this.#known.keys()];
  }

  /** The name of the known key that a check value belongs to, or null. */
  recognise(check: string): string | null {
    const wanted = Buffer.from(check);
    for (const [id, key] of this.#known) {
      const actual = Buffer.from(checkValue(key));
      if (actual.length === wanted.length && timingSafeEqual(actual, wanted)) return id;
    }
    return null;
  }

  /**
   * Learns the keys that the records lead to. Only the newest key leads on: one that was replaced, and may have been
   * found by somebody, makes no successor. Throws an AppError where a record was tampered with.
   */
  follow(rotations: readonly KeyRotation[]): void {
    for (;;) {
      const row = rotations.find(({ from }) => from === this.#newest);
      if (!row || row.sealedNext === null || this.#known.has(row.to)) break;
      this.#known.set(row.to, handedOver(this.newest.key, row, "next"));
      this.#newest = row.to;
    }
    const running = rotations.find(({ state, to }) => state === "running" && to === this.#newest);
    if (running && !this.#known.has(running.from)) {
      this.#known.set(running.from, handedOver(this.newest.key, running, "previous"));
    }
  }
}

/** The two envelopes of a rotation: each key wrapped by the other. */
export function handOver(from: Uint8Array, to: Uint8Array): { sealedNext: string; sealedPrevious: string } {
  const rotation = { from: keyId(from), to: keyId(to) };
  return {
    sealedNext: encrypt(from, to, placeOf(rotation, "next")),
    sealedPrevious: encrypt(to, from, placeOf(rotation, "previous")),
  };
}

function placeOf({ from, to }: { from: string; to: string }, which: "next" | "previous"): string {
  return `key_rotations/${which}/${from}/${to}`;
}

function handedOver(key: Uint8Array, row: KeyRotation, which: "next" | "previous"): Uint8Array {
  const [envelope, id] = which === "next" ? [row.sealedNext, row.to] : [row.sealedPrevious, row.from];
  try {
    const opened = new Uint8Array(decrypt(key, envelope ?? "", placeOf(row, which)));
    if (keyId(opened) !== id) throw new Error(`it holds the key '${keyId(opened)}'`);
    return opened;
  } catch (error) {
    throw new AppError(
      "unavailable",
      `Cannot follow the rotation of the master key from '${row.from}' to '${row.to}': ${messageOf(error)}`,
      { cause: error },
    );
  }
}
