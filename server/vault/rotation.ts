import { rowOf } from "../audit/entry.ts";
import { AppError, messageOf } from "../errors.ts";
import { newId } from "../ids.ts";
import * as auditLog from "../storage/audit_log.ts";
import * as dataKeys from "../storage/data_keys.ts";
import type { WrappedKey } from "../storage/data_keys.ts";
import { type Db, emptyLog } from "../storage/dialect.ts";
import * as instance from "../storage/instance.ts";
import * as keyRotations from "../storage/key_rotations.ts";
import type { KeyRotation } from "../storage/key_rotations.ts";
import { version } from "../version.ts";
import {
  checkName,
  checkValue,
  dataKeyPlace,
  decrypt,
  encrypt,
  keyId,
  nameIn,
  sealerOf,
} from "./envelope.ts";
import { handOver, type MasterKeys } from "./master_keys.ts";

/** What a rotation works on; `keys` come from `findMasterKeys`, `by` says in the audit log who did it. */
export interface RotationParts {
  db: Db;
  keys: MasterKeys;
  by: "command line" | "server";
}

/** How long the running processes have to notice the end of a rotation, in milliseconds; they look every second. */
export const noticeMs = 60_000;
/** A process that is still given an old key says so once a minute. */
export const useMs = 150_000;

/** Names of keys and how many data keys lie under the newest. */
export interface RotationStatus {
  /** The key of this database; null before the first start. */
  key: string | null;
  rotations: KeyRotation[];
  dataKeys: number;
  /** Those that are wrapped by the key that is, or will be, the one of this database. */
  wrapped: number;
}

/** Reads where the master key and its rotations stand; needs no key. */
export async function rotationStatus(db: Db): Promise<RotationStatus> {
  const check = await instance.find(db, checkName);
  if (check === null) return { key: null, rotations: [], dataKeys: 0, wrapped: 0 };
  const rotations = await keyRotations.listIfAny(db);
  const key = nameIn(check);
  const target = rotations.find(({ state }) => state === "running")?.to ?? key;
  let all = 0;
  let wrapped = 0;
  for await (const page of dataKeys.pages(db)) {
    all += page.length;
    wrapped += page.filter((row) => sealerOf(row.wrapped) === target).length;
  }
  return { key, rotations, dataKeys: all, wrapped };
}

/**
 * Begins the rotation to a new master key and returns it, or the one that runs already. From then on every process
 * that holds the old key can open the new one. Returns null where there is nothing to begin: the new key is in its
 * place, or this process itself was given one that has been replaced.
 */
export async function beginRotation(
  { db, keys, by }: RotationParts,
  next: Uint8Array,
): Promise<KeyRotation | null> {
  const to = keyId(next);
  const row = await db.transaction().execute(async (transaction) => {
    await instance.lock(transaction, checkName);
    const rotations = await keyRotations.list(transaction);
    const running = rotations.find(({ state }) => state === "running");
    if (running) return running;
    const key = nameIn(await instance.read(transaction, checkName) ?? "");
    if (keys.given !== key || to === key) return null;
    if (rotations.some(({ from }) => from === to)) {
      throw new AppError("conflict", `Cannot rotate to the key '${to}': it has been replaced before`);
    }
    const fresh = { from: key, to, ...handOver(keys.of(key), next), startedAt: now(rotations) };
    await keyRotations.insert(transaction, fresh);
    await record(transaction, "", { event: "begun", by, ...fresh });
    return (await keyRotations.list(transaction)).find(({ from }) => from === key) ?? null;
  });
  if (row) keys.follow([row]);
  return row;
}

/** The time, later than that of the rotations before, so that their order is that of their times. */
function now(rotations: readonly KeyRotation[]): number {
  return Math.max(Date.now(), ...rotations.map(({ startedAt }) => startedAt + 1));
}

/**
 * Wraps every data key anew that is not wrapped by the new master key, each in one conditional update with its row
 * in the audit log of the organization, so that it may be broken off, repeated and run twice at once.
 * Throws `unavailable` at the end where some do not open; the others are done then.
 */
export async function rewrapDataKeys(
  parts: RotationParts,
  rotation: KeyRotation,
  progress: (done: number) => void = () => {},
): Promise<void> {
  let done = 0;
  const failed: string[] = [];
  for await (const page of dataKeys.pages(parts.db)) {
    for (const row of page) {
      const reason = await rewrap(parts, rotation, row);
      if (reason !== null) failed.push(`'${row.organizationId}' (${reason})`);
    }
    done += page.length;
    progress(done);
  }
  if (failed.length === 0) return;
  throw new AppError(
    "unavailable",
    `Cannot finish the rotation: the data keys of ${failed.length} organizations do not open, which are ` +
      `${failed.slice(0, 5).join(", ")}; the others are re-wrapped, and both keys stay readable`,
  );
}

