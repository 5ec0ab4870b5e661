// What a server may say and what is refused, held against raw TCP servers.
import assert from "node:assert/strict";
import type { OutboundStage } from "../../server/outbound.ts";
import { answering, chunks, failsAt, RawServer, TestOutbound, textOf } from "./support.ts";

const ok = "HTTP/1.1 200 OK\r\n";

interface Refused {
  name: string;
  bytes: string;
  stage?: OutboundStage;
  says: RegExp;
}

const refused: Refused[] = [
  // RFC 9112 section 4: the status line
  { name: "no HTTP at all", bytes: "SSH-2.0-OpenSSH_9.6\r\n\r\n", says: /status line/ },
  { name: "HTTP/2 in clear", bytes: "HTTP/2 200\r\n\r\n", says: /status line/ },
  { name: "HTTP/1.2", bytes: "HTTP/1.2 200 OK\r\n\r\n", says: /status line/ },
  { name: "lower-case http", bytes: "http/1.1 200 OK\r\n\r\n", says: /status line/ },
  { name: "a status of two digits", bytes: "HTTP/1.1 20 OK\r\n\r\n", says: /status line/ },
  { name: "a status of four digits", bytes: "HTTP/1.1 2000 OK\r\n\r\n", says: /status line/ },
  { name: "status 000", bytes: "HTTP/1.1 000 OK\r\n\r\n", says: /status line/ },
  { name: "status 600", bytes: "HTTP/1.1 600 OK\r\n\r\n", says: /status line/ },
  { name: "two spaces before the status", bytes: "HTTP/1.1  200 OK\r\n\r\n", says: /status line/ },
  { name: "an empty line first", bytes: `\r\n${ok}\r\n`, says: /status line/ },
  { name: "a status line alone, without its version", bytes: "200 OK\r\n\r\n", says: /status line/ },
  // RFC 9112 section 2.2: line ends
  { name: "bare LF after the status line", bytes: "HTTP/1.1 200 OK\nA: b\r\n\r\n", says: /bare line break/ },
  { name: "bare LF everywhere", bytes: "HTTP/1.1 200 OK\nContent-Length: 0\n\n", says: /bare line break/ },
  { name: "bare CR in a value", bytes: `${ok}A: b\rC: d\r\n\r\n`, says: /bare line break/ },
  { name: "bare CR before the end", bytes: `${ok}A: b\r\r\n\r\n`, says: /bare line break/ },
  { name: "a zero byte in a value", bytes: `${ok}A: b\0c\r\n\r\n`, says: /control character/ },
  { name: "an escape in a value", bytes: `${ok}A: \x1b[31m\r\n\r\n`, says: /control character/ },
  { name: "a delete in a value", bytes: `${ok}A: \x7f\r\n\r\n`, says: /control character/ },
  // RFC 9112 section 5: field lines
  { name: "obs-fold by a space", bytes: `${ok}A: b\r\n c\r\n\r\n`, says: /folded line/ },
  { name: "obs-fold by a tab", bytes: `${ok}A: b\r\n\tc\r\n\r\n`, says: /folded line/ },
  { name: "a space before the colon", bytes: `${ok}Content-Length : 0\r\n\r\n`, says: /header name/ },
  { name: "an empty name", bytes: `${ok}: b\r\n\r\n`, says: /header name/ },
  { name: "a name with a bracket", bytes: `${ok}A(: b\r\n\r\n`, says: /header name/ },
  { name: "a name outside ASCII", bytes: `${ok}\xe4: b\r\n\r\n`, says: /header name/ },
  { name: "a line without a colon", bytes: `${ok}Content-Length\r\nA: b\r\n\r\n`, says: /no colon/ },
  { name: "257 headers", bytes: `${ok}${"A: b\r\n".repeat(257)}\r\n`, says: /more than 256/ },
  { name: "headers of 70 KiB", bytes: `${ok}A: ${"b".repeat(70_000)}\r\n\r\n`, says: /too long/ },
  { name: "headers without end", bytes: `${ok}${"A: bcdefgh\r\n".repeat(10_000)}`, says: /too long/ },
  // RFC 9112 section 6: framing
  {
    name: "Content-Length and chunked",
    bytes: `${ok}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n`,
    says: /both/,
  },
  {
    name: "two equal lengths",
    bytes: `${ok}Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc`,
    says: /more than one/,
  },
  {
    name: "two unequal lengths",
    bytes: `${ok}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc`,
    says: /more than one/,
  },
  {
    name: "a list of lengths",
    bytes: `${ok}Content-Length: 3, 3\r\n\r\nabc`,
    says: /Content-Length is malformed/,
  },
  {
    name: "a signed length",
    bytes: `${ok}Content-Length: +3\r\n\r\nabc`,
    says: /Content-Length is malformed/,
  },
  {
    name: "a negative length",
    bytes: `${ok}Content-Length: -3\r\n\r\nabc`,
    says: /Content-Length is malformed/,
  },
  {
    name: "a hexadecimal length",
    bytes: `${ok}Content-Length: 0x3\r\n\r\nabc`,
    says: /Content-Length is malformed/,
  },
  { name: "an empty length", bytes: `${ok}Content-Length:\r\n\r\nabc`, says: /Content-Length is malformed/ },
  {
    name: "a length beyond numbers",
    bytes: `${ok}Content-Length: 99999999999999999\r\n\r\n`,
    says: /Content-Length is malformed/,
  },
  {
    name: "another transfer coding",
    bytes: `${ok}Transfer-Encoding: gzip\r\n\r\n`,
    says: /Transfer-Encoding/,
  },
  {
    name: "gzip before chunked",
    bytes: `${ok}Transfer-Encoding: gzip, chunked\r\n\r\n`,
    says: /Transfer-Encoding/,
  },
  {
    name: "chunked twice",
    bytes: `${ok}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n`,
    says: /Transfer-Encoding/,
  },
  {
    name: "a disguised chunked",
    bytes: `${ok}Transfer-Encoding: xchunked\r\n\r\n`,
    says: /Transfer-Encoding/,
  },
  {
    name: "chunked in HTTP/1.0",
    bytes: "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    says: /Transfer-Encoding/,
  },
  // RFC 9110 section 15.2: interim answers
  {
    name: "a switch of protocols",
    bytes: "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
    says: /switched/,
  },
  {
    name: "interim answers without end",
    bytes: "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(20),
    says: /interim/,
  },
  // RFC 9112 section 8: incomplete messages
  { name: "nothing", bytes: "", says: /closed the connection without an answer/ },
  { name: "half a status line", bytes: "HTTP/1.1 20", says: /closed the connection without an answer/ },
  {
    name: "headers without their end",
    bytes: `${ok}A: b\r\n`,
    says: /closed the connection without an answer/,
  },
  {
    name: "an interim answer alone",
    bytes: "HTTP/1.1 100 Continue\r\n\r\n",
    says: /closed the connection without/,
  },
  {
    name: "a small body cut short",
    bytes: `${ok}Content-Length: 5\r\n\r\nabc`,
    stage: "body",
    says: /broke off/,
  },
];

