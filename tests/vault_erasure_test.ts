// What a forgotten key has sealed is not left behind in the database's files.
import assert from "node:assert/strict";
import { dirname } from "node:path";
import { sql } from "kysely";
import { openDatabase } from "../server/storage/database.ts";
import { MasterKeys } from "../server/vault.ts";
import { keyId } from "../server/vault/envelope.ts";
import { forgetOldKeys } from "../server/vault/rotation.ts";
import { withMigrated } from "./support/accounts.ts";
import { withDatabase } from "./support/databases.ts";
import { by, opensAll, rotate, sealed } from "./support/vaults.ts";

/** How many envelopes of these keys lie in each file of a folder. */
function envelopesIn(folder: string, ids: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { name } of Deno.readDirSync(folder)) {
    const text = new TextDecoder("latin1").decode(Deno.readFileSync(`${folder}/${name}`));
    counts[name] = ids.reduce((sum, id) => sum + text.split(`v1.${id}.`).length - 1, 0);
  }
  return counts;
}

const nothing = { "mesh.db": 0, "mesh.db-shm": 0, "mesh.db-wal": 0 };

Deno.test("forgetting old keys erases what they sealed from the files of the database", () =>
  withDatabase("sqlite", (url) =>
    withMigrated(url, async (db) => {
      const folder = dirname(url.slice("file:".length));
      const { master, secrets } = await sealed(db, 60); // more than a page of data keys
      let key: Uint8Array = master;
      for (let round = 1; round <= 2; round++) { // a process may forget more than once
        const old: string[] = [];
        for (let i = 0; i < 12; i++) { // more than a page of rotations
          old.push(keyId(key));
          key = await rotate(db, key);
          if (i === 6) await sql`pragma wal_checkpoint(truncate)`.execute(db);
        }
        const before = envelopesIn(folder, old);
        assert.ok((before["mesh.db"] ?? 0) > 0 && (before["mesh.db-wal"] ?? 0) > 0, "both held some");

        await forgetOldKeys({ db, keys: new MasterKeys(key), by }, { force: true });
        assert.deepEqual(envelopesIn(folder, old), nothing, `round ${round}`);
        await opensAll(db, key, secrets);
      }
    })));

Deno.test("forgetting old keys says where a reader keeps them in a file, and the next time erases them", () =>
  withDatabase("sqlite", (url) =>
    withMigrated(url, async (db) => {
      const { master, secrets } = await sealed(db, 2);
      const key = await rotate(db, master);
      const parts = { db, keys: new MasterKeys(key), by } as const;
      await sql`pragma busy_timeout = 0`.execute(db);
      const backup = await openDatabase(url, 1);
      try {
        await backup.transaction().execute(async (reading) => {
          await reading.selectFrom("data_keys").selectAll().execute();
          await assert.rejects(forgetOldKeys(parts, { force: true }), {
            code: "unavailable",
            message: /^Cannot empty the log of the database file: another process, .+; try again$/,
          });
        });
        assert.deepEqual(await forgetOldKeys(parts, { force: true }), []);
        const folder = dirname(url.slice("file:".length));
        assert.deepEqual(envelopesIn(folder, [keyId(master)]), nothing);
      } finally {
        await backup.destroy();
      }
      await opensAll(db, key, secrets);
    })));
