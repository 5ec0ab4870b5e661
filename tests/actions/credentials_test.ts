import assert from "node:assert/strict";
import {
  createConnection,
  deleteConnection,
  getConnection,
  updateConnection,
} from "../../server/actions/connections.ts";
import {
  deleteCredential,
  listCredentials,
  listHolders,
  setCredential,
} from "../../server/actions/credentials.ts";
import * as upstreamCredentials from "../../server/storage/upstream_credentials.ts";
import { onEachDatabase } from "../support/databases.ts";
import { onServices, withServices } from "../support/services.ts";
import { type Fixture, startFixture } from "../support/upstreams.ts";
import { connect, refused, run, someone, withKey } from "./connection_support.ts";

/** A server that lets in who sends one of these values in this header. */
function startPersonal(name: string, values: string[]): Promise<Fixture> {
  return startFixture({
    guard: (request) =>
      Promise.resolve(
        values.includes(request.headers.get(name) ?? "") ? undefined : new Response("who?", { status: 401 }),
      ),
  });
}

const perUser = { credential_mode: "per_user", credential_type: "static" };

onEachDatabase("credentials: each person gives, replaces and ends their own token", async (_t, url) => {
  await using upstream = await startPersonal("authorization", ["Bearer anns", "Bearer bobs", "Bearer new"]);
  await withServices(url, async (services) => {
    const ann = await someone(services);
    const bob = await someone(services, ["user"], ann.organizationId);
    const { id } = await connect(services, ann, { title: "Wiki", connection_url: upstream.url, ...perUser });
    const made = (await run(services, ann, [getConnection, { id }])).item;
    assert.deepEqual([made?.status, made?.status_reason, made?.tools], ["active", null, null]);
    assert.deepEqual([made?.credential_mode, made?.credential_type], ["per_user", "static"]);

    const list = async (actor = bob) => (await run(services, actor, [listCredentials, {}])).items;
    const [before] = await list();
    assert.deepEqual(before, {
      connection_id: id,
      title: "Wiki",
      icon: null,
      url: upstream.url,
      connect_url: `http://localhost:3000/my-connections/${id}`,
      mode: "per_user",
      type: "static",
      personal_headers: null,
      shared: false,
      status: "not_connected",
      reason: null,
      account: null,
      connected_at: null,
      expires_at: null,
      can_connect: true,
    });

    const { item } = await run(services, bob, [setCredential, { connectionId: id, token: "bobs" }]);
    assert.deepEqual([item.status, item.reason], ["connected", null]);
    assert.match(item.connected_at ?? "", /^\d{4}-/);
    assert.equal((await list(ann))[0]?.status, "not_connected", "what is one person's is nobody else's");
    const listed = (await run(services, ann, [getConnection, { id }])).item;
    assert.ok(listed?.tools?.some(({ name }) => name === "echo"), "the first one's tools are everybody's");

    const wrong = await run(services, ann, [setCredential, { connectionId: id, token: "wrong" }]);
    assert.deepEqual(
      [wrong.item.status, wrong.item.reason],
      ["needs_attention", "The server did not accept the credential"],
    );
    assert.equal((await run(services, ann, [getConnection, { id }])).item?.status, "active");
    await run(services, ann, [setCredential, { connectionId: id, token: "anns" }]);

    const holders = (await run(services, ann, [listHolders, { connectionId: id }])).items;
    assert.deepEqual(holders.map(({ user_id, email, status }) => [user_id, email, status]), [
      [bob.userId, bob.email, "connected"],
      [ann.userId, ann.email, "connected"],
    ]);
    await refused(run(services, bob, [listHolders, { connectionId: id }]), "forbidden", /CONNECTIONS_UPDATE/);

    const sent = async (actor: typeof bob) => {
      const peer = await services.upstream.peerFor(id, ann.organizationId, actor);
      return Object.fromEntries(peer?.headers ?? []).authorization;
    };
    assert.deepEqual([await sent(ann), await sent(bob)], ["Bearer anns", "Bearer bobs"]);
    await run(services, bob, [setCredential, { connectionId: id, token: "new" }]);
    assert.equal(await sent(bob), "Bearer new");

    await refused(
      run(services, bob, [deleteCredential, { connectionId: id, userId: ann.userId }]),
      "forbidden",
      /not your own/,
    );
    await run(services, bob, [deleteCredential, { connectionId: id }]);
    assert.equal((await list())[0]?.status, "not_connected");
    await refused(run(services, bob, [deleteCredential, { connectionId: id }]), "not_found", /no such/);
    await run(services, ann, [deleteCredential, { connectionId: id, userId: ann.userId }]);
    assert.deepEqual((await run(services, ann, [listHolders, { connectionId: id }])).items, []);

    await run(services, bob, [setCredential, { connectionId: id, token: "bobs" }]);
    await run(services, ann, [deleteCredential, { connectionId: id, userId: bob.userId }]);
    assert.equal((await list())[0]?.status, "not_connected", "an admin ends another's");
    await run(services, bob, [setCredential, { connectionId: id, token: "bobs" }]);
    await run(services, ann, [deleteConnection, { id }]);
    assert.deepEqual(await upstreamCredentials.listOfConnection(services.db, ann.organizationId, id), []);
  });
});

