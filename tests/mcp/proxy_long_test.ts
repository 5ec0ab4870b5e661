// Answers that are too long to be read whole: the client gets them byte for byte, the log says how the call ended.
import assert from "node:assert/strict";
import { behaviours, startHostile } from "../support/upstreams.ts";
import {
  legacy,
  type Mesh,
  modern,
  post,
  replying,
  rowsOf,
  type Sent,
  type Site,
  site,
  withMesh,
} from "./support.ts";
import { until } from "../support/until.ts";

const filler = 'long \\u00e9 é 😀 \\"isError\\":true \\n'.repeat(40_000);
const content = `[{"type":"text","text":"No such file"}]`;
const call = { name: "read" };

const answers: [what: string, body: string, outcome: string, errorMessage: string | null][] = [
  ["a result", `{"jsonrpc":"2.0","id":1,"result":{"x":"${filler}","isError":false}}`, "ok", null],
  [
    "a tool's error",
    `{"jsonrpc":"2.0","id":1,"result":{"content":${content},"x":"${filler}","isError":true}}`,
    "failed",
    "No such file",
  ],
  [
    "an error",
    `{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"data":"${filler}","message":"Out of luck"}}`,
    "failed",
    "Out of luck",
  ],
  [
    "an answer to somebody else",
    `{"jsonrpc":"2.0","id":2,"result":{"x":"${filler}"}}`,
    "failed",
    "'Long' answered with JSON that helps nobody: it is not the answer to the request (stage body)",
  ],
  [
    "half an answer",
    `{"jsonrpc":"2.0","id":1,"result":{"x":"${filler}"`,
    "failed",
    "'Long' answered something that is not JSON (stage body)",
  ],
];

/** Asserts that a call gets the body as it is, and has this row. */
async function passes(mesh: Mesh, to: Site, [sent, body, ...said]: [Sent, string, string, string | null]) {
  const response = await post(to, sent);
  assert.ok(await response.text() === body, "byte for byte");
  const [row] = await rowsOf(mesh, to);
  assert.deepEqual([row?.outcome, row?.errorMessage, row?.output], [...said, null]);
  assert.equal(row?.responseBytes, new TextEncoder().encode(body).length);
}

Deno.test("a long answer is recorded as what it is, and passes as it came", async (t) => {
  await using upstream = startHostile(behaviours.good);
  await withMesh(async (mesh) => {
    const to = await site(mesh, upstream.url, { title: "Long" });
    for (const [what, body, ...said] of answers) {
      await t.step(what, async () => {
        assert.ok(body.length > 1024 * 1024);
        upstream.behave(replying(() => ({ body })));
        for (const era of [legacy, modern]) await passes(mesh, to, [era("tools/call", call), body, ...said]);
      });
    }
    // A stream without the answer ends with an error instead, as the client waits for one.
    for (const [what, json, ...said] of answers.slice(0, 3)) {
      await t.step(`${what} as an event`, async () => {
        const body = `id: 1\nevent: message\ndata: ${json}\n\n`;
        upstream.behave(replying(() => ({ type: "text/event-stream", body })));
        await passes(mesh, to, [legacy("tools/call", call), body, ...said]);
      });
    }
  });
});

Deno.test("a client that does not read holds the upstream back instead of filling memory", async () => {
  await using upstream = startHostile(behaviours.endlessBody);
  await withMesh(async (mesh) => {
    const to = await site(mesh, upstream.url);
    const response = await post(to, modern("tools/call", { name: "x" }));
    let before = -1;
    // It has stopped when nothing more was sent for a while.
    await until(async () => {
      const last = before;
      before = upstream.sentBytes;
      await new Promise((resolve) => setTimeout(resolve, 300));
      return last === upstream.sentBytes;
    });
    assert.ok(upstream.sentBytes < 32 * 1024 * 1024, `${upstream.sentBytes}`);
    await response.body?.cancel();
    await upstream.idle();
  });
});
