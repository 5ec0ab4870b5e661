import assert from "node:assert/strict";
import {
  createConnection,
  deleteConnection,
  getConnection,
  listConnections,
  updateConnection,
} from "../../server/actions/connections.ts";
import * as connections from "../../server/storage/connections.ts";
import { onEachDatabase } from "../support/databases.ts";
import { onServices, withServices } from "../support/services.ts";
import { behaviours, closedPort, startFixture, startHostile } from "../support/upstreams.ts";
import { connect, refused, run, someone, withKey } from "./connection_support.ts";

onEachDatabase("connections: made, read, listed, changed and deleted", async (_t, url) => {
  await using upstream = await startFixture({ authorization: "Bearer quiet-heron" });
  await withServices(url, async (services) => {
    const ann = await someone(services);
    const made = await connect(services, ann, {
      title: "Fixture",
      description: "Ünïcode",
      connection_url: upstream.url,
      connection_token: "quiet-heron",
      connection_headers: { headers: { "X-Team": "blue-otter" } },
      configuration_state: { region: "eu", nested: [{ pin: 12, on: true }] },
      configuration_scopes: ["read"],
      metadata: { note: [1, null] },
      bindings: [{ name: "echo" }],
    });
    assert.match(made.id, /^conn_/);
    assert.equal(made.status, "active");
    assert.equal(made.status_reason, null);
    assert.ok(made.tools?.some(({ name, inputSchema }) => name === "echo" && inputSchema));
    assert.ok(made.resources?.length && made.prompts?.length && made.resource_templates?.length);
    assert.deepEqual(made.connection_headers, { headers: { "X-Team": "***" } });
    assert.deepEqual(made.configuration_state, { region: "***", nested: [{ pin: "***", on: true }] });
    assert.deepEqual([made.has_token, made.has_oauth], [true, false]);
    assert.equal(made.organization_id, ann.organizationId);
    assert.deepEqual([made.created_by, made.updated_by], [ann.userId, ann.userId]);
    assert.match(made.created_at, /^\d{4}-\d\d-\d\dT.*Z$/);
    assert.ok(!("connection_token" in made));

    const read = await run(services, ann, [getConnection, { id: made.id }]);
    assert.deepEqual(read.item, made);
    const list = await run(services, ann, [listConnections, { binding: [{ name: "echo" }] }]);
    assert.deepEqual([list.items.length, list.totalCount, list.hasMore], [1, 1, false]);
    assert.ok(!("prompts" in (list.items[0] ?? {})), "a list does without what only the page of one shows");

    // What was read can be sent back: masks and fields that cannot be set change nothing.
    const seen = upstream.seen.length;
    const { item: same } = await run(services, ann, [updateConnection, { id: made.id, data: made }]);
    assert.deepEqual({ ...same, updated_at: "" }, { ...made, updated_at: "" });
    assert.ok(upstream.seen.slice(seen).every(({ headers }) => headers["x-team"] === "blue-otter"));

    const data = {
      title: "Renamed",
      description: null,
      organization_id: "org_other",
      created_by: "usr_other",
    };
    const { item: changed } = await run(services, ann, [updateConnection, { id: made.id, data }]);
    assert.deepEqual([changed.title, changed.description], ["Renamed", null]);
    assert.deepEqual([changed.organization_id, changed.created_by], [ann.organizationId, ann.userId]);
    assert.ok(changed.has_token);
    assert.ok(changed.updated_at > made.updated_at);

    const { item: deleted } = await run(services, ann, [deleteConnection, { id: made.id }]);
    assert.equal(deleted.id, made.id);
    assert.deepEqual(await run(services, ann, [getConnection, { id: made.id }]), { item: null });
    await refused(run(services, ann, [deleteConnection, { id: made.id }]), "not_found", /none with the id/);
    await refused(run(services, ann, [updateConnection, { id: made.id, data: {} }]), "not_found", /update/);
  });
});

