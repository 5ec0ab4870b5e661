// TLS of one target's own: a private authority, a client certificate, and connections that nobody else uses.
import assert from "node:assert/strict";
import type { TlsOptions } from "../../server/outbound.ts";
import { Authority } from "./certificates.ts";
import {
  answerAll,
  answering,
  failsAt,
  ok,
  type Peer,
  RawServer,
  standsStill,
  TestOutbound,
  textOf,
  Wire,
} from "./support.ts";
import { fingerprintOf, TlsFront } from "./tls_front.ts";
import { until } from "../support/until.ts";

const authority = new Authority("a private authority");
const people = new Authority("an authority of clients");
const certificate = authority.issue(["right.example", "127.0.0.1"]);
const ann = people.issue(["ann"]);
const bob = people.issue(["bob"]);
const get = { method: "GET", headers: [] };

function identity(client?: typeof ann): TlsOptions {
  return { caCertificates: [authority.cert], certificate: client?.cert, key: client?.key };
}

function toLoopback(): TestOutbound {
  return new TestOutbound({ resolve: () => Promise.resolve(["127.0.0.1"]) });
}

interface Mutual {
  outbound: TestOutbound;
  server: RawServer;
  front: TlsFront;
}

async function withFront(script: (peer: Peer) => Promise<void>, fn: (parts: Mutual) => Promise<void>) {
  await using server = new RawServer(script);
  await using front = await TlsFront.start({ certificate, clients: people.cert, to: server.port });
  using outbound = toLoopback();
  await fn({ outbound, server, front });
}

Deno.test("a private authority is trusted for its target alone", async () => {
  await using server = new RawServer(
    answerAll,
    Deno.listenTls({ hostname: "127.0.0.1", port: 0, ...certificate }),
  );
  using outbound = toLoopback();
  const url = `https://right.example:${server.port}/`;
  const trusting = outbound.target(url, identity());
  for (let i = 0; i < 2; i++) assert.equal(await textOf(await outbound.exchange(trusting, get)), "ok");
  assert.equal(server.accepted, 1, "the connection is kept");
  await failsAt("tls", /handshake failed/, outbound.call(url));
  const another = outbound.target(url, { caCertificates: [new Authority("another").cert] });
  await failsAt("tls", /handshake failed/, outbound.exchange(another, get));
  const elsewhere = outbound.target(`https://wrong.example:${server.port}/`, identity());
  await failsAt("tls", /handshake failed/, outbound.exchange(elsewhere, get));
});

Deno.test("a client certificate is shown to its target, under the name that was asked for", async () => {
  await withFront(answerAll, async ({ outbound, front }) => {
    const target = outbound.target(front.at("right.example"), identity(ann));
    const post = { method: "POST", headers: [], body: "x".repeat(100_000) };
    for (let i = 0; i < 3; i++) assert.equal(await textOf(await outbound.exchange(target, post)), "ok");
    assert.deepEqual(front.shown, [{ fingerprint: fingerprintOf(ann), serverName: "right.example" }]);
    const address = outbound.target(front.at("127.0.0.1"), identity(ann));
    assert.equal((await outbound.exchange(address, get)).status, 200);
    assert.equal(front.shown[1]?.serverName, null);
  });
});

Deno.test("one target's certificate never serves another's request", async () => {
  await withFront(answerAll, async ({ outbound, front, server }) => {
    const url = front.at("right.example");
    const first = outbound.target(url, identity(ann));
    const second = outbound.target(url, identity(bob));
    await outbound.exchange(first, get);
    await outbound.exchange(second, get);
    await outbound.exchange(first, get);
    await outbound.exchange(outbound.target(url, identity(bob)), get);
    assert.deepEqual(front.shown.map(({ fingerprint }) => fingerprint), [ann, bob].map(fingerprintOf));
    const bare = outbound.target(url, identity());
    await failsAt("tls", /the server demands a client certificate/, outbound.exchange(bare, get));
    const stranger = new Authority("strangers").issue(["eve"]);
    await assert.rejects(outbound.exchange(outbound.target(url, identity(stranger)), get));
    assert.equal(server.accepted, 2);
  });
});

