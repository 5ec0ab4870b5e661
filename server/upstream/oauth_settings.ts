import type { RelayRow } from "../storage/connections.ts";
import type { OutboundTarget } from "../outbound.ts";
import type { Vault } from "../vault.ts";
import { type AddressColumns, openUrl } from "./address.ts";
import { placeOf } from "./credentials.ts";
import type { OauthConnection } from "./oauth_client/types.ts";

/** What an admin says of a connection's OAuth client that is no secret; the `oauth_config` column. */
export interface OauthSettings {
  client_id?: string;
  token_endpoint_auth_method?: "none" | "client_secret_basic" | "client_secret_post" | "private_key_jwt";
  scope?: string;
  /** The issuer, where the server does not name it. */
  authorization_server?: string;
  resource?: string;
  grant_type?: "authorization_code" | "client_credentials";
  registration?: "dynamic";
  assertion_audience?: "issuer" | "token_endpoint";
}

/** The secrets of that client; the `sealed_oauth` column. */
export interface OauthSecrets {
  client_secret?: string;
  /** PEM or JSON Web Key. */
  private_key?: string;
}

type OauthRow = Pick<RelayRow, "id" | "organization_id" | "oauth_config" | "sealed_oauth">;

/** What is said of a connection's OAuth client; null where nothing is. */
export function readOauthSettings(
  { oauth_config: text }: Pick<OauthRow, "oauth_config">,
): OauthSettings | null {
  return text === null ? null : JSON.parse(text);
}

/** The secrets of a connection's OAuth client, opened from the vault; empty where there are none. */
export async function openOauthSecrets(row: OauthRow, vault: Vault): Promise<OauthSecrets> {
  return row.sealed_oauth === null
    ? {}
    : JSON.parse(await vault.open(placeOf(row, "sealed_oauth"), row.sealed_oauth));
}

/** Settings and secrets of a connection's OAuth client together; null where an admin has said nothing. */
async function openOauthConfig(
  row: OauthRow,
  vault: Vault,
): Promise<OauthSettings & OauthSecrets | null> {
  const settings = readOauthSettings(row);
  return settings === null && row.sealed_oauth === null
    ? null
    : { ...settings, ...await openOauthSecrets(row, vault) };
}

/** The `sealed_oauth` column. */
export async function sealOauthSecrets(
  vault: Vault,
  owner: Pick<OauthRow, "id" | "organization_id">,
  secrets: OauthSecrets,
): Promise<string | null> {
  if (Object.keys(secrets).length === 0) return null;
  return await vault.seal(placeOf(owner, "sealed_oauth"), JSON.stringify(secrets));
}

/** A stored connection as the OAuth client is told of it; `target` where its certificates are its own. */
export async function oauthConnectionOf(
  row: OauthRow & AddressColumns & Pick<RelayRow, "title">,
  vault: Vault,
  target: OutboundTarget | null = null,
): Promise<OauthConnection> {
  return {
    id: row.id,
    organizationId: row.organization_id,
    title: row.title,
    url: await openUrl(row, vault) ?? "",
    config: await openOauthConfig(row, vault),
    target,
  };
}
