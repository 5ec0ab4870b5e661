import assert from "node:assert/strict";
import type { Passage } from "../../server/mcp/call.ts";
import { type OpenStream, Streams } from "../../server/mcp/streams.ts";
import { until } from "../support/until.ts";
import {
  addConnection,
  answerOf,
  colleague,
  legacy,
  type Mesh,
  type Person,
  post,
  type Site,
  site,
  withMesh,
} from "./support.ts";

/** Somebody's request for a server, as far as counting streams is concerned. */
function asking(userId: string, pool: string): Passage {
  const known = { actor: { userId }, target: { target: { pool } }, request: { headers: new Headers() } };
  return known as Partial<Passage> as Passage;
}

Deno.test("event streams leave connections to a server for its calls, and for other people's streams", () => {
  const streams = new Streams();
  const [one, other] = ["http://one", "http://other"];
  const open: (OpenStream | null)[] = [];
  const begin = (userId: string, pool: string) => {
    const stream = streams.begin(asking(userId, pool));
    open.push(stream);
    return stream;
  };
  for (let i = 0; i < 256; i++) assert.ok(begin("ann", one));
  assert.equal(begin("ann", one), null);
  assert.ok(begin("ann", other));
  for (const name of ["bob", "eve"]) {
    for (let i = 0; i < 256; i++) assert.ok(begin(name, one), `${name} ${i}`);
  }
  assert.equal(begin("fay", one), null);
  open[0]?.end();
  open[0]?.end();
  assert.ok(begin("fay", one));
  assert.equal(begin("fay", one), null, "an end counts once");
  for (const stream of open) stream?.end();
});

const why: [string, (mesh: Mesh, of: Site, member: Person) => Promise<unknown>][] = [
  [
    "the person left",
    (mesh, { key }, { email }) => mesh.run(key, "ORGANIZATION_MEMBER_REMOVE", { memberIdOrEmail: email }),
  ],
  [
    "the connection is gone",
    (mesh, { key, connectionId }) => mesh.run(key, "COLLECTION_CONNECTIONS_DELETE", { id: connectionId }),
  ],
  [
    "the connection is switched off",
    (mesh, { key, connectionId }) =>
      mesh.run(key, "COLLECTION_CONNECTIONS_UPDATE", { id: connectionId, data: { status: "inactive" } }),
  ],
];
for (const [reason, change] of why) {
  Deno.test(`a stream ends where ${reason}`, () =>
    withMesh(async (mesh) => {
      const { services } = mesh;
      const ours = await site(mesh, "http://127.0.0.1:9/mcp");
      const theirs = await colleague(mesh, ours);
      const actor = await services.identities.byBearer(theirs.key);
      const target = await services.upstream.target(ours.person.organizationId, ours.connectionId);
      assert.ok(actor && target);
      const request = { headers: new Headers({ authorization: `Bearer ${theirs.key}` }) };
      const streams = new Streams(10);
      const stream = streams.begin({ actor: { ...actor, organizationId: "" }, target, services, request });
      assert.ok(stream);
      const stopped = Promise.withResolvers<string>();
      let changed = false;
      stream.onStop(() => stopped.resolve(changed ? "afterwards" : "before"));
      await services.upstream.target(ours.person.organizationId, ours.connectionId);
      changed = true;
      await change(mesh, ours, theirs.person);
      assert.equal(await stopped.promise, "afterwards");
      stream.end();
    }));
}

/** A client that keeps its streams open until it leaves; a response that nobody holds would be closed. */
class Listener {
  readonly #left = new AbortController();
  readonly #responses: Response[] = [];

  async status(to: Site): Promise<number> {
    const headers = { authorization: `Bearer ${to.key}`, accept: "text/event-stream" };
    const response = await fetch(to.url, { headers, signal: this.#left.signal });
    if (response.status !== 200) await response.body?.cancel();
    else this.#responses.push(response);
    return response.status;
  }

  /** How many streams it has had. */
  leave(): number {
    this.#left.abort();
    return this.#responses.length;
  }
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
    const client = new Listener();
    for (let round = 0; round < 16; round++) {
      const statuses = await Promise.all(Array.from({ length: 16 }, () => client.status(ours)));
      assert.deepEqual(new Set(statuses), new Set([200]));
    }
    assert.equal(await client.status(ours), 405); // L05: clients go on without
    const friend = await colleague(mesh, ours);
    assert.equal(await client.status(friend), 200);
    const stranger = await mesh.organization();
    const theirs = await addConnection(mesh, stranger, { url });
    const to = { url: `${mesh.url}/mcp/${theirs}`, key: await mesh.key(stranger) };
    assert.deepEqual((await answerOf(await post(to, legacy("tools/list")))).result, { tools: [] });
    assert.equal(client.leave(), 257);
    const later = new Listener();
    await until(async () => await later.status(ours) === 200);
    later.leave();
  });
  await server.shutdown();
});
