import { newId } from "../ids.ts";
import type { CredentialRow } from "../storage/upstream_credentials.ts";
import type { Place, Vault } from "../vault.ts";
import { type Header, headersOf } from "./credentials.ts";
import type { Grant, Granted } from "./oauth_client/types.ts";

/** What somebody has given for a connection, in the clear. Never logged, never returned to a caller. */
export type Secret =
  | { readonly kind: "token"; readonly token: string }
  | { readonly kind: "headers"; readonly headers: Readonly<Record<string, string>> }
  | { readonly kind: "oauth"; readonly grant: Grant };

/** A credential as the relay uses it. */
export interface Held {
  readonly row: CredentialRow;
  readonly secret: Secret;
  /** What is sent; names in lower case. */
  readonly headers: readonly Header[];
  /** The only origin that it may be sent to; undefined where it is bound to none. */
  readonly origin: string | undefined;
  /** From when on an access token is to be renewed, in milliseconds since 1970; Infinity where it need not be. */
  readonly renewAt: number;
}

/** An access token is renewed before its end: a minute, or a fifth of its life where that is less. */
const renewBeforeMs = 60_000;
const renewBeforePart = 0.2;

/** Where the secret of a row lies in the vault's terms. */
function credentialPlace(row: Pick<CredentialRow, "id" | "organization_id">): Place {
  return {
    organizationId: row.organization_id,
    table: "upstream_credentials",
    column: "sealed",
    rowId: row.id,
  };
}

/**
 * The secret as it lies in the `sealed` column of its row. With the `url` of the connection it is bound to that
 * server's origin, so that it is never sent to another one to which the connection is moved (CL12).
 */
export async function sealSecret(
  vault: Vault,
  row: Pick<CredentialRow, "id" | "organization_id">,
  { secret, url }: { secret: Secret; url?: string | null | undefined },
): Promise<string> {
  const origin = url ? { origin: new URL(url).origin } : {};
  const content = secret.kind === "oauth"
    ? secret.grant
    : secret.kind === "headers"
    ? { headers: secret.headers }
    : { token: secret.token };
  return await vault.seal(credentialPlace(row), JSON.stringify({ ...content, ...origin }));
}

/** What a new row holds; what is left out is not known. */
type NewContent =
  & { readonly secret: Secret; readonly url: string | null }
  & Partial<Pick<CredentialRow, "account" | "issuer" | "scope" | "expires_at" | "refreshed_at">>;

/** What a row holds of a grant. */
export function contentOf({ grant, account, scope, expiresAt }: Granted): Omit<NewContent, "url"> {
  return { secret: { kind: "oauth", grant }, account, issuer: grant.issuer, scope, expires_at: expiresAt };
}

/** The row of a credential that is new, its secret sealed for the connection's `url`; it is not stored yet. */
export async function newCredential(
  vault: Vault,
  belonging: Pick<CredentialRow, "organization_id" | "connection_id" | "owner" | "created_by">,
  { secret, url, ...known }: NewContent,
): Promise<CredentialRow> {
  const row = { id: newId("cred"), ...belonging };
  const now = Date.now();
  return {
    ...row,
    kind: secret.kind,
    sealed: await sealSecret(vault, row, { secret, url }),
    account: null,
    issuer: null,
    scope: null,
    expires_at: null,
    state: "ok",
    reason: null,
    version: 1,
    claimed_by: null,
    claimed_until: null,
    created_at: now,
    updated_at: now,
    refreshed_at: null,
    ...known,
  };
}

/** Opens a row. Throws where it was altered or moved. */
export async function openHeld(vault: Vault, row: CredentialRow): Promise<Held> {
  const { origin, ...content } = JSON.parse(await vault.open(credentialPlace(row), row.sealed));
  const secret: Secret = row.kind === "oauth"
    ? { kind: "oauth", grant: content }
    : row.kind === "headers"
    ? { kind: "headers", headers: content.headers }
    : { kind: "token", token: content.token };
  return { row, secret, headers: sentFor(secret), origin, renewAt: renewalTime(row) };
}

function sentFor(secret: Secret): readonly Header[] {
  switch (secret.kind) {
    case "oauth":
      return [["authorization", `Bearer ${secret.grant.accessToken}`]];
    case "headers":
      return headersOf({ token: null, headers: secret.headers });
    case "token":
      return headersOf({ token: secret.token, headers: null });
  }
}

function renewalTime({ kind, expires_at: end, refreshed_at, created_at }: CredentialRow): number {
  if (kind !== "oauth" || end === null) return Infinity;
  const life = Math.max(0, end - (refreshed_at ?? created_at));
  return end - Math.min(renewBeforeMs, life * renewBeforePart);
}

/** True where a new access token can be had without the person. */
export function isRenewable({ secret }: Held): boolean {
  return secret.kind === "oauth" &&
    (secret.grant.refreshToken !== null || secret.grant.grantType === "client_credentials");
}
