// The certificates that a connection may bring: what is refused when it is saved, and what becomes of them.
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { AppError } from "../../server/errors.ts";
import { type Certificates, checkCertificates, targetFor } from "../../server/upstream/tls_options.ts";
import { Authority } from "../outbound/certificates.ts";
import { onServices } from "../support/services.ts";

const authority = new Authority("an authority of this test");
const client = authority.issue(["client"]);
const day = 86_400_000;
const past = { from: new Date(Date.now() - 2 * day), to: new Date(Date.now() - day) };
const future = { from: new Date(Date.now() + day), to: new Date(Date.now() + 2 * day) };

function refusalOf(certificates: Certificates): { field: string; reason: string } {
  try {
    checkCertificates(certificates);
  } catch (error) {
    assert(error instanceof AppError && error.code === "invalid", String(error));
    const [first, ...more] = Object.entries(error.fields!);
    const [field, reason] = first!;
    assert.deepEqual(more, []);
    assert.equal(error.message, `Cannot use ${field}: ${reason}`);
    return { field: field.slice("data.".length), reason };
  }
  throw new assert.AssertionError({ message: "it was accepted" });
}

function key(
  type: "rsa" | "p384" | "ed25519",
  format: "pkcs1" | "pkcs8" | "sec1",
  passphrase?: string,
): string {
  const pair = type === "rsa"
    ? generateKeyPairSync("rsa", { modulusLength: 2048 })
    : type === "p384"
    ? generateKeyPairSync("ec", { namedCurve: "P-384" })
    : generateKeyPairSync("ed25519");
  const secret = passphrase === undefined ? {} : { cipher: "aes-256-cbc", passphrase };
  return pair.privateKey.export({ type: format, format: "pem", ...secret }) as string;
}

Deno.test("certificates that fit are accepted, with words around them and several in a row", () => {
  checkCertificates({});
  checkCertificates({ ca_certificates: null, client_certificate: null });
  checkCertificates({ ca_certificates: "" });
  const bundle = `# ours\n${authority.cert}\nand another - or two --- of them\r\n${new Authority("x").cert}`;
  checkCertificates({
    ca_certificates: bundle,
    client_certificate: {
      certificate: `Bag Attributes: none\n${client.cert}${authority.cert}`,
      key: client.key,
    },
  });
  checkCertificates({ ca_certificates: authority.cert.replaceAll("\n", "\r\n") });
});

Deno.test("what is no certificate is refused with the field and without its content", () => {
  const field = "options.ca_certificates";
  for (const text of ["hello", authority.cert.slice(0, -10), "-----BEGIN CERTIFICATE-----"]) {
    assert.deepEqual(refusalOf({ ca_certificates: text }), {
      field,
      reason: "it takes certificates in PEM, from BEGIN CERTIFICATE to END CERTIFICATE",
    });
  }
  const broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
  assert.deepEqual(refusalOf({ ca_certificates: authority.cert + broken }), {
    field,
    reason: "certificate 2 cannot be read",
  });
  const { reason } = refusalOf({ ca_certificates: authority.cert + client.key });
  assert.match(reason, /it holds a private key/);
  assert.match(
    refusalOf({ ca_certificates: authority.cert.repeat(101) }).reason,
    /more than 100 certificates/,
  );
  assert.match(refusalOf({ ca_certificates: "-".repeat(300_000) }).reason, /longer than 262144 characters/);
  const many = "-----BEGIN A-----".repeat(15_000);
  assert.equal(refusalOf({ ca_certificates: many }).field, field);
});

Deno.test("a certificate that has expired, or is not yet valid, says whose it is and when", () => {
  const pair = (validity: typeof past) => {
    const { cert, key } = authority.issue(["client"], validity);
    return { client_certificate: { certificate: cert, key } };
  };
  const day = (date: Date) => date.toISOString().slice(0, 10);
  assert.deepEqual(refusalOf(pair(past)), {
    field: "client_certificate.certificate",
    reason: `the certificate of 'CN=server' expired on ${day(past.to)}`,
  });
  assert.equal(
    refusalOf(pair(future)).reason,
    `the certificate of 'CN=server' is not valid before ${day(future.from)}`,
  );
  assert.equal(
    refusalOf({ ca_certificates: authority.issue(["x"], past).cert }).field,
    "options.ca_certificates",
  );
});

Deno.test("a key that does not fit, cannot be read or has a password is refused", () => {
  const field = "client_certificate.key";
  const refusal = (key: string) => refusalOf({ client_certificate: { certificate: client.cert, key } });
  const others = [
    authority.issue(["other"]).key,
    key("rsa", "pkcs1"),
    key("p384", "sec1"),
    key("ed25519", "pkcs8"),
  ];
  for (const other of others) {
    assert.deepEqual(refusal(other), { field, reason: "the key is not that of the certificate" });
  }
  const old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAAA\n" +
    "-----END RSA PRIVATE KEY-----\n";
  for (const locked of [key("rsa", "pkcs8", "a password"), old]) {
    assert.deepEqual(refusal(locked), {
      field,
      reason: "the key is protected by a password; it takes one without",
    });
  }
  for (const none of ["", "hello", client.cert, client.key + client.key, "x".repeat(300_000)]) {
    assert.match(refusal(none).reason, /^it takes one private key in PEM/);
  }
  const broken = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
  assert.deepEqual(refusal(broken), { field, reason: "the key cannot be read" });
});

onServices("a connection's target has its authorities and its opened certificate", async (services) => {
  const row = { id: "conn_1", organization_id: "org_1", options: null, sealed_certificate: null };
  const url = "https://right.example/mcp";
  const plain = await targetFor(row, url, services);
  assert.deepEqual([plain.pool, plain.identity, plain.tenant], [`${plain.origin} org_1`, null, "org_1"]);
  const place = {
    organizationId: row.organization_id,
    table: "connections",
    column: "sealed_certificate",
    rowId: row.id,
  };
  const pair = { certificate: client.cert, key: client.key };
  const sealed_certificate = await services.vault.seal(place, JSON.stringify(pair));
  const options = JSON.stringify({ ca_certificates: `ours:\n${authority.cert}${client.cert}` });
  const target = await targetFor({ ...row, options, sealed_certificate }, url, services);
  assert.deepEqual(target.identity?.caCertificates, [authority.cert, client.cert]);
  assert.deepEqual(target.identity?.client, pair);
  assert.notEqual(target.pool, plain.pool);
  assert(!target.pool.includes("PRIVATE"));
  await assert.rejects(
    targetFor({ ...row, id: "conn_2", sealed_certificate }, url, services),
    /altered or moved/,
  );
});
