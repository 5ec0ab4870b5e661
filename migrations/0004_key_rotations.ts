import type { Kysely } from "kysely";
import { type DatabaseKind, key, longText, whole } from "./columns.ts";

/** Replacements of the master key, with the hand-over from each to its successor. */
// deno-lint-ignore no-explicit-any -- see Migration in mod.ts
export async function keyRotations(db: Kysely<any>, kind: DatabaseKind): Promise<void> {
  await db.schema.createTable("key_rotations")
    .addColumn("from_id", key(kind), (c) => c.primaryKey())
    .addColumn("to_id", key(kind), (c) => c.notNull().unique())
    .addColumn("state", key(kind, 20), (c) => c.notNull())
    .addColumn("sealed_next", longText(kind))
    .addColumn("sealed_previous", longText(kind))
    .addColumn("started_at", whole(kind), (c) => c.notNull())
    .addColumn("finished_at", whole(kind))
    .addColumn("forgotten_at", whole(kind))
    .addColumn("old_key_used_at", whole(kind))
    .addColumn("old_key_used_by", longText(kind))
    .execute();
}