onServices("credentials: each person gives the values of headers", async (services) => {
  await using upstream = await startPersonal("x-team-key", ["secret-of-bob"]);
  const ann = await someone(services);
  const bob = await someone(services, ["user"], ann.organizationId);
  const personal_headers = ["X-Team-Key", "X-Region"];
  const tenant = { connection_headers: { headers: { "X-Tenant": "blue" } } };
  const data = { connection_url: upstream.url, ...perUser, personal_headers, ...tenant };
  const { id } = await connect(services, ann, data);
  const set = (input: Record<string, unknown>) =>
    run(services, bob, [setCredential, { connectionId: id, ...input }]);
  await refused(set({ token: "t" }), "invalid", /^Cannot use token: the connection asks for headers/);
  const missing = await refused(set({ headers: { "X-Team-Key": "secret-of-bob" } }), "invalid", /X-Region/);
  assert.equal(missing.fields?.["headers.X-Region"], "it is required");
  const other = { "X-Team-Key": "a", "X-Region": "b", "X-Other": "c" };
  await refused(set({ headers: other }), "invalid", /does not ask for this header/);
  const split = { "X-Team-Key": "a\r\nX-Admin: 1", "X-Region": "eu" };
  const unprintable = await refused(set({ headers: split }), "invalid", /printable/);
  assert.ok(!unprintable.message.includes("X-Admin"), "the refusal holds no value");
  await refused(set({ headers: { "X-Team-Key": "***", "X-Region": "eu" } }), "invalid", /required/);

  const { item } = await set({ headers: { "x-team-key": "secret-of-bob", "X-Region": "eu" } });
  assert.deepEqual([item.status, item.personal_headers], ["connected", personal_headers]);
  await set({ headers: { "X-Region": "us", "X-Team-Key": "***" } });
  const peer = await services.upstream.peerFor(id, ann.organizationId, bob);
  assert.deepEqual(Object.fromEntries(peer?.headers ?? []), {
    "x-tenant": "blue",
    "x-team-key": "secret-of-bob",
    "x-region": "us",
  });
});

