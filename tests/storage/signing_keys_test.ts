import assert from "node:assert/strict";
import type { Db } from "../../server/storage/dialect.ts";
import * as signingKeys from "../../server/storage/signing_keys.ts";
import { withMigrated } from "../support/accounts.ts";
import { onEachDatabase } from "../support/databases.ts";

function row(id: string, publicKey = `{"kid":"${id}"}`) {
  return { id, public_key: publicKey, sealed_private_key: "envelope", created_at: 1, expires_at: 2 };
}

/** Rows of one database have no prototype. */
function plain(rows: signingKeys.SigningKeyRow[]): signingKeys.SigningKeyRow[] {
  return rows.map((row) => ({ ...row }));
}

onEachDatabase(
  "signing keys: the first under a number stays, the newest comes first by number",
  (_t, url) =>
    withMigrated(url, async (db: Db) => {
      assert.deepEqual(plain(await signingKeys.list(db)), []);
      for (const id of ["9", "10", "1"]) await signingKeys.keep(db, row(id));
      await signingKeys.keep(db, row("10", "another"));
      assert.deepEqual(plain(await signingKeys.list(db)), [row("10"), row("9"), row("1")]);
      await signingKeys.remove(db, []);
      await signingKeys.remove(db, ["1", "9", "11"]);
      assert.deepEqual(plain(await signingKeys.list(db)), [row("10")]);
    }),
);

onEachDatabase(
  "signing keys: writers at the same time leave one row",
  (_t, url) =>
    withMigrated(url, async (db: Db) => {
      const texts = Array.from({ length: 6 }, (_, index) => `key ${index}`);
      await Promise.all(texts.map((text) => signingKeys.keep(db, row("1", text))));
      const kept = await signingKeys.list(db);
      assert.equal(kept.length, 1);
      assert(texts.includes(kept[0]!.public_key));
    }),
);
