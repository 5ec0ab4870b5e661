// TLS as a stage of a connection's test: what is wrong with a certificate is told apart.
import assert from "node:assert/strict";
import { tlsIdentity } from "../../server/outbound/tls_identity.ts";
import { Authority, type Certificate } from "../outbound/certificates.ts";
import { type Peer, RawServer } from "../outbound/support.ts";
import { TlsFront } from "../outbound/tls_front.ts";
import { behaviours, startHostile } from "../support/upstreams.ts";
import { authority, examine, marks, outboundHere } from "./diagnosis_support.ts";

const day = 86_400_000;
const yesterday = { from: new Date(Date.now() - 2 * day), to: new Date(Date.now() - day) };
const tomorrow = { from: new Date(Date.now() + day), to: new Date(Date.now() + 2 * day) };

async function untilTheEnd(peer: Peer): Promise<void> {
  while (await peer.more());
}

function listening(certificate: Certificate): RawServer {
  return new RawServer(untilTheEnd, Deno.listenTls({ hostname: "127.0.0.1", port: 0, ...certificate }));
}

const certificates: [name: string, certificate: Certificate, code: string, says: RegExp][] = [
  ["has expired", authority.issue(["mcp.example"], yesterday), "tls_expired", /has expired/],
  ["is not valid yet", authority.issue(["mcp.example"], tomorrow), "tls_not_yet_valid", /not valid yet/],
  ["is another host's", authority.issue(["other.example"]), "tls_wrong_host", /for another host/],
  [
    "nobody knows",
    new Authority("another authority").issue(["mcp.example"]),
    "tls_unknown_authority",
    /authority that is not known/,
  ],
  ["signs for itself", new Authority("nobody").self, "tls_self_signed", /signed by itself/],
];

for (const [name, certificate, code, says] of certificates) {
  Deno.test(`diagnosis: a certificate that ${name}`, async () => {
    await using server = listening(certificate);
    const found = await examine(`https://mcp.example:${server.port}/mcp`);
    const { stage, code: named, message, advice } = found.diagnosis;
    assert.deepEqual([stage, named], ["tls", code], message ?? "");
    assert.equal(marks(found), "ppf-----");
    assert.match(message ?? "", /^Linear cannot be reached \(tls\): /);
    assert.match(message ?? "", says);
    assert.ok(advice);
  });
}

Deno.test("diagnosis: a port that speaks no TLS, or never ends the handshake", async () => {
  await using plain = startHostile(behaviours.good);
  const url = plain.url.replace("http://127.0.0.1", "https://mcp.example");
  await using answering = new RawServer(async (peer) => {
    await peer.more();
    await peer.write("HTTP/1.1 400 Bad Request\r\n\r\n");
  });
  const spoken = await examine(`https://mcp.example:${answering.port}/mcp`);
  assert.deepEqual([marks(spoken), spoken.diagnosis.code], ["ppf-----", "tls_not_spoken"]);
  assert.match(spoken.diagnosis.advice ?? "", /http:\/\//);
  const silent = await examine(url, {}, { connectMs: 1000 });
  assert.deepEqual([marks(silent), silent.diagnosis.code], ["ppf-----", "timeout"]);
});

Deno.test("diagnosis: a server that wants a client certificate, and what a connection trusts and shows", async () => {
  await using upstream = startHostile(behaviours.good);
  const clients = new Authority("the authority of the clients");
  const own = new Authority("a private authority");
  await using front = await TlsFront.start({
    certificate: own.issue(["mcp.example"]),
    clients: clients.cert,
    to: Number(new URL(upstream.url).port),
  });
  const url = `${front.at("mcp.example")}mcp`;
  const outbound = outboundHere();
  const target = (options: Parameters<typeof tlsIdentity>[0]) => outbound.target(url, options);

  const unknown = await examine(url);
  assert.equal(unknown.diagnosis.code, "tls_unknown_authority");
  assert.match(unknown.diagnosis.advice ?? "", /connection's settings/);
  const bare = await examine(url, { target: target({ caCertificates: [own.cert] }) });
  assert.deepEqual([bare.diagnosis.stage, bare.diagnosis.code], ["tls", "tls_client_certificate"]);
  assert.equal(marks(bare), "ppf-----");
  const { cert: certificate, key } = clients.issue(["the mesh"]);
  const shown = await examine(url, { target: target({ caCertificates: [own.cert], certificate, key }) });
  assert.equal(marks(shown), "pppp..pp", JSON.stringify(shown.diagnosis));

  const strangers = await examine(url, { target: target({ certificate, key }) });
  assert.deepEqual([marks(strangers), strangers.diagnosis.code], ["ppf-----", "tls_unknown_authority"]);

  const { cert: foreign, key: foreignKey } = new Authority("nobody").issue(["the mesh"]);
  const identity = { caCertificates: [own.cert], certificate: foreign, key: foreignKey };
  const wrong = await examine(url, { target: target(identity) });
  assert.equal(wrong.diagnosis.healthy, false);
  assert.doesNotMatch(JSON.stringify(wrong.diagnosis), /PRIVATE KEY/);
});
