import type { Kysely } from "kysely";
import type { DatabaseKind } from "./columns.ts";
import { initial } from "./0001_initial.ts";
import { oauth } from "./0002_oauth.ts";
import { upstreamCredentials } from "./0003_upstream_credentials.ts";
import { keyRotations } from "./0004_key_rotations.ts";
import { sealedUrls } from "./0005_sealed_urls.ts";

/** One step of the schema: additive, and never edited once it has landed. */
export interface Migration {
  name: string;
  // Kysely's own advice: a migration is typed against no schema, as the schema moves on and the migration does not.
  // deno-lint-ignore no-explicit-any
  up: (db: Kysely<any>, kind: DatabaseKind) => Promise<void>;
}

/** All steps in the order in which they run. */
export const migrations: readonly Migration[] = [
  { name: "0001_initial", up: initial },
  { name: "0002_oauth", up: oauth },
  { name: "0003_upstream_credentials", up: upstreamCredentials },
  { name: "0004_key_rotations", up: keyRotations },
  { name: "0005_sealed_urls", up: sealedUrls },
];
