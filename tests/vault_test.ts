import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { hkdfSync, randomBytes } from "node:crypto";
import { migrate, openDatabase } from "../server/storage/database.ts";
import type { Db } from "../server/storage/dialect.ts";
import * as instance from "../server/storage/instance.ts";
import * as organizations from "../server/storage/organizations.ts";
import { findMasterKeys, MasterKeys, openVault, type Place, Vault } from "../server/vault.ts";
import { checkValue } from "../server/vault/envelope.ts";
import { onEachDatabase } from "./support/databases.ts";

const place: Place = {
  organizationId: "org_1",
  table: "connections",
  column: "sealed_token",
  rowId: "conn_1",
};

async function withDb(url: string, fn: (db: Db) => Promise<void>): Promise<void> {
  const db = await openDatabase(url, 4);
  try {
    await migrate(db);
    await fn(db);
  } finally {
    await db.destroy();
  }
}

onEachDatabase(
  "the vault opens what it sealed, here and in another process",
  (_t, url) =>
    withDb(url, async (db) => {
      const master = randomBytes(32);
      const envelope = await new Vault(db, master).seal(place, "marked ✓ value");
      assert.ok(!envelope.includes("marked"));
      assert.equal(await new Vault(db, master).open(place, envelope), "marked ✓ value");
    }),
);

onEachDatabase(
  "two processes that seal first at the same time use one data key",
  (_t, url) =>
    withDb(url, async (db) => {
      const master = randomBytes(32);
      const vaults = [new Vault(db, master), new Vault(db, master), new Vault(db, master)];
      const envelopes = await Promise.all(vaults.map((vault, i) => vault.seal(place, `value ${i}`)));
      const reader = new Vault(db, master);
      for (const [i, envelope] of envelopes.entries()) {
        assert.equal(await reader.open(place, envelope), `value ${i}`);
      }
    }),
);

onEachDatabase(
  "the vault refuses what was altered, moved or sealed by another key",
  (t, url) =>
    withDb(url, async (db) => {
      const vault = new Vault(db, randomBytes(32));
      const envelope = await vault.seal(place, "value");
      const [version, id, body = ""] = envelope.split(".");
      const sealed = Uint8Array.fromBase64(body, { alphabet: "base64url" });
      const again = (bytes: Uint8Array) =>
        `${version}.${id}.${bytes.toBase64({ alphabet: "base64url", omitPadding: true })}`;
      const flipped = (at: number) => sealed.map((byte, i) => i === at ? byte ^ 1 : byte);
      const cases: Record<string, { envelope: string; place?: Partial<Place> }> = {
        "first byte of the IV flipped": { envelope: again(flipped(0)) },
        "a byte of the ciphertext flipped": { envelope: again(flipped(12)) },
        "last byte of the tag flipped": { envelope: again(flipped(sealed.length - 1)) },
        "last byte cut": { envelope: again(sealed.slice(0, -1)) },
        "cut to the tag": { envelope: again(sealed.slice(0, 28)) },
        "empty": { envelope: "" },
        "another version": { envelope: envelope.replace("v1.", "v2.") },
        "more behind it": { envelope: `${envelope}.x` },
        "moved to another row": { envelope, place: { rowId: "conn_2" } },
        "moved to another column": { envelope, place: { column: "sealed_headers" } },
        "moved to another table": { envelope, place: { table: "users" } },
        "moved to another organization": { envelope, place: { organizationId: "org_2" } },
      };
      for (const [name, change] of Object.entries(cases)) {
        await t.step(
          name,
          () => assert.rejects(vault.open({ ...place, ...change.place }, change.envelope), /Cannot open/),
        );
      }
      await t.step(
        "another master key",
        () => assert.rejects(new Vault(db, randomBytes(32)).open(place, envelope)),
      );
    }),
);

