import { Buffer } from "node:buffer";
import { createHmac, randomBytes } from "node:crypto";
import { LRUCache } from "lru-cache";
import { AppError } from "./errors.ts";
import type { Log } from "./log.ts";
import * as dataKeys from "./storage/data_keys.ts";
import type { Db } from "./storage/dialect.ts";
import * as instance from "./storage/instance.ts";
import * as keyRotations from "./storage/key_rotations.ts";
import type { KeyRotation } from "./storage/key_rotations.ts";
import { checkName, checkValue, dataKeyPlace, decrypt, encrypt, nameIn, sealerOf } from "./vault/envelope.ts";
import { makeKey, oldKeyPath, readKey } from "./vault/key_file.ts";
import { MasterKeys } from "./vault/master_keys.ts";
import { KeyWatch } from "./vault/watch.ts";

export { MasterKeys };

/** Where a secret lies; part of what is authenticated, so a ciphertext moved elsewhere does not open. */
export interface Place {
  /**
   * Whose data key seals it. "" is the instance itself, for what belongs to no organization (such as the keys that
   * it signs with): a data key of its own, made at first use, which outlives every organization and is rotated as
   * theirs are.
   */
  organizationId: string;
  table: string;
  column: string;
  rowId: string;
}

/** Envelope encryption: a data key an organization, wrapped by the master key. */
export class Vault {
  readonly #db: Db;
  readonly #keys: MasterKeys;
  readonly #opened = new LRUCache<string, Uint8Array>({ max: 1000, ttl: 60_000 });
  #root: Uint8Array | null = null;
  #watch: KeyWatch | null = null;

  /** Without `openVault` it seals and opens, but derives no keys. */
  constructor(db: Db, master: Uint8Array | MasterKeys) {
    this.#db = db;
    this.#keys = master instanceof MasterKeys ? master : new MasterKeys(master);
  }

  /** Encrypts a secret for its place. */
  async seal(place: Place, secret: string): Promise<string> {
    const key = await this.#dataKey(place.organizationId);
    return encrypt(key, Buffer.from(secret, "utf8"), placeName(place));
  }

  /** Decrypts what `seal` made for the same place. Throws where it was altered, moved or sealed by another key. */
  async open(place: Place, envelope: string): Promise<string> {
    const key = await this.#dataKey(place.organizationId);
    return decrypt(key, envelope, placeName(place)).toString("utf8");
  }

