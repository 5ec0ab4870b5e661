import type { CryptoKey, JWK } from "jose";
import * as signingKeys from "../storage/signing_keys.ts";
import type { SigningKeyRow } from "../storage/signing_keys.ts";
import type { Db } from "../storage/dialect.ts";
import type { Place, Vault } from "../vault.ts";

/**
 * ECDSA with P-256 (RFC 7518 section 3.4): the one elliptic curve that every library which verifies JWTs knows, with
 * signatures a quarter as long as those of RSA.
 */
export const signingAlgorithm = "ES256";

const hourMs = 3600_000;
const dayMs = 24 * hourMs;

/** How long a key signs before the next one is made. */
const rotateMs = 90 * dayMs;
/** How long a key is published before it signs, so that whoever keeps the set for a while knows it by then. */
const leadMs = dayMs;
/** How long a key stays published after the next one has begun to sign; tokens end within minutes. */
const retireMs = hourMs;
/** How long what was read is taken as it is; far less than the lead. */
const freshMs = 60_000;

/** A key to sign with, and the name by which its public half is found. */
export interface Signer {
  readonly kid: string;
  readonly key: CryptoKey;
}

interface Known {
  readonly rows: readonly SigningKeyRow[];
  readonly readAt: number;
}

/** What the class needs; a part of the services. */
export interface SigningKeyParts {
  readonly db: Db;
  readonly vault: Vault;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
}

/**
 * The keys of this installation for identity tokens: made at first use, replaced every 90 days, the same in every
 * process. A new one is published a day before it signs, an old one until its last token has ended.
 */
export class SigningKeys {
  /** How long others may keep the set, in seconds; far less than the lead. */
  readonly maxAge = 3600;
  readonly #db: Db;
  readonly #vault: Vault;
  readonly #now: () => number;
  #known: Known | null = null;
  #reading: Promise<Known> | null = null;
  #signer: Promise<Signer> | null = null;
  #signs = "";

  constructor({ db, vault, now = Date.now }: SigningKeyParts) {
    this.#db = db;
    this.#vault = vault;
    this.#now = now;
  }

  /** The key that signs now. */
  async signer(): Promise<Signer> {
    const { rows } = await this.#read();
    const before = this.#now() - leadMs;
    const row = rows.find(({ created_at }) => created_at <= before) ?? rows.at(-1)!;
    if (this.#signer === null || this.#signs !== row.public_key) {
      this.#signs = row.public_key;
      this.#signer = this.#open(row);
    }
    try {
      return await this.#signer;
    } catch (error) {
      this.#signer = null;
      throw error;
    }
  }

  /** The public keys as a JSON Web Key Set. RFC 7517 section 5 */
  async published(): Promise<{ keys: JWK[] }> {
    const { rows } = await this.#read();
    const published = rows.filter((_, index) => !this.#isRetired(rows, index));
    return { keys: published.map((row) => JSON.parse(row.public_key)) };
  }

  /** Whether the key after this one has signed for so long that none of this one's tokens are left. */
  #isRetired(rows: readonly SigningKeyRow[], index: number): boolean {
    const next = rows[index - 1];
    return next !== undefined && next.created_at + leadMs + retireMs <= this.#now();
  }

  async #read(): Promise<Known> {
    const now = this.#now();
    if (this.#known !== null && Math.abs(now - this.#known.readAt) < freshMs) return this.#known;
    this.#reading ??= this.#load(now).finally(() => this.#reading = null);
    return await this.#reading;
  }

  async #load(now: number): Promise<Known> {
    let rows = await signingKeys.list(this.#db);
    const newest = rows[0];
    if (newest === undefined || newest.expires_at <= now) {
      // Of processes that see this at the same time, the first to write makes the key for all.
      await signingKeys.keep(this.#db, await this.#make(Number(newest?.id ?? 0) + 1));
      const retired = rows.filter((_, index) => this.#isRetired(rows, index));
      await signingKeys.remove(this.#db, retired.map(({ id }) => id));
      rows = await signingKeys.list(this.#db);
    }
    return this.#known = { rows, readAt: now };
  }

  async #make(number: number): Promise<SigningKeyRow> {
    const jose = await import("jose");
    const pair = await jose.generateKeyPair(signingAlgorithm, { extractable: true });
    const publicKey = await jose.exportJWK(pair.publicKey);
    const kid = await jose.calculateJwkThumbprint(publicKey); // RFC 7638
    const id = String(number);
    const privateKey = JSON.stringify(await jose.exportJWK(pair.privateKey));
    const now = this.#now();
    return {
      id,
      public_key: JSON.stringify({ ...publicKey, kid, use: "sig", alg: signingAlgorithm }),
      sealed_private_key: await this.#vault.seal(placeOf(id), privateKey),
      created_at: now,
      expires_at: now + rotateMs,
    };
  }

  async #open(row: SigningKeyRow): Promise<Signer> {
    const { importJWK } = await import("jose");
    const jwk: JWK = JSON.parse(await this.#vault.open(placeOf(row.id), row.sealed_private_key));
    const key = await importJWK(jwk, signingAlgorithm);
    if (key instanceof Uint8Array) throw new Error(`Cannot sign: the key '${row.id}' is no private key`);
    return { kid: (JSON.parse(row.public_key) as { kid: string }).kid, key };
  }
}

function placeOf(id: string): Place {
  return { organizationId: "", table: "signing_keys", column: "sealed_private_key", rowId: id };
}
