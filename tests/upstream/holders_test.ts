import assert from "node:assert/strict";
import type { Services } from "../../server/services.ts";
import * as credentials from "../../server/storage/upstream_credentials.ts";
import type { Header } from "../../server/upstream/credentials.ts";
import { type Caller, CredentialNeeded } from "../../server/upstream/holders.ts";
import type { RelayTarget } from "../../server/upstream/upstream.ts";
import { someone } from "../actions/connection_support.ts";
import { onEachDatabase } from "../support/databases.ts";
import { onServices, withServices } from "../support/services.ts";
import { callerOf, give, holderConnection } from "./holders_support.ts";
import { until } from "../support/until.ts";

const url = "http://127.0.0.1:9/mcp";

async function targetOf(
  { upstream }: Services,
  { organizationId }: Caller,
  id: string,
): Promise<RelayTarget> {
  const target = await upstream.target(organizationId, id);
  assert.ok(target);
  return target;
}

async function neededFor(services: Services, target: RelayTarget, caller: Caller): Promise<CredentialNeeded> {
  try {
    await services.upstream.headersFor(target, caller);
  } catch (error) {
    assert.ok(error instanceof CredentialNeeded, String(error));
    return error;
  }
  assert.fail("nothing was needed");
}

/** Waits until the caller's headers are as wanted; null where a credential is needed. */
async function eventually(
  { upstream }: Services,
  [target, caller]: [RelayTarget, Caller],
  wanted: (headers: readonly Header[] | null) => boolean,
): Promise<void> {
  await until(async () => {
    const headers = await (async () => await upstream.headersFor(target, caller))().catch((error) => {
      assert.ok(error instanceof CredentialNeeded, String(error));
      return null;
    });
    return wanted(headers);
  }, "the change");
}

onEachDatabase(
  "holders: each person's own credential goes, and nobody else's",
  (_t, database) =>
    withServices(database, async (services) => {
      const ann = callerOf(await someone(services));
      const bob = callerOf(await someone(services, ["user"], ann.organizationId));
      const eve = callerOf(await someone(services, ["user"], ann.organizationId));
      const { organizationId } = ann;
      const connectionId = await holderConnection(services, organizationId, { url });
      for (const [owner, token] of [[ann.userId, "ann-secret"], [bob.userId, "Token bob-secret"]] as const) {
        await give(services, { organizationId, connectionId, owner, secret: { kind: "token", token } });
      }
      const target = await targetOf(services, ann, connectionId);
      const headers = (caller: Caller) => services.upstream.headersFor(target, caller);
      assert.deepEqual(await headers(ann), [["authorization", "Bearer ann-secret"]]);
      assert.deepEqual(await headers(bob), [["authorization", "Token bob-secret"]]);
      const needed = await neededFor(services, target, eve);
      assert.deepEqual(
        [needed.reason, needed.code, needed.connectionId, needed.connectionTitle, needed.url],
        [
          "not_connected",
          "forbidden",
          connectionId,
          "Upstream",
          `${services.config.baseUrl}/my-connections/${connectionId}`,
        ],
      );
      const peer = await services.upstream.peerFor(connectionId, organizationId, bob);
      const sent = [["authorization", "Token bob-secret"]];
      assert.deepEqual(peer, {
        title: "Upstream",
        url,
        identity: null,
        tenant: organizationId,
        headers: sent,
      });
      assert.equal(await services.upstream.peerFor("conn_none", organizationId, bob), null);
    }),
);

onServices("holders: values of headers go beside the connection's own, and before them", async (services) => {
  const ann = callerOf(await someone(services));
  const { organizationId, userId: owner } = ann;
  const connectionId = await holderConnection(services, organizationId, {
    url,
    personal_headers: '["X-User-Key"]',
  });
  const secret = { kind: "headers", headers: { "X-User-Key": "mine" } } as const;
  await give(services, { organizationId, connectionId, owner, secret });
  const target = await targetOf(services, ann, connectionId);
  const own: Header[] = [["x-tenant", "7"], ["x-user-key", "everybody's"]];
  assert.deepEqual(await services.upstream.headersFor({ ...target, headers: own }, ann), [
    ["x-tenant", "7"],
    ["x-user-key", "mine"],
  ]);
});

onServices("holders: a header that is asked for no more goes as the connection has it", async (services) => {
  const ann = callerOf(await someone(services));
  const { organizationId, userId: owner } = ann;
  const connectionId = await holderConnection(services, organizationId, {
    url,
    personal_headers: '["X-User-Key"]',
  });
  const headers = { "X-User-Key": "mine", "X-User": "admin@northwind", "X-Role": "admin" };
  await give(services, { organizationId, connectionId, owner, secret: { kind: "headers", headers } });
  const target = await targetOf(services, ann, connectionId);
  const used = await services.upstream.headersFor(target, ann);
  assert.deepEqual(used, [["x-user-key", "mine"]]);
  const own: Header[] = [["x-user", "{user.email}"]];
  assert.deepEqual(await services.upstream.headersFor({ ...target, headers: own }, ann), [
    ["x-user", "ann@example.com"],
    ["x-user-key", "mine"],
  ]);
  const refusal = { used, status: 401, challenge: null, again: false } as const;
  await assert.rejects(services.upstream.refused(target, ann, refusal), CredentialNeeded);
  const row = await credentials.find(services.db, organizationId, { connectionId, owner });
  assert.equal(row?.state, "attention", "what was refused is what was sent");
});

