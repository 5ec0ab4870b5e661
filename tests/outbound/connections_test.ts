// How connections are kept, reused, given up and counted.
import assert from "node:assert/strict";
import { answering, failsAt, ok, type Peer, RawServer, TestOutbound, textOf } from "./support.ts";
import { until } from "../support/until.ts";

Deno.test("one connection carries request after request", async () => {
  await using server = answering(ok);
  using outbound = new TestOutbound();
  for (let i = 0; i < 5; i++) assert.equal(await textOf(await outbound.call(server.url)), "ok");
  assert.equal(server.accepted, 1);
  assert.deepEqual(outbound.sockets, { open: 1, idle: 1 });
});

Deno.test("requests at the same time have connections of their own, kept up to the idle limit", async () => {
  await using server = answering(ok);
  using outbound = new TestOutbound({ maxIdle: 3 });
  await Promise.all(Array.from({ length: 8 }, () => outbound.call(server.url)));
  assert.equal(server.accepted, 8);
  assert.deepEqual(outbound.sockets, { open: 3, idle: 3 });
  await until(() => server.open === 3);
});

const unfit: [name: string, answer: string][] = [
  ["Connection: close", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"],
  ["Connection: close in a list", "HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 2\r\n\r\nok"],
  ["HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"],
  ["HTTP/1.0 that would keep it", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok"],
  ["bytes after the body", `${ok}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil`],
  [
    "bytes after the last chunk",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nX",
  ],
  ["Keep-Alive: timeout=1", "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nContent-Length: 2\r\n\r\nok"],
];

for (const [name, answer] of unfit) {
  Deno.test(`not reused after: ${name}`, async () => {
    await using server = answering(answer);
    using outbound = new TestOutbound();
    for (let i = 0; i < 3; i++) assert.equal(await textOf(await outbound.call(server.url)), "ok");
    assert.equal(server.accepted, 3);
    assert.deepEqual(outbound.sockets, { open: 0, idle: 0 });
  });
}

Deno.test("a connection rests no longer than the server says that it keeps it", async () => {
  await using server = answering(
    "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=2, max=9\r\nContent-Length: 2\r\n\r\nok",
  );
  using outbound = new TestOutbound();
  await outbound.call(server.url);
  assert.deepEqual(outbound.sockets, { open: 1, idle: 1 });
  await until(() => outbound.sockets.open === 0);
  await until(() => server.open === 0);
  await outbound.call(server.url);
  assert.equal(server.accepted, 2);
});

Deno.test("a body after an answer that has none is not taken for the next answer", async () => {
  await using server = answering("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nHTTP/");
  using outbound = new TestOutbound();
  for (let i = 0; i < 3; i++) assert.equal((await outbound.call(server.url)).status, 304);
  assert.equal(server.accepted, 3);
});

Deno.test("bytes that arrive while a connection rests end it", async () => {
  let peer!: Peer;
  await using server = new RawServer(async (accepted) => {
    peer = accepted;
    while (await peer.request() !== null) await peer.write(ok);
  });
  using outbound = new TestOutbound();
  await outbound.call(server.url);
  await peer.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
  await until(() => outbound.sockets.open === 0);
  assert.equal(await textOf(await outbound.call(server.url)), "ok");
});

Deno.test("a close by the server while a connection rests is noticed at once", async () => {
  let peer!: Peer;
  await using server = new RawServer(async (accepted) => {
    peer = accepted;
    while (await peer.request() !== null) await peer.write(ok);
  });
  using outbound = new TestOutbound();
  await outbound.call(server.url, { method: "POST" });
  peer.close();
  await until(() => outbound.sockets.open === 0);
  await outbound.call(server.url, { method: "POST" });
  assert.equal(server.accepted, 2);
});

Deno.test("an answer before the whole request was sent is taken, and the connection given up", async () => {
  await using server = new RawServer(async (peer) => {
    await peer.more();
    await peer.write("HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n");
    await until(() => outbound.sockets.open === 0);
  });
  using outbound = new TestOutbound();
  const answer = await outbound.call(server.url, { method: "POST", body: new Uint8Array(32 * 1024 * 1024) });
  assert.equal(answer.status, 413);
  assert.deepEqual(outbound.sockets, { open: 0, idle: 0 });
});

Deno.test("beyond the socket limit callers wait in line for a connection given back", async () => {
  const gates: (() => void)[] = [];
  await using server = new RawServer(async (peer) => {
    while (await peer.request() !== null) {
      await new Promise<void>((resolve) => gates.push(resolve));
      await peer.write(ok);
    }
  });
  using outbound = new TestOutbound({ maxSockets: 2 });
  const calls = Array.from({ length: 5 }, () => outbound.call(server.url));
  for (let served = 0; served < 5; served++) {
    await until(() => gates.length > served);
    gates[served]!();
  }
  await Promise.all(calls);
  assert.equal(server.accepted, 2);
});

Deno.test("beyond the socket limit a place that becomes free is taken, and a wait in vain ends", async () => {
  await using server = new RawServer(async (peer) => {
    if (peer.index > 0) {
      await peer.request();
      await peer.write(ok);
    } else await peer.request().then(() => peer.request());
  });
  using outbound = new TestOutbound({ maxSockets: 1 });
  const first = new AbortController();
  const holding = outbound.call(server.url, { signal: first.signal });
  await until(() => outbound.sockets.open === 1);
  await failsAt("timeout", /connections are in use/, outbound.call(server.url, { connectTimeoutMs: 20 }));
  const second = new AbortController();
  const leaving = outbound.call(server.url, { signal: second.signal });
  second.abort();
  await failsAt("aborted", /the caller ended/, leaving);
  const waiting = outbound.call(server.url);
  first.abort();
  await failsAt("aborted", /the caller ended/, holding);
  assert.equal(await textOf(await waiting), "ok");
});

Deno.test("after hundreds of exchanges of all kinds no socket is left behind", async () => {
  const answers = [
    ok,
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\n\r\nok",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
    "broken\r\n\r\n",
    "",
  ];
  let number = 0;
  await using server = new RawServer(async (peer) => {
    for (let answer = ok; (answer === ok || answer.includes("\r\n0\r\n")) && await peer.request() !== null;) {
      answer = answers[number++ % answers.length]!;
      await peer.write(answer);
    }
  });
  using outbound = new TestOutbound();
  for (let round = 0; round < 300; round++) {
    const aborter = new AbortController();
    await outbound.call(server.url, { signal: aborter.signal }).then(textOf).catch(() => {});
    aborter.abort();
  }
  assert(number >= 300);
  outbound.close();
  assert.deepEqual(outbound.sockets, { open: 0, idle: 0 });
  await until(() => server.open === 0);
});

Deno.test("streams opened and cancelled leave no socket behind, on either side", async () => {
  await using server = new RawServer(async (peer) => {
    await peer.request();
    await peer.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n");
    await peer.request();
  });
  using outbound = new TestOutbound();
  for (let round = 0; round < 100; round++) {
    const answer = await outbound.call(server.url);
    assert(answer.body instanceof ReadableStream);
    if (round % 2 === 0) await answer.body.cancel();
    else {
      const reader = answer.body.getReader();
      await reader.read();
      await reader.cancel();
    }
  }
  assert.deepEqual(outbound.sockets, { open: 0, idle: 0 });
  await until(() => server.open === 0);
});

Deno.test("close() ends what rests now and what is in use when it comes back", async () => {
  const gate = Promise.withResolvers<void>();
  await using server = new RawServer(async (peer) => {
    for (let i = 0; await peer.request() !== null; i++) {
      if (peer.index === 1) await gate.promise;
      await peer.write(ok);
    }
  });
  using outbound = new TestOutbound();
  await outbound.call(server.url);
  const [fast, slow] = [outbound.call(server.url), outbound.call(server.url)];
  await fast;
  assert.equal(outbound.sockets.open, 2);
  outbound.close();
  assert.deepEqual(outbound.sockets, { open: 1, idle: 0 });
  gate.resolve();
  assert.equal(await textOf(await slow), "ok");
  assert.deepEqual(outbound.sockets, { open: 0, idle: 0 });
});

Deno.test("tenants share no connections", async () => {
  await using server = answering(ok);
  using outbound = new TestOutbound();
  const { url } = server;
  const targets = ["org_a", "org_b", undefined].map((tenant) =>
    outbound.target(url, tenant ? { tenant } : {})
  );
  for (let round = 0; round < 2; round++) {
    for (const target of targets) {
      assert.equal(await textOf(await outbound.exchange(target, { method: "GET", headers: [] })), "ok");
    }
    const answer = await outbound.fetch(url, { tenant: "org_a" });
    assert.equal(await answer.text(), "ok");
  }
  assert.equal(server.accepted, 3, "each keeps its own");
});
