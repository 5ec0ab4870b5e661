import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { parseKey } from "../server/config.ts";
import { Log } from "../server/log.ts";
import type { Db } from "../server/storage/dialect.ts";
import * as keyRotations from "../server/storage/key_rotations.ts";
import { findMasterKeys, MasterKeys, openVault, type Vault } from "../server/vault.ts";
import { keyId } from "../server/vault/envelope.ts";
import { oldKeyPath, updateKeyFile } from "../server/vault/key_file.ts";
import { forgetOldKeys } from "../server/vault/rotation.ts";
import { withMigrated } from "./support/accounts.ts";
import { onEachDatabase, withDatabase } from "./support/databases.ts";
import { by, opensAll, rotate, sealed } from "./support/vaults.ts";
import { until } from "./support/until.ts";

async function inFolder(fn: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "mesh-keys-" });
  try {
    await fn(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** A folder with a key file. */
function inFolderWith(key: Uint8Array, fn: (path: string, dir: string) => Promise<void>): Promise<void> {
  return inFolder(async (dir) => {
    const path = `${dir}/encryption.key`;
    await Deno.writeTextFile(path, `${key.toBase64()}\n`, { mode: 0o600 });
    await fn(path, dir);
  });
}

async function keyIn(path: string): Promise<string> {
  return keyId(parseKey((await Deno.readTextFile(path)).trim()));
}

/** A vault that follows rotations, as a server's does. */
async function watching(db: Db, keys: MasterKeys, fn: (vault: Vault) => Promise<void>): Promise<void> {
  const vault = await openVault(db, keys);
  vault.watch(new Log("silent"));
  try {
    await fn(vault);
  } finally {
    await vault.close();
  }
}

Deno.test("a key file is replaced whole, stays its owner's alone, and the old key is kept beside it", () => {
  const [old, next] = [randomBytes(32), randomBytes(32)];
  return inFolderWith(old, async (path, dir) => {
    const root = Deno.uid() === 0;
    if (root) await Deno.chown(path, 12_345, 12_346);
    const keys = new MasterKeys(old, { kind: "file", path });
    const rotation = await handedOver(old, next);
    keys.follow([rotation]);
    updateKeyFile(keys, keyId(next));
    updateKeyFile(keys, keyId(next));
    assert.equal(keys.given, keyId(next));
    assert.equal(await keyIn(path), keyId(next));
    assert.equal(await keyIn(oldKeyPath(path, keyId(old))), keyId(old));
    for (const { name } of Deno.readDirSync(dir)) {
      const { mode, uid, gid } = await Deno.stat(`${dir}/${name}`);
      assert.equal((mode ?? 0) & 0o777, 0o600, name);
      if (root) assert.deepEqual([uid, gid], [12_345, 12_346], name);
    }
    assert.equal([...Deno.readDirSync(dir)].length, 2, "nothing else is left");
  });
});

Deno.test("a key file that holds something else is left alone", () => {
  const [old, next, other] = [randomBytes(32), randomBytes(32), randomBytes(32)];
  return inFolderWith(other, async (path, dir) => {
    const keys = new MasterKeys(old, { kind: "file", path });
    keys.follow([await handedOver(old, next)]);
    assert.throws(
      () => updateKeyFile(keys, keyId(next)),
      /Cannot replace the key file '.+': it holds the key '.+'/,
    );
    assert.equal(await keyIn(path), keyId(other));
    assert.equal([...Deno.readDirSync(dir)].length, 1);
    await Deno.remove(path);
    assert.throws(() => updateKeyFile(keys, keyId(next)), /Cannot replace the key file/);
    assert.equal([...Deno.readDirSync(dir)].length, 0);
  });
});

/** The record of a rotation, made by a real one. */
async function handedOver(from: Uint8Array, to: Uint8Array): Promise<keyRotations.KeyRotation> {
  let row: keyRotations.KeyRotation | undefined;
  await withDatabase("sqlite", (url) =>
    withMigrated(url, async (db) => {
      await openVault(db, new MasterKeys(from));
      await rotate(db, from, to);
      row = (await keyRotations.list(db))[0];
    }));
  assert.ok(row);
  return row;
}

onEachDatabase(
  "a process with a key file of its own brings it up to date, while it runs and when it starts later",
  (_t, url) =>
    withMigrated(url, async (db) => {
      const { master, secrets } = await sealed(db, 2);
      await inFolderWith(master, (running, runningDir) =>
        inFolderWith(master, async (down, downDir) => {
          let next: Uint8Array = master;
          await watching(db, await findMasterKeys(db, null, runningDir), async () => {
            next = await rotate(db, await rotate(db, master));
            await until(async () => await keyIn(running) === keyId(next), "the key file was replaced");
          });
          const keys = await findMasterKeys(db, null, downDir);
          assert.equal(keys.given, keyId(master));
          await watching(db, keys, async () => {
            await until(async () => await keyIn(down) === keyId(next), "the key file was replaced");
          });
          const [first] = await keyRotations.list(db);
          assert.equal(first?.oldKeyUsedAt, null, "nobody needs the old key");
          assert.equal(await keyIn(oldKeyPath(down, keyId(master))), keyId(master));
          await opensAll(db, parseKey((await Deno.readTextFile(down)).trim()), secrets);
        }));
    }),
);

onEachDatabase(
  "a process that is given an old key by its setting says so, and nobody forgets that key meanwhile",
  (_t, url) =>
    withMigrated(url, async (db) => {
      const { master, secrets } = await sealed(db, 1);
      const next = await rotate(db, master);
      const finished = async (at: number) =>
        await db.updateTable("key_rotations").set({ finished_at: at }).execute();
      await finished(Date.now() - 3600_000);
      const keys = new MasterKeys(next);
      await watching(db, new MasterKeys(master), async () => {
        const noted = async () => (await keyRotations.list(db))[0]?.oldKeyUsedBy === Deno.hostname();
        await until(noted);
        await assert.rejects(
          forgetOldKeys({ db, keys, by }),
          /Cannot forget the old key: \d+ s ago a process on '.+' was still given '.+'; give it the new one/,
        );
      });
      assert.deepEqual(await forgetOldKeys({ db, keys, by }, { force: true }), [keyId(master)]);
      await assert.rejects(opensAll(db, master, secrets), /is forgotten/);
      await opensAll(db, next, secrets);
    }),
);

onEachDatabase(
  "an old key that nobody was given for a week is forgotten by itself",
  (_t, url) =>
    withMigrated(url, async (db) => {
      const { master, secrets } = await sealed(db, 1);
      const next = await rotate(db, master);
      const week = 7 * 24 * 3600_000;
      const once = () => watching(db, new MasterKeys(next), () => Promise.resolve());
      const stateAfter = async (used: number) => {
        const ages = { finished_at: Date.now() - 2 * week, old_key_used_at: Date.now() - used };
        await db.updateTable("key_rotations").set({ ...ages, old_key_used_by: "web-2" }).execute();
        await once();
        return (await keyRotations.list(db))[0]?.state;
      };
      assert.equal(await stateAfter(week - 60_000), "finished");
      assert.equal(await stateAfter(week), "forgotten");
      await opensAll(db, next, secrets);
      const [row] = await db.selectFrom("audit_log").select("user_agent").where(
        "input",
        "like",
        "%forgotten%",
      )
        .execute();
      assert.match(row?.user_agent ?? "", /\(server on .+\)$/);
    }),
);

onEachDatabase(
  "a backup from before a rotation is told where its key is kept",
  (_t, url) =>
    withMigrated(url, async (db) => {
      const { master } = await sealed(db, 1);
      await inFolderWith(randomBytes(32), async (path, dir) => {
        await assert.rejects(
          findMasterKeys(db, null, dir),
          /start it with the first one, nothing was changed/,
        );
        await Deno.writeTextFile(oldKeyPath(path, keyId(master)), master.toBase64());
        await assert.rejects(
          findMasterKeys(db, null, dir),
          /the first one is kept in '.+\.old', put it back, nothing was changed/,
        );
      });
    }),
);
