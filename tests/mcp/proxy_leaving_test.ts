// Who leaves, and what then happens to the call: clients, the mesh itself, the one who cancels.
import assert from "node:assert/strict";
import { endCalls } from "../../server/cli/serve.ts";
import { startFixture, startHostile } from "../support/upstreams.ts";
import type { Behaviour } from "../support/upstreams.ts";
import {
  answerOf,
  legacy,
  type Mesh,
  messagesOf,
  modern,
  openSession,
  post,
  resultFor,
  rowsOf,
  type Sent,
  type Site,
  site,
  withMesh,
} from "./support.ts";
import { until } from "../support/until.ts";

const progress =
  `data: {"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":1,"progress":1}}\n\n`;
const sseHead = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
const jsonHead = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n";

/** An upstream that stops where the gate is until it opens, and notes when its caller leaves before that. */
function gated(at: "headers" | "body" | "stream") {
  const gate = Promise.withResolvers<void>();
  const left = Promise.withResolvers<void>();
  let whole = false;
  const behaviour: Behaviour = async ({ request, send, closed }) => {
    closed.then(() => {
      if (!whole) left.resolve();
    });
    const answer = resultFor(request, { content: [{ type: "text", text: "done" }] });
    if (at === "stream") await send(sseHead + progress);
    if (at === "body") await send(jsonHead + answer.slice(0, 10));
    await Promise.race([gate.promise, left.promise]);
    whole = true;
    if (at === "headers") await send(jsonHead + answer);
    if (at === "body") await send(answer.slice(10));
    if (at === "stream") await send(`data: ${answer}\n\n`);
  };
  return { behaviour, open: () => gate.resolve(), left: left.promise };
}

/** Posts a call and leaves once the upstream has it. */
async function leave(to: Site, sent: Sent, ready: () => boolean): Promise<void> {
  const leaving = new AbortController();
  const gone = assert.rejects(async () => {
    const response = await post(to, sent, { signal: leaving.signal });
    await response.text();
  });
  await until(ready);
  leaving.abort();
  await gone;
}

const call = { name: "slow", arguments: {} };

for (const at of ["headers", "body", "stream"] as const) {
  Deno.test(`a modern client that leaves ends the call: ${at}`, async () => { // M11
    const { behaviour, left } = gated(at);
    await using upstream = startHostile(behaviour);
    await withMesh(async (mesh) => {
      const to = await site(mesh, upstream.url);
      await leave(to, modern("tools/call", call), () => upstream.requests.length === 1);
      await left;
      await until(async () => (await rowsOf(mesh, to)).length === 1);
      const [row] = await rowsOf(mesh, to);
      assert.deepEqual([row?.outcome, row?.errorMessage], ["failed", "The client left before the answer"]);
      await upstream.idle();
      assert.equal(mesh.services.outbound.sockets.open, 0);
      assert.equal(await mesh.lifecycle.drain(10_000), true, "nothing is left running");
    });
  });

  Deno.test(`a legacy client that leaves does not: ${at}`, async () => { // L07
    const { behaviour, open } = gated(at);
    await using upstream = startHostile(behaviour);
    await withMesh(async (mesh) => {
      const to = await site(mesh, upstream.url);
      await leave(to, legacy("tools/call", call), () => upstream.requests.length === 1);
      assert.equal(upstream.connections, 1);
      assert.deepEqual(await rowsOf(mesh, to), []);
      open();
      await until(async () => (await rowsOf(mesh, to)).length === 1);
      const [row] = await rowsOf(mesh, to);
      assert.deepEqual([row?.outcome, row?.errorMessage], ["ok", null]);
      assert.deepEqual((row?.output as { content: unknown }).content, [{ type: "text", text: "done" }]);
      await upstream.idle();
      assert.equal(await mesh.lifecycle.drain(10_000), true, "nothing is left running");
    });
  });
}

