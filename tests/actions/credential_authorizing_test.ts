import assert from "node:assert/strict";
import type { Action } from "../../server/actions/action.ts";
import { authorizeCredential, finishAuthorizing } from "../../server/actions/credential_authorizing.ts";
import { deleteConnection, getConnection, updateConnection } from "../../server/actions/connections.ts";
import {
  deleteCredential,
  listCredentials,
  listHolders,
  setCredential,
} from "../../server/actions/credentials.ts";
import { findAction } from "../../server/actions/mod.ts";
import type { Services } from "../../server/services.ts";
import * as upstreamCredentials from "../../server/storage/upstream_credentials.ts";
import type { Caller } from "../../server/upstream/holders.ts";
import { addMember, addOrganization } from "../support/accounts.ts";
import { onEachDatabase } from "../support/databases.ts";
import { onServices, withServices } from "../support/services.ts";
import { type OidcUpstream, startOidcUpstream } from "../support/upstreams/oidc_provider.ts";
import { connect, refused, run, someone, withKey } from "./connection_support.ts";
import { begin, connectAt, runAt, type Seat, seat } from "./credential_authorizing_support.ts";

onEachDatabase("authorizing: a server that asks for OAuth is connected by each person", async (_t, url) => {
  await using upstream = await startOidcUpstream();
  await withServices(url, async (services) => {
    const ann = seat(await someone(services));
    const bob = seat(await someone(services, ["user"], ann.actor.organizationId ?? ""));
    const data = { title: "Wiki", connection_url: upstream.mcpUrl, credential_mode: "per_user" };
    const made = await connect(services, ann.actor, data);
    assert.deepEqual(
      [made.credential_type, made.status, made.status_reason, made.tools, made.has_oauth],
      ["oauth", "active", null, null, true],
    );
    const connectionId = made.id;
    const done = await connectAt(services, bob, {
      upstream,
      connectionId,
      account: "bob",
      returnTo: "/x?y=1",
    });
    assert.deepEqual(done, {
      organization_id: made.organization_id,
      connection_id: made.id,
      title: "Wiki",
      return_to: "/x?y=1",
      problem: null,
    });
    const [item] = (await run(services, bob.actor, [listCredentials, {}])).items;
    assert.deepEqual([item?.status, item?.reason, item?.shared], ["connected", null, false]);
    assert.match(item?.expires_at ?? "", /^\d{4}-/);
    const listed = (await run(services, ann.actor, [getConnection, { id: made.id }])).item;
    assert.ok(listed?.tools?.some(({ name }) => name === "echo"), "the first one's tools are everybody's");
    assert.equal((await run(services, ann.actor, [listCredentials, {}])).items[0]?.status, "not_connected");

    await connectAt(services, ann, { upstream, connectionId, account: "ann" });
    const { items } = await run(services, ann.actor, [listHolders, { connectionId }]);
    assert.deepEqual(items.map(({ user_id }) => user_id), [bob.actor.userId, ann.actor.userId]);

    // Connecting again keeps the connection, and what was connected before gives way.
    await connectAt(services, bob, { upstream, connectionId, account: "bob" });
    assert.equal((await run(services, ann.actor, [listHolders, { connectionId }])).items.length, 2);
    assert.equal((await run(services, bob.actor, [listCredentials, {}])).items[0]?.status, "connected");
    await run(services, bob.actor, [deleteCredential, { connectionId }]);
    assert.equal((await run(services, bob.actor, [listCredentials, {}])).items[0]?.status, "not_connected");
  });
});

/** A server, a connection to it where each connects their own, and a person at a browser. */
async function stage(services: Services, upstream: OidcUpstream, data: Record<string, unknown> = {}) {
  const ann = seat(await someone(services));
  const bob = seat(await someone(services, ["user"], ann.actor.organizationId ?? ""));
  const made = await connect(services, ann.actor, {
    title: "Wiki",
    connection_url: upstream.mcpUrl,
    credential_mode: "per_user",
    ...data,
  });
  return { ann, bob, connectionId: made.id, made, organizationId: made.organization_id };
}

const stored = (services: Services, organizationId: string, connectionId: string) =>
  upstreamCredentials.listOfConnection(services.db, organizationId, connectionId);

