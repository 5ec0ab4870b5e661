import assert from "node:assert/strict";
import { maxBodyBytes } from "../../server/body.ts";
import { behaviours, closedPort, startFixture, startHostile } from "../support/upstreams.ts";
import {
  addConnection,
  answerOf,
  legacy,
  type Mesh,
  modern,
  openSession,
  post,
  replying,
  resultFor,
  rowsOf,
  type Sent,
  type Site,
  site,
  withMesh,
} from "./support.ts";

const ping = legacy("ping", undefined, { id: "p-1" });

interface Refused {
  what: string;
  sent?: Partial<Sent>;
  init?: RequestInit;
  to?: (mesh: Mesh, to: Site) => Promise<Partial<Site>>;
  status: number;
  code?: number;
  id?: unknown;
}

const refusals: Refused[] = [
  { what: "malformed JSON", sent: { body: "{not json" }, status: 400, code: -32700, id: null }, // G10
  { what: "no body at all", init: { body: null }, status: 400, code: -32700, id: null },
  { what: "a batch", sent: { body: `[${ping.body}]` }, status: 400, code: -32600, id: null }, // G09
  { what: "no JSON-RPC", sent: { body: `{"id":3,"method":"ping"}` }, status: 400, code: -32600 },
  {
    what: "params that are a list",
    sent: { body: `{"jsonrpc":"2.0","id":3,"method":"x","params":[]}` },
    status: 400,
    code: -32600,
    id: 3,
  },
  {
    what: "a tool without a name",
    sent: legacy("tools/call", {}, { id: 4 }),
    status: 400,
    code: -32602,
    id: 4,
  },
  { what: "another content type", init: { headers: { "content-type": "text/plain" } }, status: 415 },
  { what: "a body over the limit", sent: { body: " ".repeat(maxBodyBytes) + ping.body }, status: 413 },
  { what: "an endless body", init: { body: chunked(maxBodyBytes + 1) }, status: 413 },
  {
    what: "an unknown connection",
    to: (mesh) => Promise.resolve({ url: `${mesh.url}/mcp/conn_unknown` }),
    status: 404,
    id: "p-1",
  },
  ...["%00", "conn_%00", "..%2F..", "%E0%A4%A", "a".repeat(2000), "conn_'%20or%201=1"].map((id) => ({
    what: `an id that is none: ${id.slice(0, 20)}`,
    to: (mesh: Mesh) => Promise.resolve({ url: `${mesh.url}/mcp/${id}` }),
    status: 404,
  })),
  {
    what: "another organization's connection",
    to: async (mesh) => ({ url: (await site(mesh, closedPort())).url }),
    status: 404, // never 403: it does not exist for this caller
    id: "p-1",
  },
  { what: "no token", to: () => Promise.resolve({ key: "" }), status: 401 },
  {
    what: "a session that nobody opened",
    sent: legacy("ping", {}, { id: 5, session: "made-up" }),
    status: 404,
    id: 5,
  }, // L02
];

function chunked(size: number): ReadableStream<Uint8Array> {
  let left = size;
  return new ReadableStream({
    pull: (controller) => {
      controller.enqueue(new Uint8Array(Math.min(left, 65_536)).fill(0x20));
      left -= 65_536;
      if (left <= 0) controller.close();
    },
  });
}

Deno.test("bad input gets the status and error that say what is wrong with it", async (t) => {
  await using upstream = startHostile(behaviours.good);
  await withMesh(async (mesh) => {
    const to = await site(mesh, upstream.url);
    for (const { what, sent, init, to: change, status, code, id } of refusals) {
      await t.step(what, async () => {
        const target = { ...to, ...await change?.(mesh, to) };
        const response = await post(target, { ...ping, ...sent }, init);
        assert.equal(response.status, status);
        const body = await response.json();
        if (status === 401) {
          assert.match(response.headers.get("www-authenticate") ?? "", /^Bearer /);
          return;
        }
        if (code !== undefined) assert.equal(body.error.code, code);
        if (id !== undefined) assert.equal(body.id, id); // G03
        assert.match(body.error.message, /^Cannot /);
      });
    }
    assert.equal(upstream.requests.length, 0, "nothing of it reached the upstream");
    assert.deepEqual(await rowsOf(mesh, to), []);
  });
});

Deno.test("methods other than POST, GET and DELETE are not allowed", async () => {
  await withMesh(async (mesh) => {
    const to = await site(mesh, closedPort());
    for (const method of ["PUT", "PATCH", "HEAD"]) {
      const response = await fetch(to.url, { method, headers: { authorization: `Bearer ${to.key}` } });
      await response.text();
      assert.equal(response.status, 405, method);
      assert.equal(response.headers.get("allow"), "GET, POST, DELETE");
    }
  });
});

