// Lists that must be filtered, so long that only a few of them may be in memory.
import assert from "node:assert/strict";
import { startHostile } from "../support/upstreams.ts";
import { legacy, narrowed, post, rowsOf, type Site, site, withMesh } from "./support.ts";
import { until } from "../support/until.ts";
import { closeQuietly, writeAll } from "../support/sockets.ts";

const tool = (name: string, description: string) => ({ name, description, inputSchema: { type: "object" } });
const long = JSON.stringify([tool("echo", "x".repeat(15_000_000)), tool("hidden", "y".repeat(1_000_000))]);

/** An upstream whose list of tools takes 16 MB, in the form that is asked for. */
const upstreamOf = (events: boolean) =>
  startHostile(async ({ request, send }) => {
    const answer = `{"jsonrpc":"2.0","id":${request.message.id},"result":{"tools":${long}}}`;
    const [type, body] = events
      ? ["text/event-stream", `data: ${answer}\n\n: more to come\n\n`]
      : ["application/json", answer];
    await send(`HTTP/1.1 200 OK\r\ncontent-type: ${type}\r\nconnection: close\r\n\r\n`);
    await send(body);
  });

/** Asks for the list and takes no more than the beginning, which comes once all of it is in memory. */
async function askAndStop({ url, key }: Site): Promise<Deno.TcpConn> {
  const { hostname, port, pathname } = new URL(url);
  const connection = await Deno.connect({ hostname, port: Number(port) });
  const { body } = legacy("tools/list");
  const head = [
    `POST ${pathname} HTTP/1.1`,
    `host: ${hostname}:${port}`,
    `authorization: Bearer ${key}`,
    "content-type: application/json",
    `content-length: ${body.length}`,
  ];
  await writeAll(connection, new TextEncoder().encode(`${head.join("\r\n")}\r\n\r\n${body}`));
  const buffer = new Uint8Array(1024);
  for (let taken = 0; taken < 4096;) taken += await connection.read(buffer) ?? Infinity;
  return connection;
}

async function listed(to: Site): Promise<string> {
  const text = await (await post(to, legacy("tools/list"))).text();
  if (!text.includes('"echo"')) return text;
  assert.ok(!text.includes('"hidden"'));
  return "listed";
}

Deno.test("a long list of which a client gets little counts no longer than it is read", async () => {
  const list = JSON.stringify([tool("echo", "x"), tool("hidden", "y".repeat(15_000_000))]);
  await using upstream = startHostile(async ({ request, send }) => {
    await send(`HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n`);
    await send(`{"jsonrpc":"2.0","id":${request.message.id},"result":{"tools":${list}}}`);
  });
  await withMesh(async (mesh) => {
    const to = await narrowed(mesh, await site(mesh, upstream.url), ["echo"]);
    for (let i = 0; i < 6; i++) assert.equal(await listed(to), "listed");
  });
});

for (const events of [false, true]) {
  Deno.test(`long lists in memory are bounded, also where nobody takes them: ${events ? "SSE" : "JSON"}`, async () => {
    await using upstream = upstreamOf(events);
    await withMesh(async (mesh) => {
      const to = await narrowed(mesh, await site(mesh, upstream.url, { title: "Long" }), ["echo"]);
      assert.equal(await listed(to), "listed");
      const waiting: Deno.TcpConn[] = [];
      for (let i = 0; i < 4; i++) waiting.push(await askAndStop(to));
      const refusal = /'Long' answered a list longer than can be filtered while others are/;
      const refused = await listed(to);
      const rows = await rowsOf(mesh, to);
      for (const connection of waiting) closeQuietly(connection);
      assert.match(refused, refusal);
      assert.match(rows.map(({ errorMessage }) => errorMessage).join(), refusal);
      assert.equal(rows.length, 1);
      await until(async () => await listed(to) === "listed");
      await upstream.idle();
    });
  });
}