Deno.test("with a client certificate the server must still be the right one, and reachable", async () => {
  await withFront(answerAll, async ({ outbound, front, server }) => {
    for (const host of ["wrong.example", "localhost", "-odd-.example"]) {
      const target = outbound.target(front.at(host), identity(ann));
      await failsAt("tls", /handshake failed/, outbound.exchange(target, get));
    }
    const untrusted = outbound.target(front.at("right.example"), { certificate: ann.cert, key: ann.key });
    await failsAt("tls", /handshake failed/, outbound.exchange(untrusted, get));
    using guarded = new TestOutbound({
      resolve: () => Promise.resolve(["127.0.0.1"]),
      loopbackAllowed: false,
    });
    const refused = guarded.target(front.at("right.example"), identity(ann));
    await failsAt("refused", /127\.0\.0\.1 is loopback/, guarded.exchange(refused, get));
    const literal = guarded.target(front.at("127.0.0.1"), identity(ann));
    await failsAt("refused", /127\.0\.0\.1 is loopback/, guarded.exchange(literal, get));
    assert.equal(server.accepted, 0);
    await until(() => front.open === 0);
    assert.deepEqual(outbound.sockets, { open: 0, idle: 0 });
  });
});

Deno.test("a pair that is none fails before anything of the request is sent", async () => {
  await withFront(answerAll, async ({ outbound, front, server }) => {
    for (const [certificate, key] of [[ann.cert, bob.key], ["no PEM", "no PEM"]] as const) {
      const target = outbound.target(front.at("right.example"), { ...identity(), certificate, key });
      await failsAt("tls", /./, outbound.exchange(target, get));
    }
    assert.equal(server.accepted, 0);
    await until(() => front.open === 0);
  });
});

Deno.test("with a client certificate a dead port, plain HTTP and silence fail where they do without", async () => {
  using outbound = toLoopback();
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  const dead = outbound.target(`https://right.example:${port}/`, identity(ann));
  await failsAt("connect", /no connection can be made/, outbound.exchange(dead, get));
  await using plain = answering("HTTP/1.1 400 Bad Request\r\n\r\n", "close");
  const http = outbound.target(`https://right.example:${plain.port}/`, identity(ann));
  await failsAt(
    "timeout",
    /handshake did not end/,
    outbound.exchange(http, { ...get, connectTimeoutMs: 1000 }),
  );
  const gate = Promise.withResolvers<void>();
  await using silent = new RawServer(async (peer) => {
    while (await peer.more());
    gate.resolve();
  });
  const target = outbound.target(`https://right.example:${silent.port}/`, identity(ann));
  await failsAt(
    "timeout",
    /handshake did not end/,
    outbound.exchange(target, { ...get, connectTimeoutMs: 1000 }),
  );
  await gate.promise;
  const aborter = new AbortController();
  const aborted = outbound.exchange(target, { ...get, signal: aborter.signal });
  await until(() => silent.accepted === 2);
  aborter.abort();
  await failsAt("aborted", /the caller ended/, aborted);
  await until(() => silent.open === 0);
  assert.deepEqual(outbound.sockets, { open: 0, idle: 0 });
});

