import { randomBytes } from "node:crypto";
import { migrations } from "../../migrations/mod.ts";
import { type Config, loadConfig } from "../config.ts";
import { AppError } from "../errors.ts";
import { appliedMigrations, openDatabase, refuseNewer } from "../storage/database.ts";
import type { Db } from "../storage/dialect.ts";
import type { KeyRotation } from "../storage/key_rotations.ts";
import { findMasterKeys, openVault } from "../vault.ts";
import { keyId } from "../vault/envelope.ts";
import { oldKeyPath, readKey, updateKeyFile, writeKey } from "../vault/key_file.ts";
import type { MasterKeys } from "../vault/master_keys.ts";
import {
  beginRotation,
  finishRotation,
  forgetOldKeys,
  reasonToRemember,
  rewrapDataKeys,
  type RotationParts,
  rotationStatus,
} from "../vault/rotation.ts";
import { optionOf } from "./options.ts";

/** What a rotation has led to, as `--json` prints it; no key is part of it. */
interface Report {
  state: "finished";
  from: string;
  to: string;
  dataKeys: number;
  /** Where the new and the old key lie, where that is this command's doing. */
  keyFile: string | null;
  oldKeyFile: string | null;
  next: string[];
}

/** `mesh keys rotate`: puts a new master key in the place of the old one while the mesh runs. */
export async function rotateKeys(args: readonly string[]): Promise<number> {
  const config = loadConfig();
  return await withDatabase(config, async (db) => {
    if (args.includes("--status")) return await printStatus(db, args);
    const path = optionOf(args, "--new-key-file");
    const given = path === null ? null : readGiven(path);
    const report = await rotate(await openKeys(db, config), { config, given, say: speaker(args) });
    if (args.includes("--json")) console.log(JSON.stringify(report, null, 2));
    else for (const line of linesOf(report)) console.log(line);
    return 0;
  });
}

/** `mesh keys forget-old`: ends what the replaced keys can open. */
export async function forgetKeys(args: readonly string[]): Promise<number> {
  const config = loadConfig();
  return await withDatabase(config, async (db) => {
    const parts = await openKeys(db, config);
    const { rotations } = await rotationStatus(db);
    if (rotations.at(-1)?.state === "finished") updateKeyFile(parts.keys, parts.keys.newest.id);
    const forgotten = await forgetOldKeys(parts, { force: args.includes("--force") });
    if (args.includes("--json")) {
      console.log(JSON.stringify({ key: parts.keys.newest.id, forgotten }, null, 2));
    } else if (forgotten.length === 0) console.log("There is no old master key to forget");
    else {
      console.log(`The master key '${parts.keys.newest.id}' alone opens this mesh now`);
      console.log(
        `Forgotten: '${forgotten.join("', '")}'; backups of the database from before need it still`,
      );
    }
    return 0;
  });
}

async function withDatabase(config: Config, run: (db: Db) => Promise<number>): Promise<number> {
  const db = await openDatabase(config.databaseUrl, config.databasePoolMax);
  try {
    await refuseNewer(db);
    return await run(db);
  } finally {
    await db.destroy();
  }
}

/** The keys that this command was given. Refuses, and changes nothing, where they do not open this database. */
async function openKeys(db: Db, config: Config): Promise<RotationParts> {
  const applied = await appliedMigrations(db);
  const missing = migrations.filter(({ name }) => !applied.includes(name));
  if (missing.length > 0) {
    const what = applied.length === 0
      ? "this database is empty; start the mesh first"
      : `the database lacks '${missing[0]?.name}'; start this version of the mesh first`;
    throw new AppError("unavailable", `Cannot use the master key: ${what}`);
  }
  const keys = await findMasterKeys(db, config.encryptionKey, config.dataDir);
  await openVault(db, keys);
  return { db, keys, by: "command line" };
}

function readGiven(path: string): Uint8Array {
  const key = readKey(path);
  if (key) return key;
  throw new AppError("invalid", `Cannot read the new key: there is no file '${path}'`);
}

type Say = (line: string) => void;

/** Progress: with `--json` beside the answer, not in it. */
function speaker(args: readonly string[]): Say {
  return (line) => args.includes("--json") ? console.error(line) : console.log(line);
}

/** Runs a rotation to its end: a new one, or the one that was broken off. */
async function rotate(
  parts: RotationParts,
  { config, given, say }: { config: Config; given: Uint8Array | null; say: Say },
): Promise<Report> {
  const { keys } = parts;
  const writes = keys.source.kind === "setting" && given === null;
  const next = given ?? randomBytes(32);
  const file = writes ? newKeyPath(config, keyId(next)) : null;
  let row: KeyRotation | null = null;
  try {
    // Before anything relies on the key, so that a folder that cannot be written stops the command here.
    if (file) writeKey(file, next);
    row = await beginRotation(parts, next);
  } finally {
    if (file && row?.to !== keyId(next) && readKey(file)) Deno.removeSync(file);
  }
  if (row && given && row.to !== keyId(given)) throw otherNewKey(row, keyId(given));
  if (row) await run(parts, row, say);
  const to = keys.newest;
  if (row === null) say(`The master key is '${to.id}' already`);
  updateKeyFile(keys, to.id);
  if (writes) writeKey(newKeyPath(config, to.id), to.key);
  const { dataKeys, rotations } = await rotationStatus(parts.db);
  const from = rotations.find((one) => one.to === to.id)?.from ?? to.id;
  return {
    state: "finished",
    from,
    to: to.id,
    dataKeys,
    ...whereabouts(parts.keys, { config, from, writes }),
  };
}

