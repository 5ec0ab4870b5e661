import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import * as auditLog from "../server/storage/audit_log.ts";
import type { Db } from "../server/storage/dialect.ts";
import * as keyRotations from "../server/storage/key_rotations.ts";
import { MasterKeys, openVault } from "../server/vault.ts";
import { encrypt, keyId, sealerOf } from "../server/vault/envelope.ts";
import {
  beginRotation,
  finishRotation,
  forgetOldKeys,
  noticeMs,
  rewrapDataKeys,
  rotationStatus,
} from "../server/vault/rotation.ts";
import { addOrganization, withMigrated } from "./support/accounts.ts";
import { onEachDatabase } from "./support/databases.ts";
import { by, opensAll, placeIn, rotate, sealed, sealersOf } from "./support/vaults.ts";

onEachDatabase(
  "while a rotation runs, processes with either key open and seal everything",
  (_t, url) =>
    withMigrated(url, async (db) => {
      const { master, vault, secrets } = await sealed(db, 5);
      const derived = vault.deriveKey("a purpose");
      const next = randomBytes(32);
      const parts = { db, keys: new MasterKeys(master), by } as const;
      const row = await beginRotation(parts, next);
      assert.ok(row && row.from === keyId(master) && row.to === keyId(next) && row.state === "running");

      // Half of the data keys are re-wrapped: what a process finds that was killed in the middle.
      await assert.rejects(
        rewrapDataKeys({ ...parts, db: failingAfter(db, 3) }, row),
        /no more/,
      );
      assert.deepEqual(await sealersOf(db), new Set([keyId(master), keyId(next)]));
      await opensAll(db, master, secrets);
      const early = await opensAll(db, next, secrets);
      assert.equal(early.masterId, keyId(next));
      assert.deepEqual(early.deriveKey("a purpose"), derived);

      // A data key that is made now is wrapped by the new key, by a process that has not heard of it yet too.
      const { id } = await addOrganization(db, "New");
      secrets.set(id, await vault.seal(placeIn(id), `secret of ${id}`));
      const made = await db.selectFrom("data_keys").select("wrapped").where("organization_id", "=", id)
        .executeTakeFirstOrThrow();
      assert.equal(sealerOf(made.wrapped), keyId(next));

      const other = await beginRotation({ db, keys: new MasterKeys(master), by }, randomBytes(32));
      assert.equal(other?.to, keyId(next), "the same command resumes what it finds");
      assert.equal(await finishRotation(parts, row), false, "not before everything is re-wrapped");
      await rewrapDataKeys(parts, row);
      assert.equal(await finishRotation(parts, row), true);
      assert.deepEqual(await sealersOf(db), new Set([keyId(next)]));
      assert.deepEqual((await opensAll(db, master, secrets)).deriveKey("a purpose"), derived);
      assert.deepEqual((await opensAll(db, next, secrets)).deriveKey("a purpose"), derived);
      const [finished] = await keyRotations.list(db);
      assert.equal(finished?.state, "finished");
      assert.equal(finished?.sealedPrevious, null, "the new key opens the old one no more");
    }),
);