onEachDatabase(
  "the instance has a data key of its own, which no organization opens and which outlives them",
  (_t, url) =>
    withDb(url, async (db) => {
      const master = randomBytes(32);
      const vault = new Vault(db, master);
      const ours: Place = { organizationId: "", table: "signing_keys", column: "sealed", rowId: "r" };
      const envelope = await vault.seal(ours, "value");
      const theirs = await vault.seal(place, "value");
      await assert.rejects(vault.open({ ...ours, organizationId: "org_1" }, envelope), /Cannot open/);
      await db.transaction().execute((transaction) => organizations.remove(transaction, "org_1"));
      const later = new Vault(db, master);
      assert.equal(await later.open(ours, envelope), "value");
      await assert.rejects(later.open(place, theirs), /Cannot open/);
    }),
);

onEachDatabase("a process with another key is refused, and nothing is changed", async (t, url) => {
  const db = await openDatabase(url, 4);
  const dir = await Deno.makeTempDir();
  try {
    const first = await findMasterKeys(db, null, dir);
    await migrate(db);
    const vault = await openVault(db, first);
    const before = await everything(db);
    await t.step("the made key is the owner's alone", async () => {
      assert.equal((await Deno.stat(`${dir}/encryption.key`)).mode! & 0o777, 0o600);
    });
    await t.step("the same key is found again, and derives the same keys", async () => {
      const again = await openVault(db, await findMasterKeys(db, null, dir));
      assert.equal(again.masterId, vault.masterId);
      assert.deepEqual(again.deriveKey("a purpose"), vault.deriveKey("a purpose"));
      assert.notDeepEqual(again.deriveKey("another"), vault.deriveKey("a purpose"));
    });
    await t.step("another key", async () => {
      await assert.rejects(
        findMasterKeys(db, randomBytes(32), dir),
        /sealed with the key '.+'.*nothing was changed/,
      );
    });
    await t.step("another key that comes in between", async () => {
      await assert.rejects(openVault(db, new MasterKeys(randomBytes(32))), /sealed with the key/);
    });
    await t.step("a lost key is not replaced by a new one", async () => {
      const empty = await Deno.makeTempDir();
      await assert.rejects(findMasterKeys(db, null, empty), /restore that key, nothing was changed/);
      assert.deepEqual([...Deno.readDirSync(empty)], []);
      await Deno.remove(empty);
    });
    await t.step("a damaged key file", async () => {
      const other = await Deno.makeTempDir();
      await Deno.writeTextFile(`${other}/encryption.key`, "half a ke");
      await assert.rejects(findMasterKeys(db, null, other), /Cannot use the key file/);
      await Deno.remove(other, { recursive: true });
    });
    assert.deepEqual(await everything(db), before);
  } finally {
    await db.destroy();
    await Deno.remove(dir, { recursive: true });
  }
});

async function everything(db: Db) {
  return {
    instance: await db.selectFrom("instance").selectAll().orderBy("name").execute(),
    dataKeys: await db.selectFrom("data_keys").selectAll().orderBy("organization_id").execute(),
    rotations: await db.selectFrom("key_rotations").selectAll().orderBy("from_id").execute(),
  };
}

onEachDatabase(
  "a database from before rotations keeps its derived keys",
  (_t, url) =>
    withDb(url, async (db) => {
      const master = randomBytes(32);
      await instance.settle(db, "master_key_check", checkValue(master));
      const vault = await openVault(db, new MasterKeys(master));
      // What such a version derived. RFC 5869
      const wanted = new Uint8Array(hkdfSync("sha256", master, "mesh", "mcp session ids", 32));
      assert.deepEqual(vault.deriveKey("mcp session ids"), wanted);
      const other = await openVault(db, new MasterKeys(master));
      assert.deepEqual(other.deriveKey("mcp session ids"), wanted);
    }),
);

onEachDatabase(
  "two processes that open a new database at once derive the same keys",
  (_t, url) =>
    withDb(url, async (db) => {
      const master = randomBytes(32);
      const vaults = await Promise.all([1, 2, 3].map(() => openVault(db, new MasterKeys(master))));
      const derived = vaults.map((vault) => vault.deriveKey("a purpose").toHex());
      assert.equal(new Set(derived).size, 1);
      const fromMaster = Buffer.from(hkdfSync("sha256", master, "mesh", "a purpose", 32)).toString("hex");
      assert.notEqual(
        derived[0],
        fromMaster,
        "whoever finds the master key of a new database derives nothing",
      );
    }),
);
