import type { EventEmitter } from "node:events";
import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import {
  CompiledQuery,
  type Dialect,
  type Insertable,
  type Kysely,
  MysqlAdapter,
  MysqlDialect,
  PostgresAdapter,
  PostgresDialect,
  type RawBuilder,
  sql,
  SqliteDialect,
  type SqliteStatement,
  type Updateable,
} from "kysely";
import { LRUCache } from "lru-cache";
import type { DatabaseKind } from "../../migrations/columns.ts";
import { AppError } from "../errors.ts";
import type { Schema } from "./schema.ts";

export type Db = Kysely<Schema>;
export type { DatabaseKind };

/** The Kysely dialect for a URL of contract form, with its connection settings. */
export async function dialectOf(url: string, poolMax: number): Promise<Dialect> {
  if (url.startsWith("postgres")) return await postgresDialect(url, poolMax);
  if (url.startsWith("mysql")) return await mysqlDialect(url, poolMax);
  return new SqliteDialect({ database: openSqlite(url.replace(/^(file|sqlite):(\/\/(?=\/))?/, "")) });
}

/** The kind of an open database, read off its adapter so that transactions know it too. */
export function kindOf(db: Db): DatabaseKind {
  const adapter = db.getExecutor().adapter;
  return adapter instanceof MysqlAdapter
    ? "mysql"
    : adapter instanceof PostgresAdapter
    ? "postgres"
    : "sqlite";
}

/** An expression that is sorted byte by byte, also where the database's own language would decide. */
export function byteOrder(db: Db, text: RawBuilder<unknown>): RawBuilder<unknown> {
  return kindOf(db) === "postgres" ? sql`${text} collate "C"` : text;
}

/** True where a query keeps the thread that asks busy until it is answered. */
export function runsInThread(db: Db): boolean {
  return kindOf(db) === "sqlite";
}

/** True where the database has a table of this name, asked of its catalog: describing all tables takes far longer. */
export async function hasTable(db: Db, name: string): Promise<boolean> {
  const found = {
    sqlite: sql`select 1 from sqlite_master where type = 'table' and name = ${name}`,
    postgres: sql`select 1 from pg_catalog.pg_class where oid = to_regclass(quote_ident(${name}))`,
    mysql:
      sql`select 1 from information_schema.tables where table_schema = database() and table_name = ${name}`,
  }[kindOf(db)];
  return (await found.execute(db)).rows.length > 0;
}

async function postgresDialect(url: string, poolMax: number): Promise<Dialect> {
  const { default: pg } = await import("pg");
  // 64-bit whole numbers, and sums of them, which the driver would hand over as text.
  const numbers = new Set([20, 1700]);
  const pool = new pg.Pool({
    connectionString: url,
    max: poolMax,
    connectionTimeoutMillis: 10_000,
    keepAlive: true,
    types: {
      getTypeParser: (oid: number, format?: "text" | "binary") =>
        numbers.has(oid) ? Number : pg.types.getTypeParser(oid, format),
    },
  });
  // A lost connection fails the query that uses it; without these listeners it would end the process as well.
  const alreadyTold = () => {};
  pool.on("connect", (client: EventEmitter) => void client.on("error", alreadyTold));
  pool.on("error", alreadyTold);
  return new PostgresDialect({ pool });
}

async function mysqlDialect(url: string, poolMax: number): Promise<Dialect> {
  const { createPool } = await import("mysql2");
  const pool = createPool({
    uri: url,
    connectionLimit: poolMax,
    charset: "utf8mb4",
    decimalNumbers: true,
    connectTimeout: 10_000,
  });
  return new MysqlDialect({
    pool,
    onCreateConnection: async (connection) => {
      // The driver escapes values with backslashes, so a mode that turns them off must not be inherited.
      await connection.executeQuery(
        CompiledQuery.raw("set session sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'"),
      );
      await connection.executeQuery(
        CompiledQuery.raw("set session transaction isolation level read committed"),
      );
    },
  });
}

/** Opens SQLite in the runtime's own library, in the shape that Kysely asks for, statements kept prepared. */
function openSqlite(path: string) {
  const database = new DatabaseSync(path, { timeout: 10_000, enableForeignKeyConstraints: true });
  database.exec("pragma journal_mode = wal; pragma synchronous = normal;");
  // The library's own knows the letters of ASCII only.
  database.function(
    "lower",
    { deterministic: true },
    (value) => typeof value === "string" ? value.toLowerCase() : value,
  );
  const statements = new LRUCache<string, SqliteStatement>({ max: 300 });
  return {
    close: () => database.close(),
    prepare(text: string): SqliteStatement {
      let statement = statements.get(text);
      if (!statement) statements.set(text, statement = sqliteStatement(database.prepare(text)));
      return statement;
    },
  };
}

function sqliteStatement(statement: StatementSync): SqliteStatement {
  const values = (parameters: ReadonlyArray<unknown>) => parameters as SQLInputValue[];
  return {
    reader: statement.columns().length > 0,
    all: (parameters) => statement.all(...values(parameters)),
    run: (parameters) => statement.run(...values(parameters)),
    iterate: (parameters) => statement.iterate(...values(parameters)),
  };
}

/** True where the database refused a row because a unique key is taken. */
export function isUniqueViolation(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { code, errno, errcode } = error as { code?: unknown; errno?: unknown; errcode?: unknown };
  // SQLITE_CONSTRAINT_PRIMARYKEY 1555, _UNIQUE 2067; SQLSTATE 23505; ER_DUP_ENTRY 1062
  return errcode === 1555 || errcode === 2067 || code === "23505" || errno === 1062;
}

type Table = keyof Schema & string;

