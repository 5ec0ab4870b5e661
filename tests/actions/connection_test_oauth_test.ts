// CONNECTION_TEST and the checks in the background with tokens of a real authorization server.
import assert from "node:assert/strict";
import { testConnection } from "../../server/actions/connection_use.ts";
import { getConnection } from "../../server/actions/connections.ts";
import * as connectionHealth from "../../server/storage/connection_health.ts";
import { Health } from "../../server/upstream/health.ts";
import { onServices } from "../support/services.ts";
import { startOidcUpstream } from "../support/upstreams/oidc_provider.ts";
import { Lines } from "../upstream/health_support.ts";
import { connect, run, someone } from "./connection_support.ts";
import { connectAt, seat } from "./credential_authorizing_support.ts";
import { until } from "../support/until.ts";

/** What each stage came to: passed, failed, not needed or not tried. */
function marks({ stages }: { stages: { ok: boolean; skipped?: true | undefined }[] }): string {
  return stages.map(({ ok, skipped }) => skipped ? (ok ? "." : "-") : ok ? "p" : "f").join("");
}

for (const mode of ["shared", "per_user"] as const) {
  onServices(
    `CONNECTION_TEST: OAuth (${mode}) from nobody to connected, renewed and revoked`,
    async (services) => {
      await using upstream = await startOidcUpstream();
      const ann = await someone(services);
      const { id } = await connect(services, ann, {
        title: "Tracker",
        connection_url: upstream.mcpUrl,
        credential_mode: mode,
        credential_type: "oauth",
      });
      const test = () => run(services, ann, [testConnection, { id }]);
      const status = async () => (await run(services, ann, [getConnection, { id }])).item?.status;

      const nobody = await test();
      assert.deepEqual([nobody.stage, nobody.code], ["token", "not_connected"]);
      assert.equal(marks(nobody), ".p.ppf--");
      assert.equal(nobody.stages[4]?.detail, upstream.issuer);
      assert.match(nobody.advice ?? "", new RegExp(`/my-connections/${id}$`));

      await connectAt(services, seat(ann), { upstream, connectionId: id });
      const connected = await test();
      assert.equal(marks(connected), ".p.ppppp", JSON.stringify(connected));
      assert.equal(await status(), "active");

      upstream.setDown(true);
      const alone = await test();
      assert.equal(marks(alone), ".p.ppppp", JSON.stringify(alone));
      assert.match(alone.stages[4]?.detail ?? "", /^Cannot get access to Tracker/, "what it has still works");
      upstream.setDown(false);

      upstream.expireAccess();
      const renewed = await test();
      assert.equal(marks(renewed), ".p.ppppp", JSON.stringify(renewed));
      assert.equal(upstream.tokenRequests.refresh_token, 1);

      upstream.revokeAll();
      const revoked = await test();
      assert.deepEqual([revoked.healthy, revoked.stage], [false, "token"], JSON.stringify(revoked));
      assert.ok(revoked.advice);
      assert.equal(
        await status(),
        mode === "shared" ? "error" : "active",
        "one person's token is theirs alone",
      );
      for (const found of [nobody, connected, renewed, revoked]) {
        assert.doesNotMatch(JSON.stringify(found), /Bearer|refresh_token=|eyJ/);
      }
    },
  );
}

onServices(
  "health: a shared token is renewed by a check, and is missed when nobody has connected",
  async (services) => {
    await using upstream = await startOidcUpstream();
    const ann = await someone(services);
    const { id } = await connect(services, ann, {
      connection_url: upstream.mcpUrl,
      credential_mode: "shared",
      credential_type: "oauth",
    });
    const log = new Lines();
    const health = new Health({ ...services, log }, { intervalMs: 3_600_000, tickMs: 5, enrolMs: 0 });
    health.start();
    const checked = async () => {
      const find = async () => (await connectionHealth.list(services.db, ann.organizationId, [id])).get(id);
      await until(async () => await find() !== undefined);
      const before = Date.now();
      await until(() => Date.now() > before);
      await connectionHealth.hasten(services.db, ann.organizationId, { connectionId: id, now: before });
      await until(async () => ((await find())?.checked_at ?? 0) > before);
      return JSON.parse((await find())?.result ?? "");
    };
    try {
      assert.equal((await checked()).code, "not_connected");
      await connectAt(services, seat(ann), { upstream, connectionId: id });
      assert.equal((await checked()).healthy, true);
      upstream.expireAccess();
      assert.equal((await checked()).healthy, true);
      assert.equal(upstream.tokenRequests.refresh_token, 1);
      upstream.revokeAll();
      assert.equal((await checked()).stage, "token");
    } finally {
      await health.close();
    }
  },
);
