import { Buffer } from "node:buffer";
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  hkdfSync,
  randomBytes,
  timingSafeEqual,
} from "node:crypto";
import { LRUCache } from "lru-cache";
import { parseKey } from "./config.ts";
import { AppError, messageOf } from "./errors.ts";
import * as dataKeys from "./storage/data_keys.ts";
import type { Db } from "./storage/dialect.ts";
import * as instance from "./storage/instance.ts";

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

const version = "v1";
const ivBytes = 12; // NIST SP 800-38D section 8.2: 96 bits
const tagBytes = 16;

/**
 * Envelope encryption: a data key an organization, wrapped by the master key.
 * An envelope is `v1.<id of the wrapping key>.<base64url of IV, ciphertext and tag>`.
 */
export class Vault {
  readonly #db: Db;
  readonly #master: Uint8Array;
  readonly #masterId: string;
  readonly #opened = new LRUCache<string, Uint8Array>({ max: 1000, ttl: 60_000 });

  constructor(db: Db, master: Uint8Array) {
    this.#db = db;
    this.#master = master;
    this.#masterId = keyId(master);
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

  /** 32 bytes for one purpose, derived from the master key, the same in every process. RFC 5869 */
  deriveKey(purpose: string): Uint8Array {
    return new Uint8Array(hkdfSync("sha256", this.#master, "mesh", purpose, 32));
  }

  async #dataKey(organizationId: string): Promise<Uint8Array> {
    const known = this.#opened.get(organizationId);
    if (known) return known;
    const place = `data_keys/wrapped/${organizationId}`;
    const wrapped = await dataKeys.find(this.#db, organizationId) ??
      await dataKeys.settle(this.#db, organizationId, encrypt(this.#master, randomBytes(32), place));
    const key = decrypt(this.#master, wrapped, place);
    this.#opened.set(organizationId, key);
    return key;
  }

  /** The name of the master key, which tells nothing about it. */
  get masterId(): string {
    return this.#masterId;
  }
}

function placeName(place: Place): string {
  return `${place.table}/${place.column}/${place.rowId}`;
}

function keyId(key: Uint8Array): string {
  return createHash("sha256").update("mesh key id").update(key).digest("base64url").slice(0, 11);
}

function encrypt(key: Uint8Array, plain: Uint8Array, place: string): string {
  const iv = randomBytes(ivBytes);
  const cipher = createCipheriv("aes-256-gcm", key, iv).setAAD(Buffer.from(place));
  const sealed = Buffer.concat([iv, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
  return `${version}.${keyId(key)}.${sealed.toString("base64url")}`;
}

function decrypt(key: Uint8Array, envelope: string, place: string): Buffer {
  const [tag, id, body, ...rest] = envelope.split(".");
  const sealed = Buffer.from(body ?? "", "base64url");
  if (tag !== version || rest.length > 0 || sealed.length < ivBytes + tagBytes) {
    throw new Error(`Cannot open the secret at '${place}': it is not a whole envelope`);
  }
  if (id !== keyId(key)) throw new Error(`Cannot open the secret at '${place}': another key sealed it`);
  const decipher = createDecipheriv("aes-256-gcm", key, sealed.subarray(0, ivBytes), {
    authTagLength: tagBytes,
  })
    .setAAD(Buffer.from(place)).setAuthTag(sealed.subarray(-tagBytes));
  try {
    return Buffer.concat([decipher.update(sealed.subarray(ivBytes, -tagBytes)), decipher.final()]);
  } catch (cause) {
    throw new Error(`Cannot open the secret at '${place}': it was altered or moved`, { cause });
  }
}

const checkName = "master_key_check";

/** What the database knows of the master key: enough to recognise it, useless to find it. */
function checkValue(master: Uint8Array): string {
  return `${keyId(master)}.${
    Buffer.from(hkdfSync("sha256", master, "mesh", "check value", 32)).toString("base64url")
  }`;
}

/**
 * The master key of this installation: the given one, else the one in `dataDir`, else, for a new database, a new one.
 * Refuses, before anything is written, a key that did not seal this database, and a lost key.
 */
export async function findMasterKey(db: Db, given: Uint8Array | null, dataDir: string): Promise<Uint8Array> {
  const path = `${dataDir}/encryption.key`;
  const expected = await instance.find(db, checkName);
  const key = given ?? readKey(path);
  if (!key) {
    if (expected === null) return makeKey(path);
    throw new AppError(
      "unavailable",
      `Cannot open the vault: this database was sealed with the key '${nameIn(expected)}', and neither ` +
        `ENCRYPTION_KEY nor '${path}' holds it; restore that key, nothing was changed`,
    );
  }
  if (expected !== null) refuseOther(expected, key);
  return key;
}

/** Writes the check value into a new database; a process that was second with another key is refused. */
export async function settleMasterKey(db: Db, master: Uint8Array): Promise<void> {
  refuseOther(await instance.settle(db, checkName, checkValue(master)), master);
}

function nameIn(check: string): string {
  return check.split(".")[0] ?? "";
}

function refuseOther(expected: string, key: Uint8Array): void {
  const actual = Buffer.from(checkValue(key));
  const wanted = Buffer.from(expected);
  if (actual.length === wanted.length && timingSafeEqual(actual, wanted)) return;
  throw new AppError(
    "unavailable",
    `Cannot open the vault: this database was sealed with the key '${nameIn(expected)}', and this process ` +
      `was given the key '${keyId(key)}'; start it with the first one, nothing was changed`,
  );
}

function readKey(path: string): Uint8Array | null {
  let text: string;
  try {
    text = Deno.readTextFileSync(path).trim();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw new AppError("unavailable", `Cannot read the key file '${path}': ${messageOf(error)}`, {
      cause: error,
    });
  }
  try {
    return parseKey(text);
  } catch (error) {
    throw new AppError("unavailable", `Cannot use the key file '${path}': ${messageOf(error)}`);
  }
}

/** Makes the key file, mode 0600; where another process was first, its key is taken. */
function makeKey(path: string): Uint8Array {
  Deno.mkdirSync(path.slice(0, path.lastIndexOf("/")), { recursive: true, mode: 0o700 });
  const temporary = `${path}.${crypto.randomUUID()}`;
  Deno.writeTextFileSync(temporary, randomBytes(32).toString("base64") + "\n", {
    mode: 0o600,
    createNew: true,
  });
  try {
    Deno.linkSync(temporary, path); // fails where the file exists, and never shows half a key
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  } finally {
    Deno.removeSync(temporary);
  }
  const key = readKey(path);
  if (!key) throw new AppError("unavailable", `Cannot make the key file '${path}'`);
  return key;
}