  /** 32 bytes for one purpose, the same in every process and after every rotation. RFC 5869 section 2.3 */
  deriveKey(purpose: string): Uint8Array {
    if (!this.#root) throw new Error("Cannot derive a key: the vault is not open yet");
    return new Uint8Array(createHmac("sha256", this.#root).update(purpose).update("\x01").digest());
  }

  /** The name of the master key, which tells nothing about it. */
  get masterId(): string {
    return this.#keys.newest.id;
  }

  /** Reads the root of the derived keys; a database from before there was one gets that of its master key. */
  async openRoot(): Promise<void> {
    const sealed = await instance.read(this.#db, rootName) ??
      await instance.settle(this.#db, rootName, await this.seal(rootPlace, this.#extracted().toBase64()));
    this.#root = Uint8Array.fromBase64(await this.open(rootPlace, sealed));
  }

  /** What gives the keys that were derived from the master key itself, and leads back to none. RFC 5869 section 2.2 */
  #extracted(): Uint8Array {
    return new Uint8Array(createHmac("sha256", "mesh").update(this.#keys.newest.key).digest());
  }

  /** Follows rotations of the master key from now on, also while nothing is opened. */
  watch(log: Log): void {
    this.#watch = new KeyWatch({ db: this.#db, keys: this.#keys, log });
    this.#watch.start();
  }

  async close(): Promise<void> {
    await this.#watch?.close();
  }

  async #dataKey(organizationId: string): Promise<Uint8Array> {
    const known = this.#opened.get(organizationId);
    if (known) return known;
    const wrapped = await dataKeys.find(this.#db, organizationId) ?? await this.#makeDataKey(organizationId);
    const id = sealerOf(wrapped);
    if (id !== null && !this.#keys.has(id)) this.#keys.follow(await keyRotations.list(this.#db));
    const master = id === null ? this.#keys.newest.key : this.#keys.of(id);
    const key = decrypt(master, wrapped, dataKeyPlace(organizationId));
    this.#opened.set(organizationId, key);
    return key;
  }

  /** Under the lock, so that no key is wrapped by a master key whose rotation ends meanwhile. */
  async #makeDataKey(organizationId: string): Promise<string> {
    return await this.#db.transaction().execute(async (transaction) => {
      await instance.lock(transaction, checkName);
      const master = await newestKey(transaction, this.#keys);
      const wrapped = encrypt(master, randomBytes(32), dataKeyPlace(organizationId));
      return await dataKeys.settle(transaction, organizationId, wrapped);
    });
  }
}

function placeName(place: Place): string {
  return `${place.table}/${place.column}/${place.rowId}`;
}

/** The key that wraps what is new, which the lock keeps from changing. Refuses a process that cannot know it. */
async function newestKey(transaction: Db, keys: MasterKeys): Promise<Uint8Array> {
  const rotations = await keyRotations.list(transaction);
  keys.follow(rotations);
  const { id, key } = keys.newest;
  const check = await instance.read(transaction, checkName);
  const wanted = rotations.find(({ state }) => state === "running")?.to ??
    (check === null ? id : nameIn(check));
  if (id === wanted) return key;
  throw new AppError(
    "unavailable",
    `Cannot seal a secret: the master key is '${wanted}' now, and this process was given '${keys.given}'; ` +
      "start it with the new one",
  );
}

const rootName = "derivation_root";
const rootPlace = { organizationId: "", table: "instance", column: "value", rowId: rootName };

/**
 * The master key of this installation: the given one, else the one in `dataDir`, else, for a new database, a new one,
 * with those that a rotation has put in its place. Refuses, before anything is written, a key that neither is nor
 * leads to the one that sealed this database, and a lost key.
 */
export async function findMasterKeys(
  db: Db,
  given: Uint8Array | null,
  dataDir: string,
): Promise<MasterKeys> {
  const path = `${dataDir}/encryption.key`;
  const expected = await instance.find(db, checkName);
  const key = given ?? readKey(path);
  const source = given ? { kind: "setting" } as const : { kind: "file", path } as const;
  if (key) {
    const keys = new MasterKeys(key, source);
    if (expected !== null) await settle(db, keys);
    return keys;
  }
  if (expected === null) return new MasterKeys(makeKey(path), source);
  throw new AppError(
    "unavailable",
    `Cannot open the vault: this database was sealed with the key '${nameIn(expected)}', and neither ` +
      `ENCRYPTION_KEY nor '${path}' holds it; restore that key, nothing was changed`,
  );
}

/** Learns what the given key leads to, and refuses it where that is not the key of this database. */
async function settle(db: Db, keys: MasterKeys): Promise<void> {
  const rotations = await keyRotations.listIfAny(db);
  const expected = await instance.find(db, checkName) ?? "";
  keys.follow(rotations);
  if (keys.recognise(expected) !== null) return;
  // A rotation that ended between the two readings.
  keys.follow(await keyRotations.listIfAny(db));
  if (keys.recognise(expected) === null) throw otherKey(expected, keys, rotations);
}

function otherKey(expected: string, { given, source }: MasterKeys, rotations: KeyRotation[]): AppError {
  const name = nameIn(expected);
  const kept = source.kind === "file" ? oldKeyPath(source.path, name) : null;
  const advice = rotations.some(({ from, state }) => from === given && state === "forgotten")
    ? ", which was replaced and is forgotten; start it with the new one"
    : kept !== null && readKey(kept)
    ? `; the first one is kept in '${kept}', put it back`
    : "; start it with the first one";
  return new AppError(
    "unavailable",
    `Cannot open the vault: this database was sealed with the key '${name}', and this process was given the key ` +
      `'${given}'${advice}, nothing was changed`,
  );
}

/**
 * Opens the vault of a migrated database. Into a new one it writes the check value of the key; a process that was
 * second with another key is refused.
 */
export async function openVault(db: Db, keys: MasterKeys): Promise<Vault> {
  if (await instance.read(db, checkName) === null) await begin(db, keys);
  await settle(db, keys);
  const vault = new Vault(db, keys);
  await vault.openRoot();
  return vault;
}

/** Writes into a new database what every other one has, all or nothing; a process that is second changes nothing. */
async function begin(db: Db, keys: MasterKeys): Promise<void> {
  const { key } = keys.newest;
  await db.transaction().execute(async (transaction) => {
    const check = await instance.settle(transaction, checkName, checkValue(key)); // who is second waits here
    if (check !== checkValue(key) || await instance.read(transaction, rootName) !== null) return;
    const place = dataKeyPlace("");
    const wrapped = await dataKeys.settle(transaction, "", encrypt(key, randomBytes(32), place));
    const root = Buffer.from(randomBytes(32).toString("base64"));
    const sealed = encrypt(decrypt(key, wrapped, place), root, placeName(rootPlace));
    await instance.settle(transaction, rootName, sealed);
  });
}
