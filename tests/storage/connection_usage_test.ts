import assert from "node:assert/strict";
import * as auditLog from "../../server/storage/audit_log.ts";
import * as connectionUsage from "../../server/storage/connection_usage.ts";
import * as counts from "../../server/storage/counts.ts";
import type { Db } from "../../server/storage/dialect.ts";
import * as users from "../../server/storage/users.ts";
import { addKey, addMember, addOrganization, addUser, withMigrated } from "../support/accounts.ts";
import { addConnection } from "../support/connections.ts";
import { onEachDatabase } from "../support/databases.ts";
import { row } from "./audit_log_sample.ts";

const day = 24 * 3600_000;
const everything = {
  where: undefined,
  order: "used",
  days: 7,
  onlyOfUser: undefined,
  limit: 50,
  offset: 0,
} as const;

interface Sample {
  db: Db;
  here: string;
  there: string;
  ids: Record<"rare" | "often" | "never" | "foreign", string>;
}

/** Three connections here and one elsewhere; calls by two people, some older than a week. */
async function withSample(url: string, fn: (sample: Sample) => Promise<void>): Promise<void> {
  await withMigrated(url, async (db) => {
    const here = (await addOrganization(db, "Here")).id;
    const there = (await addOrganization(db, "There")).id;
    const add = (organization: string, title: string) =>
      addConnection(db, organization, { url: `https://${title.toLowerCase()}.example/`, title });
    const ids = {
      rare: await add(here, "Rare"),
      often: await add(here, "Often"),
      never: await add(here, "A never"),
      foreign: await add(there, "Foreign"),
    };
    await db.updateTable("connections").set({ tools: "[]", tool_count: 3 }).where("id", "=", ids.often)
      .execute();
    // Noon, so that no row of the test falls into another day while it runs.
    const noon = Date.now() - Date.now() % day + (Date.now() % day > day / 2 ? day / 2 : 0);
    const call = (n: number, connection: string, changes: { agoDays?: number; ms?: number; user?: string }) =>
      row({
        id: `log_${n}`,
        organization_id: connection === ids.foreign ? there : here,
        connection_id: connection,
        timestamp: noon - (changes.agoDays ?? 0) * day,
        duration_ms: changes.ms ?? 10,
        user_id: changes.user ?? "usr_ann",
      });
    await auditLog.insertMany(db, [
      call(1, ids.often, { ms: 30 }),
      call(2, ids.often, { ms: 10, agoDays: 1 }),
      call(3, ids.often, { ms: 20, agoDays: 1, user: "usr_bob" }),
      call(4, ids.often, { ms: 99, agoDays: 8 }),
      call(5, ids.rare, { ms: 5, user: "usr_bob" }),
      call(6, ids.foreign, {}),
      row({ id: "log_7", organization_id: there, connection_id: ids.often, timestamp: noon }),
    ]);
    await fn({ db, here, there, ids });
  });
}

onEachDatabase("connections by use: figures of the days, of one's own organization", async (_t, url) => {
  await withSample(url, async ({ db, here, ids }) => {
    const { items, totalCount } = await connectionUsage.list(db, here, everything);
    assert.equal(totalCount, 3);
    assert.deepEqual(items.map(({ id, calls, medianMs, toolCount }) => [id, calls, medianMs, toolCount]), [
      [ids.often, 3, 20, 3],
      [ids.rare, 1, 5, null],
      [ids.never, 0, null, null],
    ]);
    assert.deepEqual(items[0]?.daily, [0, 0, 0, 0, 0, 2, 1]);
    assert.deepEqual(items[2]?.daily, [0, 0, 0, 0, 0, 0, 0]);
    const own = await connectionUsage.list(db, here, { ...everything, onlyOfUser: "usr_bob" });
    assert.deepEqual(own.items.map(({ id, calls, medianMs }) => [id, calls, medianMs]), [
      [ids.often, 1, 20],
      [ids.rare, 1, 5],
      [ids.never, 0, null],
    ]);
  });
});

onEachDatabase("connections by use: narrowed, ordered, in pages", async (_t, url) => {
  await withSample(url, async ({ db, here, there, ids }) => {
    const list = async (query: Partial<connectionUsage.UsageQuery>) => {
      const { items, totalCount } = await connectionUsage.list(db, here, { ...everything, ...query });
      return [items.map(({ id }) => id), totalCount];
    };
    assert.deepEqual(await list({ order: "title" }), [[ids.never, ids.often, ids.rare], 3]);
    assert.deepEqual(await list({ order: "created" }), [
      [ids.never, ids.often, ids.rare].sort().reverse(),
      3,
    ]);
    assert.deepEqual(await list({ limit: 1, offset: 1 }), [[ids.rare], 3]);
    assert.deepEqual(await list({ limit: 1, offset: 9 }), [[], 3]);
    const where = { field: ["id"], operator: "in" as const, value: [ids.rare, ids.foreign] };
    assert.deepEqual(await list({ where }), [[ids.rare], 1]);
    assert.equal((await connectionUsage.list(db, there, everything)).totalCount, 1);
  });
});

onEachDatabase("counts: of one organization, keys of one person where that is asked", async (_t, url) => {
  await withSample(url, async ({ db, here, there }) => {
    const ann = await addUser(db, "Ann");
    const bob = await addUser(db, "Bob");
    for (const { id } of [ann, bob]) await addMember(db, here, { userId: id, roles: ["user"] });
    await addMember(db, there, { userId: bob.id, roles: ["user"] });
    for (const userId of [ann.id, ann.id, bob.id]) await addKey(db, here, { userId });
    assert.deepEqual(await counts.ofOrganization(db, here, {}), {
      connections: 3,
      members: 2,
      apiKeys: 3,
      applications: 0,
    });
    const own = await counts.ofOrganization(db, here, { keysOf: ann.id });
    assert.deepEqual(own, { connections: 3, members: 2, apiKeys: 2, applications: 0 });
    assert.deepEqual(await counts.ofOrganization(db, "org_none", {}), {
      connections: 0,
      members: 0,
      apiKeys: 0,
      applications: 0,
    });
  });
});

onEachDatabase("users: a name is changed, of one person", async (_t, url) => {
  await withMigrated(url, async (db) => {
    const [ann, bob] = [await addUser(db, "Ann"), await addUser(db, "Bob")];
    await users.updateName(db, ann.id, { name: "Änn 😀", now: 5 });
    assert.deepEqual(await users.find(db, ann.id), { ...ann, name: "Änn 😀", updatedAt: 5 });
    assert.deepEqual(await users.find(db, bob.id), bob);
  });
});
