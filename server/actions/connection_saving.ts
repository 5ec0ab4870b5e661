import { AppError } from "../errors.ts";
import type { ConnectionChanges as Columns, ConnectionRow } from "../storage/connections.ts";
import type { CatalogResult } from "../upstream/catalog.ts";
import { placeOf, type Secrets } from "../upstream/credentials.ts";
import { explain } from "../upstream/failure.ts";
import { checkCertificates } from "../upstream/tls_options.ts";
import type { Vault } from "../vault.ts";
import { type ConnectionChanges, mask } from "./connection_fields.ts";

export { listColumns } from "../upstream/lists.ts";

type Owner = Pick<ConnectionRow, "id" | "organization_id">;

/** A connection of which nothing is said. */
export const emptyColumns = {
  title: "",
  title_lower: "",
  description: null,
  icon: null,
  app_name: null,
  app_id: null,
  connection_type: "HTTP",
  oauth_config: null,
  configuration_scopes: "[]",
  metadata: null,
  bindings: null,
  credential_mode: "shared",
  credential_type: "static",
  personal_headers: null,
  options: null,
  sealed_oauth: null,
  sealed_certificate: null,
} satisfies Columns;

type PlainColumns = Partial<Pick<ConnectionRow, keyof typeof emptyColumns>>;

/** The columns of the fields that are given and are neither secret nor said by the upstream. */
export function plainColumns(data: ConnectionChanges): PlainColumns {
  const columns: PlainColumns = {};
  const { title, configuration_scopes: scopes } = data;
  if (title !== undefined) Object.assign(columns, { title, title_lower: title.toLowerCase().slice(0, 200) });
  if (scopes !== undefined) columns.configuration_scopes = JSON.stringify(scopes ?? []);
  if (data.connection_type !== undefined) columns.connection_type = data.connection_type;
  for (const name of ["description", "icon", "app_name", "app_id"] as const) {
    const value = data[name];
    if (value !== undefined) columns[name] = value;
  }
  for (const name of ["metadata", "bindings"] as const) {
    const value = data[name];
    if (value !== undefined) columns[name] = value && JSON.stringify(value);
  }
  if (data.options !== undefined) columns.options = optionsColumn(data.options ?? {});
  return columns;
}

/** The `options` column of what is said; null where nothing is. */
export function optionsColumn(options: object): string | null {
  const said = Object.entries(options).filter(([, value]) =>
    value != null && value !== "" && value !== false
  );
  return said.length === 0 ? null : JSON.stringify(Object.fromEntries(said));
}

/** The columns that hold a connection's secrets, sealed for its row. */
export async function sealSecrets(
  vault: Vault,
  owner: Owner,
  { token, headers }: Secrets,
): Promise<Pick<ConnectionRow, "sealed_token" | "sealed_headers" | "header_names">> {
  const names = Object.keys(headers ?? {});
  return {
    sealed_token: token === null ? null : await vault.seal(placeOf(owner, "sealed_token"), token),
    sealed_headers: names.length === 0
      ? null
      : await vault.seal(placeOf(owner, "sealed_headers"), JSON.stringify(headers)),
    header_names: JSON.stringify(names),
  };
}

/** The sealed configuration of a connection. */
export async function sealConfiguration(
  vault: Vault,
  owner: Owner,
  state: Record<string, unknown> | null,
): Promise<string | null> {
  return state && await vault.seal(placeOf(owner, "sealed_configuration"), JSON.stringify(state));
}

/** What the sealed configuration of a connection holds. */
export async function openConfiguration(
  vault: Vault,
  row: Owner & Pick<ConnectionRow, "sealed_configuration">,
): Promise<Record<string, unknown> | null> {
  const { sealed_configuration: sealed } = row;
  return sealed === null ? null : JSON.parse(await vault.open(placeOf(row, "sealed_configuration"), sealed));
}

/** The status that an upstream's answer gives a connection, and why; `inactive` is the owner's word and stays. */
export function statusColumns(
  result: CatalogResult,
  wanted: string | undefined,
  notes: readonly string[] = [],
) {
  const reasons = [...result.ok ? result.notes : [explain(result)], ...notes];
  return {
    status: wanted === "inactive" ? "inactive" : result.ok ? "active" : "error",
    status_reason: reasons.length === 0 ? null : reasons.join("; ").slice(0, 2000),
  } satisfies Columns;
}

