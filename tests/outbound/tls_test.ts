// TLS: the certificate must be the asked host's, whatever address was connected to.
import assert from "node:assert/strict";
import { Authority, type Certificate } from "./certificates.ts";
import {
  answerAll,
  failsAt,
  ok,
  type Peer,
  RawServer,
  standsStill,
  TestOutbound,
  textOf,
  Wire,
} from "./support.ts";
import { until } from "../support/until.ts";

const authority = new Authority("an authority of this test");

class TlsServer extends RawServer {
  readonly at: (host: string) => string;

  constructor(certificate: Certificate, script: (peer: Peer) => Promise<void> = answerAll) {
    super(script, Deno.listenTls({ hostname: "127.0.0.1", port: 0, ...certificate }));
    this.at = (host) => `https://${host}:${this.port}/`;
  }
}

function trusting(options: ConstructorParameters<typeof TestOutbound>[0] = {}): TestOutbound {
  return new TestOutbound({
    caCerts: [authority.cert],
    resolve: () => Promise.resolve(["127.0.0.1"]),
    ...options,
  });
}

Deno.test("a certificate of the asked host is accepted and the connection kept", async () => {
  await using server = new TlsServer(authority.issue(["right.example", "127.0.0.1", "*.wild.example"]));
  using outbound = trusting();
  for (let i = 0; i < 3; i++) {
    const answer = await outbound.call(server.at("right.example"), { method: "POST", body: "x" });
    assert.equal(await textOf(answer), "ok");
  }
  assert.equal(server.accepted, 1);
  for (const host of ["RIGHT.example.", "127.0.0.1", "a.wild.example", "0x7f.1"]) {
    assert.equal(await textOf(await outbound.call(server.at(host))), "ok", host);
  }
});

Deno.test("a certificate of another host is refused before a byte of the request is sent", async () => {
  const received: string[] = [];
  await using server = new TlsServer(authority.issue(["right.example"]), async (peer) => {
    const request = await peer.request();
    if (request !== null) received.push(request);
  });
  using outbound = trusting();
  for (const host of ["wrong.example", "sub.right.example", "127.0.0.1", "localhost"]) {
    const error = await failsAt("tls", /the TLS handshake failed/, outbound.call(server.at(host)));
    assert(error.cause instanceof Error);
  }
  assert.deepEqual(received, []);
  assert.deepEqual(outbound.sockets, { open: 0, idle: 0 });
  await until(() => server.open === 0);
});

Deno.test("a certificate of an unknown authority, expired or not yet valid is refused", async () => {
  const day = 86_400_000;
  const before = { from: new Date(Date.now() - 2 * day), to: new Date(Date.now() - day) };
  const after = { from: new Date(Date.now() + day), to: new Date(Date.now() + 2 * day) };
  const certificates = [
    new Authority("another authority").issue(["right.example"]),
    authority.issue(["right.example"], before),
    authority.issue(["right.example"], after),
  ];
  for (const certificate of certificates) {
    await using server = new TlsServer(certificate);
    using outbound = trusting();
    await failsAt("tls", /the TLS handshake failed/, outbound.call(server.at("right.example")));
  }
  await using server = new TlsServer(authority.issue(["right.example"]));
  using strangers = trusting({ caCerts: [] });
  await failsAt("tls", /the TLS handshake failed/, strangers.call(server.at("right.example")));
});

Deno.test("the policy comes before TLS", async () => {
  await using server = new TlsServer(authority.issue(["right.example"]));
  using outbound = trusting({ loopbackAllowed: false });
  await failsAt("refused", /127\.0\.0\.1 is loopback/, outbound.call(server.at("right.example")));
  assert.equal(server.accepted, 0);
});

Deno.test("a server that speaks no TLS, or never ends the handshake, fails at tls", async () => {
  await using plain = new RawServer(async (peer) => {
    await peer.more();
    await peer.write("HTTP/1.1 400 Bad Request\r\n\r\n");
  });
  const gate = Promise.withResolvers<void>();
  await using silent = new RawServer(() => gate.promise);
  using outbound = trusting();
  await failsAt("tls", /handshake failed/, outbound.call(`https://right.example:${plain.port}/`));
  const url = `https://right.example:${silent.port}/`;
  await failsAt("timeout", /handshake did not end in time/, outbound.call(url, { connectTimeoutMs: 1000 }));
  const aborter = new AbortController();
  const aborted = outbound.call(url, { signal: aborter.signal });
  await until(() => silent.accepted === 2);
  aborter.abort();
  await failsAt("aborted", /the caller ended/, aborted);
  assert.deepEqual(outbound.sockets, { open: 0, idle: 0 });
  gate.resolve();
});

Deno.test("a server that lets TLS hang holds a bounded number of sockets, until it ends them", async () => {
  const gate = Promise.withResolvers<void>();
  await using server = new RawServer(() => gate.promise);
  await using other = new TlsServer(authority.issue(["right.example"]));
  using outbound = trusting();
  const url = `https://right.example:${server.port}/`;
  const aborter = new AbortController();
  const calls = Array.from({ length: 32 }, () => outbound.call(url, { signal: aborter.signal }));
  await until(() => server.accepted === 32);
  aborter.abort();
  for (const call of calls) await failsAt("aborted", /the caller ended/, call);
  await failsAt("tls", /given up and not ended by the server/, outbound.call(url));
  assert.equal(server.accepted, 32);
  assert.equal((await outbound.call(other.at("right.example"))).status, 200, "other origins do not suffer");
  gate.resolve();
  await until(() => server.open === 0);
  // Once the server has ended them it may be called again, and here fails as one that speaks no TLS.
  let calledAgain = false;
  while (!calledAgain) {
    const error = await outbound.call(url).then(() => null, (error) => error);
    calledAgain = /handshake failed/.test(error.message);
  }
});

