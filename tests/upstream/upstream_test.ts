import assert from "node:assert/strict";
import type { Services } from "../../server/services.ts";
import * as connections from "../../server/storage/connections.ts";
import type { Db } from "../../server/storage/dialect.ts";
import { type RelayTarget, Upstream } from "../../server/upstream/upstream.ts";
import { deleteConnection, updateConnection } from "../../server/actions/connections.ts";
import { connect, run, someone } from "../actions/connection_support.ts";
import { onEachDatabase } from "../support/databases.ts";
import { onServices, withServices } from "../support/services.ts";
import { behaviours, startHostile } from "../support/upstreams.ts";
import { until } from "../support/until.ts";

/** The same database, counting the queries that go to it. */
function counting(db: Db): { db: Db; queries: () => number } {
  let queries = 0;
  const counted = db.withPlugin({
    transformQuery: ({ node }) => {
      queries++;
      return node;
    },
    transformResult: ({ result }) => Promise.resolve(result),
  });
  return { db: counted, queries: () => queries };
}

/** Waits until the target, asked again and again, is as wanted. */
async function eventually(
  services: Services,
  [organizationId, id]: [string, string],
  wanted: (target: RelayTarget | null) => boolean,
): Promise<void> {
  await until(async () => wanted(await services.upstream.target(organizationId, id)), "the change");
}

onEachDatabase(
  "upstream: a target has all that the relay needs, for its own organization alone",
  async (_t, url) => {
    await using server = startHostile(behaviours.good);
    await withServices(url, async (services) => {
      const ann = await someone(services);
      const eve = await someone(services);
      const data = { title: "Linear", connection_url: `${server.url}?a=1`, connection_token: "quiet-heron" };
      const { id } = await connect(services, ann, {
        ...data,
        connection_headers: { headers: { "X-Key": "k" } },
      });
      const target = await services.upstream.target(ann.organizationId, id);
      assert.ok(target);
      assert.deepEqual([target.id, target.organizationId], [id, ann.organizationId]);
      assert.deepEqual([target.title, target.status, target.url], ["Linear", "active", data.connection_url]);
      assert.deepEqual(target.headers, [["x-key", "k"], ["authorization", "Bearer quiet-heron"]]);
      assert.equal(target.target.origin, new URL(server.url).origin);
      assert.equal(target.tools()?.length, 1);
      for (
        const [organizationId, asked] of [
          [eve.organizationId, id],
          [ann.organizationId, "conn_unknown"],
          [ann.organizationId, `${id} `],
          [ann.organizationId, ""],
          ["", id],
        ]
      ) {
        assert.equal(await services.upstream.target(organizationId ?? "", asked ?? ""), null);
      }
    });
  },
);

onServices("upstream: what is known is given at once, and asked for once", async (services) => {
  await using server = startHostile(behaviours.good);
  const ann = await someone(services);
  const { id } = await connect(services, ann, { connection_url: server.url });
  const { db, queries } = counting(services.db);
  const upstream = new Upstream({ ...services, db });
  const asked = [1, 2, 3].map(() => upstream.target(ann.organizationId, id));
  assert.ok(asked.every((one) => one instanceof Promise));
  const [first, ...others] = await Promise.all(asked);
  assert.ok(others.every((other) => other === first));
  assert.equal(queries(), 1);
  assert.equal(upstream.target(ann.organizationId, id), first, "known, it is no promise");
  assert.equal(queries(), 1);
});

onServices(
  "upstream: a change elsewhere takes effect by itself",
  async (services) => {
    await using server = startHostile(behaviours.good);
    const ann = await someone(services);
    const { id } = await connect(services, ann, { connection_url: server.url });
    const before = await services.upstream.target(ann.organizationId, id);
    // Written straight to the database, as another process would.
    await connections.update(services.db, ann.organizationId, { id, changes: { status: "inactive" } });
    await eventually(services, [ann.organizationId, id], (target) => target?.status === "inactive");
    assert.equal(before?.status, "active", "a target in use is not changed under its user");
    await connections.remove(services.db, ann.organizationId, id);
    await eventually(services, [ann.organizationId, id], (target) => target === null);
  },
);

onServices("upstream: a change by an action takes effect at once", async (services) => {
  await using server = startHostile(behaviours.good);
  const ann = await someone(services);
  const { id } = await connect(services, ann, { connection_url: server.url, connection_token: "early" });
  const target = () => services.upstream.target(ann.organizationId, id);
  assert.deepEqual((await target())?.headers, [["authorization", "Bearer early"]]);
  await run(services, ann, [updateConnection, { id, data: { connection_token: "later" } }]);
  assert.deepEqual((await target())?.headers, [["authorization", "Bearer later"]]);
  await run(services, ann, [deleteConnection, { id }]);
  assert.equal(await target(), null);
});

onServices("upstream: what was read before a change is not kept after it", async (services) => {
  await using server = startHostile(behaviours.good);
  const ann = await someone(services);
  const { id } = await connect(services, ann, { connection_url: server.url });
  const upstream = new Upstream(services);
  const early = upstream.target(ann.organizationId, id);
  upstream.forget(id);
  await early;
  assert.ok(upstream.target(ann.organizationId, id) instanceof Promise, "it has to be read again");
});

onServices("upstream: of servers that list megabytes only the latest are known", async (services) => {
  await using server = startHostile(behaviours.good);
  const ann = await someone(services);
  const { organizationId } = ann;
  const tools = JSON.stringify([{ name: "a", description: "x".repeat(8_000_000) }]);
  const ids: string[] = [];
  for (let i = 0; i < 9; i++) {
    const { id } = await connect(services, ann, { connection_url: server.url });
    await connections.update(services.db, organizationId, { id, changes: { tools } });
    ids.push(id);
  }
  const upstream = new Upstream(services);
  for (const id of ids) await upstream.target(organizationId, id);
  const isKnown = (id: string) => !(upstream.target(organizationId, id) instanceof Promise);
  assert.deepEqual([ids[0], ids.at(-1)].map((id) => isKnown(id ?? "")), [false, true]);
});

onServices("upstream: a secret that does not open fails loudly, and is asked for again", async (services) => {
  await using server = startHostile(behaviours.good);
  const ann = await someone(services);
  const { id } = await connect(services, ann, { connection_url: server.url, connection_token: "early" });
  const row = await connections.find(services.db, ann.organizationId, id);
  const change = (sealed_token: string) =>
    connections.update(services.db, ann.organizationId, { id, changes: { sealed_token } });
  await change(`${row?.sealed_token?.slice(0, -4)}AAAA`);
  const upstream = new Upstream(services);
  await assert.rejects(async () => await upstream.target(ann.organizationId, id), /altered or moved/);
  await change(row?.sealed_token ?? "");
  assert.equal((await upstream.target(ann.organizationId, id))?.id, id);
});