/** The certificate with which the mesh shows an upstream who it is; both parts PEM. */
export interface ClientCertificate {
  certificate: string;
  key: string;
}

/** The sealed certificate of a connection. */
export async function sealCertificate(
  vault: Vault,
  owner: Owner,
  certificate: ClientCertificate | null | undefined,
): Promise<string | null> {
  if (!certificate) return null;
  return await vault.seal(placeOf(owner, "sealed_certificate"), JSON.stringify(certificate));
}

/** The certificate of a connection, opened from the vault; null where it has none. */
export async function openCertificate(
  vault: Vault,
  row: Owner & Pick<ConnectionRow, "sealed_certificate">,
): Promise<ClientCertificate | null> {
  const { sealed_certificate: sealed } = row;
  return sealed === null ? null : JSON.parse(await vault.open(placeOf(row, "sealed_certificate"), sealed));
}

/** The client certificate after an update; undefined where it stays. Throws `invalid` where it is none. */
export function mergeCertificate(
  stored: ClientCertificate | null,
  given: ClientCertificate | null | undefined,
  moved: boolean,
): { value: ClientCertificate | null | undefined; dropped: boolean } {
  const masks = given && (given.certificate === mask || given.key === mask);
  if (masks && stored === null) refuseMask("data.client_certificate");
  const keeps = given === undefined || (given?.certificate === mask && given.key === mask);
  if (keeps) return moved && stored ? { value: null, dropped: true } : { value: undefined, dropped: false };
  if (given === null) return { value: stored ? null : undefined, dropped: false };
  // One half of another server's pair is of no use here.
  if (masks && moved) return { value: null, dropped: true };
  const value = {
    certificate: given.certificate === mask ? stored?.certificate ?? "" : given.certificate,
    key: given.key === mask ? stored?.key ?? "" : given.key,
  };
  checkCertificates({ client_certificate: value });
  return { value, dropped: false };
}

/** Throws `outbound_refused` where the outbound policy keeps the mesh from the upstream. */
export function refuseForbiddenAddress(result: CatalogResult): void {
  if (result.ok || result.code !== "outbound_refused") return;
  throw new AppError("outbound_refused", result.message, {
    fields: { "data.connection_url": result.message },
  });
}

/** What an update makes of the stored secrets, and what had to be dropped. */
export interface MergedSecrets extends Secrets {
  changed: boolean;
  dropped: boolean;
}

/**
 * The secrets after an update. With `moved`, the upstream is another host than the one that the stored secrets were
 * meant for, so none of them is kept. Throws `invalid` for a mask that stands for nothing.
 */
export function mergeSecrets(
  stored: Secrets,
  given: { token: string | null | undefined; headers: Record<string, string> | null | undefined },
  moved: boolean,
): MergedSecrets {
  const kept: Secrets = moved ? { token: null, headers: null } : stored;
  if (given.token === mask && stored.token === null) refuseMask("data.connection_token");
  const keepsToken = given.token === undefined || given.token === mask;
  const token = keepsToken ? kept.token : given.token ?? null;
  let headers = kept.headers;
  let dropped = moved && keepsToken && stored.token !== null;
  if (given.headers === undefined) dropped ||= moved && stored.headers !== null;
  else {
    const merged = unmaskHeaders(given.headers ?? {}, stored.headers ?? {}, moved);
    headers = merged.headers;
    dropped ||= merged.dropped;
  }
  return { token, headers, dropped, changed: moved || !keepsToken || given.headers !== undefined };
}

function unmaskHeaders(given: Record<string, string>, stored: Record<string, string>, moved: boolean) {
  const byName = new Map(Object.entries(stored).map(([name, value]) => [name.toLowerCase(), value]));
  const headers: Record<string, string> = {};
  let dropped = false;
  for (const [name, value] of Object.entries(given)) {
    const known = byName.get(name.toLowerCase());
    if (value !== mask) headers[name] = value;
    else if (known === undefined) refuseMask(`data.connection_headers.headers.${name.slice(0, 100)}`);
    else if (moved) dropped = true;
    else headers[name] = known;
  }
  return { headers: Object.keys(headers).length === 0 ? null : headers, dropped };
}

/** Throws `invalid`: a mask was given where no secret is stored. */
export function refuseMask(field: string): never {
  const reason = `'${mask}' stands for a stored secret, and there is none`;
  throw new AppError("invalid", `Cannot use ${field}: ${reason}`, { fields: { [field]: reason } });
}
