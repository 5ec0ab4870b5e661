import { newId } from "../ids.ts";
import { describeError } from "../log.ts";
import type { ConnectionRow } from "../storage/connections.ts";
import type { CredentialRow } from "../storage/upstream_credentials.ts";
import * as upstreamCredentials from "../storage/upstream_credentials.ts";
import { openHeld, sealSecret } from "../upstream/held.ts";
import type { Grant, Granted, OauthConnection, OauthParts } from "../upstream/oauth_client/types.ts";
import { oauthConnectionOf } from "../upstream/oauth_settings.ts";
import { type Context, organizationOf } from "./action.ts";

/** So long a person waits at most while grants are given back. */
const givingBackMs = 5_000;
const atOnce = 8;

/** What the OAuth client works with. */
export function oauthParts({ outbound, db, vault, log, config }: Context): OauthParts {
  return { outbound, db, vault, log, baseUrl: config.baseUrl };
}

/** A stored connection as the OAuth client is told of it. */
export async function oauthConnection(ctx: Context, row: ConnectionRow): Promise<OauthConnection> {
  const target = await ctx.upstream.target(organizationOf(ctx), row.id);
  return await oauthConnectionOf(row, ctx.vault, target?.target ?? null);
}

/** Stores what was granted for a connection in place of what its owner had before. */
export async function keepGrant(
  ctx: Context,
  row: Pick<ConnectionRow, "id" | "organization_id" | "connection_url">,
  { owner, granted }: { owner: string; granted: Granted },
): Promise<CredentialRow> {
  const id = newId("cred");
  const now = Date.now();
  const { organization_id, connection_url: url } = row;
  const secret = { kind: "oauth", grant: granted.grant } as const;
  const credential: CredentialRow = {
    id,
    organization_id,
    connection_id: row.id,
    owner,
    kind: "oauth",
    sealed: await sealSecret(ctx.vault, { id, organization_id }, { secret, url }),
    account: granted.account?.slice(0, 300) ?? null,
    issuer: granted.grant.issuer,
    scope: granted.scope,
    expires_at: granted.expiresAt,
    state: "ok",
    reason: null,
    version: 1,
    claimed_by: null,
    claimed_until: null,
    created_by: ctx.actor.userId,
    created_at: now,
    updated_at: now,
    refreshed_at: null,
  };
  await upstreamCredentials.put(ctx.db, credential);
  ctx.upstream.forget(row.id);
  return credential;
}

/** The grant of a row; null for a token or headers. */
export async function openGrant(ctx: Context, row: CredentialRow): Promise<Grant | null> {
  const { secret } = await openHeld(ctx.vault, row);
  return secret.kind === "oauth" ? secret.grant : null;
}

/**
 * Gives grants whose rows are gone back to their authorization servers, as far as they answer soon; never throws. One
 * of a client that the owner has other grants of stays: servers end all that a person gave one client together.
 */
export async function giveBack(ctx: Context, rows: readonly CredentialRow[]): Promise<void> {
  const waiting = rows.filter(({ kind }) => kind === "oauth");
  const until = Date.now() + givingBackMs;
  while (waiting.length > 0 && Date.now() < until) {
    await Promise.all(waiting.splice(0, atOnce).map((row) => giveOneBack(ctx, row)));
  }
  if (waiting.length > 0) ctx.log.warn("grants were not given back in time", { count: waiting.length });
}

async function giveOneBack(ctx: Context, row: CredentialRow): Promise<void> {
  try {
    const grant = await openGrant(ctx, row);
    if (!grant || await hasOthers(ctx, row, grant)) return;
    const { revoke } = await import("../upstream/oauth_client.ts");
    await revoke(oauthParts(ctx), grant);
  } catch (error) {
    ctx.log.warn("a grant was not given back", {
      connection: row.connection_id,
      error: describeError(error),
    });
  }
}

async function hasOthers(
  ctx: Context,
  { organization_id, owner }: CredentialRow,
  grant: Grant,
): Promise<boolean> {
  for (const row of await upstreamCredentials.listOfOwner(ctx.db, organization_id, owner)) {
    if (row.issuer !== grant.issuer) continue;
    if ((await openGrant(ctx, row))?.client.clientId === grant.client.clientId) return true;
  }
  return false;
}
