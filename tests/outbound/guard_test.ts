// The policy at work on real sockets: what is checked is what is connected to.
import assert from "node:assert/strict";
import { answering, failsAt, RawServer, TestOutbound, textOf } from "./support.ts";

const ok = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";

/** Every spelling that URL parsing turns into one of these addresses. */
const loopbackSpellings = [
  "127.0.0.1",
  "127.1",
  "127.0.1",
  "2130706433",
  "0x7f000001",
  "0x7f.0x0.0x0.0x1",
  "0x7F.1",
  "017700000001",
  "0177.0.0.1",
  "127.0.0.1.",
  "①②⑦.⓪.⓪.①",
  "127。0。0。1",
  "%31%32%37.0.0.1",
  "[::ffff:127.0.0.1]",
  "[::ffff:7f00:1]",
  "[0:0:0:0:0:ffff:7f00:0001]",
  "[::1]",
  "[0000:0000:0000:0000:0000:0000:0000:0001]",
  "localhost",
  "LOCALHOST",
  "localhost.",
];

const metadataSpellings = [
  "169.254.169.254",
  "169.254.43518",
  "169.16689662",
  "2852039166",
  "0xA9FEA9FE",
  "0xa9.0xfe.0xa9.0xfe",
  "025177524776",
  "0251.0376.0251.0376",
  "169.254.169.254.",
  "[::ffff:169.254.169.254]",
  "[::ffff:a9fe:a9fe]",
  "[::169.254.169.254]",
  "[64:ff9b::169.254.169.254]",
  "[64:ff9b:1::a9fe:a9fe]",
  "[2002:a9fe:a9fe::]",
  "[fe80::1]",
  "[fd00:ec2::254]",
  "[FD00:0EC2:0:0:0:0:0:254]",
  "100.100.100.200",
  "0x646464c8",
];

Deno.test("loopback is refused in every spelling unless it is permitted", async () => {
  await using server = answering(ok);
  using outbound = new TestOutbound({ loopbackAllowed: false });
  for (const host of loopbackSpellings) {
    await failsAt(
      "refused",
      /is loopback, list it in OUTBOUND_ALLOW/,
      outbound.call(`http://${host}:${server.port}/`),
    );
  }
  assert.equal(server.accepted, 0);
});

Deno.test("loopback is reached in every spelling while the mesh listens there", async () => {
  await using server = answering(ok);
  using outbound = new TestOutbound();
  const reachable = loopbackSpellings.filter((host) => host !== "[::1]" && !host.startsWith("[0000"));
  for (const host of reachable) {
    assert.equal(await textOf(await outbound.call(`http://${host}:${server.port}/`)), "ok", host);
  }
  assert.equal(server.accepted, reachable.length);
});

Deno.test("metadata and link-local addresses are refused in every spelling, listed or not", async () => {
  for (const allow of [[], ["0.0.0.0/0", "::/0", "169.254.169.254", "fe80::/10", "100.100.100.200"]]) {
    using outbound = new TestOutbound({ allow });
    for (const host of metadataSpellings) {
      await failsAt(
        "refused",
        /which OUTBOUND_ALLOW cannot permit$/,
        outbound.call(`http://${host}/latest/`),
      );
    }
  }
});

Deno.test("a listed host name does not open metadata behind it", async () => {
  using outbound = new TestOutbound({
    allow: ["metadata.example"],
    resolve: () => Promise.resolve(["169.254.169.254"]),
  });
  await failsAt("refused", /is link-local/, outbound.call("http://metadata.example/"));
});

Deno.test("a listed host name opens the private address behind it, a listed CIDR any name for it", async () => {
  await using server = answering(ok);
  const resolve = () => Promise.resolve(["127.0.0.1"]);
  using byName = new TestOutbound({ loopbackAllowed: false, allow: ["inside.example"], resolve });
  assert.equal(await textOf(await byName.call(`http://inside.example:${server.port}/`)), "ok");
  assert.equal(await textOf(await byName.call(`http://INSIDE.example.:${server.port}/`)), "ok");
  await failsAt("refused", /OUTBOUND_ALLOW/, byName.call(`http://other.example:${server.port}/`));
  await failsAt("refused", /OUTBOUND_ALLOW/, byName.call(server.url));
  using byNetwork = new TestOutbound({ loopbackAllowed: false, allow: ["127.0.0.0/8"], resolve });
  assert.equal(await textOf(await byNetwork.call(`http://other.example:${server.port}/`)), "ok");
  assert.equal(await textOf(await byNetwork.call(server.url)), "ok");
});

