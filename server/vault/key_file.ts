import { randomBytes } from "node:crypto";
import { dirname } from "node:path";
import { parseKey } from "../config.ts";
import { AppError, messageOf } from "../errors.ts";
import { keyId } from "./envelope.ts";
import type { MasterKeys } from "./master_keys.ts";

/** The key in a file, as base64 or hex; null where there is no file. Throws an AppError where it cannot be used. */
export function readKey(path: string): Uint8Array | null {
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
export function makeKey(path: string): Uint8Array {
  writeKey(path, randomBytes(32));
  const key = readKey(path);
  if (!key) throw new AppError("unavailable", `Cannot make the key file '${path}'`);
  return key;
}

/** Writes a key to a new file of mode 0600; where the file exists, it is left as it is. */
export function writeKey(path: string, key: Uint8Array): void {
  try {
    Deno.mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const temporary = temporaryWith(path, key);
    try {
      linkUnlessThere(temporary, path); // never shows half a key
    } finally {
      Deno.removeSync(temporary);
    }
  } catch (error) {
    throw new AppError("unavailable", `Cannot write the key file '${path}': ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** Where the key that a rotation has replaced is kept: backups from before open with it alone. */
export function oldKeyPath(path: string, id: string): string {
  return `${path}.${id}.old`;
}

/** Brings the file that the keys come from, if they do, to the key of this name; else throws an AppError. */
export function updateKeyFile(keys: MasterKeys, id: string): void {
  if (keys.source.kind !== "file") return;
  replaceKey(keys.source.path, { from: keys.ids, to: keys.of(id) });
  keys.given = id;
}

/**
 * Replaces the key in a file at once, keeping its owner, and keeps the old one beside it.
 * Does nothing where the file holds the new key.
 */
function replaceKey(path: string, { from, to }: { from: readonly string[]; to: Uint8Array }): void {
  const key = readKey(path);
  const held = key === null ? null : keyId(key);
  if (held === keyId(to)) return;
  try {
    if (held === null || !from.includes(held)) throw new Error(`it holds the key '${held ?? "none"}'`);
    const { uid, gid } = Deno.statSync(path);
    const temporary = temporaryWith(path, to);
    try {
      // Whoever runs the command as root must not lock the mesh out of its own key.
      if (uid !== null && gid !== null && uid !== Deno.uid()) Deno.chownSync(temporary, uid, gid);
      linkUnlessThere(path, oldKeyPath(path, held));
      Deno.renameSync(temporary, path);
    } catch (error) {
      Deno.removeSync(temporary);
      throw error;
    }
    sync(dirname(path));
  } catch (error) {
    throw new AppError("unavailable", `Cannot replace the key file '${path}': ${messageOf(error)}`, {
      cause: error,
    });
  }
}

function temporaryWith(path: string, key: Uint8Array): string {
  const temporary = `${path}.${crypto.randomUUID()}`;
  try {
    Deno.writeTextFileSync(temporary, key.toBase64() + "\n", { mode: 0o600, createNew: true });
    sync(temporary);
  } catch (error) {
    removeIfThere(temporary); // a full disk leaves half of it
    throw error;
  }
  return temporary;
}

function linkUnlessThere(existing: string, path: string): void {
  try {
    Deno.linkSync(existing, path);
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  }
}

function removeIfThere(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** Waits until a file, or what a folder lists, is on the disk. */
function sync(path: string): void {
  using file = Deno.openSync(path);
  file.syncSync();
}
