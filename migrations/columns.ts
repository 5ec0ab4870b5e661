import { type RawBuilder, sql } from "kysely";

/** The three kinds of database that the program runs on. */
export type DatabaseKind = "sqlite" | "postgres" | "mysql";

/** A column that sorts and compares byte by byte on every database; `length` in characters. */
export function key(kind: DatabaseKind, length = 64): RawBuilder<unknown> {
  if (kind === "mysql") return sql.raw(`varchar(${length}) character set utf8mb4 collate utf8mb4_bin`);
  if (kind === "postgres") return sql.raw(`varchar(${length}) collate "C"`);
  return sql.raw("text");
}

/** Text of any length. */
export function longText(kind: DatabaseKind): RawBuilder<unknown> {
  return sql.raw(kind === "mysql" ? "longtext character set utf8mb4 collate utf8mb4_bin" : "text");
}

/** A whole number of 64 bits: milliseconds since 1970, counts, sizes. */
export function whole(kind: DatabaseKind): RawBuilder<unknown> {
  return sql.raw(kind === "sqlite" ? "integer" : "bigint");
}
