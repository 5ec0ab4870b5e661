import assert from "node:assert/strict";
import { behaviours, startFixture, startHostile } from "../support/upstreams.ts";
import {
  answerOf,
  type Json,
  legacy,
  legacyVersion,
  messagesOf,
  modern,
  narrowed,
  openSession,
  post,
  replying,
  resultFor,
  rowsOf,
  type Sent,
  site,
  withMesh,
} from "./support.ts";

/** Answers each list with all of these, as JSON or as an event stream. */
const items: Record<string, unknown> = {
  "tools/list": { tools: [{ name: "echo", "x-max": 1 }, { name: "rm" }] },
  "prompts/list": { prompts: [{ name: "hello" }, { name: "secret" }] },
  "resources/list": { resources: [{ uri: "doc://a/1" }, { uri: "doc://b/1" }] },
  "resources/templates/list": {
    resourceTemplates: [{ uriTemplate: "doc://a/{id}" }, { uriTemplate: "doc://b/{id}" }],
  },
};

function lists(form: "json" | "sse") {
  return replying((request) => {
    const cached = { nextCursor: "more", ttlMs: 1000, cacheScope: "public" };
    const answer = resultFor(request, { ...items[request.message.method ?? ""] as object, ...cached });
    return form === "json"
      ? { body: answer }
      : { type: "text/event-stream", body: `: hello\n\nid: 4\nevent: message\ndata: ${answer}\n\n` };
  });
}

const methods = Object.keys(items);
const names = (result: Json) =>
  (Object.values(result).find(Array.isArray) ?? []).map((item: Json) =>
    item.name ?? item.uri ?? item.uriTemplate
  );

for (const form of ["json", "sse"] as const) {
  Deno.test(`lists show what the caller may use, in ${form} answers of both eras`, async () => { // M07
    await using upstream = startHostile(lists(form));
    await withMesh(async (mesh) => {
      const all = await site(mesh, upstream.url);
      const some = await narrowed(mesh, all, ["echo", "prompt:hello", "resource:doc://a/*"]);
      const tools = await narrowed(mesh, all, ["echo"]);
      for (const make of [legacy, modern]) {
        const ask = async (to: typeof all, method: string) =>
          (await answerOf(await post(to, make(method)))).result;
        assert.deepEqual((await Promise.all(methods.map((method) => ask(all, method)))).map(names), [
          ["echo", "rm"],
          ["hello", "secret"],
          ["doc://a/1", "doc://b/1"],
          ["doc://a/{id}", "doc://b/{id}"],
        ]);
        const kept = await Promise.all(methods.map((method) => ask(some, method)));
        assert.deepEqual(kept.map(names), [["echo"], ["hello"], ["doc://a/1"], ["doc://a/{id}"]]);
        assert.deepEqual(kept[0].tools, [{ name: "echo", "x-max": 1 }]);
        // A permission that names tools only gives no prompts and no resources.
        const bare = await Promise.all(methods.map((method) => ask(tools, method)));
        assert.deepEqual(bare.map(names), [["echo"], [], [], []]);
        for (const result of [...kept, ...bare]) {
          assert.deepEqual([result.nextCursor, result.ttlMs, result.cacheScope], ["more", 1000, "private"]);
        }
        assert.equal((await ask(all, "tools/list")).cacheScope, "public");
      }
    });
  });
}

Deno.test("schemas, numbers and unknown members survive a filtered list", async () => { // G01
  const tool = `{"name":"echo","inputSchema":{"$schema":"https://json-schema.org/draft/2020-12/schema",` +
    `"$defs":{"a":{"$anchor":"x"}},"allOf":[{"if":{},"then":{}}],"maximum":9223372036854775807,"multipleOf":0.10},` +
    `"icons":[{"src":"data:,"}],"annotations":{"é":"\u{1f600}"},"_meta":{"future":null}}`;
  await using upstream = startHostile(
    replying(({ message }) => ({
      body: `{"jsonrpc":"2.0","id":${message.id},"result":{"tools":[{"name":"rm"},${tool}],"x":{"y":1e3}}}`,
    })),
  );
  await withMesh(async (mesh) => {
    const some = await narrowed(mesh, await site(mesh, upstream.url), ["echo"]);
    const text = await (await post(some, legacy("tools/list"))).text();
    assert.equal(text, `{"jsonrpc":"2.0","id":1,"result":{"tools":[${tool}],"x":{"y":1e3}}}`);
  });
});

const denials: [what: string, sent: Sent, missing: string, isTool: boolean][] = [
  ["a tool", legacy("tools/call", { name: "rm" }), "rm", true],
  ["a tool of the modern era", modern("tools/call", { name: "rm" }), "rm", true],
  ["a tool without an id", legacy("tools/call", { name: "rm" }, { id: null }), "rm", false],
  ["a prompt", legacy("prompts/get", { name: "echo" }), "prompt:echo", false],
  ["a resource", modern("resources/read", { uri: "doc://a/1" }), "resource:doc://a/1", false],
  ["a subscription", legacy("resources/subscribe", { uri: "doc://a/1" }), "resource:doc://a/1", false],
  [
    "a completion",
    legacy("completion/complete", { ref: { type: "ref/prompt", name: "hello" } }),
    "prompt:hello",
    false,
  ],
  [
    "a listener",
    modern("subscriptions/listen", { notifications: { resourceSubscriptions: ["doc://a/1"] } }),
    "resource:doc://a/1",
    false,
  ],
  ["a method that nobody knows", legacy("secrets/read"), "*", false],
];