/** Inserts rows; a row whose key exists is left as it is. */
export async function insertIfAbsent<T extends Table>(
  db: Db,
  table: T,
  rows: Insertable<Schema[T]>[],
): Promise<void> {
  if (rows.length === 0) return;
  const insert = db.insertInto(table as Table).values(rows as never);
  const id = Object.keys(rows[0] as object)[0] as never;
  if (kindOf(db) === "mysql") {
    // Not INSERT IGNORE, which also lets through values that do not fit.
    await insert.onDuplicateKeyUpdate((eb) => ({ [id]: eb.ref(id) }) as never).execute();
  } else {
    await insert.onConflict((conflict) => conflict.doNothing()).execute();
  }
}

const bulkStatements = new LRUCache<string, string>({ max: 500 });

/** As `insertIfAbsent` for many rows, without building a query for each batch: it is written out once a row count. */
export async function bulkInsertIfAbsent<T extends Table>(
  db: Db,
  table: T,
  { columns, rows }: { columns: readonly (keyof Schema[T] & string)[]; rows: readonly Schema[T][] },
): Promise<void> {
  if (rows.length === 0) return;
  const kind = kindOf(db);
  const key = `${kind} ${table} ${rows.length}`;
  let statement = bulkStatements.get(key);
  if (statement === undefined) {
    statement = bulkStatement(kind, { table, columns, count: rows.length });
    bulkStatements.set(key, statement);
  }
  const values: unknown[] = [];
  for (const row of rows) for (const column of columns) values.push(row[column] ?? null);
  await db.executeQuery(CompiledQuery.raw(statement, values));
}

function bulkStatement(
  kind: DatabaseKind,
  { table, columns, count }: { table: string; columns: readonly string[]; count: number },
): string {
  const quote = kind === "mysql" ? "`" : '"';
  const names = columns.map((column) => `${quote}${column}${quote}`);
  const row = (at: number) =>
    `(${columns.map((_, i) => kind === "postgres" ? `$${at * columns.length + i + 1}` : "?").join(",")})`;
  const rows = Array.from({ length: count }, (_, at) => row(at)).join(",");
  const absent = kind === "mysql"
    ? `on duplicate key update ${names[0]}=${names[0]}`
    : "on conflict do nothing";
  return `insert into ${quote}${table}${quote} (${names.join(",")}) values ${rows} ${absent}`;
}

/** Inserts a row, or updates the row that has the same `keys`. */
export async function upsert<T extends Table>(
  db: Db,
  table: T,
  { row, keys }: { row: Insertable<Schema[T]>; keys: (keyof Schema[T] & string)[] },
): Promise<void> {
  const insert = db.insertInto(table as Table).values(row as never);
  const changes = Object.fromEntries(
    Object.entries(row as object).filter(([name]) => !keys.includes(name as never)),
  ) as Updateable<Schema[T]>;
  if (kindOf(db) === "mysql") await insert.onDuplicateKeyUpdate(changes as never).execute();
  else {
    await insert.onConflict((conflict) => conflict.columns(keys as never).doUpdateSet(changes as never))
      .execute();
  }
}

/**
 * Runs `work` while no other process of the same database runs under this lock; others wait.
 * SQLite: a write transaction. Postgres: an advisory lock. MySQL: a named lock.
 */
export async function withMigrationLock<T>(db: Db, work: (db: Db) => Promise<T>): Promise<T> {
  const [before, after] = {
    sqlite: ["begin immediate", "commit"],
    postgres: ["select pg_advisory_lock(6215530461)", "select pg_advisory_unlock(6215530461)"],
    mysql: [
      "select get_lock(concat('mesh_', database()), 60)",
      "select release_lock(concat('mesh_', database()))",
    ],
  }[kindOf(db)] as [string, string];
  return await db.connection().execute(async (connection) => {
    await connection.executeQuery(CompiledQuery.raw(before));
    try {
      const result = await work(connection);
      await connection.executeQuery(CompiledQuery.raw(after));
      return result;
    } catch (error) {
      await connection.executeQuery(CompiledQuery.raw(kindOf(db) === "sqlite" ? "rollback" : after));
      throw error;
    }
  });
}

/**
 * Takes what the rows of these tables were before out of the pages of a database file, in a transaction of the caller.
 * A database server keeps its files itself.
 */
export async function eraseTraces(transaction: Db, tables: readonly Table[]): Promise<void> {
  if (kindOf(transaction) !== "sqlite") return;
  // Rows that change or move leave copies in the gaps of pages; an emptied table is overwritten with its gaps.
  await transaction.executeQuery(CompiledQuery.raw("pragma secure_delete = on"));
  for (const table of tables) {
    const rows = await transaction.selectFrom(table as Table).selectAll().execute();
    await transaction.deleteFrom(table as Table).execute();
    for (let at = 0; at < rows.length; at += 100) {
      await transaction.insertInto(table as Table).values(rows.slice(at, at + 100) as never).execute();
    }
  }
  await transaction.executeQuery(CompiledQuery.raw("pragma secure_delete = off"));
}

/**
 * Brings a database file up to date and empties the log beside it, which holds pages as they were before.
 * Throws `unavailable` where a process that reads the file for long keeps it from that.
 */
export async function emptyLog(db: Db): Promise<void> {
  if (kindOf(db) !== "sqlite") return;
  const { rows } = await db.executeQuery<{ busy: number }>(
    CompiledQuery.raw("pragma wal_checkpoint(truncate)"),
  );
  if (rows[0]?.busy === 0) return;
  throw new AppError(
    "unavailable",
    "Cannot empty the log of the database file: another process, such as a backup, reads the file; try again",
  );
}