onServices("holders: the plain case is at once and the very headers of the target", async (services) => {
  const ann = callerOf(await someone(services));
  const id = await holderConnection(services, ann.organizationId, { url, credential_mode: "shared" });
  const target = await targetOf(services, ann, id);
  assert.equal(target.plain, true);
  assert.equal(services.upstream.headersFor(target, ann), target.headers);
  const refusal = { used: target.headers, status: 401, challenge: null, again: false } as const;
  assert.equal(await services.upstream.refused(target, ann, refusal), false);
});

onServices(
  "holders: what is known is given at once; a change elsewhere takes effect by itself",
  async (services) => {
    const ann = callerOf(await someone(services));
    const { organizationId, userId: owner } = ann;
    const connectionId = await holderConnection(services, organizationId, { url });
    const target = await targetOf(services, ann, connectionId);
    assert.equal((await neededFor(services, target, ann)).reason, "not_connected");
    const place = { organizationId, connectionId, owner };
    // Straight in the database, as another process would do it.
    await give(services, { ...place, secret: { kind: "token", token: "first" } });
    await eventually(services, [target, ann], (headers) => headers?.[0]?.[1] === "Bearer first");
    assert.ok(!(services.upstream.headersFor(target, ann) instanceof Promise), "known, it is no promise");
    await give(services, { ...place, secret: { kind: "token", token: "second" } });
    await eventually(services, [target, ann], (headers) => headers?.[0]?.[1] === "Bearer second");
    await credentials.remove(services.db, organizationId, place);
    await eventually(services, [target, ann], (headers) => headers === null);
  },
);

onServices("holders: forgetting takes effect at once", async (services) => {
  const ann = callerOf(await someone(services));
  const { organizationId, userId: owner } = ann;
  const connectionId = await holderConnection(services, organizationId, { url });
  const target = await targetOf(services, ann, connectionId);
  const place = { organizationId, connectionId, owner };
  await give(services, { ...place, secret: { kind: "token", token: "early" } });
  assert.deepEqual(await services.upstream.headersFor(target, ann), [["authorization", "Bearer early"]]);
  await give(services, { ...place, secret: { kind: "token", token: "later" } });
  services.upstream.forget(connectionId);
  assert.deepEqual(await services.upstream.headersFor(target, ann), [["authorization", "Bearer later"]]);
});

onEachDatabase(
  "holders: a secret that was refused needs attention, the row stays",
  (_t, database) =>
    withServices(database, async (services) => {
      const ann = callerOf(await someone(services));
      const { organizationId, userId: owner } = ann;
      const connectionId = await holderConnection(services, organizationId, { url });
      const target = await targetOf(services, ann, connectionId);
      const place = { organizationId, connectionId, owner };
      await give(services, { ...place, secret: { kind: "token", token: "stale" } });
      const refusal = { status: 401, challenge: null, again: false } as const;
      const other: Header[] = [["authorization", "Bearer one that was replaced meanwhile"]];
      assert.equal(await services.upstream.refused(target, ann, { ...refusal, used: other }), true);
      const used = await services.upstream.headersFor(target, ann);
      await assert.rejects(services.upstream.refused(target, ann, { ...refusal, used }), CredentialNeeded);
      assert.equal((await neededFor(services, target, ann)).reason, "needs_attention");
      const row = await credentials.find(services.db, organizationId, place);
      assert.deepEqual([row?.state, row?.version], ["attention", 2]);
      assert.match(row?.reason ?? "", /did not accept/);
      await give(services, { ...place, secret: { kind: "token", token: "fresh" } });
      services.upstream.forget(connectionId);
      assert.deepEqual(await services.upstream.headersFor(target, ann), [["authorization", "Bearer fresh"]]);
    }),
);

// CL12
onServices("holders: a credential is not sent to a server at another address", async (services) => {
  const ann = callerOf(await someone(services));
  const { organizationId, userId: owner } = ann;
  const connectionId = await holderConnection(services, organizationId, { url });
  const secret = { kind: "token", token: "bound" } as const;
  await give(services, { organizationId, connectionId, owner, secret, url: "https://elsewhere.example/mcp" });
  const target = await targetOf(services, ann, connectionId);
  assert.equal((await neededFor(services, target, ann)).reason, "needs_attention");
  await give(services, { organizationId, connectionId, owner, secret, url });
  services.upstream.forget(connectionId);
  assert.deepEqual(await services.upstream.headersFor(target, ann), [["authorization", "Bearer bound"]]);
});

onServices("holders: what was given for another way of connecting is not sent", async (services) => {
  const ann = callerOf(await someone(services));
  const { organizationId, userId: owner } = ann;
  const connectionId = await holderConnection(services, organizationId, { url, credential_type: "oauth" });
  await give(services, { organizationId, connectionId, owner, secret: { kind: "token", token: "pasted" } });
  const target = await targetOf(services, ann, connectionId);
  assert.equal((await neededFor(services, target, ann)).reason, "not_connected");
  const personalHeaders = new Set(["x-user-key"]);
  const other = { ...target, credentialType: "static", personalHeaders } as const;
  assert.equal((await neededFor(services, other, ann)).reason, "not_connected");
});