onServices("connections: no action reaches another organization's", async (services) => {
  await using upstream = startHostile(behaviours.good);
  const ann = await someone(services);
  const eve = await someone(services);
  const { id } = await connect(services, ann, { title: "Ann's", connection_url: upstream.url });
  assert.deepEqual(await run(services, eve, [getConnection, { id }]), { item: null });
  assert.deepEqual((await run(services, eve, [listConnections, {}])).items, []);
  const where = { field: ["id"], operator: "eq", value: id };
  assert.equal((await run(services, eve, [listConnections, { where }])).totalCount, 0);
  await refused(
    run(services, eve, [updateConnection, { id, data: { title: "Eve's" } }]),
    "not_found",
    /none/,
  );
  await refused(run(services, eve, [deleteConnection, { id }]), "not_found", /none/);
  assert.equal((await run(services, ann, [getConnection, { id }])).item?.title, "Ann's");
});

onServices("connections: a member reads, and may not change", async (services) => {
  await using upstream = startHostile(behaviours.good);
  const ann = await someone(services);
  const bob = await someone(services, ["user"], ann.organizationId);
  const { id } = await connect(services, ann, { connection_url: upstream.url });
  assert.equal((await run(services, bob, [getConnection, { id }])).item?.id, id);
  const data = { title: "X", connection_url: upstream.url };
  await refused(
    run(services, bob, [createConnection, { data }]),
    "forbidden",
    /COLLECTION_CONNECTIONS_CREATE' on 'self'/,
  );
  await refused(run(services, bob, [deleteConnection, { id }]), "forbidden", /DELETE/);
  const readOnly = withKey(ann, { self: ["*_LIST"] });
  await refused(run(services, readOnly, [getConnection, { id }]), "forbidden", /COLLECTION_CONNECTIONS_GET/);
});

onServices(
  "connections: what cannot be one is refused, names its field, and leaves nothing",
  async (services) => {
    const ann = await someone(services);
    const url = closedPort();
    const cases: [Record<string, unknown>, string, RegExp][] = [
      [{ title: "" }, "data.title", /required/],
      [{ title: undefined }, "data.title", /required/],
      [{ title: "x".repeat(201) }, "data.title", /200/],
      [{ title: "bell\u0007" }, "data.title", /control/],
      [{ connection_url: undefined }, "data.connection_url", /required/],
      [{ connection_url: "mcp.example.com" }, "data.connection_url", /not a URL/],
      [{ connection_url: "ftp://example.com/" }, "data.connection_url", /https/],
      [{ connection_url: "https://user:pass@example.com/" }, "data.connection_url", /user name/],
      [{ connection_url: "https://example.com/#top" }, "data.connection_url", /fragment/],
      [{ connection_url: "https://exam\nple.com/" }, "data.connection_url", /not a URL/],
      [{ connection_url: `https://example.com/${"x".repeat(2048)}` }, "data.connection_url", /2048/],
      [{ connection_type: "STDIO" }, "data.connection_type", /STDIO connections are not served yet/],
      [{ connection_type: "SSE" }, "data.connection_type", /SSE connections are not served yet/],
      [{ connection_type: "FTP" }, "data.connection_type", /HTTP/],
      [{ icon: "javascript:alert(1)" }, "data.icon", /https/],
      [{ connection_token: "two\r\nlines" }, "data.connection_token", /printable/],
      [{ connection_token: "***" }, "data.connection_token", /stands for a stored secret/],
      [{ oauth_config: { clientSecret: "x" } }, "data.oauth_config", /clientSecret/],
      [{ metadata: { long: "x".repeat(50_001) } }, "data.metadata", /50000/],
    ];
    const headerCases: [Record<string, string>, RegExp][] = [
      [{ Host: "elsewhere" }, /sets this header itself/],
      [{ "content-length": "1" }, /sets this header itself/],
      [{ "Transfer-Encoding": "chunked" }, /sets this header itself/],
      [{ Connection: "close" }, /sets this header itself/],
      [{ "MCP-Session-Id": "1" }, /sets this header itself/],
      [{ "X Y": "1" }, /not the name of a header/],
      [{ "X-A": "a\r\nX-B: b" }, /printable/],
      [{ "X-A": "ü" }, /printable/],
      [{ "X-A": "" }, /1 to 8192/],
      [{ "X-A": "***" }, /stands for a stored secret/],
      [{ "X-A": "1", "x-a": "2" }, /twice/],
      [Object.fromEntries(Array.from({ length: 51 }, (_, i) => [`X-${i}`, "1"])), /more than 50/],
    ];
    for (const [data, field, message] of cases) {
      const input = { data: { title: "T", connection_url: url, ...data } };
      const error = await refused(run(services, ann, [createConnection, input]), "invalid", /^Cannot /);
      assert.match(error.fields?.[field] ?? "", message, JSON.stringify(data).slice(0, 100));
    }
    for (const [headers, message] of headerCases) {
      const input = { data: { title: "T", connection_url: url, connection_headers: { headers } } };
      const error = await refused(run(services, ann, [createConnection, input]), "invalid", /^Cannot /);
      assert.match(Object.values(error.fields ?? {}).join(), message, Object.keys(headers).join());
    }
    assert.equal((await run(services, ann, [listConnections, {}])).totalCount, 0);
  },
);

