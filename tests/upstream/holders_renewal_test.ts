// How credentials are renewed: claims, rotation, and what happens meanwhile.
import assert from "node:assert/strict";
import type { Services } from "../../server/services.ts";
import * as connections from "../../server/storage/connections.ts";
import * as credentials from "../../server/storage/upstream_credentials.ts";
import { placeOf } from "../../server/upstream/credentials.ts";
import { openHeld, sealSecret } from "../../server/upstream/held.ts";
import { type Caller, CredentialNeeded } from "../../server/upstream/holders.ts";
import type { Grant } from "../../server/upstream/oauth_client/types.ts";
import { UpstreamFailure } from "../../server/upstream/relay.ts";
import { type RelayTarget, Upstream } from "../../server/upstream/upstream.ts";
import { someone } from "../actions/connection_support.ts";
import { onEachDatabase } from "../support/databases.ts";
import { withServices } from "../support/services.ts";
import {
  type OidcUpstream,
  type OidcUpstreamOptions,
  startOidcUpstream,
} from "../support/upstreams/oidc_provider.ts";
import { authorize, endsIn, type Holder, rowOf } from "./authorized.ts";
import { callerOf, give, holderConnection } from "./holders_support.ts";
import { until } from "../support/until.ts";

interface Scene {
  readonly services: Services;
  readonly oidc: OidcUpstream;
  readonly caller: Caller;
  readonly holder: Holder & { owner: string };
  readonly target: RelayTarget;
}

/** Runs on each database with a person who has authorized. */
function onScene(
  name: string,
  fn: (scene: Scene) => Promise<void>,
  options: OidcUpstreamOptions = {},
): void {
  onEachDatabase(`renewal: ${name}`, async (_t, database) => {
    await using oidc = await startOidcUpstream(options);
    await withServices(database, async (services) => {
      const caller = callerOf(await someone(services));
      const { organizationId, userId: owner } = caller;
      const kind = { url: oidc.mcpUrl, credential_type: "oauth" };
      const connectionId = await holderConnection(services, organizationId, kind);
      const holder = { organizationId, connectionId, owner };
      await authorize(services, oidc, holder);
      const target = await services.upstream.target(organizationId, connectionId);
      assert.ok(target);
      await fn({ services, oidc, caller, holder, target });
    });
  });
}

async function grantOf(services: Services, holder: Holder): Promise<Grant> {
  const { secret } = await openHeld(services.vault, await rowOf(services, holder));
  assert.ok(secret.kind === "oauth");
  return secret.grant;
}

async function headersNow({ services, target, caller }: Scene): Promise<string> {
  services.upstream.forget(target.id);
  return (await services.upstream.headersFor(target, caller))[0]?.[1] ?? "";
}

function refreshes({ oidc }: Scene): number {
  return oidc.tokenRequests.refresh_token ?? 0;
}

onScene("what is renewed is stored before it is used, and keeps what was not said anew", async (scene) => {
  const { services, holder } = scene;
  const before = await rowOf(services, holder);
  const old = await grantOf(services, holder);
  await endsIn(services, { ...holder, milliseconds: -1 });
  const sent = await headersNow(scene);
  const grant = await grantOf(services, holder);
  assert.equal(sent, `Bearer ${grant.accessToken}`);
  assert.notEqual(grant.accessToken, old.accessToken);
  assert.notEqual(grant.refreshToken, old.refreshToken, "it rotates");
  assert.deepEqual([grant.issuer, grant.resource], [old.issuer, old.resource]);
  const after = await rowOf(services, holder);
  assert.deepEqual([after.id, after.scope, after.created_at], [before.id, before.scope, before.created_at]);
  assert.equal(after.version, before.version + 2, "once by the test, once by the renewal");
  assert.deepEqual([after.claimed_by, after.claimed_until], [null, null]);
});

onScene("what was given for one address is not renewed for another", async (scene) => { // CL12
  const { services, oidc, holder } = scene;
  const row = await rowOf(services, holder);
  const { secret } = await openHeld(services.vault, row);
  const sealed = await sealSecret(services.vault, row, { secret, url: oidc.mcpUrl });
  const now = Date.now();
  const change = { id: row.id, version: row.version, now, changes: { sealed } };
  await credentials.settle(services.db, holder.organizationId, change);
  const elsewhere = { connection_url: "http://127.0.0.1:9/mcp" };
  await connections.update(services.db, holder.organizationId, {
    id: holder.connectionId,
    changes: elsewhere,
  });
  await endsIn(services, { ...holder, milliseconds: -1 });
  services.upstream.forget();
  const target = await services.upstream.target(holder.organizationId, holder.connectionId);
  assert.ok(target);
  await assert.rejects(headersNow({ ...scene, target }), /moved to another address/);
  const renewed = await openHeld(services.vault, await rowOf(services, holder));
  assert.equal(renewed.origin, new URL(oidc.mcpUrl).origin);
});

onScene("who finds a renewal under way waits for it", async (scene) => {
  const { services, holder, target, caller } = scene;
  await endsIn(services, { ...holder, milliseconds: -1 });
  const { id, version } = await rowOf(services, holder);
  const now = Date.now();
  const claim = { id, version, by: "another process", until: now + 25_000, now };
  assert.ok(await credentials.claim(services.db, holder.organizationId, claim));
  services.upstream.forget(target.id);
  const waiting = Promise.all([1, 2, 3].map(async () => await services.upstream.headersFor(target, caller)));
  const grant = { ...await grantOf(services, holder), accessToken: "from-elsewhere" };
  await give(services, {
    ...holder,
    secret: { kind: "oauth", grant },
    row: { id, version: version + 1, expires_at: now + 300_000, refreshed_at: now },
  });
  for (const headers of await waiting) {
    assert.deepEqual(headers, [["authorization", "Bearer from-elsewhere"]]);
  }
  assert.equal(refreshes(scene), 0);
});

