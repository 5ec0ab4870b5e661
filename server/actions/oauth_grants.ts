import { describeError } from "../log.ts";
import type { OutboundTarget } from "../outbound.ts";
import type { ConnectionRow } from "../storage/connections.ts";
import type { CredentialRow } from "../storage/upstream_credentials.ts";
import * as upstreamCredentials from "../storage/upstream_credentials.ts";
import { contentOf, newCredential, openHeld } from "../upstream/held.ts";
import type { Grant, Granted, OauthConnection, OauthParts } from "../upstream/oauth_client/types.ts";
import { oauthConnectionOf } from "../upstream/oauth_settings.ts";
import { targetFor } from "../upstream/tls_options.ts";
import { type Context, organizationOf } from "./action.ts";

/** How long a person waits at most while grants are given back, in milliseconds. */
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
  const { organization_id, id: connection_id, connection_url: url } = row;
  const belonging = { organization_id, connection_id, owner, created_by: ctx.actor.userId };
  const credential = await newCredential(ctx.vault, belonging, { ...contentOf(granted), url });
  await upstreamCredentials.put(ctx.db, credential);
  ctx.upstream.forget(row.id);
  return credential;
}

/** The grant of a row; null for a token or headers. */
async function openGrant(ctx: Context, row: CredentialRow): Promise<Grant | null> {
  const { secret } = await openHeld(ctx.vault, row);
  return secret.kind === "oauth" ? secret.grant : null;
}

/** A grant on its way back, and how its server is reached. */
interface Leaving {
  grant: Grant;
  connection: string;
  target: OutboundTarget | null;
}

/**
 * Gives grants whose rows are gone back to their authorization servers. Never throws, and does not wait long for a
 * server. `gone` is the connection of the rows where that is gone as well. Where the owner has another grant of the
 * same client nothing is given back: many servers would end both.
 */
export async function giveBack(
  ctx: Context,
  rows: readonly CredentialRow[],
  gone?: ConnectionRow,
): Promise<void> {
  await end(ctx, rows.length, async () => {
    for (const batch of batchesOf(rows)) {
      await Promise.all(batch.map(async (row) => {
        const leaving = await leavingOf(ctx, row, gone);
        if (leaving) await giveOneBack(ctx, leaving, row);
      }));
    }
  });
}

/** As `giveBack` for a whole organization, which `remove` removes with the key that its grants are sealed with. */
export async function giveBackAfter(
  ctx: Context,
  organizationId: string,
  remove: () => Promise<void>,
): Promise<void> {
  const rows = await upstreamCredentials.listGrants(ctx.db, organizationId);
  const leaving: Leaving[] = [];
  for (const row of rows) leaving.push(...await leavingOf(ctx, row).then((one) => one ? [one] : []));
  await remove();
  await end(ctx, leaving.length, async () => {
    for (const batch of batchesOf(leaving)) await Promise.all(batch.map((one) => giveOneBack(ctx, one)));
  });
}

function* batchesOf<T>(items: readonly T[]): Generator<readonly T[]> {
  for (let start = 0; start < items.length; start += atOnce) yield items.slice(start, start + atOnce);
}

/** Waits for the work, but not for servers that take their time. */
async function end(ctx: Context, count: number, work: () => Promise<void>): Promise<void> {
  if (count === 0) return;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<"late">((resolve) => timer = setTimeout(() => resolve("late"), givingBackMs));
  if (await Promise.race([work(), late]) === "late") ctx.log.warn("giving grants back takes long", { count });
  clearTimeout(timer);
}

/** The grant of a row; null for other kinds, and where it does not open. */
async function leavingOf(ctx: Context, row: CredentialRow, gone?: ConnectionRow): Promise<Leaving | null> {
  try {
    const grant = row.kind === "oauth" ? await openGrant(ctx, row) : null;
    if (!grant) return null;
    const target = gone?.connection_url
      ? await targetFor(gone, gone.connection_url, ctx)
      : (await ctx.upstream.target(row.organization_id, row.connection_id))?.target ?? null;
    return { grant, connection: row.connection_id, target };
  } catch (error) {
    notGivenBack(ctx, row.connection_id, error);
    return null;
  }
}

/** `row` is where the grant lay, whose owner may have others. */
async function giveOneBack(ctx: Context, leaving: Leaving, row?: CredentialRow): Promise<void> {
  const { grant, connection, target } = leaving;
  try {
    if (row && await hasOthers(ctx, row, grant)) return;
    const { revoke } = await import("../upstream/oauth_client.ts");
    await revoke(oauthParts(ctx), grant, { target });
  } catch (error) {
    notGivenBack(ctx, connection, error);
  }
}

function notGivenBack(ctx: Context, connection: string, error: unknown): void {
  ctx.log.warn("a grant was not given back", { connection, error: describeError(error) });
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
