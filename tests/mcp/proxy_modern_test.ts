// The stateless era through the relay, against a real server of it.
import assert from "node:assert/strict";
import { behaviours, startFixture, startHostile } from "../support/upstreams.ts";
import type { Fixture } from "../support/upstreams.ts";
import {
  answerOf,
  type Json,
  messagesOf,
  modern,
  narrowed,
  post,
  type Site,
  site,
  withMesh,
} from "./support.ts";

function onFixture(name: string, fn: (to: Site, fixture: Fixture) => Promise<void>): void {
  Deno.test(name, async () => {
    await using fixture = await startFixture({ era: "modern" });
    await withMesh(async (mesh) => await fn(await site(mesh, fixture.url), fixture));
  });
}

const everything = { elicitation: { form: {} }, sampling: {}, roots: {} };

async function call(to: Site, params: Record<string, unknown>, id: string): Promise<Json> {
  return await answerOf(await post(to, modern("tools/call", params, { id, capabilities: everything })));
}

Deno.test("headers that name another tool than the body get nobody past the policy", async () => { // M01
  await using upstream = startHostile(behaviours.good);
  await withMesh(async (mesh) => {
    const to = await narrowed(mesh, await site(mesh, upstream.url), ["allowed"]);
    const sent = modern("tools/call", { name: "secret" });
    const lies: Record<string, string>[] = [
      { "mcp-name": "allowed" },
      { "mcp-name": "=?base64?YWxsb3dlZA==?=" },
      { "mcp-method": "tools/list" },
      { "mcp-protocol-version": "2025-11-25" },
    ];
    for (const lie of lies) {
      const response = await post(to, sent, { headers: lie });
      assert.equal(response.status, 400);
      assert.equal((await response.json()).error.code, -32020, JSON.stringify(lie));
    }
    // A body of the legacy era under a modern header, and the other way round, is none of either.
    const { headers } = modern("tools/call", { name: "allowed" });
    const body = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"secret"}}`;
    const response = await post(to, { headers, body });
    assert.equal(response.status, 400);
    assert.equal((await response.json()).error.code, -32602); // M03
    assert.equal(upstream.requests.length, 0);
    // The legacy era does not know these headers, so they do not go on.
    await (await post(to, {
      headers: { "mcp-name": "secret", "mcp-method": "tools/call" },
      body: body.replace("secret", "allowed"),
    })).text();
    assert.equal(upstream.requests[0]?.headers["mcp-name"], undefined);
    assert.equal(upstream.requests[0]?.headers["mcp-method"], undefined);
  });
});

onFixture("methods that the era has not are not found", async (to) => { // M04
  for (const method of ["initialize", "ping", "logging/setLevel", "resources/subscribe", "unknown/method"]) {
    const response = await post(to, modern(method, { uri: "test://static-text" }, { id: method }));
    assert.equal(response.status, 404, method);
    const { id, error } = await response.json();
    assert.deepEqual([id, error.code], [method, -32601]);
  }
});

onFixture("a capability that the client lacks is named", async (to) => { // M05
  const response = await post(to, modern("tools/call", { name: "test_missing_capability" }));
  assert.equal(response.status, 400);
  const { error } = await response.json();
  assert.equal(error.code, -32021);
  assert.ok(error.data.requiredCapabilities.sampling);
});

onFixture("the state of a call that asks comes and goes byte for byte", async (to, fixture) => { // M09
  const params = { name: "test_input_required_result_request_state", arguments: {} };
  const first = (await call(to, params, "a")).result;
  assert.equal(first.resultType, "input_required");
  const inputResponses = { confirm: { action: "accept", content: { ok: true } } };
  const { requestState } = first;
  const second = (await call(to, { ...params, inputResponses, requestState }, "b")).result;
  assert.equal(second.content[0].text, "state-ok");
  assert.equal(JSON.parse(fixture.seen.at(-1)?.body ?? "{}").params.requestState, requestState);
  const tampered = await call(to, { ...params, inputResponses, requestState: `${requestState}x` }, "c");
  assert.ok(tampered.error ?? tampered.result.isError, "what was changed is refused by who signed it");
});

onFixture("a call tells what it logs only where it was asked to", async (to) => { // M10, M13
  const logged = async (meta: Record<string, unknown>) => {
    const response = await post(to, modern("tools/call", { name: "test_tool_with_logging" }, { meta }));
    const text = await response.text();
    return text.startsWith("{") ? [JSON.parse(text)] : messagesOf(text);
  };
  const quiet = await logged({});
  assert.deepEqual(quiet.filter(({ method }) => method), []);
  const told = await logged({ "io.modelcontextprotocol/logLevel": "info" });
  const methods = told.map(({ method }) => method).filter(Boolean);
  assert.deepEqual(methods, Array(3).fill("notifications/message"));
  assert.ok(
    told.every(({ method, id }) => method === undefined || id === undefined),
    "no requests on the stream",
  );
});

onFixture("results keep what caches need, and nothing of sessions comes back", async (to, fixture) => { // M07
  for (const method of ["server/discover", "tools/list", "prompts/list", "resources/list"]) {
    const response = await post(to, modern(method), { headers: { "mcp-session-id": "made-up" } });
    assert.equal(response.status, 200, "a session id means nothing here");
    assert.equal(response.headers.get("mcp-session-id"), null);
    const { result } = await answerOf(response);
    assert.equal(typeof result.ttlMs, "number", method);
    assert.match(result.cacheScope, /^(public|private)$/);
    await (await post(to, modern(method))).text();
  }
  assert.equal(fixture.seen.length, 8, "the mesh answers nothing from a cache of its own"); // M08
});

onFixture("there is no GET and no DELETE in this era", async (to, fixture) => { // L05
  for (const method of ["GET", "DELETE"]) {
    const headers = { authorization: `Bearer ${to.key}`, "mcp-protocol-version": "2026-07-28" };
    const response = await fetch(to.url, { method, headers });
    await response.text();
    assert.equal(response.status, 405);
    assert.equal(response.headers.get("allow"), "POST");
  }
  assert.ok(fixture.seen.length <= 2);
});
