import { createHash } from "node:crypto";
import type { ConnectionRow } from "../storage/connections.ts";
import type { Secrets } from "../upstream/credentials.ts";
import type { OauthSecrets, OauthSettings } from "../upstream/oauth_settings.ts";
import { readOauthSettings } from "../upstream/oauth_settings.ts";
import { type ConnectionChanges, mask } from "./connection_fields.ts";
import { type MergedSecrets, refuseMask } from "./connection_saving.ts";
import { type OauthConfigInput, refusedField } from "./credential_fields.ts";

/** Whose credential goes to a connection's server, and of which kind it is. */
export interface CredentialSettings {
  mode: "shared" | "per_user";
  type: "static" | "oauth";
  /** Headers whose values each person gives; null where it is a token. */
  personalHeaders: string[] | null;
  oauth: OauthSettings | null;
}

/** What a connection has of which nothing is said. */
export const firstSettings: CredentialSettings = {
  mode: "shared",
  type: "static",
  personalHeaders: null,
  oauth: null,
};

/** A hash of what a credential of a connection depends on: it serves only while that stays (CL09, CL12). */
export function printOf(row: SettingsRow & Pick<ConnectionRow, "connection_url">): string {
  const parts = [
    row.connection_url,
    row.credential_mode,
    row.credential_type,
    row.personal_headers,
    row.oauth_config,
  ];
  return createHash("sha256").update(JSON.stringify(parts)).digest("base64url");
}

type SettingsRow = Pick<
  ConnectionRow,
  "credential_mode" | "credential_type" | "personal_headers" | "oauth_config"
>;

/** The settings of a stored connection. */
export function settingsOf(row: SettingsRow): CredentialSettings {
  return {
    mode: row.credential_mode as "shared",
    type: row.credential_type as "static",
    personalHeaders: row.personal_headers === null ? null : JSON.parse(row.personal_headers),
    oauth: readOauthSettings(row),
  };
}

/** The columns of the settings. */
export function settingsColumns({ mode, type, personalHeaders, oauth }: CredentialSettings): SettingsRow {
  return {
    credential_mode: mode,
    credential_type: type,
    personal_headers: personalHeaders && JSON.stringify(personalHeaders),
    oauth_config: oauth && JSON.stringify(oauth),
  };
}

/** The settings after a change. Throws `invalid` where they contradict each other. */
export function nextSettings(before: CredentialSettings, data: ConnectionChanges): CredentialSettings {
  const mode = data.credential_mode ?? before.mode;
  const says = data.oauth_config != null && Object.values(data.oauth_config).some((value) => value != null);
  const type = data.credential_type ?? (says ? "oauth" : before.type);
  if (says && type !== "oauth") {
    throw refusedField("data.oauth_config", "it is for the credential_type 'oauth'");
  }
  const personal = mode === "per_user" && type === "static";
  const named = data.personal_headers?.length ? data.personal_headers : null;
  if (named && !personal) {
    throw refusedField("data.personal_headers", "they are for credential_mode 'per_user' with 'static'");
  }
  const kept = data.personal_headers === undefined ? before.personalHeaders : named;
  const given = data.oauth_config === undefined ? before.oauth : publicPart(data.oauth_config);
  const oauth = type === "oauth" ? given : null;
  if (oauth?.grant_type === "client_credentials") {
    if (mode === "per_user") {
      throw refusedField("data.oauth_config.grant_type", "client_credentials has no person to be of");
    }
    if (oauth.client_id === undefined) throw refusedField("data.oauth_config.client_id", "it is required");
  }
  return { mode, type, personalHeaders: personal ? kept : null, oauth };
}

/** What is given of an OAuth client without its secrets; null where that is nothing. */
function publicPart(given: OauthConfigInput | null): OauthSettings | null {
  const { client_secret: _, private_key: __, ...rest } = given ?? {};
  const said = Object.entries(rest).filter(([, value]) => value != null && value !== "");
  return said.length === 0 ? null : Object.fromEntries(said);
}

/**
 * The secrets of the connection itself under these settings: a token, and an Authorization header, have no place where
 * people bring theirs. Throws `invalid` where one is given all the same; one that is stored goes.
 */
