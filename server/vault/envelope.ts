import { Buffer } from "node:buffer";
import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from "node:crypto";

const version = "v1";
const ivBytes = 12; // NIST SP 800-38D section 8.2: 96 bits
const tagBytes = 16;

/** The name of a key: 66 bits of a hash, which tell nothing about it. */
export function keyId(key: Uint8Array): string {
  return createHash("sha256").update("mesh key id").update(key).digest("base64url").slice(0, 11);
}

/** The name of the key that made an envelope; null where it is none. */
export function sealerOf(envelope: string): string | null {
  const [tag, id] = envelope.split(".");
  return tag === version && id !== undefined ? id : null;
}

/** AES-256-GCM: `v1.<id of the key>.<base64url of IV, ciphertext and tag>`; the place is authenticated with it. */
export function encrypt(key: Uint8Array, plain: Uint8Array, place: string): string {
  const iv = randomBytes(ivBytes);
  const cipher = createCipheriv("aes-256-gcm", key, iv).setAAD(Buffer.from(place));
  const sealed = Buffer.concat([iv, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
  return `${version}.${keyId(key)}.${sealed.toString("base64url")}`;
}

/** Opens an envelope of `encrypt`. Throws where it was altered, moved or made by another key. */
export function decrypt(key: Uint8Array, envelope: string, place: string): Buffer {
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

/** Where the data key of an organization lies. */
export function dataKeyPlace(organizationId: string): string {
  return `data_keys/wrapped/${organizationId}`;
}

/** The fact of the database that names the master key, and the lock of everything that changes or relies on it. */
export const checkName = "master_key_check";

/** What the database knows of the master key: enough to recognise it, useless to find it. */
export function checkValue(master: Uint8Array): string {
  const check = Buffer.from(hkdfSync("sha256", master, "mesh", "check value", 32));
  return `${keyId(master)}.${check.toString("base64url")}`;
}

/** The name of the key in a check value. */
export function nameIn(check: string): string {
  return check.split(".")[0] ?? "";
}