onServices("authorizing: only the browser that began it ends it, once", async (services) => {
  await using upstream = await startOidcUpstream();
  const { ann, bob, connectionId, organizationId } = await stage(services, upstream);
  const answer = await begin(services, bob, { upstream, connectionId, account: "bob" });
  const refusedAt = (at: Seat, input: Record<string, string>) =>
    refused(runAt(services, at, [finishAuthorizing, input]), "not_found", /not begun in this browser/);
  await refusedAt(seat(bob.actor), answer); // CL15: another session of the same person
  await refusedAt(ann, answer);
  await refusedAt(bob, { ...answer, state: `${answer.state}x` });
  await refusedAt(bob, { ...answer, state: "" });
  assert.deepEqual(await stored(services, organizationId, connectionId), []);

  const both = await Promise.allSettled([1, 2].map(() => runAt(services, bob, [finishAuthorizing, answer])));
  assert.deepEqual(both.map(({ status }) => status).toSorted(), ["fulfilled", "rejected"]);
  await refusedAt(bob, answer);
  assert.equal((await stored(services, organizationId, connectionId)).length, 1);
});

onServices(
  "authorizing: who signs in after another in the same browser does not end theirs",
  async (services) => {
    await using upstream = await startOidcUpstream();
    const { ann, bob, connectionId, organizationId } = await stage(services, upstream);
    const answer = await begin(services, bob, { upstream, connectionId });
    const taken = seat(ann.actor, bob.sessionHash);
    await refused(runAt(services, taken, [finishAuthorizing, answer]), "not_found", /not begun/);
    assert.deepEqual(await stored(services, organizationId, connectionId), []);
  },
);

onServices(
  "authorizing: an answer of another server is refused, and its words are not shown",
  async (services) => {
    await using upstream = await startOidcUpstream();
    const { bob, connectionId, organizationId } = await stage(services, upstream);
    // CL06
    for (const mixed of [{ iss: "https://evil.example" }, { iss: `${upstream.issuer}/` }]) {
      const { code = "", state = "" } = await begin(services, bob, { upstream, connectionId });
      const input = { code, state, ...mixed };
      await refused(
        runAt(services, bob, [finishAuthorizing, input]),
        "upstream_failed",
        /does not come from/,
      );
    }
    const { state = "" } = await begin(services, bob, { upstream, connectionId });
    const words = { state, iss: "https://evil.example", error: "x", error_description: "Call 555-1234" };
    const error = await refused(runAt(services, bob, [finishAuthorizing, words]), "upstream_failed", /Wiki/);
    assert.doesNotMatch(error.message, /555|evil/);
    assert.deepEqual(await stored(services, organizationId, connectionId), []);
    assert.equal(upstream.tokenRequests.authorization_code ?? 0, 0, "no code was sent anywhere");
  },
);

onServices(
  "authorizing: it ends after ten minutes, and leads to paths of this site only",
  async (services) => {
    await using upstream = await startOidcUpstream();
    const { bob, connectionId } = await stage(services, upstream);
    const answer = await begin(services, bob, { upstream, connectionId });
    const [flow] = await services.db.selectFrom("upstream_flows").selectAll().execute();
    assert.equal((flow?.expires_at ?? 0) - (flow?.created_at ?? 0), 600_000);
    assert.doesNotMatch(
      JSON.stringify(flow),
      new RegExp(answer.state ?? "?"),
      "the state is stored as a hash",
    );
    await services.db.updateTable("upstream_flows").set({ expires_at: Date.now() }).execute();
    await refused(runAt(services, bob, [finishAuthorizing, answer]), "not_found", /ten minutes/);
    await begin(services, bob, { upstream, connectionId });
    await services.db.updateTable("upstream_flows").set({ expires_at: 1 }).execute();
    await begin(services, bob, { upstream, connectionId });
    assert.equal((await services.db.selectFrom("upstream_flows").selectAll().execute()).length, 1);

    for (
      const returnTo of ["//evil.example", "https://evil.example", "/\\evil.example", "/\t/evil.example", "x"]
    ) {
      const input = { connectionId, returnTo };
      await refused(
        runAt(services, bob, [authorizeCredential, input]),
        "invalid",
        /returnTo: it is not a path/,
      );
    }
  },
);

