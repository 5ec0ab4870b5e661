import type { CredentialRow } from "../storage/upstream_credentials.ts";
import type { Place, Vault } from "../vault.ts";
import { type Header, headersOf } from "./credentials.ts";

/** What somebody has given for a connection, in the clear. Never logged, never returned to a caller. */
export type Secret =
  | { readonly kind: "token"; readonly token: string }
  | { readonly kind: "headers"; readonly headers: Readonly<Record<string, string>> };

/** A credential as the relay uses it. */
export interface Held {
  readonly row: CredentialRow;
  readonly secret: Secret;
  /** What is sent; names in lower case. */
  readonly headers: readonly Header[];
}

type Origin = { readonly origin?: string | undefined };

/** Where the secret of a row lies in the vault's terms. */
export function credentialPlace(row: Pick<CredentialRow, "id" | "organization_id">): Place {
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
  { secret, url }: { secret: Secret; url?: string | null },
): Promise<string> {
  const origin = url ? { origin: new URL(url).origin } : {};
  const { kind: _, ...content } = secret;
  return await vault.seal(credentialPlace(row), JSON.stringify({ ...content, ...origin }));
}

/** Opens a row. Throws where it was altered or moved. */
export async function openHeld(vault: Vault, row: CredentialRow): Promise<Held & Origin> {
  const content = JSON.parse(await vault.open(credentialPlace(row), row.sealed));
  const secret: Secret = row.kind === "headers"
    ? { kind: "headers", headers: content.headers }
    : { kind: "token", token: content.token };
  return { row, secret, headers: sentFor(secret), origin: content.origin };
}

function sentFor(secret: Secret): readonly Header[] {
  return secret.kind === "headers"
    ? headersOf({ token: null, headers: secret.headers })
    : headersOf({ token: secret.token, headers: null });
}
