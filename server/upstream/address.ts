import { publicUrl } from "../audit/public_url.ts";
import { mask } from "../audit/secrets.ts";
import { AppError } from "../errors.ts";
import type { RelayRow } from "../storage/connections.ts";
import type { Vault } from "../vault.ts";
import { placeOf } from "./credentials.ts";

type Owner = Pick<RelayRow, "id" | "organization_id">;

/** The columns that hold the address of a connection. */
export type AddressColumns = Pick<RelayRow, "connection_url" | "sealed_url">;

/** The columns for an address, what is secret of it sealed for its row. */
export async function sealUrl(vault: Vault, owner: Owner, url: string): Promise<AddressColumns> {
  const shown = publicUrl(url);
  if (shown === url) return { connection_url: url, sealed_url: null };
  return { connection_url: shown, sealed_url: await vault.seal(placeOf(owner, "sealed_url"), url) };
}

/** The address of a connection, opened from the vault; null where it has none. */
export async function openUrl(row: Owner & AddressColumns, vault: Vault): Promise<string | null> {
  const { connection_url: url, sealed_url: sealed } = row;
  return sealed === null ? url : await vault.open(placeOf(row, "sealed_url"), sealed);
}

/**
 * The address after an update: what was read and is sent back stays. Throws `invalid` where another address holds a
 * mask, as the secret was not given for that one.
 */
export function updatedUrl(given: string | undefined, stored: string): string {
  if (given === undefined || given === publicUrl(stored)) return stored;
  if (!given.includes(mask) || stored.includes(mask)) return given;
  const reason = `'${mask}' stands for a secret of the stored address; give the whole address anew`;
  throw new AppError("invalid", `Cannot use data.connection_url: ${reason}`, {
    fields: { "data.connection_url": reason },
  });
}