Deno.test("the message reaches the upstream as it came, and the answer the client", async () => { // G01
  const answer =
    `{"result":{"content":[],"n":12345678901234567890,"icons":[{"src":"x"}],"é":"😀"},"jsonrpc":"2.0","id":7}`;
  await using upstream = startHostile(replying(() => ({ body: answer })));
  await withMesh(async (mesh) => {
    const to = await site(mesh, upstream.url);
    const body = `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"tool","arguments":` +
      `{"big":9223372036854775807,"f":1.0,"é":"漢字 😀"},"_meta":{"progressToken":"1","x/y":[null]}},"future":{"a":1}}`;
    const response = await post(to, { headers: {}, body });
    assert.equal(await response.text(), answer);
    assert.equal(upstream.requests[0]?.body, body);
  });
});

Deno.test("the last of two names counts: for the policy, for the upstream, for the log", async () => {
  await using upstream = startHostile(behaviours.good);
  await withMesh(async (mesh) => {
    const to = await site(mesh, upstream.url);
    const key = await mesh.key(to.person, { [to.connectionId]: ["allowed"] });
    const call = (first: string, last: string) =>
      `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"${first}","name":"${last}"}}`;
    const denied = await answerOf(
      await post({ ...to, key }, { headers: {}, body: call("allowed", "secret") }),
    );
    assert.equal(denied.result.isError, true);
    assert.match(denied.result.content[0].text, /permission 'secret'/);
    assert.equal(upstream.requests.length, 0);
    await (await post({ ...to, key }, { headers: {}, body: call("secret", "allowed") })).text();
    assert.equal(upstream.requests[0]?.message.params?.name, "allowed");
    assert.equal(upstream.requests[0]?.body.includes("secret"), false);
    const rows = (await rowsOf(mesh, to)).map(({ toolName, outcome }) => [toolName, outcome]);
    assert.deepEqual(rows, [["allowed", "ok"], ["secret", "denied"]]);
  });
});

