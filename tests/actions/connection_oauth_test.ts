import assert from "node:assert/strict";
import { importConnections } from "../../server/actions/connection_import.ts";
import { getConnection, listConnections, updateConnection } from "../../server/actions/connections.ts";
import { authorizeCredential } from "../../server/actions/credential_authorizing.ts";
import {
  deleteCredential,
  listCredentials,
  listHolders,
  setCredential,
} from "../../server/actions/credentials.ts";
import type { Services } from "../../server/services.ts";
import * as upstreamCredentials from "../../server/storage/upstream_credentials.ts";
import type { Caller } from "../../server/upstream/holders.ts";
import { onEachDatabase } from "../support/databases.ts";
import { onServices, withServices } from "../support/services.ts";
import { startFixture } from "../support/upstreams.ts";
import { startOidcUpstream } from "../support/upstreams/oidc_provider.ts";
import { connect, refused, run, someone } from "./connection_support.ts";
import { connectAt, runAt, seat } from "./credential_authorizing_support.ts";

const awaits = "Connect to authorize";

onEachDatabase(
  "connections: a server that asks for OAuth is recognized, and authorized for all",
  async (_t, url) => {
    await using upstream = await startOidcUpstream();
    await withServices(url, async (services) => {
      const ann = seat(await someone(services));
      const bob = seat(await someone(services, ["user"], ann.actor.organizationId ?? ""));
      const made = await connect(services, ann.actor, { title: "Wiki", connection_url: upstream.mcpUrl });
      assert.deepEqual(
        [made.credential_mode, made.credential_type, made.status, made.status_reason, made.tools],
        ["shared", "oauth", "error", awaits, null],
      );
      const { id: connectionId } = made;
      const read = async () => (await run(services, ann.actor, [getConnection, { id: connectionId }])).item;
      await refused(runAt(services, bob, [authorizeCredential, { connectionId }]), "forbidden", /UPDATE/);
      assert.deepEqual((await run(services, bob.actor, [listCredentials, {}])).items, []);
      const [item] = (await run(services, ann.actor, [listCredentials, {}])).items;
      assert.deepEqual([item?.shared, item?.status, item?.can_connect], [true, "not_connected", true]);

      await connectAt(services, ann, { upstream, connectionId });
      const connected = await read();
      assert.deepEqual([connected?.status, connected?.status_reason], ["active", null]);
      assert.ok(connected?.tools?.some(({ name }) => name === "echo"));
      const peer = await services.upstream.peerFor(connectionId, made.organization_id, bob.actor as Caller);
      assert.match(Object.fromEntries(peer?.headers ?? []).authorization ?? "", /^Bearer /);
      const holders = (await run(services, ann.actor, [listHolders, { connectionId }])).items;
      assert.deepEqual(holders.map(({ user_id, name, status }) => [user_id, name, status]), [
        [null, null, "connected"],
      ]);
      const where = { field: ["credential_type"], operator: "eq", value: "oauth" };
      assert.equal((await run(services, ann.actor, [listConnections, { where }])).totalCount, 1);

      // What does not matter to the credential leaves it; a retest goes with it.
      await run(services, ann.actor, [updateConnection, { id: connectionId, data: { title: "Notes" } }]);
      await run(services, ann.actor, [updateConnection, { id: connectionId, data: connected }]);
      assert.equal((await read())?.status, "active");
      await refused(
        run(services, bob.actor, [deleteCredential, { connectionId }]),
        "forbidden",
        /not your own/,
      );
      await run(services, ann.actor, [deleteCredential, { connectionId, userId: null }]);
      const ended = await read();
      assert.deepEqual([ended?.status, ended?.status_reason], ["error", awaits]);
      assert.ok(ended?.tools, "what it listed stays");
    });
  },
);