Deno.test("what is not allowed names the permission, reaches nobody and is in the log", async (t) => {
  await using upstream = startHostile(behaviours.good);
  await withMesh(async (mesh) => {
    const to = await narrowed(mesh, await site(mesh, upstream.url, { title: "Files" }), ["echo"]);
    for (const [what, sent, missing, isTool] of denials) {
      await t.step(what, async () => {
        const response = await post(to, sent);
        const body = await response.json();
        const text = `Cannot use 'Files': the permission '${missing}' on '${to.connectionId}' is missing`;
        if (isTool) {
          assert.equal(response.status, 200);
          assert.equal(body.result.isError, true);
          assert.deepEqual(body.result.content, [{ type: "text", text }]);
          assert.equal(body.result.resultType, sent.headers["mcp-method"] ? "complete" : undefined);
        } else {
          assert.equal(response.status, 403);
          assert.equal(body.error.message, text);
        }
        const [row] = await rowsOf(mesh, to);
        assert.deepEqual([row?.outcome, row?.isError, row?.errorMessage], ["denied", true, text]);
        assert.equal(row?.requestId, response.headers.get("x-request-id"));
        assert.equal(row?.method, JSON.parse(sent.body).method);
      });
    }
    assert.equal(upstream.requests.length, 0);
    assert.equal((await rowsOf(mesh, to)).length, denials.length);
  });
});

Deno.test("a key for another connection reaches nothing of this one", async () => {
  await using upstream = startHostile(behaviours.good);
  await withMesh(async (mesh) => {
    const to = await site(mesh, upstream.url);
    const key = await mesh.key(to.person, { conn_other: ["*"], self: ["*"] });
    for (const sent of [legacy("initialize", {}), legacy("tools/list"), modern("server/discover")]) {
      const response = await post({ ...to, key }, sent);
      assert.equal(response.status, 403);
      await response.text();
    }
    for (const method of ["GET", "DELETE"]) {
      const response = await fetch(to.url, { method, headers: { authorization: `Bearer ${key}` } });
      assert.equal(response.status, 403);
      await response.text();
    }
    assert.equal(upstream.requests.length, 0);
  });
});

Deno.test("a key without permissions of its own calls nothing", async () => {
  await using upstream = startHostile(behaviours.good);
  await withMesh(async (mesh) => {
    const to = await site(mesh, upstream.url);
    const response = await post({ ...to, key: await mesh.key(to.person, null) }, legacy("tools/list"));
    assert.equal(response.status, 403);
    await response.text();
    assert.equal(upstream.requests.length, 0);
  });
});

Deno.test("what a server says that it serves is served, also to those who may use little", async () => { // M06
  await using fixture = await startFixture({ era: "modern" });
  await withMesh(async (mesh) => {
    const some = await narrowed(mesh, await site(mesh, fixture.url), ["echo"]);
    const { result } = await answerOf(await post(some, modern("server/discover")));
    const served: Record<string, string> = { tools: "tools", prompts: "prompts", resources: "resources" };
    for (const capability of Object.keys(result.capabilities).filter((name) => name in served)) {
      const response = await post(some, modern(`${capability}/list`));
      assert.equal(response.status, 200, capability);
      const list = (await answerOf(response)).result;
      assert.equal(list.cacheScope, "private");
      assert.deepEqual(
        list[capability].map(({ name }: Json) => name),
        capability === "tools" ? ["echo"] : [],
      );
    }
  });
});

Deno.test("a list that comes again on a resumed stream is filtered as well", async () => { // L06
  const answer = JSON.stringify({ jsonrpc: "2.0", id: 9, result: items["tools/list"] });
  const progress = `{"jsonrpc":"2.0","method":"notifications/progress","params":{"progress":1}}`;
  const body = `id: 1\ndata: ${progress}\n\nid: 2\ndata: ${answer}\n\n`;
  await using upstream = startHostile(replying(() => ({ type: "text/event-stream", body })));
  await withMesh(async (mesh) => {
    const all = await site(mesh, upstream.url);
    const some = await narrowed(mesh, all, ["echo"]);
    const resume = async (key: string) => {
      const headers = {
        authorization: `Bearer ${key}`,
        accept: "text/event-stream",
        "last-event-id": "0",
        "mcp-protocol-version": legacyVersion,
      };
      return await (await fetch(all.url, { headers })).text();
    };
    assert.equal(await resume(all.key), body);
    const [first, second] = messagesOf(await resume(some.key));
    assert.deepEqual(first, JSON.parse(progress));
    assert.deepEqual(second.result.tools.map(({ name }: Json) => name), ["echo"]);

    // One that is too long to be held for others is held for who may not see all of it.
    const long = [{ name: "rm", description: "x".repeat(1_500_000) }, { name: "echo" }];
    const data = JSON.stringify({ jsonrpc: "2.0", id: 9, result: { tools: long } });
    upstream.behave(replying(() => ({ type: "text/event-stream", body: `id: 2\ndata: ${data}\n\n` })));
    assert.deepEqual(messagesOf(await resume(some.key))[0].result.tools, [{ name: "echo" }]);
    assert.deepEqual(messagesOf(await resume(all.key))[0].result.tools, long);
  });
});

Deno.test("a key that is taken away is of no more use, in an open session too", async () => { // RS11
  await using fixture = await startFixture({ era: "legacy" });
  await withMesh(async (mesh) => {
    const to = await site(mesh, fixture.url);
    const session = await openSession(to);
    const { db, identities } = mesh.services;
    await db.deleteFrom("api_keys").where("user_id", "=", to.person.userId).execute();
    identities.forget();
    for (const method of ["POST", "GET", "DELETE"]) {
      const headers = { authorization: `Bearer ${to.key}`, "mcp-session-id": session };
      const body = method === "POST" ? legacy("tools/list").body : null;
      const response = await fetch(to.url, { method, headers, body });
      assert.equal(response.status, 401, method);
      await response.text();
    }
  });
});
