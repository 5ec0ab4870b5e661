import assert from "node:assert/strict";
import { Outbound, OutboundError } from "../server/outbound.ts";

Deno.test("an exchange reaches a loopback server and reuses its connection", async () => {
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, async (request) => {
    return new Response(`${request.method} ${await request.text()}`, { headers: { "x-one": "1" } });
  });
  const outbound = new Outbound({ allow: [], loopbackAllowed: true });
  const target = outbound.target(`http://localhost:${server.addr.port}/a?b=c#d`);
  for (let i = 0; i < 3; i++) {
    const answer = await outbound.exchange(target, { method: "POST", headers: [], body: "hällo" });
    assert.equal(answer.status, 200);
    assert.equal(answer.header("x-one"), "1");
    assert.equal(new TextDecoder().decode(answer.body as Uint8Array), "POST hällo");
    assert.deepEqual(outbound.sockets, { open: 1, idle: 1 });
  }
  outbound.close();
  await server.shutdown();
});

Deno.test("a private address is refused before a connection is made", async () => {
  const outbound = new Outbound({ allow: [], loopbackAllowed: true });
  await assert.rejects(
    outbound.exchange(outbound.target("http://10.1.1.1/secret?key=1"), { method: "GET", headers: [] }),
    (error) => {
      assert(error instanceof OutboundError);
      assert.equal(error.stage, "refused");
      assert.equal(error.code, "outbound_refused");
      assert.equal(
        error.message,
        'Cannot call "http://10.1.1.1": 10.1.1.1 is private, list it in OUTBOUND_ALLOW to permit it',
      );
      return true;
    },
  );
});
