import type { CredentialKind } from "../../views/components/credential_fields.tsx";
import { AppError } from "../errors.ts";
import type { Entries } from "../form.ts";
import type { VisitContext } from "../visit.ts";
import type { ConnectionItem } from "./connection_frame.ts";
import { headersIn } from "./header_lines.ts";
import { oneOf } from "./page.ts";

// What the forms of a connection say of its credential and of the way to its server, as the actions take it.

const mask = "***"; // keeps the stored value

/** Where authorization servers send people back to who have signed in there. */
export function redirectUri(c: VisitContext): string {
  return `${c.get("visit").services.config.baseUrl}/oauth/callback`;
}

const clientFields = [
  "client_id",
  "client_secret",
  "scope",
  "authorization_server",
  "resource",
  "token_endpoint_auth_method",
  "private_key",
] as const;

const secretFields: readonly string[] = ["client_secret", "private_key"];

/** The fields of an OAuth client have a name of their own for each kind that has one. */
const prefixes = { oauth: "oauth_", client_credentials: "machine_" } as const;

/** What a person entered, to be given back in the form after a refusal: never what is secret. */
export function enteredCredential(form: Entries): Record<string, string> {
  const client = Object.values(prefixes).flatMap((prefix) =>
    clientFields.map((name) => [prefix + name, secretFields.includes(name) ? "" : form.text(prefix + name)])
  );
  const rest = form.pick("kind", "whose", "headers", "personal_headers");
  return { ...rest, token: "", ...Object.fromEntries(client) };
}

/** The fields of the form for those of the action. */
export function credentialNames(form: Entries): Record<string, string> {
  const prefix = kindIn(form) === "client_credentials" ? prefixes.client_credentials : prefixes.oauth;
  return {
    "data.connection_token": "token",
    "data.connection_headers": "headers",
    "data.personal_headers": "personal_headers",
    "data.credential_type": "kind",
    ...Object.fromEntries(clientFields.map((name) => [`data.oauth_config.${name}`, prefix + name])),
  };
}

function kindIn(form: Entries): CredentialKind {
  return oneOf(form.text("kind"), ["auto", "none", "token", "headers", "oauth", "client_credentials"]);
}

/** What the form says of the credential; what its kind has no use for is passed over. Throws `invalid`. */
export function credentialData(form: Entries, stored: ConnectionItem | null) {
  const kind = kindIn(form);
  const token = form.text("token").trim();
  const headers = headersAfter(form, stored);
  const mode = oneOf(form.text("whose"), ["shared", "per_user"]);
  const shared = {
    ...headers,
    credential_mode: "shared",
    personal_headers: null,
    oauth_config: null,
  } as const;
  switch (kind) {
    case "auto":
      // Without a kind, what is given counts; with it, what is left over from another kind does not.
      return form.text("kind") === "" ? { ...headers, ...(token && { connection_token: token }) } : {};
    case "none":
      return { ...shared, credential_type: "static", connection_token: null } as const;
    case "token": {
      const data = { ...shared, credential_type: "static", credential_mode: mode } as const;
      if (mode === "per_user") return data;
      if (token === "" && !stored?.has_token) throw required("token", "paste the token");
      return { ...data, ...(token && { connection_token: token }) };
    }
    case "headers":
      if (mode === "shared") return { ...shared, credential_type: "static", connection_token: null } as const;
      return {
        ...shared,
        credential_type: "static",
        credential_mode: mode,
        personal_headers: namesIn(form.text("personal_headers")),
      } as const;
    case "oauth":
    case "client_credentials":
      return {
        ...shared,
        credential_type: "oauth",
        ...(kind === "oauth" && { credential_mode: mode }),
        oauth_config: clientIn(form, kind),
      } as const;
  }
}

/** The names of headers in a text, one a line or with commas between. */
function namesIn(text: string): string[] {
  const names = text.split(/[\n,]/).map((name) => name.trim().replace(/:$/, "").trimEnd()).filter((name) =>
    name !== ""
  );
  if (names.length === 0) throw required("personal_headers", "name at least one header");
  return names;
}

/** The OAuth client; a secret that is left empty stays. */
function clientIn(form: Entries, kind: keyof typeof prefixes) {
  const said = clientFields.map((name) => [name, form.text(prefixes[kind] + name).trim()] as const)
    .filter(([, value]) => value !== "");
  const grant = kind === "client_credentials" ? { grant_type: kind } : {};
  const config: Record<string, string> = { ...Object.fromEntries(said), ...grant };
  return Object.keys(config).length === 0 ? null : config;
}

/** The headers for every call after the form's changes; nothing where it asks for none. */
function headersAfter(form: Entries, stored: ConnectionItem | null) {
  const added = headersIn(form.text("headers"));
  const removed = form.all("remove_header");
  if (removed.length === 0 && added === null) return {};
  const replaced = new Set([...removed, ...Object.keys(added ?? {})].map((name) => name.toLowerCase()));
  const kept = Object.keys(stored?.connection_headers?.headers ?? {})
    .filter((name) => !replaced.has(name.toLowerCase()));
  const headers = { ...Object.fromEntries(kept.map((name) => [name, mask])), ...added };
  return { connection_headers: { headers } };
}

function required(field: string, reason: string): AppError {
  return new AppError("invalid", `Cannot save the credential: ${reason}`, { fields: { [field]: reason } });
}

/** The fields of the way to the server, for those of the action. */
export const wayNames = {
  "data.options.timeout_seconds": "timeout_seconds",
  "data.options.ca_certificates": "ca_certificates",
  "data.client_certificate.certificate": "certificate",
  "data.client_certificate.key": "certificate_key",
};

/** What a person entered of it, never what is secret. */
export function enteredWay(form: Entries): Record<string, string> {
  const entered = form.pick("timeout_seconds", "ca_certificates", "identity_token");
  return { ...entered, certificate: "", certificate_key: "" };
}

/** What the form says of the way to the server, where that is a change: one makes the mesh ask the server again. */
export function wayData(form: Entries, stored: ConnectionItem | null) {
  const { timeout_seconds: seconds, ca_certificates: ca } = form.pick("timeout_seconds", "ca_certificates");
  const said = {
    ...(seconds?.trim() && { timeout_seconds: Number(seconds) }),
    ...(form.text("identity_token") === "1" && { identity_token: true }),
    ...(ca?.trim() && { ca_certificates: ca.trim() }),
  };
  const options = Object.keys(said).length === 0 ? null : said;
  const before = Object.entries(stored?.options ?? {}).filter(([, value]) => value);
  const same = JSON.stringify(before.toSorted()) === JSON.stringify(Object.entries(said).toSorted());
  return { ...(!same && { options }), ...certificateIn(form, stored) };
}

function certificateIn(form: Entries, stored: ConnectionItem | null) {
  if (form.text("remove_certificate")) return { client_certificate: null };
  const [certificate, key] = [form.text("certificate").trim(), form.text("certificate_key").trim()];
  if (certificate === "" && key === "") return {};
  const kept = stored?.has_client_certificate ? mask : "";
  return { client_certificate: { certificate: certificate || kept, key: key || kept } };
}
