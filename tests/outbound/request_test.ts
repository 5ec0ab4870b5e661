// What is sent, and what is refused before anything is sent.
import assert from "node:assert/strict";
import { answering, failsAt, RawServer, TestOutbound } from "./support.ts";

const empty = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/** A server that keeps what it was sent. */
function recording(): { server: RawServer; requests: string[] } {
  const requests: string[] = [];
  const server = new RawServer(async (peer) => {
    for (let request = await peer.request(); request !== null; request = await peer.request()) {
      requests.push(request);
      await peer.write(empty);
    }
  });
  return { server, requests };
}

Deno.test("a request is written as given, with Host and Content-Length, and nothing else", async () => {
  const { server, requests } = recording();
  await using _ = server;
  using outbound = new TestOutbound();
  const url = `${server.url}a%20b/c?d=e%0d%0a&f#g`;
  await outbound.call(url, {
    method: "POST",
    headers: [["X-Case", "kept"], ["x-two", "a, b"]],
    body: "hällo",
  });
  await outbound.call(url, { method: "POST" });
  await outbound.call(url, { method: "PUT", body: new Uint8Array([104, 105]) });
  await outbound.call(server.url, { method: "DELETE" });
  const host = `Host: 127.0.0.1:${server.port}\r\n`;
  assert.deepEqual(requests, [
    `POST /a%20b/c?d=e%0d%0a&f HTTP/1.1\r\n${host}X-Case: kept\r\nx-two: a, b\r\nContent-Length: 6\r\n\r\nhällo`,
    `POST /a%20b/c?d=e%0d%0a&f HTTP/1.1\r\n${host}Content-Length: 0\r\n\r\n`,
    `PUT /a%20b/c?d=e%0d%0a&f HTTP/1.1\r\n${host}Content-Length: 2\r\n\r\nhi`,
    `DELETE / HTTP/1.1\r\n${host}\r\n`,
  ]);
});

Deno.test("a line break in a URL cannot reach the request", async () => {
  const { server, requests } = recording();
  await using _ = server;
  using outbound = new TestOutbound();
  await outbound.call(`${server.url}a\r\nX-Evil: 1\r\n\r\nb?c\td\ne`);
  assert.match(requests[0]!, /^GET \/aX-Evil:%201b\?cde HTTP\/1\.1\r\n/);
});

Deno.test("header values in Latin-1 are sent as one byte a character", async () => {
  let sent = new Uint8Array(0);
  await using server = new RawServer(async (peer) => {
    await peer.more();
    sent = peer.received;
    await peer.write(empty);
  });
  using outbound = new TestOutbound();
  await outbound.call(server.url, { method: "POST", headers: [["x", "\xe4\xff"]], body: "ä" });
  const text = String.fromCharCode(...sent);
  assert(text.endsWith("x: \xe4\xff\r\nContent-Length: 2\r\n\r\n\xc3\xa4"), text);
});

Deno.test("large bodies and many headers arrive whole", async () => {
  const { server, requests } = recording();
  await using _ = server;
  using outbound = new TestOutbound();
  const body = "0123456789ä".repeat(300_000);
  const headers = Array.from({ length: 100 }, (_, i): [string, string] => [`x-${i}`, "v".repeat(300)]);
  await outbound.call(server.url, { method: "POST", headers, body });
  const [head, received] = requests[0]!.split("\r\n\r\n");
  assert.equal(received, body);
  assert.equal(head!.split("\r\n").length, 1 + 1 + 100 + 1);
});

const unsendable: [name: string, header: [string, string]][] = [
  ["CR LF in a value", ["x", "a\r\nY: b"]],
  ["LF in a value", ["x", "a\nY: b"]],
  ["CR in a value", ["x", "a\rb"]],
  ["a zero byte in a value", ["x", "a\0b"]],
  ["a control character in a value", ["x", "a\x07b"]],
  ["a character beyond Latin-1 in a value", ["x", "a\u010a"]],
  ["CR LF in a name", ["x: a\r\ny", "b"]],
  ["a colon in a name", ["x:", "b"]],
  ["a space in a name", ["x y", "b"]],
  ["an empty name", ["", "b"]],
  ["Host", ["Host", "other"]],
  ["Content-Length", ["content-length", "0"]],
  ["Transfer-Encoding", ["Transfer-Encoding", "chunked"]],
  ["Connection", ["Connection", "close"]],
  ["Upgrade", ["upgrade", "websocket"]],
  ["TE", ["TE", "trailers"]],
  ["Expect", ["expect", "100-continue"]],
];

for (const [name, header] of unsendable) {
  Deno.test(`not sent: ${name}`, async () => {
    await using server = answering(empty);
    using outbound = new TestOutbound();
    const error = await failsAt(
      "send",
      /may not be sent|set by the client/,
      outbound.call(server.url, { headers: [header] }),
    );
    assert(!error.message.includes("Y: b"), "no header value in a message");
    assert.equal(server.accepted, 0);
  });
}

Deno.test("a method that is no token, or CONNECT, is not sent", async () => {
  await using server = answering(empty);
  using outbound = new TestOutbound();
  for (const method of ["", "GET /", "GET\r\n", "CONNECT"]) {
    await failsAt("send", /method/, outbound.call(server.url, { method }));
  }
  assert.equal(server.accepted, 0);
});

Deno.test("only http: and https: URLs without userinfo become targets", async () => {
  using outbound = new TestOutbound();
  const refused: [string, RegExp][] = [
    ["file:///etc/passwd", /"file:"/],
    ["ftp://127.0.0.1/", /"ftp:"/],
    ["data:text/plain,x", /"data:"/],
    ["blob:http://127.0.0.1/x", /"blob:"/],
    ["ws://127.0.0.1/", /"ws:"/],
    ["gopher://127.0.0.1:70/", /"gopher:"/],
    ["http://user@127.0.0.1/", /user name or password/],
    ["http://:hidden@127.0.0.1/", /user name or password/],
    ["http://", /malformed/],
    ["/relative", /malformed/],
    ["http://[fe80::1%25eth0]/", /malformed/],
    ["http://a b/", /malformed/],
    ["", /malformed/],
  ];
  for (const [url, says] of refused) {
    const error = await failsAt("refused", says, (async () => await outbound.call(url))());
    assert(!error.message.includes("hidden"), "no userinfo in a message");
  }
});

Deno.test("messages name the origin, never path, query or header values", async () => {
  await using server = answering("nonsense\r\n\r\n", "close");
  using outbound = new TestOutbound();
  const error = await failsAt(
    "headers",
    /status line/,
    outbound.call(`${server.url}hidden-path?hidden=query`, { headers: [["authorization", "hidden value"]] }),
  );
  assert.equal(error.message, `Cannot call "http://127.0.0.1:${server.port}": its status line is malformed`);
  assert.equal(error.code, "upstream_failed");
});
