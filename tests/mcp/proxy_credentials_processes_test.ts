// Two processes of the mesh on one database, and a token that ends for both at once.
import assert from "node:assert/strict";
import { Log } from "../../server/log.ts";
import { Outbound } from "../../server/outbound.ts";
import * as connections from "../../server/storage/connections.ts";
import * as credentials from "../../server/storage/upstream_credentials.ts";
import { Vault } from "../../server/vault.ts";
import { onEachDatabase } from "../support/databases.ts";
import { besides, seed, serve } from "../support/executable.ts";
import { startOidcUpstream } from "../support/upstreams/oidc_provider.ts";
import { authorize, endsIn, rowOf } from "../upstream/authorized.ts";
import { until } from "../support/until.ts";
import { answerOf, modern, post } from "./support.ts";

const masterKey = "5f".repeat(32);

/** So many calls at once, half of them to each process; all must succeed. */
async function callAtOnce(urls: readonly string[], key: string, count: number): Promise<void> {
  await Promise.all(Array.from({ length: count }, async (_, i) => {
    const call = modern("tools/call", { name: "echo", arguments: { text: `call ${i}` } }, { id: i });
    const answer = await answerOf(await post({ url: urls[i % urls.length] ?? "", key }, call));
    assert.equal(answer.result?.content?.[0]?.text, `call ${i}`, JSON.stringify(answer));
  }));
}

// CL12
onEachDatabase("20 calls at the end of a token, in two processes, renew it once", async (_t, database) => {
  const dir = await Deno.makeTempDir({ prefix: "mesh-two-" });
  await using oidc = await startOidcUpstream();
  const env = { DATA_DIR: dir, DATABASE_URL: database, ENCRYPTION_KEY: masterKey };
  const processes = await Promise.all([serve(env), serve(env)]);
  try {
    const { organizationId, connectionId, key } = await seed(database, oidc.mcpUrl);
    const urls = processes.map(({ url }) => `${url}/mcp/${connectionId}`);
    await besides(database, async (db) => {
      const services = {
        db,
        vault: new Vault(db, Uint8Array.fromHex(masterKey)),
        outbound: new Outbound({ allow: [], loopbackAllowed: true }),
        log: new Log("silent"),
        config: { baseUrl: "http://localhost:3000" },
      };
      const changes = { credential_type: "oauth" };
      await connections.update(db, organizationId, { id: connectionId, changes });
      const holder = { organizationId, connectionId };
      await authorize(services, oidc, holder);
      const renewOnce = async () => {
        const before = oidc.tokenRequests.refresh_token ?? 0;
        await callAtOnce(urls, key, 20);
        assert.equal((oidc.tokenRequests.refresh_token ?? 0) - before, 1);
      };
      await endsIn(services, { ...holder, milliseconds: -1 });
      await renewOnce();
      // The next end is a real one, for the processes and for the server alike.
      oidc.setAccessTokenSeconds(3);
      await endsIn(services, { ...holder, milliseconds: -1 });
      oidc.expireAccess(); // or the old one would be taken for a moment longer
      await callAtOnce(urls, key, 1);
      oidc.setAccessTokenSeconds(300); // none of what follows ends while the machine is busy
      const { expires_at: end } = await rowOf(services, holder);
      await until(() => Date.now() > (end ?? 0));
      await renewOnce();
      // And one that only the server knows of: each process is refused in the middle.
      const { id, version } = await rowOf(services, holder);
      const old = { refreshed_at: Date.now() - 60_000, expires_at: Date.now() + 600_000 };
      assert.ok(await credentials.settle(db, organizationId, { id, version, changes: old, now: Date.now() }));
      oidc.expireAccess();
      await renewOnce();
      const row = await rowOf(services, holder);
      assert.deepEqual([row.id, row.state, row.claimed_by], [id, "ok", null]);
    });
  } finally {
    await Promise.all(processes.map(({ child }) => child.kill("SIGTERM")));
    await Deno.remove(dir, { recursive: true });
  }
});
