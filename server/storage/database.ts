import { dirname } from "node:path";
import { Kysely, sql } from "kysely";
import { type Migration, migrations } from "../../migrations/mod.ts";
import { AppError, messageOf } from "../errors.ts";
import { type Db, dialectOf, hasTable, kindOf, withMigrationLock } from "./dialect.ts";
import type { Schema } from "./schema.ts";

/**
 * Opens the database of a contract URL; a database file and its folder are made readable by their owner alone.
 * Throws `unavailable` with one line where it does not answer.
 */
export async function openDatabase(url: string, poolMax = 10): Promise<Db> {
  let db: Db | undefined;
  try {
    const file = /^(?:file|sqlite):(?:\/\/(?=\/))?(.*)$/.exec(url)?.[1];
    if (file !== undefined && file !== ":memory:") {
      await Deno.mkdir(dirname(file), { recursive: true, mode: 0o700 });
      makeFile(file);
    }
    db = new Kysely<Schema>({ dialect: await dialectOf(url, poolMax) });
    await sql`select 1`.execute(db);
    return db;
  } catch (cause) {
    await db?.destroy();
    const reason = reasonOf(cause, url);
    throw new AppError("unavailable", `Cannot open the database (DATABASE_URL): ${reason}`, { cause });
  }
}

/** Why a database does not answer, without the password that a driver may repeat. */
function reasonOf(cause: unknown, url: string): string {
  // Where a name leads to several addresses, each has an error of its own.
  const error = cause instanceof AggregateError ? cause.errors[0] : cause;
  const password = URL.canParse(url) ? new URL(url).password : "";
  const told = messageOf(error).replaceAll(url, "***").replaceAll(/\s+/g, " ");
  return password === "" ? told : told.replaceAll(password, "***");
}

/** Makes the file where there is none; the files beside it, which SQLite makes, get its mode. */
function makeFile(path: string): void {
  try {
    // One that exists must not even be opened: closing it would end the locks that this process has on it.
    Deno.openSync(path, { createNew: true, write: true, mode: 0o600 }).close();
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  }
}

/** True while the database answers. */
export async function isAlive(db: Db): Promise<boolean> {
  try {
    await sql`select 1`.execute(db);
    return true;
  } catch {
    return false; // the answer itself: /health says what this means
  }
}

/** The names of the migrations that have run here, oldest first. */
export async function appliedMigrations(db: Db): Promise<string[]> {
  if (!await hasTable(db, "mesh_migrations")) return [];
  const { rows } = await sql<{ name: string }>`select name from mesh_migrations order by name`.execute(db);
  return rows.map((row) => row.name);
}

/** Refuses a database that a newer executable has migrated, before anything is written. */
export async function refuseNewer(db: Db, known: readonly Migration[] = migrations): Promise<void> {
  const names = new Set(known.map((migration) => migration.name));
  const newer = (await appliedMigrations(db)).filter((name) => !names.has(name));
  if (newer.length === 0) return;
  throw new AppError(
    "unavailable",
    `Cannot use this database: it is at version '${newer.at(-1)}' and this executable knows versions up to ` +
      `'${known.at(-1)?.name}'; start a newer executable, or restore a backup made before the upgrade`,
  );
}

/** Brings the database to the newest version under a lock and returns what was applied now. */
export async function migrate(db: Db, known: readonly Migration[] = migrations): Promise<string[]> {
  return await withMigrationLock(db, async (locked) => {
    await refuseNewer(locked, known);
    const applied = new Set(await appliedMigrations(locked));
    if (applied.size === 0) {
      await sql`create table if not exists mesh_migrations (name varchar(100) primary key, applied_at bigint not null)`
        .execute(locked);
    }
    const pending = known.filter((migration) => !applied.has(migration.name));
    for (const { name, up } of pending) {
      await up(locked, kindOf(locked));
      await sql`insert into mesh_migrations (name, applied_at) values (${name}, ${Date.now()})`.execute(
        locked,
      );
    }
    return pending.map((migration) => migration.name);
  });
}
