// Large and endless bodies: nothing lost, nothing held.
import assert from "node:assert/strict";
import v8 from "node:v8";
import vm from "node:vm";
import { ChunkedDecoder } from "../../server/outbound/chunked.ts";
import { Malformed } from "../../server/outbound/head.ts";
import { chunks, failsAt, pattern, RawServer, standsStill, TestOutbound, textOf } from "./support.ts";
import { until } from "../support/until.ts";

const MiB = 1024 * 1024;

/** What this thread holds: other test files have threads of their own in the same process. */
function heldBytes(): number {
  const { heapUsed, external } = Deno.memoryUsage();
  return heapUsed + external;
}

/** Collects what nobody holds any more. */
function collect(): void {
  v8.setFlagsFromString("--expose-gc");
  vm.runInNewContext("gc()");
}

/** Sends `total` bytes of body in pieces of 256 KiB, in the given framing. */
function large(total: number, framing: "length" | "chunked" | "close"): RawServer {
  const piece = pattern(256 * 1024);
  return new RawServer(async (peer) => {
    await peer.request();
    const headers = {
      length: `Content-Length: ${total}\r\n`,
      chunked: "Transfer-Encoding: chunked\r\n",
      close: "",
    };
    await peer.write(`HTTP/1.1 200 OK\r\n${headers[framing]}\r\n`);
    for (let sent = 0; sent < total; sent += piece.length) {
      if (framing === "chunked") await peer.write(`${piece.length.toString(16)}\r\n`);
      await peer.write(piece);
      if (framing === "chunked") await peer.write("\r\n");
    }
    if (framing === "chunked") await peer.write("0\r\n\r\n");
  });
}

for (const framing of ["length", "chunked", "close"] as const) {
  Deno.test(`300 MB by ${framing} pass through whole, with flat memory`, async () => {
    const total = 300 * MiB;
    await using server = large(total, framing);
    using outbound = new TestOutbound();
    const answer = await outbound.call(server.url, { idleTimeoutMs: 60_000 });
    assert(answer.body instanceof ReadableStream);
    const before = heldBytes();
    const expected = pattern(256 * 1024);
    let received = 0;
    let most = before;
    for await (const piece of answer.body) {
      const at = received % expected.length;
      assert(piece[0] === expected[at], `byte ${received}`);
      const last = received + piece.length - 1;
      assert(piece[piece.length - 1] === expected[last % expected.length], `byte ${last}`);
      received += piece.length;
      most = Math.max(most, heldBytes());
    }
    assert.equal(received, total);
    assert(most - before < 120 * MiB, `memory grew by ${Math.round((most - before) / MiB)} MiB`);
  });
}

Deno.test("a large request is not kept in memory while its answer is on the way", async () => {
  const size = 10 * MiB;
  await using server = new RawServer(async (peer) => {
    for (let taken = 0; taken < size; taken += peer.take().length) if (!await peer.more()) return;
    await peer.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    while (await peer.more());
  });
  using outbound = new TestOutbound();
  const before = heldBytes();
  const open = [];
  for (let i = 0; i < 6; i++) {
    open.push(await outbound.call(server.url, { method: "POST", body: "x".repeat(size) }));
  }
  await until(() => {
    collect();
    return heldBytes() - before < 60 * MiB;
  });
  for (const { body } of open) await (body as ReadableStream).cancel();
});

Deno.test("a caller that does not read holds the server back", async () => {
  let sent = 0;
  const piece = new Uint8Array(MiB);
  await using server = new RawServer(async (peer) => {
    await peer.request();
    await peer.write(`HTTP/1.1 200 OK\r\nContent-Length: ${500 * MiB}\r\n\r\n`);
    for (; sent < 500; sent++) await peer.write(piece);
  });
  using outbound = new TestOutbound();
  const answer = await outbound.call(server.url);
  assert(answer.body instanceof ReadableStream);
  await standsStill(() => sent);
  assert(sent < 100, `the server could send ${sent} MiB unread`);
  await answer.body.cancel();
  await until(() => server.open === 0);
});

Deno.test("events are handed on one by one, as they come", async () => {
  const gates = Array.from({ length: 3 }, () => Promise.withResolvers<void>());
  await using server = new RawServer(async (peer) => {
    await peer.request();
    await peer.write(
      "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
    );
    for (const [i, gate] of gates.entries()) {
      await gate.promise;
      await peer.write(chunks(`data: ${i}\n\n`));
    }
    await peer.write("0\r\n\r\n");
    await peer.request();
  });
  using outbound = new TestOutbound();
  const answer = await outbound.call(server.url, { idleTimeoutMs: 0 });
  assert.equal(answer.header("content-type"), "text/event-stream");
  assert(answer.body instanceof ReadableStream);
  const reader = answer.body.getReader();
  for (const [i, gate] of gates.entries()) {
    const next = reader.read();
    gate.resolve();
    assert.equal(new TextDecoder().decode((await next).value), `data: ${i}\n\n`);
  }
  assert.equal((await reader.read()).done, true);
  assert.deepEqual(outbound.sockets, { open: 1, idle: 1 });
});

