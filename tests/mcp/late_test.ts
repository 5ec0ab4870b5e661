import assert from "node:assert/strict";
import { Lifecycle } from "../../server/lifecycle.ts";
import { lateStream, Patience } from "../../server/mcp/late.ts";
import type { Relayed } from "../../server/upstream/relay.ts";
import { until } from "../support/until.ts";
import { type Behaviour, startHostile } from "../support/upstreams.ts";
import {
  legacy,
  messagesOf,
  modern,
  modernVersion,
  post,
  resultFor,
  rowsOf,
  site,
  withMesh,
} from "./support.ts";

const encoder = new TextEncoder();

function relayed(body: Relayed["body"], contentType: string | null = "application/json"): Promise<Relayed> {
  const none = { sessionId: null, allow: null, retryAfter: null };
  return Promise.resolve({ status: 200, contentType, body, ...none });
}

function stream(pending: Promise<Relayed>) {
  let aborted = false;
  const errorText = (error: unknown) => Promise.resolve(JSON.stringify({ error: String(error) }));
  const late = lateStream({ pending, abort: () => aborted = true, errorText });
  return { late, aborted: () => aborted };
}

const text = (from: ReadableStream<Uint8Array>) => new Response(from).text();

Deno.test("a late answer in JSON becomes one event that says the same", async () => {
  const pretty = `{\r\n  "jsonrpc": "2.0",\n  "id": 1,\n  "result": { "text": "one\\ntwo ü" }\n}`;
  for (const body of [encoder.encode(pretty), new Blob([pretty]).stream()]) {
    const events = await text(stream(relayed(body as Uint8Array<ArrayBuffer>)).late);
    assert.match(events, /^data: [^\r\n]+\n\n$/);
    assert.deepEqual(messagesOf(events), [JSON.parse(pretty)]);
  }
});

Deno.test("late events pass as they are", async () => {
  const events = ": hi\n\ndata: {}\n\n";
  const { late } = stream(relayed(new Blob([events]).stream(), "text/event-stream; charset=utf-8"));
  assert.equal(await text(late), events);
});

Deno.test("a late failure, and a late nothing, is an event too", async () => {
  const { late } = stream(Promise.reject(new Error("gone")));
  assert.equal(await text(late), `data: {"error":"Error: gone"}\n\n`);
  assert.match(await text(stream(relayed(null, null)).late), /^data: .*answered 200 without an answer/);
});

Deno.test("who leaves a late answer gives up the call, before and after it came", async () => {
  const pending = Promise.withResolvers<Relayed>();
  const before = stream(pending.promise);
  const reader = before.late.getReader();
  const reading = reader.read();
  await reader.cancel();
  assert.equal(before.aborted(), true);
  let cancelled = false;
  const body = new ReadableStream<Uint8Array>({ cancel: () => void (cancelled = true) });
  pending.resolve(await relayed(body, "text/event-stream"));
  await reading;
  await until(() => cancelled);

  let ended = false;
  const after = stream(
    relayed(new ReadableStream({ cancel: () => void (ended = true) }), "text/event-stream"),
  );
  const started = after.late.getReader();
  const first = started.read();
  await new Promise((resolve) => setTimeout(resolve, 0));
  await started.cancel();
  await first;
  assert.equal(ended, true);
});

Deno.test("what comes in time is given as it comes, and nothing is left running", async () => {
  const lifecycle = new Lifecycle();
  const patience = new Patience(lifecycle);
  assert.equal(await patience.orLate(Promise.resolve("in time"), () => "late"), "in time");
  await assert.rejects(patience.orLate(Promise.reject(new Error("no")), () => "late"), /no/);
  const pending = Promise.withResolvers<string>();
  assert.equal(await patience.orLate(pending.promise, () => "late"), "late");
  pending.reject(new Error("later still")); // nobody waits for it any more
  await lifecycle.drain(0);
});

Deno.test("of several that wait each is given its own, in time or late", async () => {
  const lifecycle = new Lifecycle();
  const patience = new Patience(lifecycle);
  const calls = Array.from({ length: 5 }, () => Promise.withResolvers<string>());
  const given = calls.map(({ promise }, at) => patience.orLate(promise, () => `late ${at}`));
  for (const at of [2, 0, 4]) calls[at]?.resolve(`in time ${at}`);
  assert.deepEqual(await Promise.all(given), ["in time 0", "late 1", "in time 2", "late 3", "in time 4"]);
  assert.equal(await patience.orLate(new Promise<string>(() => {}), () => "late again"), "late again");
  await lifecycle.drain(0);
});

/** Answers when the gate opens. */
function gated(answer: (id: unknown) => string): { behaviour: Behaviour; open: () => void } {
  const gate = Promise.withResolvers<void>();
  const behaviour: Behaviour = async ({ request, send }) => {
    await gate.promise;
    await send(answer(request.message.id));
  };
  return { behaviour, open: gate.resolve };
}

const http = (status: string, body: string) =>
  `HTTP/1.1 ${status}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`;
const done = (id: unknown) => JSON.stringify({ jsonrpc: "2.0", id, result: { content: [] } }, null, 2);
const refusal = (id: unknown) =>
  JSON.stringify({ jsonrpc: "2.0", id, error: { code: -32021, message: "No" } });

const late: [what: string, answer: (id: unknown) => string, check: (message: unknown) => void][] = [
  [
    "an answer",
    (id) => http("200 OK", done(id)),
    (message) => assert.deepEqual(message, JSON.parse(done(7))),
  ],
  [
    "a refusal",
    (id) => http("400 Bad Request", refusal(id)),
    (message) => assert.deepEqual(message, JSON.parse(refusal(7))),
  ],
  [
    "a failure",
    () => http("500 Oh", "{}"),
    (message) => assert.match(JSON.stringify(message), /answered POST with 500/),
  ],
];

Deno.test("a call that takes long has its answer begun, and gets all of it", async (t) => { // M11
  for (const [what, answer, check] of late) {
    await t.step(what, async () => {
      const { behaviour, open } = gated(answer);
      await using upstream = startHostile(behaviour);
      await withMesh(async (mesh) => {
        const to = await site(mesh, upstream.url);
        const response = await post(to, modern("tools/call", { name: "slow" }, { id: 7 }));
        assert.equal(response.status, 200, "it has begun while the upstream is silent");
        assert.equal(response.headers.get("content-type"), "text/event-stream");
        open();
        const messages = messagesOf(await response.text());
        assert.equal(messages.length, 1);
        check(messages[0]);
        const [row] = await rowsOf(mesh, to);
        assert.equal(row?.outcome, what === "an answer" ? "ok" : "failed");
      });
    });
  }
});

Deno.test("who takes no event streams, who asks nothing, and the legacy era wait for the answer itself", async () => {
  await using upstream = startHostile(async ({ request, send }) => {
    await new Promise((resolve) => setTimeout(resolve, 1500)); // longer than patience lasts
    await send(http("200 OK", resultFor(request, {})));
  });
  await withMesh(async (mesh) => {
    const to = await site(mesh, upstream.url);
    const responses = await Promise.all([
      post(to, modern("tools/call", { name: "slow" }), { headers: { accept: "application/json" } }),
      post(to, legacy("tools/call", { name: "slow" })),
      post(to, {
        headers: { "mcp-protocol-version": modernVersion },
        body: `{"jsonrpc":"2.0","method":"notifications/something"}`,
      }),
    ]);
    for (const response of responses) {
      assert.equal(response.headers.get("content-type"), "application/json");
      assert.ok((await response.json()).result);
    }
  });
});
