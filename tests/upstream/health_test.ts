// Checks of connections in the background.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import type { Services } from "../../server/services.ts";
import * as connectionHealth from "../../server/storage/connection_health.ts";
import * as connections from "../../server/storage/connections.ts";
import { nextDue } from "../../server/upstream/health_keeping.ts";
import { onEachDatabase } from "../support/databases.ts";
import { onServices, withServices } from "../support/services.ts";
import { behaviours, startHostile } from "../support/upstreams.ts";
import { guarded, reply, speaking } from "./diagnosis_support.ts";
import { Checked } from "./health_support.ts";
import { until } from "../support/until.ts";

onServices(
  "health: two failures in a row are an error, one success ends it, and the log hears of both",
  async (services) => {
    await using upstream = startHostile(behaviours.good);
    await using checked = new Checked(services);
    const id = await checked.add(upstream.url, { tools: '[{"name":"echo"}]', tool_count: 1 });
    const well = await checked.check(id);
    assert.deepEqual([well.healthy, well.failures, well.ok_at], [true, 0, well.checked_at]);
    const { updated_at: version } = await checked.row(id);

    upstream.behave(behaviours.serverError);
    const once = await checked.check(id);
    assert.deepEqual([once.healthy, once.code, once.failures, once.ok_at], [
      false,
      "http_500",
      1,
      well.ok_at,
    ]);
    const { status, updated_at: same } = await checked.row(id);
    assert.deepEqual([status, same], ["active", version], "once may be chance");
    assert.deepEqual(checked.log.lines, []);

    assert.equal((await checked.check(id)).failures, 2);
    const failing = await checked.row(id);
    assert.equal(failing.status, "error");
    assert.equal(
      failing.status_reason,
      "Upstream failed (500). Try again later, or look at what its log says about it",
    );
    const facts = { organizationId: "org_1", connectionId: id };
    assert.deepEqual(checked.log.lines, [["warn", "a connection fails", {
      ...facts,
      stage: "http",
      code: "http_500",
    }]]);

    upstream.behave(behaviours.html);
    assert.equal((await checked.check(id)).code, "not_mcp");
    assert.equal((await checked.row(id)).updated_at, failing.updated_at, "it is an error as before");

    upstream.behave(behaviours.good);
    assert.equal((await checked.check(id)).failures, 0);
    const again = await checked.row(id);
    assert.deepEqual([again.status, again.status_reason], ["active", null]);
    assert.deepEqual(checked.log.lines.slice(1), [["info", "a connection works again", facts]]);
  },
);

onServices("health: a status that changes takes effect for calls at once", async (services) => {
  await using upstream = startHostile(behaviours.serverError);
  await using checked = new Checked(services);
  const id = await checked.add(upstream.url);
  assert.equal((await services.upstream.target("org_1", id))?.status, "active");
  await checked.check(id);
  await checked.check(id);
  assert.equal((await services.upstream.target("org_1", id))?.status, "error");
});

onServices("health: what is switched off is left alone, what is gone is forgotten", async (services) => {
  await using upstream = startHostile(behaviours.good);
  await using checked = new Checked(services);
  const off = await checked.add(upstream.url, { status: "inactive" });
  await checked.due(off);
  await until(
    async () => ((await checked.found(off))?.due_at ?? 0) > Date.now() + 3_000_000,
    "the next check's time",
  );
  assert.deepEqual([(await checked.found(off))?.checked_at, upstream.requests.length], [null, 0]);

  const gone = { dueAt: Date.now() - 1, checkedAt: 1, failures: 0, result: "{}" };
  await connectionHealth.record(services.db, "org_1", { connectionId: "conn_gone", outcome: gone });
  await until(async () => await checked.found("conn_gone") === undefined, "the end of its row");
});