for (const { name, bytes, stage = "headers", says } of refused) {
  Deno.test(`refused: ${name}`, async () => {
    await using server = answering(bytes, "close");
    using outbound = new TestOutbound();
    await failsAt(stage, says, outbound.call(server.url));
    assert.deepEqual(outbound.sockets, { open: 0, idle: 0 });
  });
}

interface Accepted {
  name: string;
  bytes: string;
  body: string | null;
  headers?: [string, string][];
  status?: number;
  method?: string;
}

const chunkedHead = `${ok}Transfer-Encoding: chunked\r\n\r\n`;
const accepted: Accepted[] = [
  { name: "a body by length", bytes: `${ok}Content-Length: 3\r\n\r\nabc`, body: "abc" },
  { name: "no reason phrase", bytes: "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", body: "" },
  { name: "no space after the status", bytes: "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", body: "" },
  { name: "a reason outside ASCII", bytes: "HTTP/1.1 200 \xdcber\r\nContent-Length: 0\r\n\r\n", body: "" },
  {
    name: "an error status",
    bytes: "HTTP/1.1 599 Odd\r\nContent-Length: 1\r\n\r\nx",
    body: "x",
    status: 599,
  },
  {
    name: "headers in any case, with and without blanks, repeated",
    bytes: `${ok}X-One:1\r\nx-two: \t 2 \t\r\nX-ONE: 3\r\nX-Empty:\r\nContent-Length: 0\r\n\r\n`,
    body: "",
    headers: [["x-one", "1"], ["x-two", "2"], ["x-one", "3"], ["x-empty", ""], ["content-length", "0"]],
  },
  {
    name: "obs-text in a value, one character a byte",
    bytes: `${ok}X: \xe4\xff\r\nContent-Length: 0\r\n\r\n`,
    body: "",
    headers: [["x", "\xe4\xff"], ["content-length", "0"]],
  },
  { name: "chunks", bytes: `${chunkedHead}${chunks("Hello, ", "world")}0\r\n\r\n`, body: "Hello, world" },
  {
    name: "chunked spelled in capitals",
    bytes: `${ok}TRANSFER-ENCODING: CHUNKED\r\n\r\n1\r\nx\r\n0\r\n\r\n`,
    body: "x",
  },
  { name: "no chunks", bytes: `${chunkedHead}0\r\n\r\n`, body: "" },
  {
    name: "trailers, dropped",
    bytes: `${chunkedHead}1\r\nx\r\n0\r\nX-Sum: 1\r\nX-More: 2\r\n\r\n`,
    body: "x",
  },
  { name: "chunk extensions, dropped", bytes: `${chunkedHead}1;a=b;c="d"\r\nx\r\n0;e\r\n\r\n`, body: "x" },
  { name: "a body until close", bytes: `${ok}\r\nuntil close`, body: "until close" },
  { name: "HTTP/1.0", bytes: "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", body: "ok" },
  { name: "100 first", bytes: `HTTP/1.1 100 Continue\r\n\r\n${ok}Content-Length: 2\r\n\r\nok`, body: "ok" },
  {
    name: "103 twice first",
    bytes: `${"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(2)}${ok}Content-Length: 2\r\n\r\nok`,
    body: "ok",
    headers: [["content-length", "2"]],
  },
  { name: "204", bytes: "HTTP/1.1 204 No Content\r\n\r\n", body: null, status: 204 },
  {
    name: "204 with a length of 0",
    bytes: "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
    body: null,
    status: 204,
  },
  {
    name: "304 with the length of what it stands for",
    bytes: "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
    body: null,
    status: 304,
  },
  {
    name: "HEAD with the length of what it stands for",
    bytes: `${ok}Content-Length: 9\r\n\r\n`,
    body: null,
    method: "HEAD",
  },
  { name: "HEAD of a chunked body", bytes: chunkedHead, body: null, method: "HEAD" },
  {
    name: "a redirect, not followed",
    bytes: "HTTP/1.1 302 Found\r\nLocation: http://10.0.0.1/\r\nContent-Length: 0\r\n\r\n",
    body: "",
    status: 302,
  },
];