for (const [what, parts] of [["in one piece", 1], ["in two", 2]] as const) {
  Deno.test(`a modern client that sent its request ${what} is missed when it leaves`, async () => { // M11
    const { behaviour, left } = gated("headers");
    await using upstream = startHostile(behaviour);
    await withMesh(async (mesh) => {
      const to = await site(mesh, upstream.url);
      const { headers, body } = modern("tools/call", call);
      const all = {
        ...headers,
        host: new URL(to.url).host,
        authorization: `Bearer ${to.key}`,
        "content-type": "application/json",
        accept: "application/json, text/event-stream",
        "content-length": `${body.length}`,
      };
      const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`).join("");
      const head = `POST ${new URL(to.url).pathname} HTTP/1.1\r\n${lines}\r\n`;
      const socket = await Deno.connect({ hostname: "127.0.0.1", port: Number(new URL(to.url).port) });
      const encoder = new TextEncoder();
      const pieces = parts === 1 ? [head + body] : [head, body];
      for (const piece of pieces) {
        await socket.write(encoder.encode(piece));
        // The mesh is at work on the head before the body comes.
        if (piece === head) await new Promise((resolve) => setTimeout(resolve, 50));
      }
      await until(() => upstream.requests.length === 1);
      socket.close();
      await left;
      await until(async () => (await rowsOf(mesh, to)).length === 1);
    });
  });
}

Deno.test("a real server of the modern era sees that its client left", async () => { // M11
  await using fixture = await startFixture({ era: "modern" });
  await withMesh(async (mesh) => {
    const to = await site(mesh, fixture.url);
    const params = { name: "wait_for_cancel", arguments: { label: "m" } };
    let started = false;
    fixture.happened("started m").then(() => started = true);
    await leave(to, modern("tools/call", params), () => started);
    await fixture.happened("cancelled m");
  });
});

Deno.test("in the legacy era a call ends when it is cancelled, not when its client leaves", async () => { // L07, L11
  await using fixture = await startFixture({ era: "legacy" });
  await withMesh(async (mesh) => {
    const to = await site(mesh, fixture.url);
    const session = await openSession(to);
    const params = { name: "wait_for_cancel", arguments: { label: "l" } };
    let started = false;
    fixture.happened("started l").then(() => started = true);
    await leave(to, legacy("tools/call", params, { session, id: 77 }), () => started);
    let cancelled = false;
    fixture.happened("cancelled l").then(() => cancelled = true);
    // The same session works on, and the call with it.
    const { result } = await answerOf(
      await post(to, legacy("tools/call", { name: "echo", arguments: { text: "x" } }, { session })),
    );
    assert.equal(result.content[0].text, "x");
    assert.equal(cancelled, false);
    for (const requestId of [1234, 77]) { // an id that nobody knows is ignored
      const note = legacy("notifications/cancelled", { requestId, reason: "test" }, { id: null, session });
      const response = await post(to, note);
      assert.equal(response.status, 202);
      await response.text();
    }
    await fixture.happened("cancelled l");
    await until(async () => (await rowsOf(mesh, to)).length === 2);
    const [row] = await rowsOf(mesh, to);
    assert.deepEqual([row?.outcome, row?.errorMessage], ["failed", "The client cancelled the call"]);
    assert.equal(await mesh.lifecycle.drain(10_000), true, "nothing waits for an answer that never comes");
  });
});

Deno.test("a cancelled call ends for the client that made it alone", async () => { // L11
  await using fixture = await startFixture({ era: "legacy" });
  await withMesh(async (mesh) => {
    const to = await site(mesh, fixture.url);
    const sessions = [await openSession(to), await openSession(to)];
    const begin = (label: string, session: string | undefined) =>
      post(to, legacy("tools/call", { name: "wait_for_cancel", arguments: { label } }, { session, id: 5 }));
    const [mine, other] = [await begin("a", sessions[0]), await begin("b", sessions[1])];
    await Promise.all([fixture.happened("started a"), fixture.happened("started b")]);
    const cancel = (session: string | undefined) =>
      post(to, legacy("notifications/cancelled", { requestId: 5 }, { id: null, session }));
    await (await cancel(sessions[0])).text();
    assert.deepEqual(messagesOf(await mine.text()), [], "the stream has ended, without an answer");
    assert.deepEqual((await rowsOf(mesh, to)).map(({ input }) => input), [{ label: "a" }]);
    await (await cancel(sessions[1])).text();
    await other.text();
    await fixture.happened("cancelled b");
  });
});

Deno.test("clients that leave in numbers leave nothing behind", async () => {
  const { behaviour } = gated("stream");
  await using upstream = startHostile(behaviour);
  await withMesh(async (mesh) => {
    const to = await site(mesh, upstream.url);
    for (let round = 0; round < 20; round++) {
      const response = await post(to, modern("tools/call", call));
      const reader = response.body!.getReader();
      await reader.read();
      await reader.cancel();
    }
    await upstream.idle();
    await until(() => mesh.services.outbound.sockets.open === 0);
    await until(async () => (await rowsOf(mesh, to)).length === 20);
  });
});

async function openStream(to: Site, mesh: Mesh, session: string): Promise<Response> {
  const headers = {
    authorization: `Bearer ${to.key}`,
    accept: "text/event-stream",
    "mcp-session-id": session,
  };
  const response = await fetch(to.url, { headers });
  assert.equal(response.status, 200, mesh.url);
  return response;
}

Deno.test("a stop ends streams without end, and lets calls finish", async () => {
  await using fixture = await startFixture();
  const { behaviour, open } = gated("stream");
  await using upstream = startHostile(behaviour);
  await withMesh(async (mesh) => {
    const to = await site(mesh, fixture.url);
    const slow = await site(mesh, upstream.url);
    const session = await openSession(to);
    const stream = await openStream(to, mesh, session);
    const listening = await post(
      to,
      modern("subscriptions/listen", { notifications: { toolsListChanged: true } }, { id: "sub-1" }),
    );
    const running = await post(slow, legacy("tools/call", call));
    const drained = mesh.lifecycle.drain(30_000);

    assert.equal(await stream.text(), "", "a stream of the legacy era just ends");
    const messages = messagesOf(await listening.text());
    assert.equal(messages[0].method, "notifications/subscriptions/acknowledged"); // M12
    assert.deepEqual(messages.at(-1), {
      jsonrpc: "2.0",
      id: "sub-1",
      result: { resultType: "complete", _meta: { "io.modelcontextprotocol/subscriptionId": "sub-1" } },
    });

    const refused = await post(slow, legacy("tools/list"));
    assert.equal(refused.status, 503);
    assert.match((await refused.json()).error.message, /the mesh is stopping/);
    const noStream = await fetch(to.url, { headers: { authorization: `Bearer ${to.key}` } });
    assert.equal(noStream.status, 503);
    await noStream.text();
    const answer = await post(to, { headers: {}, body: `{"jsonrpc":"2.0","id":1,"result":{}}` });
    assert.notEqual(answer.status, 503, "running calls may wait for it");
    await answer.text();

    open();
    assert.match(await running.text(), /"done"/);
    assert.equal(await drained, true);
    const rows = await rowsOf(mesh, slow);
    assert.deepEqual(rows.map(({ outcome }) => outcome).sort(), ["denied", "ok"]);
    assert.deepEqual(await rowsOf(mesh, to), [], "an ended subscription is no failure");
  });
});

Deno.test("a stop breaks off calls that take too long: each has its row, and its client an error", async () => {
  const kinds = ["headers", "body", "stream"] as const;
  await using upstream = startHostile((exchange) =>
    gated(kinds[Number(exchange.request.message.id) % 3] ?? "headers").behaviour(exchange)
  );
  await withMesh(async (mesh) => {
    const to = await site(mesh, upstream.url, { title: "Slow" });
    const calls = [3, 4, 5, 6, 7, 8].map((id) =>
      post(to, id < 6 ? legacy("tools/call", call, { id }) : modern("tools/call", call, { id }))
    );
    await upstream.received(6);
    await endCalls(mesh.services, mesh.lifecycle, 1);
    for (const [index, pending] of calls.entries()) {
      const { id, error } = await answerOf(await pending);
      assert.equal(id, 3 + index); // G03
      assert.match(error.message, /'Slow'.*the mesh was stopped before the answer/);
    }
    const rows = await rowsOf(mesh, to);
    assert.equal(rows.length, 6);
    for (const { outcome, errorMessage } of rows) {
      assert.match(`${outcome} ${errorMessage}`, /^failed .*the mesh was stopped/);
    }
    assert.equal(mesh.services.outbound.sockets.open, 0);
  });
});

Deno.test("a listener that leaves is no failure, and its server sees it", async () => { // M11, M12
  await using fixture = await startFixture({ era: "modern" });
  await withMesh(async (mesh) => {
    const to = await site(mesh, fixture.url);
    const params = { notifications: { toolsListChanged: true } };
    const response = await post(to, modern("subscriptions/listen", params, { id: "sub-2" }));
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    const { value: acknowledged = "" } = await reader.read();
    assert.match(acknowledged, /subscriptions\/acknowledged.*"sub-2"/);
    await (await post(to, modern("tools/call", { name: "test_trigger_tool_change" }))).text();
    const { value: changed = "" } = await reader.read();
    const [note] = messagesOf(changed);
    assert.equal(note.method, "notifications/tools/list_changed");
    assert.equal(note.params._meta["io.modelcontextprotocol/subscriptionId"], "sub-2"); // G06
    await reader.cancel();
    await until(() => mesh.services.outbound.sockets.open === mesh.services.outbound.sockets.idle);
    assert.deepEqual((await rowsOf(mesh, to)).map(({ outcome, method }) => [outcome, method]), [[
      "ok",
      "tools/call",
    ]]);
  });
});
