// A request is sent twice only where it cannot have run once (RFC 9110 section 9.2.2).
import assert from "node:assert/strict";
import { Connection, type Lender } from "../../server/outbound/connection.ts";
import type { Socket } from "../../server/outbound/wire.ts";
import { exists } from "../support/processes.ts";
import { failsAt, ok, RawServer, TestOutbound, textOf } from "./support.ts";
import { until } from "../support/until.ts";

/** Answers the first request; reads the second of the same connection and hangs up without an answer. */
function closingOnSecond(seen: string[]): RawServer {
  return new RawServer(async (peer) => {
    seen.push(methodOf((await peer.request())!));
    await peer.write(ok);
    if (peer.index > 0) return;
    const second = await peer.request();
    if (second !== null) seen.push(methodOf(second));
  });
}

function methodOf(request: string): string {
  return request.slice(0, request.indexOf(" "));
}

Deno.test("a POST that a reused connection swallowed is not sent again: it may have run", async () => {
  const seen: string[] = [];
  await using server = closingOnSecond(seen);
  using outbound = new TestOutbound();
  await outbound.call(server.url, { method: "POST", body: "1" });
  await failsAt("headers", /without an answer/, outbound.call(server.url, { method: "POST", body: "2" }));
  assert.deepEqual(seen, ["POST", "POST"]);
  assert.equal(server.accepted, 1);
});

for (const method of ["GET", "HEAD", "DELETE", "PUT"]) {
  Deno.test(`a ${method} that a reused connection swallowed is sent once more, on a new one`, async () => {
    const seen: string[] = [];
    await using server = closingOnSecond(seen);
    using outbound = new TestOutbound();
    await outbound.call(server.url, { method: "POST" });
    assert.equal((await outbound.call(server.url, { method })).status, 200);
    assert.deepEqual(seen, ["POST", method, method]);
    assert.equal(server.accepted, 2);
  });
}

Deno.test("a GET that waited in line for the connection that swallowed it is sent once more", async () => {
  const seen: string[] = [];
  await using server = closingOnSecond(seen);
  using outbound = new TestOutbound({ maxSockets: 1 });
  const answers = await Promise.all([outbound.call(server.url), outbound.call(server.url)]);
  assert.deepEqual(answers.map(({ status }) => status), [200, 200]);
  assert.deepEqual(seen, ["GET", "GET", "GET"]);
  assert.equal(server.accepted, 2);
});

Deno.test("a repeated request that fails again is not repeated a second time", async () => {
  const seen: number[] = [];
  await using server = new RawServer(async (peer) => {
    await peer.request();
    seen.push(peer.index);
    if (peer.index > 0) return;
    await peer.write(ok);
    await peer.request();
    seen.push(peer.index);
  });
  using outbound = new TestOutbound();
  await outbound.call(server.url);
  await failsAt("headers", /without an answer/, outbound.call(server.url));
  assert.deepEqual(seen, [0, 0, 1]);
});

Deno.test("a new connection that closes without an answer is no reason to repeat", async () => {
  await using server = new RawServer(async (peer) => {
    await peer.request();
  });
  using outbound = new TestOutbound();
  await failsAt("headers", /without an answer/, outbound.call(server.url));
  assert.equal(server.accepted, 1);
});

Deno.test("an answer that has begun is no reason to repeat", async () => {
  await using server = new RawServer(async (peer) => {
    await peer.request();
    await peer.write(ok);
    await peer.request();
    await peer.write("HTTP/1.1 2");
  });
  using outbound = new TestOutbound();
  await outbound.call(server.url);
  await failsAt("headers", /without an answer/, outbound.call(server.url));
  assert.equal(server.accepted, 1);
});

// No real socket fails to write at the very moment that a test needs it, so this one is played.
for (const accepted of [0, 20]) {
  const sent = accepted === 0 ? "nothing" : "a part";
  Deno.test(`a POST of which ${sent} was sent when the write failed ${accepted ? "is not" : "may be"} sent again`, async () => {
    const closed = Promise.withResolvers<null>();
    let reads = 0;
    let writes = 0;
    const socket: Socket = {
      read: (buffer) => {
        if (++reads > 1) return closed.promise;
        return Promise.resolve(new TextEncoder().encodeInto(ok, buffer).written);
      },
      write: (bytes) => {
        if (++writes === 1) return Promise.resolve(bytes.length);
        if (writes === 2 && accepted > 0) return Promise.resolve(accepted);
        closed.resolve(null);
        return Promise.reject(new Deno.errors.BrokenPipe());
      },
      close: () => {},
    };
    const lender: Lender = {
      now: () => 0,
      deadlineIn: () => 0,
      send: (start) => {
        start();
        return () => {};
      },
      returned: (connection) => connection.rest(),
      closed: () => {},
    };
    const connection = new Connection(socket, "http://played.example", lender);
    const message = { method: "POST", head: "POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\n", body: "body" };
    const first = await connection.exchange(message, {});
    assert.equal(first.status, 200);
    const second = connection.exchange(message, {}, () => Promise.resolve(first));
    if (accepted === 0) assert.equal(await second, first);
    else await failsAt("headers", /without an answer/, second);
  });
}

// The server's close waits unseen in the kernel while the event loop is blocked; the request that follows must
// neither run twice nor fail. The server is a process of its own, as it could not close anything otherwise.
Deno.test("a close that a busy event loop has not seen yet costs a POST neither its answer nor a second run", async () => {
  const folder = await Deno.makeTempDir({ prefix: "mesh-test-" });
  const program = `
    const [folder] = Deno.args;
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    console.log(listener.addr.port);
    let requests = 0;
    for await (const socket of listener) {
      await socket.read(new Uint8Array(1000));
      const request = ++requests;
      await socket.write(new TextEncoder().encode("HTTP/1.1 200 OK\\r\\nX-Requests: " + request + "\\r\\nContent-Length: 0\\r\\n\\r\\n"));
      setTimeout(() => {
        socket.close();
        Deno.writeTextFileSync(folder + "/" + request, "closed");
      }, 100);
    }`;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["eval", "--no-check", program, folder],
    stdout: "piped",
  }).spawn();
  const stdout = child.stdout.getReader();
  const port = new TextDecoder().decode((await stdout.read()).value).trim();
  using outbound = new TestOutbound();
  for (let round = 1; round <= 5; round++) {
    const answer = await outbound.call(`http://127.0.0.1:${port}/`, { method: "POST", body: "x" });
    assert.equal(answer.header("x-requests"), String(round));
    assert.equal(outbound.sockets.idle, 1);
    for (const ends = performance.now() + 200; performance.now() < ends || !exists(`${folder}/${round}`);) {
      // busy
    }
  }
  outbound.close();
  child.kill();
  await stdout.cancel();
  await child.status;
  await Deno.remove(folder, { recursive: true });
});

Deno.test("a server that restarts between two POSTs gets each once", async () => {
  const seen: string[] = [];
  const serve = (port: number) =>
    new RawServer(async (peer) => {
      for (let text = await peer.request(); text !== null; text = await peer.request()) {
        seen.push(text.slice(-1));
        await peer.write(ok);
      }
    }, Deno.listen({ hostname: "127.0.0.1", port }));
  const first = serve(0);
  using outbound = new TestOutbound();
  await outbound.call(first.url, { method: "POST", body: "1" });
  await first[Symbol.asyncDispose]();
  await until(() => outbound.sockets.open === 0);
  await using second = serve(first.port);
  assert.equal(await textOf(await outbound.call(second.url, { method: "POST", body: "2" })), "ok");
  assert.deepEqual(seen, ["1", "2"]);
});
