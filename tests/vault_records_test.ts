import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import * as keyRotations from "../server/storage/key_rotations.ts";
import { MasterKeys, openVault } from "../server/vault.ts";
import { encrypt, keyId } from "../server/vault/envelope.ts";
import { noticeMs, reasonToRemember, useMs } from "../server/vault/rotation.ts";
import { addOrganization, withMigrated } from "./support/accounts.ts";
import { onEachDatabase } from "./support/databases.ts";
import { opensAll, placeIn, rotate, sealed, sealersOf } from "./support/vaults.ts";

onEachDatabase("a record of a rotation that was tampered with leads nowhere", async (t, url) => {
  await withMigrated(url, async (db) => {
    const { master, secrets } = await sealed(db, 2);
    const second = await rotate(db, master);
    const third = await rotate(db, second);
    const [one, two] = await keyRotations.list(db);
    assert.ok(one?.sealedNext && two?.sealedNext);
    const thief = randomBytes(32);
    const flipped = `${one.sealedNext.slice(0, -5)}${one.sealedNext.at(-5) === "A" ? "B" : "A"}${
      one.sealedNext.slice(-4)
    }`;
    const place = `key_rotations/next/${one.from}/${keyId(thief)}`;
    const cases: Record<string, Partial<Record<"sealed_next" | "to_id", string>>> = {
      "a byte flipped": { sealed_next: flipped },
      "the envelope of another rotation": { sealed_next: two.sealedNext },
      "no envelope": { sealed_next: "" },
      "another name of the new key": { to_id: keyId(thief) },
      "a thief's key, wrapped by the thief's": {
        to_id: keyId(thief),
        sealed_next: encrypt(thief, thief, place),
      },
      "the right key under another name": {
        to_id: keyId(thief),
        sealed_next: encrypt(master, second, place),
      },
    };
    for (const [name, change] of Object.entries(cases)) {
      await t.step(name, async () => {
        await db.updateTable("key_rotations").set(change).where("from_id", "=", one.from).execute();
        const before = await db.selectFrom("data_keys").selectAll().orderBy("organization_id").execute();
        await assert.rejects(
          openVault(db, new MasterKeys(master)),
          /Cannot follow the rotation of the master key from '.+' to '.+'/,
        );
        await opensAll(db, third, secrets);
        assert.deepEqual(
          await db.selectFrom("data_keys").selectAll().orderBy("organization_id").execute(),
          before,
        );
        await db.updateTable("key_rotations").set({ to_id: one.to, sealed_next: one.sealedNext })
          .where("from_id", "=", one.from).execute();
      });
    }
    await t.step("an old key that somebody found makes no successor", async () => {
      const forged = encrypt(master, thief, place);
      await db.updateTable("key_rotations").set({ to_id: keyId(thief), sealed_next: forged })
        .where("from_id", "=", one.from).execute();
      const vault = await opensAll(db, third, secrets);
      const { id } = await addOrganization(db, "Later");
      await vault.seal(placeIn(id), "x");
      assert.deepEqual(await sealersOf(db), new Set([keyId(third)]));
      await assert.rejects(openVault(db, new MasterKeys(master)), /Cannot open the vault/);
      await db.updateTable("key_rotations").set({ to_id: one.to, sealed_next: one.sealedNext })
        .where("from_id", "=", one.from).execute();
    });
    await opensAll(db, master, secrets);
  });
});

Deno.test("an old key is kept while a process may need it", () => {
  const at = 10_000_000;
  const row: keyRotations.KeyRotation = {
    from: "a",
    to: "b",
    state: "finished",
    sealedNext: "x",
    sealedPrevious: null,
    startedAt: 1,
    finishedAt: at - noticeMs,
    forgottenAt: null,
    oldKeyUsedAt: null,
    oldKeyUsedBy: null,
  };
  const seen = { oldKeyUsedBy: "web-2" };
  const cases: [Partial<keyRotations.KeyRotation>, RegExp | null][] = [
    [{}, null],
    [{ state: "running" }, /'a' still runs/],
    [{ finishedAt: at - noticeMs + 1 }, /try again in 1 s/],
    [{ ...seen, oldKeyUsedAt: at - useMs }, null],
    [{ ...seen, oldKeyUsedAt: at - 12_000 }, /^12 s ago a process on 'web-2' was still given 'a'/],
    [{ ...seen, oldKeyUsedAt: at, state: "forgotten" }, null],
  ];
  for (const [change, reason] of cases) {
    const found = reasonToRemember([{ ...row, ...change }], at);
    if (reason === null) assert.equal(found, null);
    else assert.match(found ?? "", reason);
  }
  assert.equal(reasonToRemember([], at), null);
});
