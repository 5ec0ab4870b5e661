import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { AppError } from "../errors.ts";
import type { Outbound, OutboundTarget, TlsOptions } from "../outbound.ts";
import type { ConnectionOptions, RelayRow } from "../storage/connections.ts";
import type { Vault } from "../vault.ts";
import { placeOf } from "./credentials.ts";

/** What a connection may bring for TLS, PEM; absent or null where it brings none. */
export interface Certificates {
  /** Authorities trusted for this connection beside the usual ones. */
  ca_certificates?: string | null | undefined;
  client_certificate?: { certificate: string; key: string } | null | undefined;
}

/** The column as it is read; nothing said is an empty one. */
export function parseOptions({ options }: Pick<RelayRow, "options">): ConnectionOptions {
  return options === null ? {} : JSON.parse(options);
}

/** The columns of a connection that say how TLS to it is made. */
export type TlsRow = Pick<RelayRow, "id" | "organization_id" | "options" | "sealed_certificate">;

const fields = {
  authorities: "data.options.ca_certificates",
  certificate: "data.client_certificate.certificate",
  key: "data.client_certificate.key",
} as const;
const maxCertificates = 100;
const maxLength = 256 * 1024;
const block = /-----BEGIN ([A-Z0-9 ]+)-----((?:[^-]|-(?!----))*)-----END \1-----/g; // RFC 7468 section 2

/** Where a connection's messages go, with the certificates that its TLS takes. Throws where the secret does not open. */
export async function targetFor(
  row: TlsRow,
  url: string,
  { outbound, vault }: { outbound: Outbound; vault: Vault },
): Promise<OutboundTarget> {
  const tls = tlsOptions(parseOptions(row), await clientCertificate(row, vault));
  return outbound.target(url, { ...tls, tenant: row.organization_id });
}

/** The certificates as TLS takes them. */
export function tlsOptions(
  { ca_certificates }: Pick<ConnectionOptions, "ca_certificates">,
  client: Certificates["client_certificate"],
): TlsOptions {
  const authorities = ca_certificates ? blocksOf(ca_certificates) : [];
  return {
    caCertificates: authorities.map(({ pem }) => pem),
    certificate: client?.certificate,
    key: client?.key,
  };
}

async function clientCertificate(row: TlsRow, vault: Vault): Promise<Certificates["client_certificate"]> {
  if (row.sealed_certificate === null) return null;
  return JSON.parse(await vault.open(placeOf(row, "sealed_certificate"), row.sealed_certificate));
}

/** Refuses certificates that no handshake can be made with. Throws `invalid` naming the field, never its content. */
export function checkCertificates({ ca_certificates, client_certificate }: Certificates): void {
  if (ca_certificates) checkAuthorities(ca_certificates);
  if (client_certificate) checkClient(client_certificate.certificate, client_certificate.key);
}

function checkAuthorities(text: string): void {
  for (const certificate of certificatesIn(fields.authorities, text)) {
    checkTime(fields.authorities, certificate);
    if (!certificate.ca) {
      throw refused(
        fields.authorities,
        `the certificate of ${nameOf(certificate)} is not one of an authority`,
      );
    }
  }
}

function checkClient(certificate: string, key: string): void {
  // The first is the client's own, those after it lead to its authority. RFC 8446 section 4.4.2
  const [own, ...intermediate] = certificatesIn(fields.certificate, certificate);
  for (const one of [own!, ...intermediate]) checkTime(fields.certificate, one);
  if (!own!.checkPrivateKey(keyIn(key))) {
    throw refused(fields.key, "the key is not that of the certificate");
  }
}

function certificatesIn(field: string, text: string): X509Certificate[] {
  if (text.length > maxLength) throw refused(field, `it is longer than ${maxLength} characters`);
  const blocks = blocksOf(text);
  if (blocks.some(({ label }) => label.endsWith("PRIVATE KEY"))) {
    throw refused(field, "it holds a private key, which does not belong here");
  }
  if (blocks.length === 0 || blocks.some(({ label }) => label !== "CERTIFICATE")) {
    throw refused(field, "it takes certificates in PEM, from BEGIN CERTIFICATE to END CERTIFICATE");
  }
  if (blocks.length > maxCertificates) {
    throw refused(field, `it holds more than ${maxCertificates} certificates`);
  }
  return blocks.map(({ pem }, index) => {
    try {
      return new X509Certificate(pem);
    } catch (cause) {
      throw refused(field, `certificate ${index + 1} cannot be read`, cause);
    }
  });
}

function keyIn(text: string): KeyObject {
  const [only, ...others] = text.length > maxLength ? [] : blocksOf(text);
  if (only === undefined || others.length > 0 || !only.label.endsWith("PRIVATE KEY")) {
    throw refused(fields.key, "it takes one private key in PEM, from BEGIN PRIVATE KEY to END PRIVATE KEY");
  }
  if (only.label === "ENCRYPTED PRIVATE KEY" || only.pem.includes("Proc-Type: 4,ENCRYPTED")) { // RFC 1421 section 4.6.1.1
    throw refused(fields.key, "the key is protected by a password; it takes one without");
  }
  try {
    return createPrivateKey(only.pem);
  } catch (cause) {
    throw refused(fields.key, "the key cannot be read", cause);
  }
}

function checkTime(field: string, certificate: X509Certificate): void {
  const [from, to] = [new Date(certificate.validFrom), new Date(certificate.validTo)];
  const day = (date: Date) => date.toISOString().slice(0, 10);
  if (to.getTime() <= Date.now()) {
    throw refused(field, `the certificate of ${nameOf(certificate)} expired on ${day(to)}`);
  }
  if (from.getTime() > Date.now()) {
    throw refused(field, `the certificate of ${nameOf(certificate)} is not valid before ${day(from)}`);
  }
}

function nameOf(certificate: X509Certificate): string {
  return `'${certificate.subject.replaceAll(/\s+/g, " ").slice(0, 100)}'`;
}

function blocksOf(text: string): { label: string; pem: string }[] {
  return [...text.matchAll(block)].map(([pem, label]) => ({ label: label!, pem: `${pem}\n` }));
}

function refused(field: string, reason: string, cause?: unknown): AppError {
  return new AppError("invalid", `Cannot use ${field}: ${reason}`, { fields: { [field]: reason }, cause });
}