onScene("a claim that its process left behind is taken over", async (scene) => {
  const { services, holder } = scene;
  await endsIn(services, { ...holder, milliseconds: -1 });
  const { id, version } = await rowOf(services, holder);
  const now = Date.now() - 3600_000;
  const claim = { id, version, by: "dead", until: now + 30_000, now };
  assert.ok(await credentials.claim(services.db, holder.organizationId, claim));
  await headersNow(scene);
  assert.equal(refreshes(scene), 1);
});

onScene("two services on one database renew once", async (scene) => {
  const { services, oidc, holder, target, caller } = scene;
  const others = [new Upstream(services), new Upstream(services)];
  for (let round = 1; round <= 3; round++) {
    await endsIn(services, { ...holder, milliseconds: -1 });
    for (const one of [...others, services.upstream]) one.forget();
    const asked = Array.from({ length: 20 }, (_, i) => [...others, services.upstream][i % 3]!);
    const sent = await Promise.all(asked.map(async (one) => await one.headersFor(target, caller)));
    assert.equal(new Set(sent.map((headers) => headers[0]?.[1])).size, 1);
    assert.equal(oidc.tokenRequests.refresh_token, round);
  }
  for (const one of others) await one.close();
});

let beforeAnswer = () => Promise.resolve();
const answer = async (body: Record<string, unknown>) => {
  await beforeAnswer();
  return body;
};

onScene("somebody who disconnects during a renewal stays disconnected", async (scene) => {
  const { services, holder } = scene;
  await endsIn(services, { ...holder, milliseconds: -1 });
  let left = false;
  beforeAnswer = async () => {
    left = await credentials.remove(services.db, holder.organizationId, holder);
  };
  await assert.rejects(headersNow(scene), CredentialNeeded).finally(() =>
    beforeAnswer = () => Promise.resolve()
  );
  assert.ok(left);
  assert.equal(await credentials.find(services.db, holder.organizationId, holder), null);
}, { answer });

onScene("a grant that cannot be renewed is used to its end, and then asks for the person", async (scene) => {
  const { services, holder } = scene;
  await endsIn(services, { ...holder, milliseconds: 20_000 });
  assert.match(await headersNow(scene), /^Bearer /);
  await endsIn(services, { ...holder, milliseconds: -1 });
  await assert.rejects(headersNow(scene), (error: unknown) => {
    assert.ok(error instanceof CredentialNeeded);
    assert.equal(error.reason, "needs_attention");
    return true;
  });
  assert.equal(refreshes(scene), 0);
}, { refreshTokens: "never" });

onScene("an authorization server that fails for a moment is asked again at once", async (scene) => {
  const { services, oidc, holder } = scene;
  await endsIn(services, { ...holder, milliseconds: -1 });
  oidc.setDown(502, 1);
  assert.match(await headersNow(scene), /^Bearer /);
  assert.equal(oidc.isDown, false);
  assert.equal(refreshes(scene), 1);
});

const client = {
  client_id: "mesh-itself",
  client_secret: "a-long-enough-value-for-the-client",
  grant_types: ["client_credentials"],
  redirect_uris: [],
  response_types: [],
  token_endpoint_auth_method: "client_secret_basic",
};

onEachDatabase(
  "renewal: a client that acts for itself gets its token on first use and anew at its end",
  async (_t, database) => {
    await using oidc = await startOidcUpstream({ clients: [client] });
    await withServices(database, async (services) => {
      const caller = callerOf(await someone(services));
      const { organizationId } = caller;
      const connectionId = await holderConnection(services, organizationId, {
        url: oidc.mcpUrl,
        credential_mode: "shared",
        credential_type: "oauth",
        oauth_config: JSON.stringify({ client_id: client.client_id, grant_type: "client_credentials" }),
      });
      const sealSecrets = (client_secret: string) =>
        services.vault.seal(
          placeOf({ id: connectionId, organization_id: organizationId }, "sealed_oauth"),
          JSON.stringify({ client_secret }),
        );
      const set = async (secret: string) => {
        const changes = { sealed_oauth: await sealSecrets(secret) };
        await connections.update(services.db, organizationId, { id: connectionId, changes });
        services.upstream.forget(connectionId);
      };
      await set("not the secret");
      const target = await services.upstream.target(organizationId, connectionId);
      assert.ok(target);
      const headers = async () => await services.upstream.headersFor(target, caller);
      await assert.rejects(headers(), (error: unknown) => {
        assert.ok(error instanceof UpstreamFailure && error.stage === "token", String(error));
        assert.doesNotMatch(error.message, /not the secret/);
        return true;
      });
      await set(client.client_secret);
      const sent: (readonly unknown[])[] = [];
      await until(async () => {
        const all = await Promise.allSettled([1, 2, 3, 4].map(headers));
        for (const one of all) if (one.status === "fulfilled") sent.push(one.value[0] ?? []);
        return sent.length > 0;
      });
      assert.equal(new Set(sent.map(String)).size, 1);
      const asked = () => oidc.tokenRequests.client_credentials ?? 0;
      const before = asked();
      const holder = { organizationId, connectionId };
      const row = await rowOf(services, holder);
      assert.deepEqual([row.owner, row.state, row.created_by], ["", "ok", caller.userId]);
      await endsIn(services, { ...holder, milliseconds: -1 });
      services.upstream.forget(connectionId);
      assert.notDeepEqual((await headers())[0], sent[0]);
      assert.equal(asked(), before + 1);
    });
  },
);
