import assert from "node:assert/strict";
import { AppError } from "../../server/errors.ts";
import { networkOf } from "../../server/access/network.ts";
import { type Attempt, succeed, take } from "../../server/login/throttle.ts";
import type { Db } from "../../server/storage/dialect.ts";
import { withMigrated } from "../support/accounts.ts";
import { onEachDatabase, withDatabase } from "../support/databases.ts";
import { withServerElsewhere } from "../support/elsewhere.ts";
import { withServices } from "../support/services.ts";

async function secondsOf(db: Db, attempt: Attempt): Promise<number> {
  try {
    await take(db, attempt);
    return 0;
  } catch (error) {
    assert.ok(error instanceof AppError && error.code === "rate_limited", String(error));
    return error.retryAfterSeconds ?? NaN;
  }
}

/** Moves the counters into the past, as waiting would. */
async function wait(db: Db, seconds: number): Promise<void> {
  await db.updateTable("throttles").set((eb) => ({
    blocked_until: eb("blocked_until", "-", seconds * 1000),
    updated_at: eb("updated_at", "-", seconds * 1000),
  })).execute();
}

function onSqlite(name: string, fn: (db: Db) => Promise<void>): void {
  Deno.test(name, () => withDatabase("sqlite", (url) => withMigrated(url, fn)));
}

const attempt = { purpose: "sign-in", email: "ann@example.com", clientAddress: "192.0.2.1" };

onSqlite("failures for an address are slowed twice as long each time, up to five minutes", async (db) => {
  for (let i = 0; i < 5; i++) assert.equal(await secondsOf(db, attempt), 0);
  const waits: number[] = [];
  for (let i = 0; i < 11; i++) {
    assert.equal(await secondsOf(db, { ...attempt, clientAddress: `198.51.100.${i}` }), 0);
    const seconds = await secondsOf(db, attempt);
    waits.push(seconds);
    await wait(db, seconds);
  }
  assert.deepEqual(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
});

onSqlite("a client that tries many addresses is slowed too, and no other client", async (db) => {
  for (let i = 0; i < 21; i++) {
    assert.equal(await secondsOf(db, { ...attempt, email: `${i}@example.com` }), 0);
  }
  assert.equal(await secondsOf(db, { ...attempt, email: "next@example.com" }), 1);
  assert.equal(await secondsOf(db, { ...attempt, clientAddress: "192.0.2.2" }), 0);
  assert.equal(await secondsOf(db, { ...attempt, purpose: "sign-up" }), 0, "purposes are counted apart");
});

onSqlite("a success forgives the address, but not the client what it failed elsewhere", async (db) => {
  for (let i = 0; i < 5; i++) assert.equal(await secondsOf(db, attempt), 0);
  await succeed(db, attempt);
  for (let i = 0; i < 5; i++) assert.equal(await secondsOf(db, attempt), 0, "the address starts anew");
  for (let i = 0; i < 11; i++) {
    assert.equal(await secondsOf(db, { ...attempt, email: `${i}@example.com` }), 0);
  }
  assert.equal(await secondsOf(db, { ...attempt, email: "own@example.com" }), 0);
  await succeed(db, { ...attempt, email: "own@example.com" });
  assert.equal(await secondsOf(db, { ...attempt, email: "own@example.com" }), 0);
  assert.equal(await secondsOf(db, { ...attempt, email: "other@example.com" }), 1);
});

onSqlite("after an hour without an attempt counting starts again", async (db) => {
  for (let i = 0; i < 6; i++) assert.equal(await secondsOf(db, attempt), 0);
  assert.equal(await secondsOf(db, attempt), 1);
  await wait(db, 3601);
  for (let i = 0; i < 6; i++) assert.equal(await secondsOf(db, attempt), 0);
});

onEachDatabase("two servers count together, many attempts at once included", async (_t, url) => {
  await withServices(url, async (services) => {
    await take(services.db, attempt);
    // The next failure slows the address for minutes: longer than all these attempts take.
    await services.db.updateTable("throttles").set({ failures: 12 }).execute();
    await withServerElsewhere(services, async (ask) => {
      const there = ask({ name: "take", attempt, times: 10 });
      const here = await Promise.all(Array.from({ length: 10 }, () => secondsOf(services.db, attempt)));
      const passed = here.filter((seconds) => seconds === 0).length;
      assert.deepEqual(await there, { value: 1 - passed });
    });
  });
});

Deno.test("a client is an IPv4 address or the /64 of an IPv6 address", () => {
  const table: [address: string, network: string][] = [
    ["192.0.2.1", "192.0.2.1"],
    ["::ffff:192.0.2.1", "192.0.2.1"],
    ["192.0.2.1:5678", "192.0.2.1"],
    ["[2001:db8:1:2::6]:5678", "2001:db8:1:2::/64"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
    ["2001:DB8:1:2::6", "2001:db8:1:2::/64"],
    ["[2001:0db8:0001:0002::]", "2001:db8:1:2::/64"],
    ["2001:db8::1", "2001:db8:0:0::/64"],
    ["fe80::1%eth0", "fe80:0:0:0::/64"],
    ["::1", "0:0:0:0::/64"],
    ["unknown", "unknown"],
  ];
  for (const [address, network] of table) assert.equal(networkOf(address), network, address);
});