onServices("health: tools that change are kept, tools that vanish all at once are too", async (services) => {
  const listing = (...names: string[]) =>
    speaking({
      "tools/list": { result: { tools: names.map((name) => ({ name, inputSchema: { type: "object" } })) } },
    });
  await using upstream = startHostile(listing("one", "two"));
  await using checked = new Checked(services);
  const id = await checked.add(upstream.url);
  const names = async () => connections.parseTools(await checked.row(id))?.map(({ name }) => name);
  assert.equal((await checked.check(id)).healthy, true);
  assert.deepEqual(await names(), ["one", "two"]);
  const { totalCount } = await connections.list(services.db, "org_1", {
    limit: 9,
    offset: 0,
    binding: ["two"],
  });
  assert.equal(totalCount, 1, "the filter by tool knows them");

  const { updated_at: version } = await checked.row(id);
  upstream.behave(listing("two", "one"));
  await checked.check(id);
  assert.equal((await checked.row(id)).updated_at, version, "another order is no change");

  upstream.behave(listing());
  const empty = await checked.check(id);
  assert.equal(empty.healthy, true);
  assert.match(
    JSON.parse(empty.result ?? "").message,
    /lists no tools now; those that are known are kept \(2\)/,
  );
  upstream.behave(speaking({ "tools/list": { error: { code: -32000, message: "not now" } } }));
  assert.equal((await checked.check(id)).code, "mcp_-32000");
  assert.deepEqual([await names(), (await checked.row(id)).updated_at], [["one", "two"], version]);

  upstream.behave(listing("three"));
  await checked.check(id);
  assert.deepEqual(await names(), ["three"]);
});

onServices("health: where each person connects, a server that says how is well", async (services) => {
  let url = "";
  const origin = () => new URL(url).origin;
  await using upstream = startHostile(guarded(origin, "metadata"));
  url = upstream.url;
  await using checked = new Checked(services);
  const perUser = { credential_mode: "per_user", credential_type: "oauth" };
  const id = await checked.add(url, perUser);
  assert.equal((await checked.check(id)).healthy, true);
  const token = await checked.add(url, { credential_mode: "per_user" });
  assert.equal((await checked.check(token)).healthy, true);

  upstream.behave(guarded(origin, "nothing"));
  const unnamed = await checked.check(id);
  assert.deepEqual([unnamed.stage, unnamed.code], ["auth_discovery", "oauth_discovery"]);
  assert.equal((await checked.check(token)).healthy, true, "its people bring their tokens from elsewhere");
  upstream.behave(behaviours.serverError);
  assert.equal((await checked.check(token)).code, "http_500");

  const shared = await checked.add(url, { credential_type: "oauth" });
  upstream.behave(guarded(origin, "metadata"));
  const waiting = await checked.check(shared);
  assert.deepEqual([waiting.stage, waiting.code], ["token", "not_connected"]);
});

onServices("health: a connection that is changed during its check keeps the change", async (services) => {
  const released = Promise.withResolvers<void>();
  await using upstream = startHostile(async () => await released.promise);
  await using checked = new Checked(services);
  const id = await checked.add(upstream.url, { status: "error" });
  await checked.due(id);
  await upstream.received();
  upstream.behave(behaviours.good);
  await connections.update(services.db, "org_1", {
    id,
    changes: { title: "Renamed", status_reason: "as I say" },
  });
  released.resolve();
  await until(async () => (await checked.found(id))?.checked_at != null, "the check's end");
  await checked.looked();
  const row = await checked.row(id);
  assert.deepEqual([row.title, row.status_reason], ["Renamed", "as I say"]);
});

onServices("health: at most so many checks run at a time, and all come to their turn", async (services) => {
  let running = 0, most = 0;
  const gate = Promise.withResolvers<void>();
  await using upstream = startHostile(async ({ send }) => {
    most = Math.max(most, ++running);
    await gate.promise;
    running--;
    await send(reply("404 Not Found"));
  });
  await using checked = new Checked(services, { parallel: 3 });
  const ids = await Promise.all(Array.from({ length: 8 }, () => checked.add(upstream.url)));
  for (const id of ids) await checked.due(id);
  await until(() => running === 3, "three checks");
  gate.resolve();
  for (const id of ids) await until(async () => (await checked.found(id))?.checked_at != null, "each check");
  assert.equal(most, 3);
});