Deno.test("a host name that no certificate can carry fails at tls", async () => {
  await using server = new TlsServer(authority.issue(["right.example"]));
  using outbound = trusting();
  await failsAt("tls", /handshake failed/, outbound.call(server.at("-odd-.example")));
  await until(() => server.open === 0);
});

Deno.test("a body cut short over TLS fails at the body, and a silent one by time-out or abort", async () => {
  const answers = [
    "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhalf of it",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
  ];
  for (const bytes of answers) {
    await using server = new TlsServer(authority.issue(["right.example"]), async (peer) => {
      await peer.request();
      await peer.write(bytes);
      if (peer.index > 0) await peer.request();
    });
    using outbound = trusting();
    const url = server.at("right.example");
    await failsAt("body", /it broke off in the middle/, outbound.call(url).then(textOf));
    await failsAt(
      "timeout",
      /stopped in the middle/,
      outbound.call(url, { idleTimeoutMs: 100 }).then(textOf),
    );
    const aborter = new AbortController();
    const aborted = outbound.call(url, { signal: aborter.signal }).then(textOf);
    await until(() => server.accepted === 3);
    aborter.abort();
    await failsAt("aborted", /the caller ended/, aborted);
    await until(() => server.open === 0);
    assert.deepEqual(outbound.sockets, { open: 0, idle: 0 });
  }
});

Deno.test("a server that ends a resting TLS connection costs the next POST nothing", async () => {
  await using server = new TlsServer(authority.issue(["right.example"]), async (peer) => {
    await peer.request();
    await peer.write(ok);
  });
  using outbound = trusting();
  for (let round = 1; round <= 3; round++) {
    assert.equal((await outbound.call(server.at("right.example"), { method: "POST" })).status, 200);
    await until(() => outbound.sockets.open === 0);
    assert.equal(server.accepted, round);
  }
});

Deno.test("a request that a TLS server does not read ends with its socket", async () => {
  await using server = new TlsServer(authority.issue(["right.example"]), async (peer) => {
    await peer.handshake();
    await until(() => failed);
    while (await peer.more());
  });
  let failed = false;
  using outbound = trusting();
  const request = { method: "POST", body: new Uint8Array(32 * 1024 * 1024), headersTimeoutMs: 100 };
  await failsAt("timeout", /did not answer/, outbound.call(server.at("right.example"), request));
  failed = true;
});

Deno.test("large bodies pass through TLS in both directions", async () => {
  const size = 3 * 1024 * 1024;
  const sent = "x".repeat(size);
  await using server = new TlsServer(authority.issue(["right.example"]), async (peer) => {
    const request = await peer.request();
    await peer.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
    await peer.write(request!.slice(-size));
  });
  using outbound = trusting();
  const answer = await outbound.call(server.at("right.example"), { method: "POST", body: sent });
  assert.equal(await textOf(answer), sent);
});

Deno.test("a redirect from https to http is refused", async () => {
  await using server = new TlsServer(authority.issue(["right.example"]), async (peer) => {
    await peer.request();
    await peer.write("HTTP/1.1 307 T\r\nLocation: http://right.example/\r\nContent-Length: 0\r\n\r\n");
  });
  using outbound = trusting();
  await failsAt("refused", /from https: to http:/, outbound.fetch(server.at("right.example")));
});

Deno.test("a caller that does not read holds a TLS server back", async () => {
  let sent = 0;
  const piece = new Uint8Array(1024 * 1024);
  await using server = new TlsServer(authority.issue(["right.example"]), async (peer) => {
    await peer.request();
    await peer.write(`HTTP/1.1 200 OK\r\nContent-Length: ${500 * piece.length}\r\n\r\n`);
    for (; sent < 500; sent++) await peer.write(piece);
  });
  using outbound = trusting();
  const answer = await outbound.call(server.at("right.example"));
  assert(answer.body instanceof ReadableStream);
  await standsStill(() => sent);
  assert(sent < 100, `the server could send ${sent} MiB unread`);
  await answer.body.cancel();
  await until(() => server.open === 0);
});

Deno.test("a body until close that TLS does not end properly is not taken for whole", async () => {
  await using server = new TlsServer(authority.issue(["right.example"]), async (peer) => {
    await peer.request();
    await peer.write("HTTP/1.1 200 OK\r\n\r\nhalf of it");
    await peer.request();
  });
  await using wire = new Wire(server.port);
  using outbound = trusting();
  const answer = await outbound.call(`https://right.example:${wire.port}/`);
  assert(answer.body instanceof ReadableStream);
  const reader = answer.body.getReader();
  assert.equal(new TextDecoder().decode((await reader.read()).value), "half of it");
  wire.cut();
  await failsAt("body", /the connection broke/, reader.read());
});
