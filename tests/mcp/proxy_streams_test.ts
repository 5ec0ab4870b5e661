import assert from "node:assert/strict";
import { startMesh } from "../support/app.ts";
import { behaviours, startEverything, startFixture, startHostile } from "../support/upstreams.ts";
import {
  addConnection,
  answerOf,
  colleague,
  type Json,
  legacy,
  legacyVersion,
  messagesOf,
  modern,
  openSession,
  post,
  replying,
  resultFor,
  type Site,
  site,
  withMesh,
} from "./support.ts";

/** Opens the stream of a session, or resumes one. */
async function open(
  to: Site,
  session?: string,
  lastEventId?: string,
  init: RequestInit = {},
): Promise<Response> {
  return await fetch(to.url, {
    ...init,
    headers: {
      authorization: `Bearer ${to.key}`,
      accept: "text/event-stream",
      "mcp-protocol-version": legacyVersion,
      ...session && { "mcp-session-id": session },
      ...lastEventId && { "last-event-id": lastEventId },
    },
  });
}

const status = async (response: Response) => {
  await response.body?.cancel();
  return response.status;
};

/** Reads a stream until its text matches, and gives the text. */
async function readUntil(reader: ReadableStreamDefaultReader<Uint8Array>, wanted: RegExp): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  while (!wanted.test(text)) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`The stream ended before ${wanted}: ${text}`);
    text += decoder.decode(value, { stream: true });
  }
  return text;
}

Deno.test("a session is of use to its user on its connection, by any key, and to nobody else", async () => { // L01
  await using fixture = await startFixture({ era: "legacy" });
  await withMesh(async (mesh) => {
    const ann = await site(mesh, fixture.url);
    const session = await openSession(ann);
    const list = legacy("tools/list", {}, { session });
    const again = { ...ann, key: await mesh.key(ann.person) };
    assert.equal(await status(await post(again, list)), 200);
    const elsewhere = await addConnection(mesh, ann.person, { url: fixture.url });
    const strangers = [await colleague(mesh, ann), { ...ann, url: `${mesh.url}/mcp/${elsewhere}` }];
    for (const other of strangers) {
      assert.equal(await status(await post(other, list)), 404);
      assert.equal(await status(await open(other, session)), 404);
      const headers = { authorization: `Bearer ${other.key}`, "mcp-session-id": session };
      assert.equal(await status(await fetch(other.url, { method: "DELETE", headers })), 404);
    }
    // The upstream's own id is none of the mesh.
    const own = fixture.sessions()[0];
    assert.equal(await status(await post(ann, legacy("tools/list", {}, { session: own }))), 404);
    assert.equal(fixture.sessions().length, 1);
  });
});