Deno.test("a stream's connection is free again with its last byte, before the caller asks for the end", async () => {
  const body = pattern(70_000);
  await using server = new RawServer(async (peer) => {
    for (let request = await peer.request(); request !== null; request = await peer.request()) {
      await peer.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`);
      await peer.write(body);
    }
  });
  using outbound = new TestOutbound();
  for (let round = 0; round < 3; round++) {
    const answer = await outbound.call(server.url);
    assert(answer.body instanceof ReadableStream);
    const reader = answer.body.getReader();
    let received = 0;
    while (received < body.length) received += (await reader.read()).value!.length;
    assert.deepEqual(outbound.sockets, { open: 1, idle: 1 });
  }
  assert.equal(server.accepted, 1);
});

Deno.test("a stream cancelled after its last byte leaves the connection to those who use it next", async () => {
  const body = pattern(70_000);
  const last = Promise.withResolvers<void>();
  const second = Promise.withResolvers<void>();
  await using server = new RawServer(async (peer) => {
    await peer.request();
    await peer.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`);
    await peer.write(body.subarray(1));
    await last.promise;
    await peer.write(body.subarray(0, 1));
    await peer.request();
    await second.promise;
    await peer.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  });
  using outbound = new TestOutbound();
  const answer = await outbound.call(server.url);
  assert(answer.body instanceof ReadableStream);
  const reader = answer.body.getReader();
  for (let left = body.length - 1; left > 0;) left -= (await reader.read()).value!.length;
  // Asked for and not waited for, the last byte stays in the stream.
  const unwanted = reader.read();
  await new Promise((resolve) => setTimeout(resolve, 0));
  reader.releaseLock();
  await assert.rejects(unwanted, TypeError);
  last.resolve();
  await until(() => outbound.sockets.idle === 1);
  const next = outbound.call(server.url);
  await answer.body.cancel();
  second.resolve();
  assert.equal(await textOf(await next), "ok");
  assert.equal(server.accepted, 1);
});

Deno.test("bodies around the size that is still given whole", async () => {
  for (const size of [0, 1, 16 * 1024, 64 * 1024 - 1, 64 * 1024, 64 * 1024 + 1]) {
    const body = pattern(size);
    await using server = new RawServer(async (peer) => {
      await peer.request();
      await peer.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
      await peer.write(body);
    });
    using outbound = new TestOutbound();
    const answer = await outbound.call(server.url);
    assert.equal(answer.body instanceof Uint8Array, size <= 64 * 1024, `${size}`);
    assert.deepEqual(new Uint8Array(await new Response(answer.body).arrayBuffer()), body);
  }
});

// RFC 9112 section 7.1
const brokenChunks: [name: string, bytes: string][] = [
  ["no size", "\r\nabc\r\n"],
  ["a size that is no number", "x\r\nabc\r\n"],
  ["a signed size", "+3\r\nabc\r\n"],
  ["a negative size", "-3\r\nabc\r\n"],
  ["a size with 0x", "0x3\r\nabc\r\n"],
  ["a blank before the size", " 3\r\nabc\r\n"],
  ["a blank after the size", "3 \r\nabc\r\n"],
  ["a size of thirteen digits", "1000000000000\r\n"],
  ["leading zeros without end", `${"0".repeat(20)}3\r\nabc\r\n`],
  ["LF after the size", "3\nabc\r\n"],
  ["CR without LF after the size", "3\rabc\r\n"],
  ["data longer than its size", "3\r\nabcd\r\n"],
  ["LF after the data", "3\r\nabc\n"],
  ["CR without LF after the data", "3\r\nabc\rx"],
  ["an extension with a line break", "3;a\n\r\nabc\r\n"],
  ["an extension without end", `3;${"a".repeat(2000)}`],
  ["a folded trailer", "0\r\n a\r\n\r\n"],
  ["a trailer with a control character", "0\r\nX: \x00\r\n\r\n"],
  ["a trailer ended by LF", "0\r\nX: a\n\r\n"],
  ["trailers without end", `0\r\n${"X: aaaaaaaaaa\r\n".repeat(2000)}`],
  ["LF instead of the last line", "0\r\n\n"],
  ["CR without LF at the end", "0\r\n\rX"],
];

for (const [name, bytes] of brokenChunks) {
  Deno.test(`refused in the chunked coding: ${name}`, () => {
    const whole = Uint8Array.from(bytes, (char) => char.charCodeAt(0));
    assert.throws(() => new ChunkedDecoder().decode(whole), Malformed);
    const single = new ChunkedDecoder();
    assert.throws(() => whole.forEach((_, i) => single.decode(whole.subarray(i, i + 1))), Malformed);
  });
}

Deno.test("a chunked body cut at any place, into any pieces, decodes to the same bytes", () => {
  const text = `${
    chunks("a", "bcdef", "x".repeat(300))
  }1;ext="q"\r\nZ\r\n00\r\nSum: 1\r\nMore: 2\r\n\r\nleft over`;
  const bytes = new TextEncoder().encode(text);
  const expected = `abcdef${"x".repeat(300)}Z`;
  for (let cut = 0; cut <= bytes.length; cut++) {
    const decoder = new ChunkedDecoder();
    let body = "";
    let consumed = 0;
    for (const piece of [bytes.subarray(0, cut), bytes.subarray(cut)]) {
      body += new TextDecoder().decode(decoder.decode(piece));
      consumed += decoder.consumed;
    }
    assert.equal(body, expected);
    assert(decoder.done);
    assert.equal(bytes.length - consumed, "left over".length);
  }
});

Deno.test("a malformed chunk in a stream ends it with an error and its socket", async () => {
  await using server = new RawServer(async (peer) => {
    await peer.request();
    await peer.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    await peer.more().then(() => {}, () => {});
  });
  await using broken = new RawServer(async (peer) => {
    await peer.request();
    await peer.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
    await peer.write("zz\r\n");
    await peer.request();
  });
  using outbound = new TestOutbound();
  await failsAt("body", /chunk size is malformed/, outbound.call(broken.url).then(textOf));
  await until(() => broken.open === 0);
  const answer = await outbound.call(server.url);
  assert(answer.body instanceof ReadableStream);
  await answer.body.cancel();
  assert.deepEqual(outbound.sockets, { open: 0, idle: 0 });
});
