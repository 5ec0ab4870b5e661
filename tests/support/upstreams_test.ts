import assert from "node:assert/strict";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { startForwarder } from "./forwarder.ts";
import { behaviours, closedPort, startEverything, startFixture, startHostile } from "./upstreams.ts";
import type { Behaviour } from "./upstreams.ts";

const call = { jsonrpc: "2.0", id: 7, method: "tools/call", params: { name: "echo", arguments: {} } };

function post(url: string, message: unknown = call, init: RequestInit = {}): Promise<Response> {
  const headers = { "content-type": "application/json", accept: "application/json, text/event-stream" };
  return fetch(url, { method: "POST", headers, body: JSON.stringify(message), redirect: "manual", ...init });
}

async function withClient(
  { url, mode, token }: { url: string; mode: "legacy" | "auto"; token?: string },
  use: (client: Client) => Promise<void>,
): Promise<void> {
  const client = new Client({ name: "probe", version: "1.0.0" }, { versionNegotiation: { mode } });
  const requestInit = token ? { headers: { authorization: token } } : {};
  await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit }));
  try {
    await use(client);
  } finally {
    await client.close();
  }
}

function textOf(result: unknown): string {
  const { content } = result as { content: { text: string }[] };
  return content[0]?.text ?? "";
}

for (const mode of ["legacy", "auto"] as const) {
  Deno.test(`the fixture serves the official client (${mode})`, async () => {
    await using fixture = await startFixture();
    await withClient({ url: fixture.url, mode, token: "Bearer upstream" }, async (client) => {
      assert.equal(client.getNegotiatedProtocolVersion(), mode === "auto" ? "2026-07-28" : "2025-11-25");
      const { tools } = await client.listTools();
      assert.ok(tools.some(({ name }) => name === "test_simple_text"));
      const seen = JSON.parse(textOf(await client.callTool({ name: "whoami" })));
      assert.equal(seen.authorization, "Bearer upstream");
    });
    assert.ok(fixture.seen.some(({ body }) => body.includes("whoami")));
  });
}

Deno.test("the fixture with one era refuses the other", async () => {
  await using legacy = await startFixture({ era: "legacy" });
  await withClient({ url: legacy.url, mode: "auto" }, (client) => { // X03
    assert.equal(client.getNegotiatedProtocolVersion(), "2025-11-25");
    assert.equal(legacy.sessions().length, 1);
    return Promise.resolve();
  });
  await using modern = await startFixture({ era: "modern" });
  await assert.rejects(withClient({ url: modern.url, mode: "legacy" }, () => Promise.resolve()));
});

Deno.test("the fixture can demand a credential and forget its sessions", async () => {
  await using fixture = await startFixture({ era: "legacy", authorization: "Bearer right" });
  assert.equal((await post(fixture.url, call)).status, 401);
  await withClient({ url: fixture.url, mode: "legacy", token: "Bearer right" }, async (client) => {
    await fixture.forgetSessions();
    await assert.rejects(client.listTools(), /Session not found/); // L02
  });
});

Deno.test("the fixture notices that a modern client has gone", async () => { // M11
  await using fixture = await startFixture();
  await withClient({ url: fixture.url, mode: "auto" }, async (client) => {
    const abort = new AbortController();
    const params = { name: "wait_for_cancel", arguments: { label: "gone" } };
    const pending = client.callTool(params, { signal: abort.signal });
    await fixture.happened("started gone");
    abort.abort();
    await assert.rejects(pending);
    await fixture.happened("cancelled gone");
  });
});

Deno.test("the reference server runs as a child", async () => {
  await using everything = await startEverything();
  await withClient({ url: everything.url, mode: "auto" }, async (client) => {
    assert.equal(textOf(await client.callTool({ name: "echo", arguments: { message: "hi" } })), "Echo: hi");
  });
});

Deno.test("a well-behaved raw upstream answers a client, then turns", async () => {
  await using hostile = startHostile(behaviours.good);
  await withClient({ url: hostile.url, mode: "legacy" }, async (client) => {
    assert.equal(textOf(await client.callTool({ name: "echo", arguments: {} })), "ok");
    hostile.behave(behaviours.serverError);
    await assert.rejects(client.callTool({ name: "echo", arguments: {} }));
  });
});

const answers: [string, Behaviour, (response: Response) => Promise<void>][] = [
  ["garbage", behaviours.garbage, async (response) => void await assert.rejects(response.json())],
  ["html", behaviours.html, async (response) => assert.match(await response.text(), /Sign in/)],
  ["serverError", behaviours.serverError, async (response) => {
    assert.equal(response.status, 500);
    await response.body?.cancel();
  }],
  ["redirectTo", behaviours.redirectTo("http://10.0.0.1/"), async (response) => {
    assert.equal(response.headers.get("location"), "http://10.0.0.1/");
    await response.body?.cancel();
  }],
  ["dropMidBody", behaviours.dropMidBody, async (response) => void await assert.rejects(response.text())],
  ["slowStream", behaviours.slowStream({ events: 3, pauseMilliseconds: 5 }), async (response) => {
    assert.equal((await response.text()).match(/^data: /gm)?.length, 4);
  }],
  ["largeBody", behaviours.largeBody(200_000), async (response) => {
    assert.equal(textOf((await response.json()).result).length, 200_000);
  }],
  ["dropMidStream", behaviours.dropMidStream, async (response) => {
    assert.doesNotMatch(await response.text(), /"result"/);
  }],
];

for (const [name, behaviour, expect] of answers) {
  Deno.test(`a hostile upstream: ${name}`, async () => {
    await using hostile = startHostile(behaviour);
    await expect(await post(hostile.url));
    assert.deepEqual(hostile.requests[0]?.message, call);
  });
}

for (const name of ["dropBeforeHeaders", "notHttp"] as const) {
  Deno.test(`a hostile upstream: ${name}`, async () => {
    await using hostile = startHostile(behaviours[name]);
    await assert.rejects(post(hostile.url));
  });
}

for (const name of ["hang", "hangMidBody", "hangMidStream", "endlessBody", "endlessEvent"] as const) {
  Deno.test(`a hostile upstream sees that the client gave up: ${name}`, async () => {
    await using hostile = startHostile(behaviours[name]);
    const abort = new AbortController();
    const answer = post(hostile.url, call, { signal: abort.signal }).then((response) => response.text());
    await hostile.received();
    abort.abort();
    await assert.rejects(answer);
    await hostile.idle();
  });
}

Deno.test("nobody listens on a closed port", async () => {
  await assert.rejects(post(closedPort()));
});

Deno.test("the forwarder adds its headers, streams, and passes a disconnect on", async () => {
  await using fixture = await startFixture();
  await using forwarder = startForwarder(fixture.url, { authorization: "Bearer added" });
  await withClient({ url: forwarder.url, mode: "auto" }, async (client) => {
    assert.equal(JSON.parse(textOf(await client.callTool({ name: "whoami" }))).authorization, "Bearer added");
    const progress: number[] = [];
    const abort = new AbortController();
    const params = { name: "wait_for_cancel", arguments: { label: "forwarded" } };
    const waiting = client.callTool(params, { signal: abort.signal });
    await client.callTool({ name: "test_tool_with_progress" }, {
      onprogress: (update) => void progress.push(update.progress),
    });
    assert.deepEqual(progress, [0, 50, 100]);
    await fixture.happened("started forwarded");
    abort.abort();
    await assert.rejects(waiting);
    await fixture.happened("cancelled forwarded");
  });
});