onServices("connections: a token that is given, or asked for, is no OAuth", async (services) => {
  await using upstream = await startOidcUpstream();
  await using plain = await startFixture({ authorization: "Bearer right" });
  const ann = await someone(services);
  const given = await connect(services, ann, { connection_url: upstream.mcpUrl, connection_token: "mine" });
  assert.deepEqual([given.credential_type, given.status], ["static", "error"]);
  assert.match(given.status_reason ?? "", /did not accept the token/);
  const said = await connect(services, ann, { connection_url: upstream.mcpUrl, credential_type: "static" });
  assert.deepEqual([said.credential_type, said.status], ["static", "error"]);
  const without = await connect(services, ann, { connection_url: plain.url });
  assert.deepEqual([without.credential_type, without.status], ["static", "error"]);
  assert.match(without.status_reason ?? "", /asks for a credential/);
  // Where it moves to one that offers OAuth, that is found out then.
  const data = { connection_url: upstream.mcpUrl };
  const { item: moved } = await run(services, ann, [updateConnection, { id: without.id, data }]);
  assert.deepEqual([moved.credential_type, moved.status, moved.status_reason], ["oauth", "error", awaits]);
});

/** A connection whose credential somebody has authorized for all. */
async function authorized(services: Services, upstream: Awaited<ReturnType<typeof startOidcUpstream>>) {
  const ann = seat(await someone(services));
  const made = await connect(services, ann.actor, { connection_url: upstream.mcpUrl });
  await connectAt(services, ann, { upstream, connectionId: made.id });
  const change = async (data: Record<string, unknown>) =>
    (await run(services, ann.actor, [updateConnection, { id: made.id, data }])).item;
  const rows = () => upstreamCredentials.listOfConnection(services.db, made.organization_id, made.id);
  return { ann, made, change, rows };
}

onServices(
  "connections: a credential that no longer applies is removed, and that is said",
  async (services) => {
    await using upstream = await startOidcUpstream();
    await using other = await startFixture();
    const { ann, made, change, rows } = await authorized(services, upstream);
    const own = await change({ credential_mode: "per_user" });
    assert.match(
      own.status_reason ?? "",
      /^One credential was given for the connection as it was before, and is removed/,
    );
    assert.deepEqual([own.status, (await rows()).length], ["active", 0]);

    await connectAt(services, ann, { upstream, connectionId: made.id });
    const resource = { oauth_config: { resource: upstream.mcpUrl } };
    assert.match((await change(resource)).status_reason ?? "", /credential was/); // CL12
    await connectAt(services, ann, { upstream, connectionId: made.id });
    const issuer = { oauth_config: { ...resource.oauth_config, authorization_server: upstream.issuer } };
    assert.match((await change(issuer)).status_reason ?? "", /credential was/); // CL09
    await connectAt(services, ann, { upstream, connectionId: made.id });
    assert.equal(
      (await change({ title: "T", oauth_config: { ...issuer.oauth_config, scope: "tools" } })).status,
      "active",
    );
    assert.equal((await rows()).length, 1, "another scope is no other server");

    const typed = await change({ credential_type: "static" });
    assert.match(typed.status_reason ?? "", /credential was/);
    assert.deepEqual([typed.oauth_config, typed.has_oauth, (await rows()).length], [null, false, 0]);
    await run(services, ann.actor, [setCredential, { connectionId: made.id, token: "t" }]);
    assert.equal((await rows()).length, 1);
    const named = await change({ personal_headers: ["X-Key"] });
    assert.match(named.status_reason ?? "", /credential was/);

    await run(services, ann.actor, [setCredential, { connectionId: made.id, headers: { "X-Key": "k" } }]);
    const moved = await change({ connection_url: other.url });
    assert.match(moved.status_reason ?? "", /credential was/);
    assert.equal((await rows()).length, 0);
    assert.ok(!JSON.stringify(other.seen).includes('"k"'), "the other host saw what was another's");
  },
);

onServices("connections: a token gives way where people bring their own", async (services) => {
  await using upstream = await startFixture();
  const ann = await someone(services);
  const headers = { Authorization: "Bearer stored", "X-Tenant": "blue" };
  const { id } = await connect(services, ann, {
    connection_url: upstream.url,
    connection_headers: { headers },
  });
  const { item } = await run(services, ann, [updateConnection, {
    id,
    data: { credential_mode: "per_user" },
  }]);
  assert.deepEqual(item.connection_headers, { headers: { "X-Tenant": "***" } });
  assert.match(
    item.status_reason ?? "",
    /Its header Authorization was removed, as each person gives their own/,
  );
  const back = { credential_mode: "shared", connection_token: "t" };
  const { item: shared } = await run(services, ann, [updateConnection, { id, data: back }]);
  assert.ok(shared.has_token);
  const { item: again } = await run(services, ann, [updateConnection, {
    id,
    data: { credential_type: "oauth" },
  }]);
  assert.equal(again.has_token, false);
  assert.match(again.status_reason ?? "", /Its token was removed, as the connection authorizes by OAuth/);
});