onServices("credentials: who may, and for what", async (services) => {
  await using upstream = await startFixture();
  const ann = await someone(services);
  const bob = await someone(services, ["user"], ann.organizationId);
  const { id: shared } = await connect(services, ann, { connection_url: upstream.url });
  const { id } = await connect(services, ann, { connection_url: upstream.url, ...perUser });
  await refused(
    run(services, bob, [setCredential, { connectionId: shared, token: "t" }]),
    "conflict",
    /one credential for the whole organization/,
  );
  await refused(
    run(services, bob, [setCredential, { connectionId: "conn_none", token: "t" }]),
    "not_found",
    /none with the id/,
  );
  const elsewhere = withKey(bob, { self: ["*"], conn_other: ["*"] });
  await refused(
    run(services, elsewhere, [setCredential, { connectionId: id, token: "t" }]),
    "forbidden",
    /may not use/,
  );
  assert.deepEqual((await run(services, elsewhere, [listCredentials, {}])).items, []);
  const reader = withKey(bob, { self: ["*_LIST", "*_GET"], [id]: ["*"] });
  assert.equal((await run(services, reader, [listCredentials, {}])).items.length, 1);
  await refused(
    run(services, reader, [setCredential, { connectionId: id, token: "t" }]),
    "forbidden",
    /CREDENTIAL_SET/,
  );
  // A key acts as its owner, for themselves as well.
  const key = withKey(bob, { self: ["CREDENTIAL_*"], [id]: ["*"] });
  await run(services, key, [setCredential, { connectionId: id, token: "t" }]);
  assert.equal((await run(services, bob, [listCredentials, {}])).items[0]?.status, "connected");
  await run(services, ann, [updateConnection, { id, data: { status: "inactive" } }]);
  assert.equal((await run(services, bob, [listCredentials, {}])).items[0]?.can_connect, false);
});

onServices("credentials: what a connection cannot be together is refused", async (services) => {
  const ann = await someone(services);
  const url = "http://127.0.0.1:9/mcp";
  const cases: [Record<string, unknown>, string, RegExp][] = [
    [{ ...perUser, connection_token: "t" }, "data.connection_token", /each person gives their own/],
    [{ credential_type: "oauth", connection_token: "t" }, "data.connection_token", /authorizes by OAuth/],
    [
      { ...perUser, connection_headers: { headers: { authorization: "Bearer t" } } },
      "data.connection_headers.headers.authorization",
      /each person gives their own/,
    ],
    [
      { ...perUser, personal_headers: ["X-Key"], connection_headers: { headers: { "x-key": "k" } } },
      "data.connection_headers.headers.x-key",
      /each person gives their own/,
    ],
    [{ personal_headers: ["X-Key"] }, "data.personal_headers", /per_user/],
    [{ ...perUser, personal_headers: ["Host"] }, "data.personal_headers.0", /sets this header itself/],
    [{ ...perUser, personal_headers: ["X-A", "x-a"] }, "data.personal_headers", /twice/],
    [{ ...perUser, oauth_config: { client_id: "c" } }, "data.oauth_config", /'oauth'/],
    [{ oauth_config: { client_secret: "s" } }, "data.oauth_config.client_id", /required/],
    [{ oauth_config: { client_id: "c", client_secret: "***" } }, "data.oauth_config.client_secret", /stands/],
    [
      { oauth_config: { client_id: "c", token_endpoint_auth_method: "private_key_jwt" } },
      "data.oauth_config.private_key",
      /needs it/,
    ],
    [
      { oauth_config: { client_id: "c", private_key: "no key" } },
      "data.oauth_config.private_key",
      /not a private key/,
    ],
    [
      { credential_mode: "per_user", oauth_config: { client_id: "c", grant_type: "client_credentials" } },
      "data.oauth_config.grant_type",
      /no person/,
    ],
    [
      { oauth_config: { authorization_server: "ftp://x" } },
      "data.oauth_config.authorization_server",
      /https/,
    ],
    [{ options: { timeout_seconds: 0 } }, "data.options.timeout_seconds", /1/],
    [{ options: { timeout_seconds: 3601 } }, "data.options.timeout_seconds", /3600/],
    [{ options: { ca_certificates: "none" } }, "data.options.ca_certificates", /PEM/],
    [{ client_certificate: { certificate: "***", key: "***" } }, "data.client_certificate", /stands/],
    [{ client_certificate: { certificate: "x", key: "y" } }, "data.client_certificate.certificate", /PEM/],
    [{ credential_mode: "both" }, "data.credential_mode", /shared or per_user/],
  ];
  for (const [data, field, message] of cases) {
    const input = { data: { title: "T", connection_url: url, ...data } };
    const error = await refused(run(services, ann, [createConnection, input]), "invalid", /^Cannot /);
    assert.match(error.fields?.[field] ?? "", message, `${field}: ${JSON.stringify(error.fields)}`);
  }
});