/** The reason why a data key does not open, or null once it is wrapped by the new key. */
async function rewrap(
  { db, keys, by }: RotationParts,
  { from, to }: KeyRotation,
  { organizationId, wrapped }: WrappedKey,
): Promise<string | null> {
  if (sealerOf(wrapped) === to) return null;
  const place = dataKeyPlace(organizationId);
  let again: string;
  try {
    again = encrypt(keys.of(to), decrypt(keys.of(sealerOf(wrapped) ?? from), wrapped, place), place);
  } catch (error) {
    return messageOf(error);
  }
  await db.transaction().execute(async (transaction) => {
    if (!await dataKeys.rewrap(transaction, organizationId, { from: wrapped, to: again })) return;
    await record(transaction, organizationId, { event: "data key re-wrapped", by, from, to });
  });
  return null;
}

/**
 * Makes the new key the one of this database, where every data key is wrapped by it; false where one is not.
 * The old key leads to the new one until it is forgotten, so that processes that are given it still start.
 */
export async function finishRotation(
  { db, keys, by }: RotationParts,
  { from, to }: KeyRotation,
): Promise<boolean> {
  return await db.transaction().execute(async (transaction) => {
    await instance.lock(transaction, checkName);
    const rotations = await keyRotations.list(transaction);
    if (rotations.find((row) => row.from === from)?.state !== "running") return true;
    for await (const page of dataKeys.pages(transaction)) {
      if (page.some(({ wrapped }) => sealerOf(wrapped) !== to)) return false;
    }
    await instance.replace(transaction, checkName, checkValue(keys.of(to)));
    await keyRotations.finish(transaction, from, Date.now());
    await record(transaction, "", { event: "finished", by, from, to });
    return true;
  });
}

/** Why the old keys may not be forgotten yet, as a clause; null where they may. */
export function reasonToRemember(rotations: readonly KeyRotation[], at: number): string | null {
  for (const { state, from, finishedAt, oldKeyUsedAt, oldKeyUsedBy } of rotations) {
    if (state === "running") {
      return `the rotation from '${from}' still runs; end it with \`mesh keys rotate\``;
    }
    if (state !== "finished") continue;
    const wait = Math.ceil(((finishedAt ?? at) + noticeMs - at) / 1000);
    if (wait > 0) return `running processes are given time to notice the new one; try again in ${wait} s`;
    if (oldKeyUsedAt !== null && oldKeyUsedAt + useMs > at) {
      const ago = Math.max(0, Math.round((at - oldKeyUsedAt) / 1000));
      return `${ago} s ago a process on '${oldKeyUsedBy}' was still given '${from}'; give it the new one`;
    }
  }
  return null;
}

/**
 * Ends what the replaced keys can open, and returns their names. Throws `conflict` while a process may need one,
 * unless `force` is set, and always where this process itself was given one; `unavailable` where they are forgotten and
 * a log beside the database's file may hold them yet, which the same call again takes out.
 */
export async function forgetOldKeys(
  { db, keys, by }: RotationParts,
  { force = false, at = Date.now() }: { force?: boolean; at?: number } = {},
): Promise<string[]> {
  const forgotten = await db.transaction().execute(async (transaction) => {
    await instance.lock(transaction, checkName);
    const rotations = await keyRotations.list(transaction);
    const finished = rotations.filter(({ state }) => state === "finished");
    const check = nameIn(await instance.read(transaction, checkName) ?? "");
    const reason = finished.length > 0 && keys.given !== check
      ? `this command was given '${keys.given}', and the key is '${check}' now; give it that one`
      : force
      ? null
      : reasonToRemember(rotations, at);
    if (reason !== null) throw new AppError("conflict", `Cannot forget the old key: ${reason}`);
    for (const { from, to } of finished) {
      await keyRotations.forget(transaction, from, at);
      await record(transaction, "", { event: "old key forgotten", by, from, to });
    }
    await keyRotations.eraseReplaced(transaction);
    return finished.map(({ from }) => from);
  });
  await emptyLog(db);
  return forgotten;
}

/** A row of the audit log; what concerns the whole instance has no organization. The names of keys are no secrets. */
async function record(
  transaction: Db,
  organizationId: string,
  { event, by, from, to }: { event: string; by: string; from: string; to: string },
): Promise<void> {
  const row = rowOf({
    organizationId,
    connectionId: "self",
    toolName: null,
    method: "keys/rotate",
    input: { event, from, to },
    outcome: "ok",
    errorMessage: null,
    durationMs: 0,
    userId: null,
    keyId: null,
    clientId: null,
    requestId: newId("req"),
    userAgent: `mesh/${version} (${by} on ${Deno.hostname()})`,
  });
  await auditLog.insertMany(transaction, [row]);
}
