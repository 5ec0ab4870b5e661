import assert from "node:assert/strict";
import { sql } from "kysely";
import { type Migration, migrations } from "../../migrations/mod.ts";
import {
  appliedMigrations,
  isAlive,
  migrate,
  openDatabase,
  refuseNewer,
} from "../../server/storage/database.ts";
import { type Db, insertIfAbsent, isUniqueViolation, kindOf, upsert } from "../../server/storage/dialect.ts";
import { onEachDatabase } from "../support/databases.ts";

async function withDbs(url: string, count: number, fn: (dbs: Db[]) => Promise<void>): Promise<void> {
  const dbs = await Promise.all(Array.from({ length: count }, () => openDatabase(url, 3)));
  try {
    await fn(dbs);
  } finally {
    await Promise.all(dbs.map((db) => db.destroy()));
  }
}

onEachDatabase(
  "a new database is brought to the newest version once",
  (_t, url, kind) =>
    withDbs(url, 1, async ([db]) => {
      assert.ok(db);
      assert.equal(kindOf(db), kind);
      assert.deepEqual(await migrate(db), migrations.map(({ name }) => name));
      assert.deepEqual(await migrate(db), []);
      assert.deepEqual(await appliedMigrations(db), migrations.map(({ name }) => name));
      assert.equal(await isAlive(db), true);
    }),
);

onEachDatabase("of several processes that start at once one migrates and the others wait", (_t, url, kind) =>
  // One process holds one SQLite file lock for all its connections' threads, so the race of processes is held by the
  // start of two executables in tests/cli; here the servers' locks are raced.
  withDbs(url, kind === "sqlite" ? 1 : 4, async (dbs) => {
    const applied = await Promise.all(dbs.map((db) => migrate(db)));
    assert.equal(applied.flat().length, migrations.length);
  }));

onEachDatabase(
  "a database of a newer executable is refused with both versions",
  (_t, url) =>
    withDbs(url, 1, async ([db]) => {
      assert.ok(db);
      const newer: Migration = { name: "9999_later", up: () => Promise.resolve() };
      await migrate(db, [...migrations, newer]);
      const refusal = new RegExp(`'9999_later'.*'${migrations.at(-1)?.name}'`);
      await assert.rejects(refuseNewer(db), refusal);
      await assert.rejects(migrate(db), refusal);
    }),
);

onEachDatabase(
  "a failed step leaves the lock free and is tried again",
  (_t, url) =>
    withDbs(url, 1, async ([db]) => {
      assert.ok(db);
      let fails = true;
      const step: Migration = {
        name: "0000_first",
        up: () => fails ? Promise.reject(new Error("no")) : Promise.resolve(),
      };
      await assert.rejects(migrate(db, [step]), /no/);
      fails = false;
      assert.deepEqual(await migrate(db, [step]), ["0000_first"]);
    }),
);

onEachDatabase("values come back as they went in", (_t, url) =>
  withDbs(url, 1, async ([db]) => {
    assert.ok(db);
    await migrate(db);
    const value = `"quotes' \\ backslash \n newline 𝄞 ${"x".repeat(100_000)}`;
    await db.insertInto("instance").values({ name: "a", value }).execute();
    const time = 1_795_365_601_199;
    await db.insertInto("throttles").values({ id: "t", failures: 1, blocked_until: time, updated_at: time })
      .execute();
    assert.equal((await db.selectFrom("instance").select("value").executeTakeFirst())?.value, value);
    const throttle = await db.selectFrom("throttles").selectAll().executeTakeFirst();
    assert.deepEqual({ ...throttle }, { id: "t", failures: 1, blocked_until: time, updated_at: time });
    const { rows } = await sql<{ sum: number }>`select sum(blocked_until) as sum from throttles`.execute(db);
    assert.equal(rows[0]?.sum, time);
  }));

onEachDatabase("keys tell letters of different case apart", (_t, url) =>
  withDbs(url, 1, async ([db]) => {
    assert.ok(db);
    await migrate(db);
    await db.insertInto("instance").values([{ name: "a", value: "1" }, { name: "A", value: "2" }]).execute();
    assert.equal((await db.selectFrom("instance").selectAll().where("name", "=", "A").execute()).length, 1);
    await assert.rejects(
      db.insertInto("instance").values({ name: "a", value: "3" }).execute(),
      (error) => isUniqueViolation(error),
    );
  }));

onEachDatabase(
  "insertIfAbsent keeps the first row, upsert the last",
  (_t, url) =>
    withDbs(url, 1, async ([db]) => {
      assert.ok(db);
      await migrate(db);
      const value = async () =>
        (await db.selectFrom("instance").select("value").where("name", "=", "a").executeTakeFirst())?.value;
      await insertIfAbsent(db, "instance", [{ name: "a", value: "1" }]);
      await insertIfAbsent(db, "instance", [{ name: "a", value: "2" }, { name: "b", value: "2" }]);
      assert.equal(await value(), "1");
      await upsert(db, "instance", { row: { name: "a", value: "3" }, keys: ["name"] });
      assert.equal(await value(), "3");
      assert.equal((await db.selectFrom("instance").selectAll().execute()).length, 2);
    }),
);

onEachDatabase("a transaction that throws leaves nothing", (_t, url) =>
  withDbs(url, 1, async ([db]) => {
    assert.ok(db);
    await migrate(db);
    await assert.rejects(
      db.transaction().execute(async (trx) => {
        await trx.insertInto("instance").values({ name: "a", value: "1" }).execute();
        throw new Error("undo");
      }),
      /undo/,
    );
    assert.deepEqual(await db.selectFrom("instance").selectAll().execute(), []);
  }));