onServices("authorizing: what has changed meanwhile counts", async (services) => {
  await using upstream = await startOidcUpstream();
  const { ann, bob, connectionId, organizationId } = await stage(services, upstream);
  const finish = (at: Seat, answer: Record<string, string>) =>
    runAt(services, at, [finishAuthorizing, answer]);
  const change = (data: Record<string, unknown>) =>
    run(services, ann.actor, [updateConnection, { id: connectionId, data }]);

  const early = await begin(services, bob, { upstream, connectionId });
  await change({ connection_url: `${upstream.mcpUrl}?team=1` });
  await refused(finish(bob, early), "conflict", /changed meanwhile/);

  const off = await begin(services, bob, { upstream, connectionId });
  await change({ status: "inactive" });
  await refused(finish(bob, off), "conflict", /switched off/);
  await refused(runAt(services, bob, [authorizeCredential, { connectionId }]), "conflict", /switched off/);
  await change({ status: "active", connection_url: upstream.mcpUrl, credential_mode: "shared" });

  await refused(runAt(services, bob, [authorizeCredential, { connectionId }]), "forbidden", /UPDATE/);
  const admin = await begin(services, ann, { upstream, connectionId });
  const demoted = { ...ann, actor: { ...ann.actor, roles: ["user"] } };
  await refused(finish(demoted, admin), "forbidden", /UPDATE/);

  const last = await begin(services, ann, { upstream, connectionId });
  const kept = await services.db.selectFrom("upstream_flows").selectAll().execute();
  await run(services, ann.actor, [deleteConnection, { id: connectionId }]);
  await refused(finish(ann, last), "not_found", /not begun/);
  await services.db.insertInto("upstream_flows").values(kept).execute();
  await refused(finish(ann, last), "not_found", /deleted meanwhile/);
  assert.deepEqual(await stored(services, organizationId, connectionId), []);
  assert.equal(upstream.tokenRequests.authorization_code ?? 0, 0, "no code was exchanged");
});

onServices("authorizing: whoever does not consent keeps what was connected", async (services) => {
  await using upstream = await startOidcUpstream();
  const { bob, connectionId, organizationId } = await stage(services, upstream);
  await connectAt(services, bob, { upstream, connectionId });
  const [before] = await stored(services, organizationId, connectionId);
  const answer = await begin(services, bob, { upstream, connectionId, consents: false });
  assert.equal(answer.error, "access_denied");
  await refused(runAt(services, bob, [finishAuthorizing, answer]), "upstream_failed", /refused/);
  assert.deepEqual(await stored(services, organizationId, connectionId), [before]);
});

onServices("authorizing: keys and other programs are told the page", async (services) => {
  await using upstream = await startOidcUpstream();
  const { bob, connectionId, organizationId } = await stage(services, upstream);
  const key = withKey(bob.actor, { self: ["*"], [connectionId]: ["*"] });
  for (const actor of [key, bob.actor]) {
    const page = `/my-connections/${connectionId} in a browser`;
    await refused(
      run(services, actor, [authorizeCredential, { connectionId }]),
      "forbidden",
      new RegExp(page),
    );
  }
  // Not even with a browser's session does a key act in it.
  await refused(
    runAt(services, seat(key, bob.sessionHash), [authorizeCredential, { connectionId }]),
    "forbidden",
    /in a browser/,
  );
  assert.equal(findAction("CREDENTIAL_AUTHORIZE_FINISH"), undefined);
  await connectAt(services, bob, { upstream, connectionId });
  assert.equal((await run(services, key, [listCredentials, {}])).items[0]?.status, "connected");
  await run(services, key, [deleteCredential, { connectionId }]);
  assert.deepEqual(await stored(services, organizationId, connectionId), []);
});

onServices("authorizing: it ends in the organization in which it began", async (services) => {
  await using upstream = await startOidcUpstream();
  const { bob, connectionId, organizationId } = await stage(services, upstream);
  const other = await addOrganization(services.db, "Southwind");
  await addMember(services.db, other.id, { userId: bob.actor.userId, roles: ["owner"] });
  const answer = await begin(services, bob, { upstream, connectionId });
  const moved = { ...bob, actor: { ...bob.actor, organizationId: other.id, roles: ["owner"] } };
  const done = await runAt(services, moved, [finishAuthorizing, answer]);
  assert.equal(done.organization_id, organizationId);
  await services.audit.flush();
  const rows = await services.db.selectFrom("audit_log").selectAll().execute();
  const finished = rows.filter(({ tool_name }) => tool_name === "CREDENTIAL_AUTHORIZE_FINISH");
  assert.deepEqual(finished.map(({ organization_id }) => organization_id), [organizationId]);
  const secrets = [
    answer.code ?? "?",
    answer.state ?? "?",
    upstream.tokenParameters.at(-1)?.code_verifier ?? "?",
  ];
  for (const secret of secrets) assert.ok(!JSON.stringify(rows).includes(secret), "the log holds a secret");

  // Whoever has left it meanwhile ends nothing in it.
  const late = await begin(services, bob, { upstream, connectionId });
  await services.db.deleteFrom("members").where("organization_id", "=", organizationId)
    .where("user_id", "=", bob.actor.userId).execute();
  await refused(runAt(services, moved, [finishAuthorizing, late]), "not_found", /no organization/);
});

