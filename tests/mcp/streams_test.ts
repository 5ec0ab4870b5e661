import assert from "node:assert/strict";
import type { Passage } from "../../server/mcp/call.ts";
import { Streams } from "../../server/mcp/streams.ts";
import { addConnection, answerOf, colleague, legacy, post, type Site, site, withMesh } from "./support.ts";

/** Somebody's request for a server, as far as counting streams is concerned. */
function asking(userId: string, pool: string): Passage {
  return { actor: { userId }, target: { target: { pool } } } as Partial<Passage> as Passage;
}

Deno.test("event streams leave connections to a server for its calls, and for other people's streams", () => {
  const streams = new Streams();
  const [one, other] = ["http://one", "http://other"];
  const ends = Array.from({ length: 256 }, () => streams.begin(asking("ann", one)));
  assert.ok(ends.every((end) => end !== null));
  assert.equal(streams.begin(asking("ann", one)), null);
  assert.ok(streams.begin(asking("ann", other)));
  for (const name of ["bob", "eve"]) {
    for (let i = 0; i < 256; i++) assert.ok(streams.begin(asking(name, one)), `${name} ${i}`);
  }
  assert.equal(streams.begin(asking("fay", one)), null);
  ends[0]?.();
  ends[0]?.();
  assert.ok(streams.begin(asking("fay", one)));
  assert.equal(streams.begin(asking("fay", one)), null, "an end counts once");
});

/** Asks for a stream, which is closed when the signal says so. */
async function listen(to: Site, signal: AbortSignal): Promise<number> {
  const headers = { authorization: `Bearer ${to.key}`, accept: "text/event-stream" };
  const response = await fetch(to.url, { headers, signal });
  if (response.status !== 200) await response.body?.cancel();
  return response.status;
}

Deno.test("whoever holds many streams open gets no more, and everybody's calls go on", async () => {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    const headers = { "content-type": "text/event-stream" };
    const greeting = (controller: ReadableStreamDefaultController) =>
      controller.enqueue(new TextEncoder().encode(": hello\n\n"));
    return request.method === "GET"
      ? new Response(new ReadableStream({ start: greeting }), { headers })
      : Response.json({ jsonrpc: "2.0", id: 1, result: { tools: [] } });
  });
  await withMesh(async (mesh) => {
    const url = `http://127.0.0.1:${server.addr.port}/mcp`;
    const ours = await site(mesh, url);
    const clients = new AbortController();
    for (let round = 0; round < 16; round++) {
      const statuses = await Promise.all(Array.from({ length: 16 }, () => listen(ours, clients.signal)));
      assert.deepEqual(new Set(statuses), new Set([200]));
    }
    assert.equal(await listen(ours, clients.signal), 405); // L05: clients go on without
    const friend = await colleague(mesh, ours);
    assert.equal(await listen(friend, clients.signal), 200);
    const stranger = await mesh.organization();
    const theirs = await addConnection(mesh, stranger, { url });
    const to = { url: `${mesh.url}/mcp/${theirs}`, key: await mesh.key(stranger) };
    assert.deepEqual((await answerOf(await post(to, legacy("tools/list")))).result, { tools: [] });
    clients.abort();
    const later = new AbortController();
    while (await listen(ours, later.signal) !== 200) await new Promise((resolve) => setTimeout(resolve, 10));
    later.abort();
  });
  await server.shutdown();
});