onServices("connections: an address that the outbound policy refuses makes none", async (services) => {
  const ann = await someone(services);
  for (const url of ["http://10.1.2.3/mcp", "http://169.254.169.254/", "http://[::ffff:192.168.1.1]/mcp"]) {
    const error = await refused(
      connect(services, ann, { connection_url: url }),
      "outbound_refused",
      /OUTBOUND_ALLOW/,
    );
    assert.match(error.fields?.["data.connection_url"] ?? "", /OUTBOUND_ALLOW/);
  }
  assert.equal((await run(services, ann, [listConnections, {}])).totalCount, 0);

  await using upstream = startHostile(behaviours.good);
  const { id } = await connect(services, ann, { connection_url: upstream.url });
  const data = { connection_url: "http://10.1.2.3/mcp", title: "Moved" };
  await refused(run(services, ann, [updateConnection, { id, data }]), "outbound_refused", /OUTBOUND_ALLOW/);
  const { item } = await run(services, ann, [getConnection, { id }]);
  assert.deepEqual([item?.connection_url, item?.title], [upstream.url, "Upstream"]);
});

onServices(
  "connections: a server that does not answer gives one with the status error and the reason",
  async (services) => {
    const ann = await someone(services);
    await using guarded = await startFixture({ authorization: "Bearer right" });
    await using page = startHostile(behaviours.html);
    const cases: [Record<string, unknown>, RegExp][] = [
      [{ connection_url: closedPort() }, /^Linear cannot be reached \(tcp\)/],
      [{ connection_url: "http://nobody.invalid/mcp" }, /^Linear cannot be reached \(dns\)/],
      [{ connection_url: guarded.url }, /^Linear asks for a credential \(401\)/],
      [
        { connection_url: guarded.url, connection_token: "wrong" },
        /^Linear did not accept the token \(401\)/,
      ],
      [{ connection_url: page.url }, /^Linear is no MCP server at this URL \(handshake\).*'text\/html'/],
    ];
    for (const [data, reason] of cases) {
      const item = await connect(services, ann, { title: "Linear", ...data });
      assert.equal(item.status, "error");
      assert.match(item.status_reason ?? "", reason);
      assert.equal(item.tools, null);
      assert.equal((await run(services, ann, [getConnection, { id: item.id }])).item?.status, "error");
    }
  },
);

onServices("connections: a list is filtered, sorted and paged by the database", async (services) => {
  await using upstream = startHostile(behaviours.good);
  const ann = await someone(services);
  for (const title of ["Gamma", "alpha", "Beta"]) {
    await connect(services, ann, { title, connection_url: upstream.url });
  }
  const orderBy = [{ field: ["title"], direction: "asc" }];
  const page = await run(services, ann, [listConnections, { orderBy, limit: 2 }]);
  assert.deepEqual(page.items.map(({ title }) => title), ["alpha", "Beta"]);
  assert.deepEqual([page.totalCount, page.hasMore], [3, true]);
  const rest = await run(services, ann, [listConnections, { orderBy, limit: 2, offset: 2 }]);
  assert.deepEqual([rest.items[0]?.title, rest.hasMore], ["Gamma", false]);
  const where = { operator: "or", conditions: [{ field: ["title"], operator: "contains", value: "ETA" }] };
  assert.deepEqual((await run(services, ann, [listConnections, { where }])).items.map(({ title }) => title), [
    "Beta",
  ]);
  const unknown = { field: ["sealed_token"], operator: "eq", value: "x" };
  await refused(
    run(services, ann, [listConnections, { where: unknown }]),
    "invalid",
    /no field 'sealed_token'/,
  );
});