/** The database until `count` transactions have been made with it. */
function failingAfter(db: Db, count: number): Db {
  let left = count;
  return new Proxy(db, {
    get(target, name) {
      if (name === "transaction" && left-- <= 0) throw new Error("no more");
      const value = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

onEachDatabase(
  "rotations follow each other, and the first key leads to the last until it is forgotten",
  (_t, url) =>
    withMigrated(url, async (db) => {
      const { master, vault, secrets } = await sealed(db, 2);
      const second = await rotate(db, master);
      const behind = new MasterKeys(master);
      assert.equal(
        await beginRotation({ db, keys: behind, by }, randomBytes(32)),
        null,
        "not with an old key",
      );
      const third = await rotate(db, second);
      for (const key of [master, second, third]) {
        assert.equal((await opensAll(db, key, secrets)).masterId, keyId(third));
      }
      await assert.rejects(
        beginRotation({ db, keys: new MasterKeys(third), by }, second),
        /Cannot rotate to the key '.+': it has been replaced before/,
      );
      assert.equal(await beginRotation({ db, keys: new MasterKeys(third), by }, third), null);

      await assert.rejects(
        forgetOldKeys({ db, keys: new MasterKeys(second), by }, { force: true }),
        /this command was given '.+', and the key is '.+' now/,
      );
      const keys = new MasterKeys(third);
      await assert.rejects(forgetOldKeys({ db, keys, by }), /time to notice the new one; try again in \d+ s/);
      const later = Date.now() + noticeMs + 1;
      assert.deepEqual(await forgetOldKeys({ db, keys, by }, { at: later }), [keyId(master), keyId(second)]);
      assert.deepEqual(await forgetOldKeys({ db, keys, by }, { at: later }), []);

      for (const row of await keyRotations.list(db)) {
        assert.deepEqual([row.state, row.sealedNext, row.sealedPrevious], ["forgotten", null, null]);
      }
      for (const key of [master, second]) {
        await assert.rejects(openVault(db, new MasterKeys(key)), (error: Error) => {
          assert.match(
            error.message,
            /was replaced and is forgotten; start it with the new one, nothing was changed$/,
          );
          assert.ok(error.message.includes(`'${keyId(third)}'`) && error.message.includes(`'${keyId(key)}'`));
          return true;
        });
      }
      await opensAll(db, third, secrets);
      await assert.rejects(
        vault.seal(placeIn("org_later"), "x"),
        /Cannot seal a secret: the master key is '.+' now, and this process was given '.+'/,
        "a process that missed it all makes nothing that nobody could open",
      );
    }),
);

onEachDatabase(
  "two rotations at once, and organizations that come meanwhile, end with one key",
  (_t, url) =>
    withMigrated(url, async (db) => {
      const { master, vault, secrets } = await sealed(db, 20);
      const vaults = [vault, await openVault(db, new MasterKeys(master))];
      const made = async () => {
        for (let i = 0; i < 10; i++) {
          const { id } = await addOrganization(db, `Later ${i}`);
          secrets.set(id, await vaults[i % 2]!.seal(placeIn(id), `secret of ${id}`));
        }
      };
      const command = async () => {
        const parts = { db, keys: new MasterKeys(master), by } as const;
        const row = await beginRotation(parts, randomBytes(32));
        assert.ok(row);
        do await rewrapDataKeys(parts, row); while (!await finishRotation(parts, row));
        return row.to;
      };
      const [first, second] = await Promise.all([command(), command(), made()]);
      assert.equal(first, second);
      assert.deepEqual(await sealersOf(db), new Set([first]));
      assert.equal((await keyRotations.list(db)).length, 1);
      await opensAll(db, master, secrets);

      const rows = await db.selectFrom("audit_log").select(["organization_id", "input"])
        .where("method", "=", "keys/rotate").execute();
      const rewrapped = rows.filter(({ input }) => input?.includes("re-wrapped")).map((row) =>
        row.organization_id
      );
      assert.equal(new Set(rewrapped).size, rewrapped.length, "each data key once");
      assert.ok([...secrets.keys()].slice(0, 20).every((id) => rewrapped.includes(id)));
    }),
);

onEachDatabase(
  "every organization sees that its data key was re-wrapped, and by whom",
  (_t, url) =>
    withMigrated(url, async (db) => {
      const { master, secrets } = await sealed(db, 2);
      const next = await rotate(db, master);
      const [from, to] = [keyId(master), keyId(next)];
      for (const id of secrets.keys()) {
        const rows = await auditLog.list(db, id, { filter: {}, limit: 10, offset: 0 });
        assert.deepEqual(
          rows.map((row) => [row.method, row.connectionId, row.outcome, row.userId, row.input]),
          [
            ["keys/rotate", "self", "ok", null, { event: "data key re-wrapped", from, to }],
          ],
        );
        assert.match(rows[0]?.userAgent ?? "", /^mesh\/\d+\.\d+\.\d+ \(command line on .+\)$/);
      }
      const rows = await auditLog.list(db, "", { filter: {}, limit: 10, offset: 0 });
      const events = rows.map(({ input }) => (input as { event: string }).event).sort();
      assert.deepEqual(
        events,
        ["begun", "data key re-wrapped", "finished"],
        "what concerns the whole instance",
      );
      const text = JSON.stringify(await db.selectFrom("audit_log").selectAll().execute());
      for (const key of [master, next]) {
        assert.ok(!text.includes(key.toBase64()) && !text.includes(key.toHex()));
      }
    }),
);

onEachDatabase(
  "a data key that does not open stops the end of a rotation, and nothing else",
  (_t, url) =>
    withMigrated(url, async (db) => {
      const { master, secrets } = await sealed(db, 3);
      const [broken = ""] = secrets.keys();
      const foreign = encrypt(randomBytes(32), randomBytes(32), `data_keys/wrapped/${broken}`);
      await db.updateTable("data_keys").set({ wrapped: foreign }).where("organization_id", "=", broken)
        .execute();
      secrets.delete(broken);
      const parts = { db, keys: new MasterKeys(master), by } as const;
      const row = await beginRotation(parts, randomBytes(32));
      assert.ok(row);
      await assert.rejects(rewrapDataKeys(parts, row), (error: Error) => {
        assert.match(
          error.message,
          /Cannot finish the rotation: the data keys of 1 organizations do not open/,
        );
        assert.ok(error.message.includes(broken));
        return true;
      });
      assert.equal(await finishRotation(parts, row), false);
      assert.deepEqual(
        await rotationStatus(db).then(({ key, dataKeys, wrapped }) => ({ key, dataKeys, wrapped })),
        {
          key: keyId(master),
          dataKeys: 4,
          wrapped: 3,
        },
      );
      await opensAll(db, master, secrets);
    }),
);
