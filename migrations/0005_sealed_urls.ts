import type { Kysely } from "kysely";
import { type DatabaseKind, longText } from "./columns.ts";

/** The address of a connection where a part of it is a secret; `connection_url` is then what may be shown of it. */
// deno-lint-ignore no-explicit-any -- see Migration in mod.ts
export async function sealedUrls(db: Kysely<any>, kind: DatabaseKind): Promise<void> {
  await db.schema.alterTable("connections").addColumn("sealed_url", longText(kind)).execute();
}
