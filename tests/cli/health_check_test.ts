// Background checks of a whole server: they begin by themselves, and a stop does not wait for them.
import assert from "node:assert/strict";
import * as connectionHealth from "../../server/storage/connection_health.ts";
import { besides, seed, serve } from "../support/executable.ts";
import { behaviours, startHostile } from "../support/upstreams.ts";

Deno.test("a server checks its connections, and stops in the middle of a check", async () => {
  const dir = await Deno.makeTempDir({ prefix: "mesh-health-" });
  try {
    await using upstream = startHostile(behaviours.hang);
    const { child } = await serve({ DATA_DIR: dir, HEALTH_CHECK_SECONDS: "1" });
    const database = `file:${dir}/mesh.db`;
    const { organizationId, connectionId } = await seed(database, upstream.url);
    await upstream.received();
    assert.deepEqual(await child.kill("SIGTERM"), { code: 0, signal: null });
    assert.equal(child.stderr.includes("connections cannot be checked"), false, child.stderr);
    const rows = await besides(
      database,
      (db) => connectionHealth.list(db, organizationId, [connectionId]),
    );
    const row = rows.get(connectionId);
    assert.equal(row?.checked_at, null, "what was broken off is no finding");
    assert.ok((row?.due_at ?? Infinity) <= Date.now(), "and due for the next process");
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
