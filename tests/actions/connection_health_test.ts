// What a test and the checks in the background leave with a connection, and who reads it.
import assert from "node:assert/strict";
import { testConnection } from "../../server/actions/connection_use.ts";
import {
  deleteConnection,
  getConnection,
  listConnections,
  updateConnection,
} from "../../server/actions/connections.ts";
import { setCredential } from "../../server/actions/credentials.ts";
import * as connectionHealth from "../../server/storage/connection_health.ts";
import type { Db } from "../../server/storage/dialect.ts";
import { onEachDatabase } from "../support/databases.ts";
import { onServices, withServices } from "../support/services.ts";
import { behaviours, closedPort, startFixture, startHostile } from "../support/upstreams.ts";
import { speaking } from "../upstream/diagnosis_support.ts";
import { connect, refused, run, someone } from "./connection_support.ts";

/** The same database, noting the tables that are read. */
function watched(db: Db, tables: string[]): Db {
  return db.withPlugin({
    transformQuery: ({ node }) => {
      if (node.kind === "SelectQueryNode") tables.push(JSON.stringify(node.from));
      return node;
    },
    transformResult: ({ result }) => Promise.resolve(result),
  });
}

onEachDatabase(
  "health: what a test found is read with the connection, alone and in lists",
  async (_t, url) => {
    await using upstream = startHostile(behaviours.good);
    await withServices(url, async (services) => {
      const ann = await someone(services);
      const { id, health } = await connect(services, ann, { title: "Linear", connection_url: upstream.url });
      assert.equal(health, null);
      const other = await connect(services, ann, { connection_url: closedPort() });
      await run(services, ann, [testConnection, { id }]);
      const { item: well } = await run(services, ann, [getConnection, { id }]);
      const none = { stage: null, code: null, message: null, advice: null };
      const at = well?.health?.checked_at ?? "";
      assert.ok(Math.abs(Date.parse(at) - Date.now()) < 60_000);
      assert.deepEqual(well?.health, { checked_at: at, ok_at: at, ...none });

      upstream.behave(behaviours.serverError);
      const { message, advice } = await run(services, ann, [testConnection, { id }]);
      await run(services, ann, [testConnection, { id: other.id }]);
      const tables: string[] = [];
      const { items } = await run({ ...services, db: watched(services.db, tables) }, ann, [
        listConnections,
        {},
      ]);
      const [last, first] = items;
      assert.deepEqual([first?.id, first?.health?.ok_at], [id, at]);
      assert.deepEqual(first?.health, {
        checked_at: first?.health?.checked_at,
        ok_at: at,
        stage: "http",
        code: "http_500",
        message,
        advice,
      });
      assert.deepEqual([last?.health?.code, last?.health?.ok_at], ["tcp", null]);
      assert.equal(
        tables.filter((from) => from.includes("connection_health")).length,
        1,
        "one query for all",
      );

      const eve = await someone(services);
      assert.equal((await run(services, eve, [getConnection, { id }])).item, null);
      await run(services, ann, [deleteConnection, { id }]);
      assert.equal((await connectionHealth.list(services.db, ann.organizationId, [id])).size, 0);
    });
  },
);

onServices(
  "health: a test goes on with the schedule, a change brings the next check forward",
  async (services) => {
    await using upstream = startHostile(behaviours.serverError);
    const ann = await someone(services);
    const { id } = await connect(services, ann, { connection_url: upstream.url });
    const row = async () => (await connectionHealth.list(services.db, ann.organizationId, [id])).get(id);
    for (const failures of [1, 2, 3]) {
      await run(services, ann, [testConnection, { id }]);
      const found = await row();
      assert.equal(found?.failures, failures);
      assert.ok((found?.due_at ?? 0) >= Date.now() + 200_000);
    }
    await run(services, ann, [updateConnection, { id, data: { title: "Renamed" } }]);
    assert.ok(((await row())?.due_at ?? Infinity) <= Date.now());
    upstream.behave(behaviours.good);
    await run(services, ann, [testConnection, { id }]);
    assert.equal((await row())?.failures, 0);
  },
);

onServices(
  "CONNECTION_TEST runs with the caller's own credential, whose failure is theirs alone",
  async (services) => {
    await using upstream = await startFixture({ authorization: "Bearer quiet-heron" });
    const ann = await someone(services);
    const bob = await someone(services, ["admin"], ann.organizationId);
    const { id } = await connect(services, ann, {
      title: "Wiki",
      connection_url: upstream.url,
      credential_mode: "per_user",
    });
    const state = async () => {
      const { item } = await run(services, ann, [getConnection, { id }]);
      return [item?.status, item?.health?.code ?? null, item?.tools?.length ?? 0];
    };
    const before = await state();
    assert.deepEqual(before, ["active", null, 0]);
    const unconnected = await run(services, bob, [testConnection, { id }]);
    assert.deepEqual([unconnected.stage, unconnected.code], ["token", "not_connected"]);
    assert.match(unconnected.advice ?? "", new RegExp(`/my-connections/${id}$`));
    assert.deepEqual(unconnected.stages.map(({ ok }) => ok), [
      true,
      true,
      true,
      true,
      true,
      false,
      false,
      false,
    ]);
    assert.deepEqual(await state(), before);

    await run(services, ann, [setCredential, { connectionId: id, token: "quiet-heron" }]);
    const connected = await run(services, ann, [testConnection, { id }]);
    assert.equal(connected.healthy, true, JSON.stringify(connected));
    assert.ok((await state())[2]);

    await run(services, bob, [setCredential, { connectionId: id, token: "grey-lynx" }]);
    const refusedToken = await run(services, bob, [testConnection, { id }]);
    assert.deepEqual([refusedToken.healthy, refusedToken.stage], [false, "token"]);
    assert.doesNotMatch(JSON.stringify(refusedToken), /grey-lynx|quiet-heron/);
    const [status, code] = await state();
    assert.deepEqual([status, code], ["active", null]);

    await upstream.stop();
    const gone = await run(services, bob, [testConnection, { id }]);
    assert.equal(gone.stage, "tcp");
    assert.deepEqual((await state()).slice(0, 2), ["error", "tcp"], "a server that is gone is gone for all");
    const user = await someone(services, ["user"], ann.organizationId);
    await refused(run(services, user, [testConnection, { id }]), "forbidden", /CONNECTION_TEST/);
  },
);

onServices(
  "CONNECTION_TEST keeps the tools of a server that lists none all at once, and says so",
  async (services) => {
    await using upstream = startHostile(behaviours.good);
    const ann = await someone(services);
    const { id } = await connect(services, ann, { connection_url: upstream.url });
    upstream.behave(speaking({ "tools/list": { result: { tools: [] } } }));
    const found = await run(services, ann, [testConnection, { id }]);
    assert.deepEqual([found.healthy, found.tools], [true, []]);
    assert.match(found.message ?? "", /lists no tools now; those that are known are kept \(1\)/);
    const { item } = await run(services, ann, [getConnection, { id }]);
    assert.deepEqual(item?.tools?.map(({ name }) => name), ["echo"]);
    assert.deepEqual([item?.status, item?.status_reason], ["active", found.message]);
  },
);