onServices(
  "connections: a client that acts for itself needs nobody, and its secret is never shown",
  async (services) => {
    const secret = crypto.randomUUID() + crypto.randomUUID();
    await using upstream = await startOidcUpstream({
      clients: [{
        client_id: "mesh-itself",
        client_secret: secret,
        grant_types: ["client_credentials"],
        redirect_uris: [],
        response_types: [],
        token_endpoint_auth_method: "client_secret_basic",
      }],
    });
    const ann = await someone(services);
    const oauth_config = {
      client_id: "mesh-itself",
      client_secret: secret,
      grant_type: "client_credentials",
    };
    const made = await connect(services, ann, { connection_url: upstream.mcpUrl, oauth_config });
    assert.deepEqual([made.credential_type, made.status, made.status_reason], ["oauth", "active", null]);
    assert.ok(made.tools?.length);
    assert.deepEqual(made.oauth_config, { ...oauth_config, client_secret: "***" });
    const [item] = (await run(services, ann, [listCredentials, {}])).items;
    assert.deepEqual([item?.status, item?.can_connect], ["connected", false]);
    const at = seat(ann);
    await refused(
      runAt(services, at, [authorizeCredential, { connectionId: made.id }]),
      "conflict",
      /acts for itself/,
    );
    const change = async (data: Record<string, unknown>) =>
      (await run(services, ann, [updateConnection, { id: made.id, data }])).item;
    assert.equal((await change(made)).status, "active", "what was read can be sent back");
    const wrong = await change({ oauth_config: { ...oauth_config, client_secret: "wrong" } });
    assert.equal(wrong.status, "error");
    assert.match(wrong.status_reason ?? "", /^Cannot get access to Upstream/);
    assert.equal((await change({ oauth_config })).status, "active");
    const renamed = await change({ oauth_config: { client_id: "other", grant_type: "client_credentials" } });
    assert.match(renamed.status_reason ?? "", /client/);
    assert.ok(!("client_secret" in (renamed.oauth_config ?? {})), "a secret is not sent for another client");
    await services.audit.flush();
    const rows = await services.db.selectFrom("audit_log").selectAll().execute();
    assert.ok(!JSON.stringify(rows).includes(secret), "the log holds the secret");
  },
);

onServices(
  "connections: an imported server that asks for OAuth waits for somebody to authorize it",
  async (services) => {
    await using upstream = await startOidcUpstream();
    const ann = await someone(services);
    const json = JSON.stringify({
      mcpServers: {
        wiki: { type: "http", url: upstream.mcpUrl },
        token: { type: "http", url: upstream.mcpUrl, headers: { Authorization: "Bearer wrong" } },
      },
    });
    const { items } = await run(services, ann, [importConnections, { json }]);
    const found = items.map(({ outcome, message, item }) => [outcome, message, item?.credential_type]);
    assert.deepEqual(found[0], ["created", awaits, "oauth"]);
    assert.deepEqual([found[1]?.[0], found[1]?.[2]], ["created", "static"]);
  },
);

onServices(
  "connections: where the mesh cannot register itself, that is said with what to do",
  async (services) => {
    await using upstream = await startOidcUpstream({ registration: false });
    const ann = await someone(services);
    for (const credential_mode of ["shared", "per_user"]) {
      const made = await connect(services, ann, { connection_url: upstream.mcpUrl, credential_mode });
      assert.equal(made.credential_type, "oauth");
      assert.match(
        made.status_reason ?? "",
        /takes no registrations.*http:\/\/localhost:3000\/oauth\/callback/,
      );
      const input = { connectionId: made.id };
      await refused(
        runAt(services, seat(ann), [authorizeCredential, input]),
        "upstream_failed",
        /takes no registrations/,
      );
    }
  },
);