onServices("connections: secrets stay, are cleared or replaced as an update says", async (services) => {
  await using upstream = await startFixture();
  const ann = await someone(services);
  const headers = { "X-One": "first", "X-Two": "second" };
  const base = { connection_url: upstream.url, connection_token: "early", connection_headers: { headers } };
  const { id } = await connect(services, ann, base);
  const sent = async (data: Record<string, unknown>) => {
    const { item } = await run(services, ann, [updateConnection, { id, data }]);
    services.upstream.forget();
    const target = await services.upstream.target(ann.organizationId, id);
    return { item, headers: Object.fromEntries(target?.headers ?? []) };
  };
  const all = { authorization: "Bearer early", "x-one": "first", "x-two": "second" };
  assert.deepEqual((await sent({ title: "T" })).headers, all);
  assert.deepEqual((await sent({ connection_token: "" })).headers, all, "an empty form field says nothing");
  assert.deepEqual((await sent({ connection_token: "Basic dTpw" })).headers.authorization, "Basic dTpw");
  assert.deepEqual(
    (await sent({ connection_headers: { headers: { "x-two": "***", "X-New": "n" } } })).headers,
    {
      authorization: "Basic dTpw",
      "x-two": "second",
      "x-new": "n",
    },
  );
  const unknown = { connection_headers: { headers: { "X-Gone": "***" } } };
  await refused(run(services, ann, [updateConnection, { id, data: unknown }]), "invalid", /X-Gone/);
  const both = { connection_headers: { headers: { Authorization: "Bearer x" } } };
  await refused(
    run(services, ann, [updateConnection, { id, data: both }]),
    "invalid",
    /connection_token sets/,
  );
  const cleared = await sent({ connection_token: null, connection_headers: null });
  assert.deepEqual(cleared.headers, {});
  assert.deepEqual([cleared.item.has_token, cleared.item.connection_headers], [false, null]);
});

onServices("connections: stored secrets do not follow the URL to another origin", async (services) => {
  await using first = await startFixture();
  await using second = await startFixture();
  const ann = await someone(services);
  const headers = { "X-Key": "stored" };
  const data = { connection_url: first.url, connection_token: "stored", connection_headers: { headers } };
  const { id } = await connect(services, ann, data);

  const samePlace = { connection_url: `${first.url}?team=1` };
  const { item: stays } = await run(services, ann, [updateConnection, { id, data: samePlace }]);
  assert.deepEqual([stays.has_token, stays.status_reason], [true, null]);

  const elsewhere = {
    connection_url: second.url,
    connection_headers: { headers: { "X-Key": "***", "X-New": "n" } },
  };
  const { item: moved } = await run(services, ann, [updateConnection, { id, data: elsewhere }]);
  assert.deepEqual([moved.has_token, moved.connection_headers], [false, { headers: { "X-New": "***" } }]);
  assert.match(moved.status_reason ?? "", /stored secrets were dropped/);
  assert.equal(moved.status, "active");
  assert.ok(second.seen.length > 0);
  assert.ok(!JSON.stringify(second.seen).includes("stored"), "the other host saw a stored secret");

  const back = { connection_url: first.url, connection_token: "again" };
  const { item: returned } = await run(services, ann, [updateConnection, { id, data: back }]);
  assert.deepEqual([returned.has_token, returned.status_reason?.includes("dropped")], [true, true]);
});

onServices(
  "connections: switched off by its owner, it stays so until it is switched on",
  async (services) => {
    await using upstream = await startFixture();
    const ann = await someone(services);
    const { id } = await connect(services, ann, { connection_url: upstream.url, status: "inactive" });
    const status = async (data: Record<string, unknown>) =>
      (await run(services, ann, [updateConnection, { id, data }])).item.status;
    assert.equal((await run(services, ann, [getConnection, { id }])).item?.status, "inactive");
    assert.equal(await status({ title: "T" }), "inactive");
    assert.equal(await status({ connection_token: "t" }), "inactive");
    assert.equal(await status({ status: "active" }), "active");
    assert.equal(await status({ status: "error" }), "active");
    assert.equal(await status({ connection_url: closedPort() }), "error");
    assert.equal(await status({ status: "inactive" }), "inactive");
    const row = await connections.find(services.db, ann.organizationId, id);
    assert.equal(row?.tools, null, "what another server listed is not kept");
  },
);
