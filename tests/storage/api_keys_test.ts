import assert from "node:assert/strict";
import { hashToken } from "../../server/access/identify.ts";
import { newId } from "../../server/ids.ts";
import * as apiKeys from "../../server/storage/api_keys.ts";
import { isUniqueViolation } from "../../server/storage/dialect.ts";
import * as members from "../../server/storage/members.ts";
import { addKey, addMember, addOrganization, addUser, withMigrated } from "../support/accounts.ts";
import { onEachDatabase } from "../support/databases.ts";

onEachDatabase("a key is kept, read, changed and removed inside its organization only", async (_t, url) => {
  await withMigrated(url, async (db) => {
    const ann = await addUser(db, "Ann");
    const [one, other] = [await addOrganization(db, "One"), await addOrganization(db, "Other")];
    const key = {
      id: newId("key"),
      userId: ann.id,
      name: "Ключ 🔑",
      permissions: { self: ["*_LIST"], conn_1: ["prompt:*"] },
      metadata: { team: "blue", nested: { a: [1, null] } },
      expiresAt: 4_102_444_800_000,
      lastUsedAt: null,
      createdAt: 1_700_000_000_123,
      updatedAt: 1_700_000_000_123,
    };
    await apiKeys.insert(db, one.id, { key, keyHash: hashToken("secret") });
    assert.deepEqual(await apiKeys.find(db, one.id, key.id), {
      ...key,
      organizationId: one.id,
      ownerName: "Ann",
    });
    assert.equal(await apiKeys.find(db, one.id, `${key.id} `), null);
    assert.equal(await apiKeys.find(db, other.id, key.id), null);
    assert.deepEqual(await apiKeys.list(db, other.id), []);

    const change = {
      id: key.id,
      changes: { name: "new", permissions: { "*": ["*"] } },
      now: 1_800_000_000_000,
    };
    assert.equal(await apiKeys.update(db, other.id, change), false);
    assert.equal(await apiKeys.update(db, one.id, change), true);
    assert.deepEqual(await apiKeys.find(db, one.id, key.id), {
      ...key,
      organizationId: one.id,
      ownerName: "Ann",
      name: "new",
      permissions: { "*": ["*"] },
      updatedAt: 1_800_000_000_000,
    });
    await apiKeys.update(db, one.id, { id: key.id, changes: { permissions: null, metadata: null }, now: 1 });
    const emptied = await apiKeys.find(db, one.id, key.id);
    assert.equal(emptied?.permissions, null);
    assert.equal(emptied?.metadata, null);
    assert.equal(emptied?.name, "new");

    assert.equal(await apiKeys.remove(db, other.id, key.id), false);
    assert.equal(await apiKeys.remove(db, one.id, key.id), true);
    assert.equal(await apiKeys.remove(db, one.id, key.id), false);
  });
});

onEachDatabase("two keys never have the same hash", async (_t, url) => {
  await withMigrated(url, async (db) => {
    const ann = await addUser(db, "Ann");
    const one = await addOrganization(db, "One");
    const { id, secret } = await addKey(db, one.id, { userId: ann.id });
    const key = await apiKeys.find(db, one.id, id);
    assert.ok(key);
    const again = { key: { ...key, id: newId("key") }, keyHash: hashToken(secret) };
    await assert.rejects(apiKeys.insert(db, one.id, again), isUniqueViolation);
  });
});

onEachDatabase("keys are listed by organization and by member, newest first", async (_t, url) => {
  await withMigrated(url, async (db) => {
    const [ann, bob] = [await addUser(db, "Ann"), await addUser(db, "Bob")];
    const one = await addOrganization(db, "One");
    const first = await addKey(db, one.id, { userId: ann.id });
    const second = await addKey(db, one.id, { userId: bob.id });
    const third = await addKey(db, one.id, { userId: ann.id });
    const ids = (rows: apiKeys.ApiKeyRow[]) => rows.map((row) => row.id);
    assert.deepEqual(ids(await apiKeys.list(db, one.id)), [third.id, second.id, first.id]);
    assert.deepEqual(ids(await apiKeys.list(db, one.id, ann.id)), [third.id, first.id]);
    assert.deepEqual(await apiKeys.list(db, one.id, `${ann.id}x`), []);
  });
});

onEachDatabase(
  "a key is identified with its owner's roles of now, and not without a member",
  async (_t, url) => {
    await withMigrated(url, async (db) => {
      const ann = await addUser(db, "Ann");
      const one = await addOrganization(db, "One");
      const member = await addMember(db, one.id, { userId: ann.id, roles: ["user"] });
      const { id, secret } = await addKey(db, one.id, { userId: ann.id, permissions: { self: ["*"] } });
      const found = await apiKeys.identify(db, hashToken(secret));
      assert.equal(found?.key.id, id);
      assert.deepEqual(found?.user, { id: ann.id, name: "Ann", email: ann.email });
      assert.deepEqual(found?.roles, ["user"]);
      assert.deepEqual(found?.key.permissions, { self: ["*"] });
      assert.equal(await apiKeys.identify(db, hashToken(`${secret}x`)), null);

      await members.updateRoles(db, one.id, { id: member.id, roles: ["admin", "user"] });
      assert.deepEqual((await apiKeys.identify(db, hashToken(secret)))?.roles, ["admin", "user"]);
      await members.remove(db, one.id, member);
      assert.equal(await apiKeys.identify(db, hashToken(secret)), null);
      await addMember(db, one.id, { userId: ann.id, roles: ["user"] });
      assert.equal(await apiKeys.identify(db, hashToken(secret)), null, "the keys do not come back");
    });
  },
);

onEachDatabase("the last use is noted at most once in its interval", async (_t, url) => {
  await withMigrated(url, async (db) => {
    const ann = await addUser(db, "Ann");
    const one = await addOrganization(db, "One");
    const { id } = await addKey(db, one.id, { userId: ann.id });
    const noteAt = async (now: number) => {
      await apiKeys.touch(db, one.id, { id, now, every: 60_000 });
      return (await apiKeys.find(db, one.id, id))?.lastUsedAt;
    };
    assert.equal(await noteAt(1_000_000), 1_000_000);
    assert.equal(await noteAt(1_059_999), 1_000_000);
    assert.equal(await noteAt(1_060_000), 1_060_000);
  });
});
