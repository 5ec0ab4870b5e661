import { AppError } from "../errors.ts";
import type { ConnectionRow } from "../storage/connections.ts";
import type { CredentialRow } from "../storage/upstream_credentials.ts";
import * as connections from "../storage/connections.ts";
import * as members from "../storage/members.ts";
import * as upstreamCredentials from "../storage/upstream_credentials.ts";
import { checkHeaderValue, checkValue } from "../upstream/credentials.ts";
import { newCredential, openHeld, type Secret } from "../upstream/held.ts";
import type { Vault } from "../vault.ts";
import type { Context } from "./action.ts";
import { mask } from "./connection_fields.ts";
import { printOf } from "./credential_settings.ts";
import { giveBack } from "./oauth_grants.ts";

/** The header values that a person has stored; empty where there are none. */
export async function openGiven(vault: Vault, row: CredentialRow | null): Promise<Record<string, string>> {
  if (row?.kind !== "headers") return {};
  const { secret } = await openHeld(vault, row);
  return secret.kind === "headers" ? { ...secret.headers } : {};
}

/**
 * What is given, checked against what the connection asks for; header values that are left out or masked stay.
 * Throws `invalid` naming the field, never a value.
 */
export function mergeGiven(
  { personal_headers: personal }: Pick<ConnectionRow, "personal_headers">,
  given: { token?: string | undefined; headers?: Record<string, string> | undefined },
  stored: Record<string, string>,
): Secret {
  if (personal === null) {
    if (given.headers !== undefined) throw refused("headers", "the connection asks for a token");
    if (!given.token) throw refused("token", "it is required");
    checkValue("token", given.token);
    return { kind: "token", token: given.token };
  }
  if (given.token !== undefined) throw refused("token", "the connection asks for headers");
  return { kind: "headers", headers: mergeHeaders(JSON.parse(personal), given.headers ?? {}, stored) };
}

function mergeHeaders(
  names: string[],
  given: Record<string, string>,
  stored: Record<string, string>,
): Record<string, string> {
  const byName = new Map(Object.entries(given).map(([name, value]) => [name.toLowerCase(), value]));
  const known = new Map(Object.entries(stored).map(([name, value]) => [name.toLowerCase(), value]));
  const wanted = new Set(names.map((name) => name.toLowerCase()));
  for (const name of Object.keys(given)) {
    if (!wanted.has(name.toLowerCase())) {
      throw refused(`headers.${name.slice(0, 100)}`, "the connection does not ask for this header");
    }
  }
  return Object.fromEntries(names.map((name) => {
    const field = `headers.${name}`;
    const entered = byName.get(name.toLowerCase());
    const value = entered === undefined || entered === "" || entered === mask
      ? known.get(name.toLowerCase())
      : entered;
    if (value === undefined) throw refused(field, "it is required");
    checkHeaderValue(field, value);
    return [name, value];
  }));
}

function refused(field: string, reason: string): AppError {
  return new AppError("invalid", `Cannot use ${field}: ${reason}`, { fields: { [field]: reason } });
}

/**
 * Stores what a person gives for a connection in place of what they had given before. Throws `conflict` where the
 * connection was changed meanwhile.
 */
export async function keepGiven(ctx: Context, row: ConnectionRow, secret: Secret): Promise<void> {
  const owner = ctx.actor.userId;
  const { organization_id, id: connection_id, connection_url: url } = row;
  const belonging = { organization_id, connection_id, owner, created_by: owner };
  const credential = await newCredential(ctx.vault, belonging, { secret, url });
  await upstreamCredentials.put(ctx.db, credential);
  await confirmKept(ctx, row, credential);
}

/**
 * Makes sure that a credential was stored for the connection as it still is, by a member; else it goes again. Who
 * changes a connection or removes a member removes credentials after that, so that none is left of before. Throws
 * `not_found` and `conflict`.
 */
export async function confirmKept(
  ctx: Context,
  row: ConnectionRow,
  { id, owner }: Pick<CredentialRow, "id" | "owner">,
): Promise<void> {
  ctx.upstream.forget(row.id);
  const now = await connections.find(ctx.db, row.organization_id, row.id);
  const belongs = await members.rolesOf(ctx.db, row.organization_id, ctx.actor.userId) !== null;
  if (now && belongs && printOf(now) === printOf(row)) return;
  const place = { connectionId: row.id, owner };
  const kept = await upstreamCredentials.find(ctx.db, row.organization_id, place);
  if (kept?.id === id) {
    await upstreamCredentials.remove(ctx.db, row.organization_id, place);
    ctx.upstream.forget(row.id);
    await giveBack(ctx, [kept]);
  }
  throw now ? changedMeanwhile(row) : deletedMeanwhile();
}

/** A refusal to connect to what is not any more what it was. */
export function changedMeanwhile({ title }: Pick<ConnectionRow, "title">): AppError {
  return new AppError("conflict", `Cannot connect: ${title} was changed meanwhile; begin again`);
}

/** A refusal to connect to what is gone. */
export function deletedMeanwhile(): AppError {
  return new AppError("not_found", "Cannot connect: the connection was deleted meanwhile");
}

/** Says of a credential that its server did not accept it, unless it was changed meanwhile. */
export async function markRefused(
  ctx: Context,
  { id, organization_id, version }: CredentialRow,
): Promise<void> {
  const changes = { state: "attention", reason: "the server did not accept the credential" };
  await upstreamCredentials.settle(ctx.db, organization_id, { id, version, changes, now: Date.now() });
}

/** Removes all credentials for a connection, gives back what was granted, and says how many there were. */
export async function dropCredentials(
  ctx: Context,
  row: Pick<ConnectionRow, "id" | "organization_id">,
): Promise<number> {
  const rows = await upstreamCredentials.listOfConnection(ctx.db, row.organization_id, row.id);
  await upstreamCredentials.removeOfConnection(ctx.db, row.organization_id, row.id);
  ctx.upstream.forget(row.id);
  await giveBack(ctx, rows);
  return rows.length;
}