Deno.test("a session outlives a restart of the mesh", async () => {
  await using fixture = await startFixture({ era: "legacy" });
  const folder = await Deno.makeTempDir({ prefix: "mesh-restart-" });
  const before = await startMesh({ DATA_DIR: folder });
  const to = await site(before, fixture.url, { token: "upstream-credential" });
  const session = await openSession(to);
  await before.stop();
  const after = await startMesh({ DATA_DIR: folder });
  try {
    const url = `${after.url}/mcp/${to.connectionId}`;
    const { result } = await answerOf(
      await post({ ...to, url }, legacy("tools/call", { name: "whoami" }, { session })),
    );
    assert.equal(result.structuredContent.authorization, "Bearer upstream-credential");
    assert.equal(fixture.sessions().length, 1);
  } finally {
    await after.stop();
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a session that the upstream has lost is 404, so that the client begins anew", async () => { // L04
  await using fixture = await startFixture({ era: "legacy" });
  await withMesh(async (mesh) => {
    const to = await site(mesh, fixture.url);
    const session = await openSession(to);
    await fixture.forgetSessions();
    const requests = fixture.seen.length;
    const response = await post(to, legacy("tools/list", {}, { session }));
    assert.equal(response.status, 404);
    assert.equal((await response.json()).error.code, -32001); // never -32600
    assert.equal(await status(await open(to, session)), 404);
    assert.equal(fixture.seen.length, requests + 2, "nothing is tried again");
    assert.equal(
      await status(await post(to, legacy("tools/list", {}, { session: await openSession(to) }))),
      200,
    );
  });
});

Deno.test("what an upstream says of a session it lost need not be JSON", async () => { // L04
  await using upstream = startHostile(behaviours.good);
  await withMesh(async (mesh) => {
    const to = await site(mesh, upstream.url, { title: "Lost" });
    upstream.behave(replying((request) => ({
      headers: { "mcp-session-id": "up-1" },
      body: resultFor(request, {}),
    })));
    const session = await openSession(to);
    for (
      const [type, body] of [["text/html", "<h1>Not found</h1>"], ["text/plain", "gone"], [null, ""]] as const
    ) {
      upstream.behave(replying(() => ({ status: "404 Not Found", type, body })));
      const response = await post(to, legacy("tools/list", {}, { session, id: 8 }));
      assert.equal(response.status, 404);
      const { id, error } = await response.json();
      assert.deepEqual([id, error.message], [8, "'Lost' answered POST with 404 (stage http)"]);
      assert.equal(await status(await open(to, session)), 404);
    }
  });
});

Deno.test("where there is no stream a GET is 405 with Allow, whatever the upstream says", async () => { // L05, Q-20
  await using upstream = startHostile(behaviours.good);
  await withMesh(async (mesh) => {
    const to = await site(mesh, upstream.url);
    const answers = [
      { status: "405 Method Not Allowed" },
      { status: "404 Not Found", body: `{"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"x"}}` },
      {
        status: "400 Bad Request",
        body: `{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"x"}}`,
      },
      { status: "406 Not Acceptable" },
      { body: `{"status":"ok"}` },
      { type: "text/html", body: "<h1>Welcome</h1>" },
      { body: `{"x":"${"x".repeat(400_000)}"}` },
      { status: "204 No Content" },
    ];
    for (const answer of answers) {
      upstream.behave(replying(() => answer));
      const response = await open(to);
      assert.equal(response.status, 405, JSON.stringify(answer).slice(0, 100));
      assert.equal(response.headers.get("allow"), "POST");
      await response.text();
    }
    await upstream.idle();
    assert.equal(mesh.services.outbound.sockets.open, 0);
  });
  await using fixture = await startFixture({ era: "modern" });
  await withMesh(async (mesh) => assert.equal(await status(await open(await site(mesh, fixture.url))), 405));
});

Deno.test("statuses and bodies that mean the same to the client pass", async () => { // G03
  await using upstream = startHostile(behaviours.good);
  await withMesh(async (mesh) => {
    const to = await site(mesh, upstream.url);
    const body = `{"jsonrpc":"2.0","id":null, "error":{"code":-32000,"message":"Bad Request: as it came"}}`;
    const key = await mesh.key(to.person, { [to.connectionId]: ["echo"] });
    for (const code of [400, 404, 405, 406, 409, 410, 413, 415, 422, 429]) {
      upstream.behave(replying(() => ({ status: `${code} Status`, headers: { "retry-after": "3" }, body })));
      for (const each of [to, { ...to, key }]) {
        const response = await post(each, legacy("tools/list"));
        assert.deepEqual([response.status, await response.text()], [code, body]);
        assert.equal(response.headers.get("retry-after"), "3");
        assert.equal(response.headers.get("allow"), code === 405 ? "POST" : null);
      }
    }
  });
});

Deno.test("a notification is 202 without a body, and what sloppy servers answer does no harm", async () => { // G03
  await using upstream = startHostile(behaviours.good);
  await withMesh(async (mesh) => {
    const to = await site(mesh, upstream.url);
    const initialized = legacy("notifications/initialized", undefined, { id: null });
    const answers: [Json, number, string][] = [
      [{ status: "202 Accepted", type: null }, 202, ""],
      [{ status: "202 Accepted", body: `{"accepted":true}` }, 202, ""],
      [{ status: "204 No Content", type: null }, 204, ""],
      [{ body: `{"jsonrpc":"2.0","id":null,"result":{}}` }, 200, `{"jsonrpc":"2.0","id":null,"result":{}}`],
      [{ body: "OK" }, 200, "OK"],
      [{ type: "text/plain", body: "OK" }, 200, ""],
      [{ type: null }, 200, ""],
      [{ status: "404 Not Found", type: "text/html", body: "<h1>?</h1>" }, 404, ""],
    ];
    for (const [answer, code, body] of answers) {
      upstream.behave(replying(() => answer));
      const response = await post(to, initialized);
      assert.deepEqual([response.status, await response.text()], [code, body], JSON.stringify(answer));
    }
  });
});

Deno.test("the version header goes on as it came, and the upstream decides", async () => { // L10
  await using upstream = startHostile(behaviours.good);
  await withMesh(async (mesh) => {
    const to = await site(mesh, upstream.url);
    for (const version of ["2025-03-26", "2025-06-18", "1999-01-01", undefined]) {
      await status(
        await post(to, {
          headers: version ? { "mcp-protocol-version": version } : {},
          body: legacy("ping").body,
        }),
      );
      assert.equal(upstream.requests.at(-1)?.headers["mcp-protocol-version"], version);
    }
  });
  await using fixture = await startFixture();
  await withMesh(async (mesh) => {
    const to = await site(mesh, fixture.url);
    const session = await openSession(to);
    const sent = legacy("tools/list", {}, { session });
    const unsupported = { ...sent, headers: { ...sent.headers, "mcp-protocol-version": "1999-01-01" } };
    assert.equal(await status(await post(to, unsupported)), 400);
    const unknown = modern("server/discover", {}, {
      meta: { "io.modelcontextprotocol/protocolVersion": "2031-01-01" },
    });
    const response = await post(to, {
      ...unknown,
      headers: { ...unknown.headers, "mcp-protocol-version": "2031-01-01" },
    });
    assert.equal(response.status, 400);
    const { error } = await response.json(); // M04
    assert.equal(error.code, -32022);
    assert.ok(error.data.supported.includes("2026-07-28"));
  });
});

Deno.test("events pass one by one as they are sent, unbuffered", async () => { // G02
  const gate = Promise.withResolvers<void>();
  await using upstream = startHostile(async ({ request, send }) => {
    await send("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n: hello\n\n");
    await gate.promise;
    await send(`data: ${resultFor(request, {})}\n\n`);
  });
  await withMesh(async (mesh) => {
    const response = await post(await site(mesh, upstream.url), modern("tools/call", { name: "x" }));
    assert.equal(response.headers.get("x-accel-buffering"), "no");
    assert.equal(response.headers.get("content-encoding"), null);
    const reader = response.body!.getReader();
    assert.equal(await readUntil(reader, /\n\n/), ": hello\n\n");
    gate.resolve();
    assert.match(await readUntil(reader, /\n\n/), /"result"/);
    await reader.cancel();
  });
});

Deno.test("a stream that closes in the middle of a call is resumed where it stopped", async () => { // L06
  await using fixture = await startFixture({ era: "legacy" });
  await withMesh(async (mesh) => {
    const to = await site(mesh, fixture.url);
    const session = await openSession(to);
    const call = await post(to, legacy("tools/call", { name: "test_reconnection" }, { session }));
    const text = await call.text();
    const [, id = ""] = /^id: (.+)$/m.exec(text) ?? [];
    assert.match(text, /^retry: \d+$/m);
    assert.deepEqual(messagesOf(text), []);
    const resumed = (await open(to, session, id)).body!.getReader();
    const rest = await readUntil(resumed, /"result".*\n\n/);
    assert.equal(messagesOf(rest)[0].result.content[0].text, "Reconnection test completed");
    await resumed.cancel();
    assert.equal(fixture.seen.at(-1)?.headers["last-event-id"], id);
  });
});

Deno.test("a server's request reaches the one stream, and the answer its session", async () => { // L08
  await using fixture = await startFixture({ era: "legacy" });
  await withMesh(async (mesh) => {
    const to = await site(mesh, fixture.url);
    const session = await openSession(to, { sampling: {} });
    assert.match(fixture.seen[0]?.body ?? "", /"capabilities":\{"sampling":\{\}\}/); // L09
    const bystander = await openSession(to, { sampling: {} });
    const [own, others] = [await open(to, session), await open(to, bystander)];
    const call = { name: "test_sampling", arguments: { prompt: "Hi" } };
    const stream = (await post(to, legacy("tools/call", call, { session }))).body!.getReader();
    const [request] = messagesOf(await readUntil(stream, /sampling\/createMessage.*\n\n/));
    const result = { role: "assistant", model: "m", content: { type: "text", text: "from the client" } };
    const body = JSON.stringify({ jsonrpc: "2.0", id: request.id, result });
    const headers = { "mcp-protocol-version": legacyVersion, "mcp-session-id": session };
    assert.equal(await status(await post(to, { headers, body })), 202);
    assert.match(await readUntil(stream, /LLM response.*\n\n/), /from the client/);
    await stream.cancel();
    // Neither the session's own stream nor another's has seen anything of it.
    await status(await post(to, legacy("tools/call", { name: "test_trigger_tool_change" }, { session })));
    const reader = own.body!.getReader();
    assert.doesNotMatch(await readUntil(reader, /list_changed.*\n\n/), /sampling/);
    await Promise.all([reader.cancel(), others.body?.cancel()]);
  });
});

Deno.test("two clients that use the same progress token see their own progress", async () => { // G07
  await using everything = await startEverything();
  await withMesh(async (mesh) => {
    const ann = await site(mesh, everything.url);
    const clients = [ann, await colleague(mesh, ann)];
    const texts = await Promise.all(clients.map(async (to, index) => {
      const session = await openSession(to);
      const args = { duration: 0.4, steps: 2 + index };
      const params = { name: "trigger-long-running-operation", arguments: args, _meta: { progressToken: 1 } };
      return await (await post(to, legacy("tools/call", params, { session }))).text();
    }));
    texts.forEach((text, index) => {
      const progress = messagesOf(text).filter(({ method }) => method === "notifications/progress");
      assert.ok(progress.length > 0);
      for (const { params } of progress) {
        assert.deepEqual([params.progressToken, params.total], [1, 2 + index]);
      }
    });
  });
});