onServices("authorizing: another organization's people reach nothing of it", async (services) => {
  await using upstream = await startOidcUpstream();
  const { bob, connectionId, organizationId } = await stage(services, upstream);
  await connectAt(services, bob, { upstream, connectionId });
  const eve = seat(await someone(services));
  const attempts: [Action, Record<string, unknown>][] = [
    [authorizeCredential, { connectionId }],
    [setCredential, { connectionId, token: "t" }],
    [deleteCredential, { connectionId }],
    [deleteCredential, { connectionId, userId: bob.actor.userId }],
    [deleteCredential, { connectionId, userId: null }],
    [listHolders, { connectionId }],
  ];
  for (const [action, input] of attempts) {
    await refused(runAt(services, eve, [action, input]), "not_found", /none with the id/);
  }
  assert.deepEqual((await run(services, eve.actor, [listCredentials, {}])).items, []);
  assert.equal((await stored(services, organizationId, connectionId)).length, 1);
});

onServices(
  "authorizing: what is ended is given back, and asked for again with all that was granted",
  async (services) => {
    await using upstream = await startOidcUpstream({ scopes: ["tools", "admin"] });
    const { ann, bob, connectionId, organizationId } = await stage(services, upstream);
    await connectAt(services, bob, { upstream, connectionId });
    const [row] = await stored(services, organizationId, connectionId);
    assert.ok(row);
    // CL11: what a refusal asked for is kept beside what was granted.
    const change = { id: row.id, version: row.version, changes: { scope: "tools extra" }, now: Date.now() };
    await upstreamCredentials.settle(services.db, organizationId, change);
    const { authorization_url } = await runAt(services, bob, [authorizeCredential, { connectionId }]);
    const scopes = new URL(authorization_url).searchParams.get("scope")?.split(" ") ?? [];
    assert.ok(scopes.includes("extra") && scopes.includes("tools"), scopes.join());

    const peer = await services.upstream.peerFor(connectionId, organizationId, bob.actor as Caller);
    const headers = { ...Object.fromEntries(peer?.headers ?? []), accept: "application/json" };
    const ask = async () => {
      const response = await fetch(upstream.mcpUrl, { method: "POST", headers, body: "{}" });
      await response.body?.cancel();
      return response.status;
    };
    assert.notEqual(await ask(), 401);
    await run(services, ann.actor, [deleteCredential, { connectionId, userId: bob.actor.userId }]);
    assert.equal(await ask(), 401, "the access token is worth nothing after that");
  },
);

onServices("authorizing: a server that has forgotten the mesh gets to know it again", async (services) => {
  await using upstream = await startOidcUpstream();
  const { bob, connectionId } = await stage(services, upstream);
  const first = await runAt(services, bob, [authorizeCredential, { connectionId }]);
  upstream.forgetClients();
  await assert.rejects(upstream.follow(first.authorization_url), /answered 400/);
  await services.db.updateTable("upstream_flows").set({ created_at: Date.now() - 20_000 }).execute();
  const done = await connectAt(services, bob, { upstream, connectionId });
  assert.equal(done.problem, null);

  // Where it says so at the end, the next attempt makes good for it.
  const answer = await begin(services, bob, { upstream, connectionId });
  upstream.forgetClients();
  await refused(runAt(services, bob, [finishAuthorizing, answer]), "upstream_failed", /Wiki/);
  assert.equal((await connectAt(services, bob, { upstream, connectionId })).problem, null);
});

onServices(
  "authorizing: what one client was granted elsewhere outlives the end of one connection",
  async (services) => {
    await using upstream = await startOidcUpstream();
    const { ann, bob, connectionId, organizationId } = await stage(services, upstream);
    const second = await connect(services, ann.actor, {
      title: "Twin",
      connection_url: `${upstream.mcpUrl}?twin=1`,
      credential_mode: "per_user",
    });
    await connectAt(services, bob, { upstream, connectionId });
    await connectAt(services, bob, { upstream, connectionId: second.id });
    await run(services, bob.actor, [deleteCredential, { connectionId }]);
    const peer = await services.upstream.peerFor(second.id, organizationId, bob.actor as Caller);
    assert.ok(peer && (await services.upstream.catalog(peer)).ok);
  },
);
