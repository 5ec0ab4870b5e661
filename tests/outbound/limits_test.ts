// Time-outs, abort and size caps, and that each closes the socket.
import assert from "node:assert/strict";
import { answering, chunks, failsAt, type Peer, RawServer, TestOutbound, textOf } from "./support.ts";
import { until } from "../support/until.ts";

const chunkedHead = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

/** Sends `bytes` to each request, then nothing more; counts the connections that the client has ended. */
class Stalling extends RawServer {
  ended = 0;

  constructor(bytes: string) {
    super(async (peer) => {
      await peer.request();
      await peer.write(bytes);
      await peer.request();
      this.ended++;
    });
  }
}

async function refusedPort(): Promise<number> {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  listener.close();
  return await Promise.resolve(port);
}

Deno.test("a port where nothing listens fails at connect", async () => {
  using outbound = new TestOutbound();
  await failsAt(
    "connect",
    /no connection can be made/,
    outbound.call(`http://127.0.0.1:${await refusedPort()}/`),
  );
  assert.deepEqual(outbound.sockets, { open: 0, idle: 0 });
});

Deno.test("no answer within the headers' time-out, though bytes trickle in", async () => {
  let trickling = true;
  await using server = new RawServer(async (peer) => {
    await peer.request();
    await peer.write("HTTP/1.1 200 OK\r\nX: ");
    while (trickling) {
      await peer.write("a");
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  });
  using outbound = new TestOutbound();
  await failsAt("timeout", /did not answer in time/, outbound.call(server.url, { headersTimeoutMs: 150 }));
  trickling = false;
  assert.deepEqual(outbound.sockets, { open: 0, idle: 0 });
});

Deno.test("a request that the server does not read ends with the headers' time-out", async () => {
  await using server = new RawServer(async () => {
    await until(() => outbound.sockets.open === 0 && done);
  });
  let done = false;
  using outbound = new TestOutbound();
  const body = new Uint8Array(64 * 1024 * 1024);
  await failsAt(
    "timeout",
    /did not answer/,
    outbound.call(server.url, { method: "POST", body, headersTimeoutMs: 100 }),
  );
  done = true;
});

Deno.test("a body that stops ends with the idle time-out, whole or streamed", async () => {
  const bodies = [
    "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
    "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nabc",
    `${chunkedHead}3\r\nabc\r\n`,
    "HTTP/1.1 200 OK\r\n\r\nabc",
  ];
  for (const bytes of bodies) {
    await using server = new Stalling(bytes);
    using outbound = new TestOutbound();
    const reading = outbound.call(server.url, { idleTimeoutMs: 100 }).then(textOf);
    await failsAt("timeout", /stopped in the middle/, reading);
    await until(() => server.ended === 1);
  }
});

Deno.test("a small body is bounded by the headers' time-out where there is no idle time-out", async () => {
  await using server = new Stalling("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
  using outbound = new TestOutbound();
  await failsAt("timeout", /stopped in the middle/, outbound.call(server.url, { headersTimeoutMs: 1000 }));
});

Deno.test("every received byte resets the idle time-out, in the framing too", async () => {
  const text = `${chunks("one", "two", "three")}0\r\n\r\n`;
  await using server = new RawServer(async (peer) => {
    await peer.request();
    await peer.write(chunkedHead);
    for (const byte of text) {
      await new Promise((resolve) => setTimeout(resolve, 60));
      await peer.write(byte);
    }
  });
  using outbound = new TestOutbound();
  // The whole takes several times as long as the time-out, and so does the framing between two words.
  const answer = await outbound.call(server.url, { headersTimeoutMs: 5000, idleTimeoutMs: 300 });
  assert.equal(await textOf(answer), "onetwothree");
});

Deno.test("time that the caller takes between two reads is not the server's", async () => {
  await using server = answering(`${chunkedHead}${chunks("one")}`);
  using outbound = new TestOutbound();
  const answer = await outbound.call(server.url, { idleTimeoutMs: 100 });
  assert(answer.body instanceof ReadableStream);
  await new Promise((resolve) => setTimeout(resolve, 400));
  const reader = answer.body.getReader();
  assert.equal(new TextDecoder().decode((await reader.read()).value), "one");
  await failsAt("timeout", /stopped in the middle/, reader.read());
});

Deno.test("abort ends each stage at once and closes the socket", async () => {
  await using silent = new Stalling("");
  await using stalling = new Stalling(`${chunkedHead}3\r\nabc\r\n`);
  using outbound = new TestOutbound({
    resolve: (host) => host === "never.example" ? new Promise(() => {}) : Promise.resolve(["127.0.0.1"]),
  });
  const reason = new Error("the client is gone");

  await failsAt(
    "aborted",
    /the caller ended/,
    outbound.call(silent.url, { signal: AbortSignal.abort(reason) }),
  );
  assert.equal(silent.accepted, 0);

  const looking = new AbortController();
  const lookup = outbound.call("http://never.example/", { signal: looking.signal });
  looking.abort(reason);
  await failsAt("aborted", /the caller ended/, lookup);

  const waiting = new AbortController();
  const headers = outbound.call(silent.url, { signal: waiting.signal });
  await until(() => silent.accepted === 1);
  waiting.abort(reason);
  assert.equal((await failsAt("aborted", /the caller ended/, headers)).cause, reason);
  await until(() => silent.ended === 1);

  const reading = new AbortController();
  const answer = await outbound.call(stalling.url, { signal: reading.signal });
  assert(answer.body instanceof ReadableStream);
  const reader = answer.body.getReader();
  await reader.read();
  const next = reader.read();
  reading.abort(reason);
  await failsAt("aborted", /the caller ended/, next);
  await until(() => stalling.ended === 1);

  const unread = new AbortController();
  await outbound.call(stalling.url, { signal: unread.signal });
  unread.abort(reason);
  await until(() => stalling.ended === 2);
  assert.deepEqual(outbound.sockets, { open: 0, idle: 0 });
});

Deno.test("abort in any moment of any stage ends the exchange", async () => {
  await using server = new Stalling("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab");
  using outbound = new TestOutbound();
  for (let moment = 0; moment < 60; moment++) {
    const aborter = new AbortController();
    const call = outbound.call(server.url, { signal: aborter.signal });
    for (let turn = 0; turn < moment; turn++) await null;
    if (moment % 3 === 2) await until(() => server.accepted > moment / 3);
    aborter.abort();
    await failsAt("aborted", /the caller ended/, call);
  }
  assert.deepEqual(outbound.sockets, { open: 0, idle: 0 });
  await until(() => server.open === 0);
});

Deno.test("a signal that outlives its exchange neither harms the next nor keeps a listener", async () => {
  await using server = answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  using outbound = new TestOutbound();
  let listeners = 0;
  const controller = new AbortController();
  const { signal } = controller;
  const [add, remove] = [signal.addEventListener.bind(signal), signal.removeEventListener.bind(signal)];
  signal.addEventListener = (...args: Parameters<typeof add>) => (listeners++, add(...args));
  signal.removeEventListener = (...args: Parameters<typeof remove>) => (listeners--, remove(...args));
  for (let i = 0; i < 3; i++) await outbound.call(server.url, { signal });
  assert.equal(listeners, 0);
  const next = outbound.call(server.url);
  controller.abort();
  assert.equal(await textOf(await next), "ok");
});

Deno.test("a body over the cap is refused by its length, or at the byte that is too many", async () => {
  const over: string[] = [
    "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n",
    `${chunkedHead}b\r\n01234567890\r\n0\r\n\r\n`,
    `${chunkedHead}6\r\n012345\r\n5\r\n67890\r\n`,
    "HTTP/1.1 200 OK\r\n\r\n01234567890",
  ];
  for (const bytes of over) {
    await using server = new Stalling(bytes);
    using outbound = new TestOutbound();
    const reading = outbound.call(server.url, { maxBodyBytes: 10 }).then(textOf);
    await failsAt("too_large", /larger than 10 bytes/, reading);
    await until(() => server.ended === 1);
  }
});

Deno.test("a cap of nothing lets nothing pass", async () => {
  await using server = answering("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx");
  await using empty = answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  using outbound = new TestOutbound();
  for (const maxBodyBytes of [0, -1]) {
    await failsAt("too_large", /larger than/, outbound.call(server.url, { maxBodyBytes }));
  }
  assert.equal(await textOf(await outbound.call(empty.url, { maxBodyBytes: 0 })), "");
});

Deno.test("a body of exactly the cap passes", async () => {
  for (
    const bytes of [
      "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789",
      `${chunkedHead}a\r\n0123456789\r\n0\r\n\r\n`,
    ]
  ) {
    await using server = answering(bytes);
    using outbound = new TestOutbound();
    assert.equal(await textOf(await outbound.call(server.url, { maxBodyBytes: 10 })), "0123456789");
  }
});

Deno.test("a connection reset in the middle of an answer fails at the body", async () => {
  let peer!: Peer;
  await using server = new RawServer(async (accepted) => {
    peer = accepted;
    await peer.request();
    await peer.write(`${chunkedHead}3\r\nabc\r\n`);
  });
  using outbound = new TestOutbound();
  const answer = await outbound.call(server.url);
  await failsAt("body", /broke/, textOf(answer));
});