async function run(parts: RotationParts, row: KeyRotation, say: Say): Promise<void> {
  const { dataKeys, wrapped } = await rotationStatus(parts.db);
  say(`${wrapped > 0 ? "Resuming" : "Begun"}: master key '${row.from}' -> '${row.to}'`);
  do {
    await rewrapDataKeys(
      parts,
      row,
      (done) => say(`re-wrapped ${done} of ${Math.max(done, dataKeys)} data keys`),
    );
    // First the file: a mesh that starts between the two opens the old key with the new one.
    updateKeyFile(parts.keys, row.to);
  } while (!await finishRotation(parts, row));
}

function otherNewKey({ from, to }: KeyRotation, given: string): AppError {
  return new AppError(
    "conflict",
    `Cannot rotate to the key '${given}': the rotation from '${from}' to '${to}' is not finished; ` +
      "run the command with that key, or without one",
  );
}

/** Where a key is laid for whoever sets ENCRYPTION_KEY. */
function newKeyPath({ dataDir }: Config, id: string): string {
  return `${dataDir}/encryption.key.${id}.new`;
}

function whereabouts(
  { newest, source }: MasterKeys,
  { config, from, writes }: { config: Config; from: string; writes: boolean },
): Pick<Report, "keyFile" | "oldKeyFile" | "next"> {
  const forget =
    "when every process has the new key (`mesh keys rotate --status` tells), run `mesh keys forget-old`";
  if (source.kind === "file") {
    const old = oldKeyPath(source.path, from);
    return {
      keyFile: source.path,
      oldKeyFile: readKey(old) ? old : null,
      next: ["start the processes that are down; those that run follow, each with its own key file", forget],
    };
  }
  const keyFile = writes ? newKeyPath(config, newest.id) : null;
  const content = keyFile ? `the content of '${keyFile}'` : "the new key";
  return {
    keyFile,
    oldKeyFile: null,
    next: [
      `set ENCRYPTION_KEY to ${content} wherever the mesh is started, and keep a copy apart from the database`,
      "restart the processes one by one; until then they follow by themselves",
      forget,
      ...keyFile ? [`remove '${keyFile}'`] : [],
    ],
  };
}

function linesOf({ from, to, dataKeys, keyFile, oldKeyFile, next }: Report): string[] {
  return [
    `Done: ${dataKeys} data keys are wrapped by the master key '${to}'`,
    ...keyFile ? [`New key: ${keyFile}`] : [],
    ...oldKeyFile ? [`Old key '${from}', for backups from before: ${oldKeyFile}`] : [],
    "What is left to do:",
    ...next.map((step, at) => `  ${at + 1}. ${step}`),
  ];
}

async function printStatus(db: Db, args: readonly string[]): Promise<number> {
  const { key, rotations, dataKeys, wrapped } = await rotationStatus(db);
  const keep = reasonToRemember(rotations, Date.now());
  if (args.includes("--json")) {
    const told = { key, dataKeys, wrapped, rotations: rotations.map(shown), reasonToKeepOldKey: keep };
    console.log(JSON.stringify(told, null, 2));
    return 0;
  }
  console.log(key === null ? "This mesh has no master key yet" : `The master key is '${key}'`);
  for (const { from, to, state, startedAt, finishedAt } of rotations.map(shown)) {
    console.log(
      `'${from}' -> '${to}': ${state}, begun ${startedAt}${finishedAt ? `, finished ${finishedAt}` : ""}`,
    );
  }
  const running = rotations.find(({ state }) => state === "running");
  if (key !== null) console.log(`${wrapped} of ${dataKeys} data keys are wrapped by '${running?.to ?? key}'`);
  if (rotations.some(({ state }) => state === "finished")) {
    console.log(
      keep ? `The old key is kept: ${keep}` : "The old key can be forgotten: run `mesh keys forget-old`",
    );
  }
  return 0;
}

/** A rotation without the keys that it hands over. */
function shown({ from, to, state, oldKeyUsedBy, ...row }: KeyRotation) {
  return {
    from,
    to,
    state,
    startedAt: iso(row.startedAt),
    finishedAt: iso(row.finishedAt),
    forgottenAt: iso(row.forgottenAt),
    oldKeyUsedAt: iso(row.oldKeyUsedAt),
    oldKeyUsedBy,
  };
}

function iso(time: number | null): string | null {
  return time === null ? null : new Date(time).toISOString();
}