Deno.test("the upstream sees its own credential and nothing of the caller's", async () => { // G05, RS10
  await using upstream = startHostile(behaviours.good);
  await withMesh(async (mesh) => {
    const to = await site(mesh, upstream.url, {
      token: "upstream-credential",
      headers: { "X-Tenant": "seven", "User-Agent": "own/1" },
    });
    const theirs = {
      cookie: "session=callers",
      "proxy-authorization": "Basic callers",
      "x-api-key": "callers",
      "x-forwarded-for": "10.1.2.3",
      "forwarded": "for=10.1.2.3",
      "x-tenant": "callers",
      "user-agent": "callers/1",
      "referer": "https://callers.example/",
      "mcp-param-region": "callers",
      "x-request-id": "callers",
      "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    };
    for (const sent of [legacy("tools/list"), modern("tools/list")]) {
      await (await post(to, sent, { headers: theirs })).text();
    }
    const [old, now] = upstream.requests.map(({ headers }) => headers);
    for (const headers of [old, now]) {
      assert.equal(headers?.authorization, "Bearer upstream-credential");
      assert.equal(headers?.["x-tenant"], "seven");
      assert.equal(headers?.["user-agent"], "own/1");
      assert.equal(headers?.traceparent, theirs.traceparent);
      const text = JSON.stringify(headers);
      assert.equal(text.includes("callers"), false, text);
      assert.equal(text.includes(to.key), false);
    }
    const common = ["accept", "accept-encoding", "authorization", "content-length", "content-type", "host"];
    const rest = ["mcp-protocol-version", "traceparent", "user-agent", "x-tenant"];
    assert.deepEqual(Object.keys(old ?? {}).sort(), [...common, ...rest].sort());
    assert.deepEqual(Object.keys(now ?? {}).sort(), [...common, ...rest, "mcp-method"].sort());
  });
});

Deno.test("of the upstream's headers only those that mean the same reach the client", async () => { // G05, RS10
  const headers = {
    "set-cookie": "session=upstream",
    "www-authenticate": 'Bearer realm="upstream"',
    "x-internal": "10.0.0.7",
    "server": "upstream/1",
    "access-control-allow-origin": "*",
    "location": "http://10.0.0.7/",
    "retry-after": "7",
  };
  await using upstream = startHostile(replying((request) => ({ headers, body: resultFor(request, {}) })));
  await withMesh(async (mesh) => {
    const to = await site(mesh, upstream.url);
    const response = await post(to, legacy("ping"));
    await response.text();
    assert.deepEqual([...response.headers.keys()].sort(), [
      "content-length",
      "content-type",
      "date",
      "retry-after",
      "x-request-id",
    ]);
  });
});

Deno.test("a header of the call's arguments passes untouched, known or not", async () => { // M02, Q-22
  await using upstream = startHostile(behaviours.good);
  await withMesh(async (mesh) => {
    const to = await site(mesh, upstream.url);
    const headers = { "Mcp-Param-Region": "eu-1", "mcp-param-Other": "=?base64?w6k=?=" };
    await (await post(to, modern("tools/call", { name: "t" }), { headers })).text();
    assert.equal(upstream.requests[0]?.headers["mcp-param-region"], "eu-1");
    assert.equal(upstream.requests[0]?.headers["mcp-param-other"], "=?base64?w6k=?=");
    assert.equal(upstream.requests[0]?.headers["mcp-name"], "t");
  });
  await using strict = await startFixture({ era: "modern" });
  await withMesh(async (mesh) => {
    const to = await site(mesh, strict.url);
    const call = modern("tools/call", { name: "test_header_parameter", arguments: { region: "eu-1" } });
    const missing = await post(to, call);
    assert.equal(missing.status, 400);
    assert.equal((await missing.json()).error.code, -32020);
    const given = await answerOf(await post(to, call, { headers: { "mcp-param-region": "eu-1" } }));
    assert.equal(given.result.content[0].text, `{"region":"eu-1"}`);
  });
});

Deno.test("a connection that is switched off serves nobody, and the log says so", async () => {
  await using upstream = startHostile(behaviours.good);
  await withMesh(async (mesh) => {
    const to = await site(mesh, upstream.url, { status: "inactive", title: "Old one" });
    const called = await answerOf(await post(to, legacy("tools/call", { name: "echo" })));
    assert.match(called.result.content[0].text, /^Cannot use 'Old one': the connection is switched off/);
    const listed = await post(to, legacy("tools/list"));
    assert.equal(listed.status, 503);
    assert.match((await listed.json()).error.message, /switched off/);
    for (const method of ["GET", "DELETE"]) {
      const response = await fetch(to.url, { method, headers: { authorization: `Bearer ${to.key}` } });
      assert.equal(response.status, 503);
      await response.text();
    }
    assert.equal(upstream.requests.length, 0);
    const rows = (await rowsOf(mesh, to)).map(({ method, outcome }) => [method, outcome]);
    assert.deepEqual(rows, [["tools/list", "denied"], ["tools/call", "denied"]]);
    // One that had an error is tried: it may be well again.
    const id = await addConnection(mesh, to.person, { url: upstream.url, status: "error" });
    const response = await post({ ...to, url: `${mesh.url}/mcp/${id}` }, legacy("ping"));
    assert.equal(response.status, 200);
    await response.text();
  });
});

Deno.test("nothing that a schema refers to is fetched", async () => { // G11
  await using elsewhere = startHostile(behaviours.good);
  const $ref = elsewhere.url.replace("/mcp", "/schema.json");
  const tools = [{ name: "t", inputSchema: { type: "object", $ref }, icons: [{ src: $ref }] }];
  await using upstream = startHostile(replying((request) => ({ body: resultFor(request, { tools }) })));
  await withMesh(async (mesh) => {
    const to = await site(mesh, upstream.url);
    const key = await mesh.key(to.person, { [to.connectionId]: ["t"] });
    for (const each of [to, { ...to, key }]) {
      const { result } = await answerOf(await post(each, legacy("tools/list")));
      assert.deepEqual(result.tools, tools);
    }
    assert.equal(elsewhere.requests.length, 0);
  });
});

Deno.test("a session is opened, used and ended through the mesh", async () => { // L01, L02, L03
  await using fixture = await startFixture({ era: "legacy" });
  await withMesh(async (mesh) => {
    const to = await site(mesh, fixture.url);
    const session = await openSession(to);
    assert.equal(fixture.sessions().length, 1);
    assert.notEqual(session, fixture.sessions()[0]);
    const missing = await post(to, legacy("tools/list"));
    assert.equal(missing.status, 400);
    await missing.text();
    const ended = await fetch(to.url, {
      method: "DELETE",
      headers: { authorization: `Bearer ${to.key}`, "mcp-session-id": session },
    });
    assert.equal(ended.status, 200);
    await ended.text();
    assert.deepEqual(fixture.sessions(), []);
    const gone = await post(to, legacy("tools/list", {}, { session }));
    assert.equal(gone.status, 404);
    await gone.text();
  });
});
