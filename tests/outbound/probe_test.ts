// The way to a server, step by step, without a request.
import assert from "node:assert/strict";
import type { Probe } from "../../server/outbound.ts";
import { closedPort } from "../support/upstreams.ts";
import { Authority } from "./certificates.ts";
import { RawServer, TestOutbound } from "./support.ts";
import { until } from "../support/until.ts";

const authority = new Authority("an authority of this test");

/** Each step as one letter: passed, failed, or not taken. */
function marks({ steps }: Probe): string {
  assert.deepEqual(steps.map(({ stage }) => stage), ["dns", "tcp", "tls"]);
  for (const { ms, skipped } of steps) assert.ok(skipped ? ms === 0 : ms > 0);
  return steps.map(({ ok, skipped }) => skipped ? (ok ? "s" : "-") : ok ? "p" : "f").join("");
}

function named(options: ConstructorParameters<typeof TestOutbound>[0] = {}): TestOutbound {
  return new TestOutbound({
    caCerts: [authority.cert],
    resolve: () => Promise.resolve(["127.0.0.1"]),
    ...options,
  });
}

Deno.test("a probe takes the steps that the address needs, sends nothing, and closes", async () => {
  const received: number[] = [];
  const script = async (peer: { more(): Promise<boolean>; received: Uint8Array }) => {
    while (await peer.more());
    received.push(peer.received.length);
  };
  const listener = Deno.listenTls({ hostname: "127.0.0.1", port: 0, ...authority.issue(["right.example"]) });
  await using secure = new RawServer(script, listener);
  await using plain = new RawServer(script);
  using outbound = named();
  const cases: [string, string][] = [
    [plain.url, "sps"],
    [`http://right.example:${plain.port}/`, "pps"],
    [`https://right.example:${secure.port}/`, "ppp"],
  ];
  for (const [url, expected] of cases) {
    const probe = await outbound.probe(outbound.target(url));
    assert.equal(probe.error, null);
    assert.equal(marks(probe), expected, url);
  }
  await until(() => received.length === 3);
  assert.deepEqual(received, [0, 0, 0]);
  assert.deepEqual(outbound.sockets, { open: 0, idle: 0 });
});

Deno.test("a probe names the step that failed", async () => {
  const gate = Promise.withResolvers<void>();
  await using silent = new RawServer(() => gate.promise);
  const nowhere = { resolve: () => Promise.reject(new Error("not found")) };
  const endless = { resolve: () => new Promise<string[]>(() => {}) };
  const shut = { loopbackAllowed: false };
  const cases: [string, Parameters<typeof named>[0], string, string][] = [
    ["http://nobody.example/", nowhere, "dns", "f--"],
    ["http://nobody.example/", endless, "timeout", "f--"],
    [closedPort(), {}, "connect", "sf-"],
    ["http://right.example/", shut, "refused", "pf-"],
    ["http://127.0.0.1/", shut, "refused", "sf-"],
    [`https://right.example:${silent.port}/`, {}, "timeout", "ppf"],
  ];
  for (const [url, options, stage, expected] of cases) {
    using outbound = named(options);
    const probe = await outbound.probe(outbound.target(url), { timeoutMs: 1000 });
    assert.equal(probe.error?.stage, stage, url);
    assert.equal(marks(probe), expected, url);
  }
  gate.resolve();
  await using other = new RawServer(
    async (peer) => void await peer.more(),
    Deno.listenTls({ hostname: "127.0.0.1", port: 0, ...authority.issue(["other.example"]) }),
  );
  using outbound = named();
  const probe = await outbound.probe(outbound.target(`https://right.example:${other.port}/`));
  assert.equal(marks(probe), "ppf");
  assert.match(String(probe.error?.cause), /not valid for name/);
});

Deno.test("a probe ends with its signal", async () => {
  const gate = Promise.withResolvers<void>();
  await using silent = new RawServer(() => gate.promise);
  using outbound = named();
  const aborter = new AbortController();
  const probing = outbound.probe(outbound.target(`https://right.example:${silent.port}/`), {
    signal: aborter.signal,
  });
  await until(() => silent.accepted === 1);
  aborter.abort();
  assert.equal((await probing).error?.stage, "aborted");
  gate.resolve();
});