Deno.test("with a client certificate large bodies pass in both directions, and a slow reader holds back", async () => {
  const size = 3 * 1024 * 1024;
  const sent = "x".repeat(size);
  let written = 0;
  const piece = new Uint8Array(1024 * 1024);
  const script = async (peer: Peer) => {
    const request = await peer.request();
    await peer.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
    await peer.write(request!.slice(-size));
    await peer.request();
    await peer.write(`HTTP/1.1 200 OK\r\nContent-Length: ${500 * piece.length}\r\n\r\n`);
    for (; written < 500; written++) await peer.write(piece);
  };
  await withFront(script, async ({ outbound, front, server }) => {
    const target = outbound.target(front.at("right.example"), identity(ann));
    const answer = await outbound.exchange(target, { method: "POST", headers: [], body: sent });
    assert.equal(await textOf(answer), sent);
    const held = await outbound.exchange(target, get);
    assert(held.body instanceof ReadableStream);
    await standsStill(() => written);
    assert(written < 100, `the server could send ${written} MiB unread`);
    await held.body.cancel();
    await until(() => server.open === 0 && front.open === 0);
  });
});

Deno.test("a kept connection that its server ends costs the next POST nothing", async () => {
  const script = async (peer: Peer) => {
    await peer.request();
    await peer.write(ok);
  };
  await withFront(script, async ({ outbound, front, server }) => {
    const target = outbound.target(front.at("right.example"), identity(ann));
    for (let round = 1; round <= 3; round++) {
      const answer = await outbound.exchange(target, { method: "POST", headers: [], body: "x" });
      assert.equal(answer.status, 200);
      await until(() => outbound.sockets.open === 0);
      assert.equal(server.accepted, round);
    }
  });
});

Deno.test("a body that breaks off or falls silent behind a client certificate is no whole one", async () => {
  const half = "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhalf of it";
  const script = async (peer: Peer) => {
    await peer.request();
    await peer.write(half);
    if (peer.index > 0) await peer.request();
  };
  await withFront(script, async ({ outbound, front }) => {
    const target = outbound.target(front.at("right.example"), identity(ann));
    await failsAt("body", /broke/, outbound.exchange(target, get).then(textOf));
    const silent = outbound.exchange(target, { ...get, idleTimeoutMs: 100 }).then(textOf);
    await failsAt("timeout", /stopped in the middle/, silent);
    await until(() => front.open === 0);
  });
});

Deno.test("a body until close is whole behind a client certificate only where TLS itself has ended", async () => {
  const script = async (peer: Peer) => {
    await peer.request();
    await peer.write("HTTP/1.1 200 OK\r\n\r\nall there is");
    if (peer.index > 0) await peer.request();
  };
  await withFront(script, async ({ outbound, front }) => {
    const whole = outbound.target(front.at("right.example"), identity(ann));
    assert.equal(await textOf(await outbound.exchange(whole, get)), "all there is");
    await using wire = new Wire(front.port);
    const target = outbound.target(`https://right.example:${wire.port}/`, identity(ann));
    const { body } = await outbound.exchange(target, get);
    assert(body instanceof ReadableStream);
    const reader = body.getReader();
    assert.equal(new TextDecoder().decode((await reader.read()).value), "all there is");
    wire.cut();
    await failsAt("body", /the connection broke/, reader.read());
  });
});

Deno.test("fetch takes the identity to its origin and not along a redirect", async () => {
  await using other = new RawServer(
    answerAll,
    Deno.listenTls({ hostname: "127.0.0.1", port: 0, ...certificate }),
  );
  const script = async (peer: Peer) => {
    for (let request = await peer.request(); request !== null; request = await peer.request()) {
      const to = /^GET (\S+)/.exec(request)![1]!;
      const location = to === "/away" ? `https://right.example:${other.port}/` : "/there";
      await peer.write(
        to === "/there" ? ok : `HTTP/1.1 307 T\r\nLocation: ${location}\r\nContent-Length: 0\r\n\r\n`,
      );
    }
  };
  await withFront(script, async ({ outbound, front }) => {
    const target = outbound.target(front.at("right.example"), identity(ann));
    const init = { identity: target.identity };
    assert.equal(await (await outbound.fetch(`${target.url}here`, init)).text(), "ok");
    assert.equal(front.shown.length, 1);
    const left = await outbound.fetch(`${target.url}away`, init).then(() => null, (error) => error);
    assert.equal(left?.stage, "tls", "the other origin is not trusted");
  });
});