for (const { name, bytes, body, headers, status = 200, method = "GET" } of accepted) {
  for (const dribbled of [false, true]) {
    Deno.test(`accepted: ${name}${dribbled ? ", byte by byte" : ""}`, async () => {
      await using server = new RawServer(async (peer) => {
        await peer.request();
        for (const part of dribbled ? bytes : [bytes]) await peer.write(part);
      });
      using outbound = new TestOutbound();
      const answer = await outbound.call(server.url, { method });
      assert.equal(answer.status, status);
      if (headers) assert.deepEqual(answer.headers, headers);
      if (body === null) assert.equal(answer.body, null);
      else assert.equal(await textOf(answer), body);
    });
  }
}

Deno.test("header() joins repeated headers and knows names in lower case", async () => {
  await using server = answering(`${ok}Vary: a\r\nvary: b\r\nContent-Length: 0\r\n\r\n`);
  using outbound = new TestOutbound();
  const answer = await outbound.call(server.url);
  assert.equal(answer.header("vary"), "a, b");
  assert.equal(answer.header("none"), null);
});

Deno.test("a chunked body that has wholly arrived is given as bytes, one that has not as a stream", async () => {
  await using server = answering(`${chunkedHead}${chunks("whole")}0\r\n\r\n`);
  await using slow = new RawServer(async (peer) => {
    await peer.request();
    await peer.write(`${chunkedHead}${chunks("first")}`);
    await peer.request();
  });
  using outbound = new TestOutbound();
  const whole = await outbound.call(server.url);
  assert(whole.body instanceof Uint8Array);
  const part = await outbound.call(slow.url);
  assert(part.body instanceof ReadableStream);
  const reader = part.body.getReader();
  assert.equal(new TextDecoder().decode((await reader.read()).value), "first");
  await reader.cancel();
});
