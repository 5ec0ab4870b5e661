import { AppError } from "../errors.ts";
import type { RelayRow } from "../storage/connections.ts";
import type { Place, Vault } from "../vault.ts";
import { templateProblem } from "./templates.ts";

/** A header as it is sent: the name in lower case, and the value. */
export type Header = readonly [name: string, value: string];

/** The secrets of a connection in the clear; null where it has none. */
export interface Secrets {
  token: string | null;
  headers: Record<string, string> | null;
}

/** The columns of a connection that hold its secrets. */
export type SealedRow = Pick<RelayRow, "id" | "organization_id" | "sealed_token" | "sealed_headers">;

type SealedColumn =
  | "sealed_token"
  | "sealed_headers"
  | "sealed_configuration"
  | "sealed_oauth"
  | "sealed_certificate"
  | "sealed_url";

const maxHeaders = 50;
const maxNameLength = 100;
const maxValueLength = 8192;
const maxTotalLength = 32 * 1024;

/**
 * Headers that no connection may set: those of the hop (RFC 9110 section 7.6.1), of the message's framing, and of
 * the protocol, which the relay sets itself. Cookie is allowed: it is the connection's own, never the caller's.
 */
const refusedNames: ReadonlySet<string> = new Set([
  "accept",
  "accept-encoding",
  "connection",
  "content-encoding",
  "content-length",
  "content-type",
  "expect",
  "host",
  "http2-settings",
  "keep-alive",
  "last-event-id",
  "origin",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "x-mesh-token",
]);
const refusedPrefixes = ["mcp-", "proxy-", "sec-"];

/** Where a secret of a connection lies in the vault's terms. */
export function placeOf(row: Pick<SealedRow, "id" | "organization_id">, column: SealedColumn): Place {
  return { organizationId: row.organization_id, table: "connections", column, rowId: row.id };
}

/** The headers that identify the mesh to an upstream, opened from the vault. */
export async function credentialHeaders(row: SealedRow, vault: Vault): Promise<Header[]> {
  return headersOf(await openSecrets(row, vault));
}

/** The secrets of a connection, opened from the vault. */
export async function openSecrets(row: SealedRow, vault: Vault): Promise<Secrets> {
  const { sealed_token: token, sealed_headers: headers } = row;
  return {
    token: token === null ? null : await vault.open(placeOf(row, "sealed_token"), token),
    headers: headers === null ? null : JSON.parse(await vault.open(placeOf(row, "sealed_headers"), headers)),
  };
}

/** The secrets as headers; a token that names no scheme of its own is a bearer token. RFC 6750 section 2.1 */
export function headersOf({ token, headers }: Secrets): Header[] {
  const result: Header[] = Object.entries(headers ?? {}).map(([name, value]) => [name.toLowerCase(), value]);
  if (token !== null) result.push(["authorization", hasScheme(token) ? token : `Bearer ${token}`]);
  return result;
}

function hasScheme(token: string): boolean {
  return /^[A-Za-z][A-Za-z0-9._-]* +\S/.test(token); // RFC 9110 section 11.4
}

/** Refuses secrets that cannot be sent as headers. Throws `invalid` naming the field, never the value. */
export function checkSecrets({ token, headers }: Secrets): void {
  if (token !== null) checkValue("data.connection_token", token);
  const entries = Object.entries(headers ?? {});
  if (entries.length > maxHeaders) {
    throw refused("data.connection_headers", `there are more than ${maxHeaders} headers`);
  }
  const seen = new Set<string>();
  for (const [name, value] of entries) {
    const field = `data.connection_headers.headers.${name.slice(0, maxNameLength)}`;
    const lower = name.toLowerCase();
    checkName(lower, field);
    checkHeaderValue(field, value);
    if (seen.has(lower)) throw refused(field, "the header is there twice");
    seen.add(lower);
  }
  if (token !== null && seen.has("authorization")) {
    throw refused("data.connection_headers.headers.Authorization", "connection_token sets the same header");
  }
  const total = entries.reduce((sum, [name, value]) => sum + name.length + value.length, token?.length ?? 0);
  if (total > maxTotalLength) {
    throw refused(
      "data.connection_headers",
      `the headers are longer than ${maxTotalLength} characters together`,
    );
  }
}

/** Refuses what cannot be the name of a header, in lower case, that a connection sets. Throws `invalid` for the field. */
export function checkName(lower: string, field: string): void {
  if (lower.length > maxNameLength || !/^[!#$%&'*+\-.^_`|~0-9a-z]+$/.test(lower)) { // RFC 9110 section 5.6.2
    throw refused(field, "it is not the name of a header");
  }
  if (refusedNames.has(lower) || refusedPrefixes.some((prefix) => lower.startsWith(prefix))) {
    throw refused(field, "the mesh sets this header itself");
  }
}

/** Refuses what cannot be sent as the value of a header. Throws `invalid` naming the field, never the value. */
export function checkValue(field: string, value: string): void {
  if (value === "" || value.length > maxValueLength) {
    throw refused(field, `it takes 1 to ${maxValueLength} characters`);
  }
  // Printable ASCII: no line break can smuggle a header, and no byte depends on an encoding.
  if (!/^[\t\x20-\x7e]+$/.test(value) || value.trim() !== value) {
    throw refused(field, "it takes printable ASCII without blanks around it");
  }
}

/** Refuses, beside what `checkValue` does, a template that cannot be filled in. Throws `invalid` naming the field. */
export function checkHeaderValue(field: string, value: string): void {
  checkValue(field, value);
  const problem = templateProblem(value);
  if (problem !== null) throw refused(field, problem);
}

function refused(field: string, reason: string): AppError {
  return new AppError("invalid", `Cannot use ${field}: ${reason}`, { fields: { [field]: reason } });
}
