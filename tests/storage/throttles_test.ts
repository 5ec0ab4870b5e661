import assert from "node:assert/strict";
import * as throttles from "../../server/storage/throttles.ts";
import { withMigrated } from "../support/accounts.ts";
import { onEachDatabase } from "../support/databases.ts";

/** Blocks for ten seconds from the third attempt on. */
function thirdBlocks(now: number): throttles.Counted["next"] {
  return (row) => ({
    failures: row.failures + 1,
    blockedUntil: row.failures + 1 >= 3 ? now + 10_000 : 0,
    updatedAt: now,
  });
}

onEachDatabase("attempts are counted, blocked, given back and forgotten", async (_t, url) => {
  await withMigrated(url, async (db) => {
    const take = (now: number, ...ids: string[]) =>
      throttles.take(db, ids.map((id) => ({ id, next: thirdBlocks(now) })), now);
    assert.equal(await take(1000, "a", "client"), 0);
    assert.equal(await take(1001, "b", "client"), 0);
    assert.equal(await take(1002, "b", "client"), 0);
    assert.equal(await take(1003, "c", "client"), 11_002, "the client is blocked for every address");
    assert.equal(await take(1003, "b"), 0);
    assert.equal(await take(1004, "b"), 11_003, "a refused attempt did not count for b before");
    assert.equal(await take(11_002, "c", "client"), 0, "a block ends");

    await throttles.giveBack(db, "client");
    assert.equal(await take(11_003, "client"), 0);
    assert.equal(await take(11_004, "client"), 21_003, "its count has not gone to zero");
    await throttles.clear(db, "client");
    assert.equal(await take(11_005, "client"), 0);
    assert.equal(await take(11_006, "client"), 0);

    await throttles.removeOld(db, 11_000);
    assert.equal(await take(11_002, "b"), 11_003, "a block that goes on is kept");
    await throttles.removeOld(db, 11_004);
    assert.equal(await take(11_002, "b"), 0);
  });
});

onEachDatabase("of many attempts at once no more pass than the rule lets through", async (_t, url) => {
  await withMigrated(url, async (db) => {
    const now = Date.now();
    const attempts = Array.from({ length: 30 }, (_, i) => {
      const ids = i % 2 === 0 ? ["one", "client"] : ["client", "one"];
      return throttles.take(db, ids.map((id) => ({ id, next: thirdBlocks(now) })), now);
    });
    const answers = await Promise.all(attempts);
    assert.equal(answers.filter((blockedUntil) => blockedUntil === 0).length, 3);
  });
});