export function fittingSecrets(
  { mode, type, personalHeaders }: CredentialSettings,
  secrets: MergedSecrets,
  given: { [K in keyof Secrets]: Secrets[K] | undefined },
): MergedSecrets & { removed: string[] } {
  const none = { ...secrets, removed: [] };
  if (mode === "shared" && type === "static") return none;
  const reason = type === "oauth"
    ? "the connection authorizes by OAuth; with credential_type 'static' it takes a token"
    : "each person gives their own";
  const newToken = given.token != null && given.token !== mask;
  if (newToken) throw refusedField("data.connection_token", reason);
  const taken = new Set((personalHeaders ?? ["Authorization"]).map((name) => name.toLowerCase()));
  const clash = Object.entries(secrets.headers ?? {}).filter(([name]) => taken.has(name.toLowerCase()));
  for (const [name] of clash) {
    if (given.headers && given.headers[name] !== undefined && given.headers[name] !== mask) {
      throw refusedField(`data.connection_headers.headers.${name}`, reason);
    }
  }
  const removed = [...secrets.token === null ? [] : ["token"], ...clash.map(([name]) => name)];
  if (removed.length === 0) return none;
  const kept = Object.entries(secrets.headers ?? {}).filter(([name]) => !taken.has(name.toLowerCase()));
  const headers = kept.length === 0 ? null : Object.fromEntries(kept);
  return { ...secrets, token: null, headers, changed: true, removed };
}

/** A change of a connection as far as its credentials go; `moved`: to a server at another origin. */
export interface SettingsChange {
  before: CredentialSettings;
  next: CredentialSettings;
  moved: boolean;
}

/** The secrets of the OAuth client after a change. */
export interface MergedOauth {
  secrets: OauthSecrets;
  changed: boolean;
  /** True where stored ones had to go, as they were for another server or client. */
  dropped: boolean;
}

/**
 * The secrets of the OAuth client after a change. They stay with the authorization server, and the client, that they
 * were given for (CL09). Throws `invalid` for a mask that stands for nothing, and for a client without what it needs.
 */
export function mergeOauth(
  stored: OauthSecrets,
  given: OauthConfigInput | null | undefined,
  { before, next, moved }: SettingsChange,
): MergedOauth {
  const other = moved || next.type !== "oauth" ||
    before.oauth?.authorization_server !== next.oauth?.authorization_server ||
    before.oauth?.client_id !== next.oauth?.client_id;
  const secrets: OauthSecrets = {};
  let [changed, dropped] = [false, false];
  for (const name of ["client_secret", "private_key"] as const) {
    const value = given === null ? null : given?.[name];
    const known = stored[name];
    if (value === mask && known === undefined) refuseMask(`data.oauth_config.${name}`);
    if (value !== undefined && value !== mask) {
      if (value) secrets[name] = value;
      changed ||= (value || undefined) !== known;
    } else if (known !== undefined) {
      if (other) dropped = changed = true;
      else secrets[name] = known;
    }
  }
  refuseIncomplete(next.oauth, secrets, dropped);
  return { secrets, changed, dropped };
}

function refuseIncomplete(oauth: OauthSettings | null, secrets: OauthSecrets, dropped: boolean): void {
  const { client_id: id, token_endpoint_auth_method: method } = oauth ?? {};
  if (id === undefined && Object.keys(secrets).length > 0) {
    throw refusedField("data.oauth_config.client_id", "it is required where the client has a secret");
  }
  if (dropped) return; // what is missing was not left out: the answer says that it has to be given again
  if (method === "private_key_jwt" && !secrets.private_key) {
    throw refusedField("data.oauth_config.private_key", "private_key_jwt needs it");
  }
  if (method?.startsWith("client_secret_") && !secrets.client_secret) {
    throw refusedField("data.oauth_config.client_secret", `${method} needs it`);
  }
}

/** True where what people have given, or been granted, for a connection serves no more after this change. */
export function outdatesCredentials({ before, next, moved }: SettingsChange): boolean {
  if (moved || before.mode !== next.mode || before.type !== next.type) return true;
  if (next.type === "oauth") {
    // Tokens are for one issuer and one resource (CL09, CL12).
    return (["authorization_server", "resource", "grant_type"] as const)
      .some((name) => before.oauth?.[name] !== next.oauth?.[name]);
  }
  if (next.mode === "shared") return false;
  if ((before.personalHeaders === null) !== (next.personalHeaders === null)) return true;
  const known = new Set(before.personalHeaders?.map((name) => name.toLowerCase()));
  return next.personalHeaders?.some((name) => !known.has(name.toLowerCase())) ?? false;
}