Deno.test("DNS rebinding: the address that was checked is the one connected to, and is looked up once", async () => {
  await using permitted = new RawServer(async (peer) => {
    await peer.request();
    await peer.write(ok);
  }, Deno.listen({ hostname: "127.0.0.2", port: 0 }));
  await using internal = new RawServer(async (peer) => {
    await peer.request();
  }, Deno.listen({ hostname: "127.0.0.1", port: permitted.port }));
  const asked: string[] = [];
  using outbound = new TestOutbound({
    loopbackAllowed: false,
    allow: ["127.0.0.2/32"],
    resolve: (host) => Promise.resolve([asked.push(host) === 1 ? "127.0.0.2" : "127.0.0.1"]),
  });
  const url = `http://rebinding.example:${permitted.port}/`;
  assert.equal(await textOf(await outbound.call(url)), "ok");
  assert.deepEqual(asked, ["rebinding.example"]);
  assert.equal(permitted.accepted, 1);
  await failsAt("refused", /127\.0\.0\.1 is loopback/, outbound.call(url));
  assert.equal(internal.accepted, 0);
});

Deno.test("a name with one address that may not be reached is refused whole, in any order", async () => {
  await using server = answering(ok);
  for (
    const addresses of [["127.0.0.1", "10.0.0.1"], ["10.0.0.1", "127.0.0.1"], [
      "127.0.0.1",
      "::ffff:10.0.0.1",
    ]]
  ) {
    using outbound = new TestOutbound({ resolve: () => Promise.resolve(addresses) });
    await failsAt("refused", /10\.0\.0\.1 is private/, outbound.call(`http://mixed.example:${server.port}/`));
  }
  assert.equal(server.accepted, 0);
});

Deno.test("an answer of the resolver that is no plain address is refused", async () => {
  for (const address of ["fe80::1%eth0", "fd00::1%1", "localhost", "", "127.1"]) {
    using outbound = new TestOutbound({ allow: ["::/0"], resolve: () => Promise.resolve([address]) });
    await failsAt("refused", /is not an address that can be checked/, outbound.call("http://odd.example/"));
  }
});

Deno.test("the next address is tried when one does not answer", async () => {
  await using server = new RawServer(async (peer) => {
    await peer.request();
    await peer.write(ok);
  }, Deno.listen({ hostname: "127.0.0.3", port: 0 }));
  using outbound = new TestOutbound({ resolve: () => Promise.resolve(["127.0.0.2", "127.0.0.3"]) });
  assert.equal(await textOf(await outbound.call(`http://two.example:${server.port}/`)), "ok");
});

Deno.test("a host name without addresses fails at dns", async () => {
  using missing = new TestOutbound({ resolve: () => Promise.reject(new Error("no such name")) });
  const error = await failsAt(
    "dns",
    /the host name cannot be resolved/,
    missing.call("http://nowhere.example/"),
  );
  assert.equal(error.message, 'Cannot call "http://nowhere.example": the host name cannot be resolved');
  using empty = new TestOutbound({ resolve: () => Promise.resolve([]) });
  await failsAt("dns", /has no address/, empty.call("http://nowhere.example/"));
  using slow = new TestOutbound({ resolve: () => new Promise(() => {}) });
  await failsAt(
    "timeout",
    /not resolved in time/,
    slow.call("http://nowhere.example/", { connectTimeoutMs: 20 }),
  );
});

Deno.test("the refusal names host, address, use and setting, and is a 422 for those who ask", async () => {
  using outbound = new TestOutbound({ resolve: () => Promise.resolve(["192.168.7.7"]) });
  const error = await failsAt("refused", /./, outbound.call("https://intranet.example/a?b=c"));
  assert.equal(error.code, "outbound_refused");
  assert.equal(
    error.message,
    'Cannot call "https://intranet.example": 192.168.7.7 is private, list it in OUTBOUND_ALLOW to permit it',
  );
});

Deno.test("a kept connection serves its own origin alone", async () => {
  const keep = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
  await using server = answering(keep);
  let address = "127.0.0.1";
  using outbound = new TestOutbound({ resolve: () => Promise.resolve([address]) });
  await outbound.call(`http://one.example:${server.port}/`);
  address = "10.0.0.1";
  await failsAt("refused", /private/, outbound.call(`http://two.example:${server.port}/`));
  assert.equal((await outbound.call(`http://one.example:${server.port}/`)).status, 200);
  assert.equal(server.accepted, 1);
});