onServices(
  "health: a close ends what is under way, without a result and free for others",
  async (services) => {
    await using upstream = startHostile(behaviours.hang);
    await using checked = new Checked(services);
    const id = await checked.add(upstream.url);
    await checked.due(id);
    await upstream.received();
    await checked.health.close();
    await upstream.idle();
    const row = await checked.found(id);
    assert.deepEqual([row?.checked_at, row?.failures, (row?.due_at ?? 0) <= Date.now()], [null, 0, true]);
    assert.deepEqual(checked.log.lines, []);
    await using next = new Checked(services);
    upstream.behave(behaviours.good);
    await until(async () => (await next.found(id))?.ok_at != null, "the check of another process");
  },
);

onServices(
  "health: a secret that does not open is a finding, and what fails otherwise is said once",
  async (services) => {
    await using upstream = startHostile(behaviours.good);
    await using checked = new Checked(services);
    const id = await checked.add(upstream.url, { sealed_token: "no envelope" });
    const closed = await checked.check(id);
    assert.deepEqual([closed.healthy, closed.stage], [false, "token"]);
    assert.equal((await checked.check(id)).failures, 2);
    assert.equal(upstream.requests.length, 0);
    await services.db.schema.alterTable("connection_health").renameTo("elsewhere").execute();
    await until(() => checked.log.lines.length > 2, "a line of the log");
    await checked.looked();
    await services.db.schema.alterTable("elsewhere").renameTo("connection_health").execute();
    await until(() => checked.log.lines.length > 3, "another line of the log");
    assert.deepEqual(checked.log.lines.map(([level, message]) => [level, message]), [
      ["warn", "a connection cannot be checked"],
      ["warn", "a connection fails"],
      ["warn", "connections cannot be checked"],
      ["info", "connections are checked again"],
    ]);
  },
);

onEachDatabase("health: processes with one database check a connection once", async (_t, url, kind) => {
  await using upstream = startHostile(behaviours.good);
  const key = randomBytes(32).toString("hex");
  const lists = () => upstream.requests.filter(({ message }) => message.method === "tools/list").length;
  const among = async (others: Services[]): Promise<void> => {
    const next = (services: Services) => among([...others, services]);
    // A file is locked by one process at a time; several handles in this one would wait for themselves.
    if (kind === "sqlite" && others[0]) others = [others[0], others[0], others[0]];
    if (others.length < 3) return await withServices(url, next, { env: { ENCRYPTION_KEY: key } });
    const all = others.map((services) => new Checked(services));
    try {
      const [first] = all;
      assert.ok(first);
      const ids = await Promise.all(Array.from({ length: 5 }, () => first.add(upstream.url)));
      for (const round of [1, 2]) {
        for (const id of ids) await first.due(id);
        await until(() => lists() >= round * ids.length, "the checks");
        for (const checked of all) await checked.looked();
        assert.equal(lists(), round * ids.length);
      }
    } finally {
      for (const checked of all) await checked.health.close();
    }
  };
  await among([]);
});

onServices("health: on its schedule it checks again and again by itself", async (services) => {
  await using upstream = startHostile(behaviours.good);
  await using checked = new Checked(services, { intervalMs: 20 });
  await checked.add(upstream.url);
  await upstream.received(12);
  upstream.behave(behaviours.serverError);
  await until(() => checked.log.lines.length > 0, "a failing connection");
});

Deno.test("health: the next check comes after the interval, give or take a fifth, later where it fails", () => {
  const delays = (failures: number, intervalMs = 300_000) =>
    Array.from({ length: 200 }, () => nextDue(1000, { intervalMs, failures }) - 1000);
  for (
    const [failures, delay] of [[0, 300_000], [1, 300_000], [2, 600_000], [3, 1_200_000], [
      40,
      3_600_000,
    ]] as const
  ) {
    const found = delays(failures);
    assert.ok(found.every((one) => one >= delay * 0.8 && one <= delay * 1.2));
    assert.ok(new Set(found).size > 100, "they spread out");
  }
  assert.ok(delays(9, 7_200_000).every((one) => one >= 5_760_000), "never more often than asked for");
});
