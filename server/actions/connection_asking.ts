import type { ConnectionRow } from "../storage/connections.ts";
import * as connections from "../storage/connections.ts";
import type { CatalogResult } from "../upstream/catalog.ts";
import { headersOf, type Secrets } from "../upstream/credentials.ts";
import type { Caller } from "../upstream/holders.ts";
import { CredentialNeeded } from "../upstream/holders.ts";
import { type Context, organizationOf } from "./action.ts";
import { listColumns } from "./connection_saving.ts";
import { answerColumns, type ServerAnswer } from "./connection_status.ts";
import { type CredentialSettings, settingsOf } from "./credential_settings.ts";

/** A connection that is to be: what its server is asked with. */
export interface AskedDraft {
  id: string;
  organization_id: string;
  title: string;
  url: string;
  settings: CredentialSettings;
  secrets: Secrets;
  /** True where it may be found out whether the server offers OAuth. */
  mayDiscover: boolean;
}

/** Asks a server for its lists with what the connection has of its own. */
export async function askServer(ctx: Context, draft: AskedDraft): Promise<ServerAnswer> {
  const peer = { title: draft.title, url: draft.url, headers: headersOf(draft.secrets) };
  const catalog = await ctx.upstream.catalog(peer);
  return { catalog, settings: draft.settings };
}

/** For whom an action talks to an upstream. */
export function callerOf(ctx: Context): Caller {
  const { userId, name, email } = ctx.actor;
  return { organizationId: organizationOf(ctx), userId, name, email };
}

/**
 * Asks a connection's server for its lists with the credential of the person, or the shared one, and keeps what it
 * says. Null where there is no such credential or connection.
 */
export async function listAs(ctx: Context, connectionId: string): Promise<CatalogResult | null> {
  const caller = callerOf(ctx);
  const row = await connections.find(ctx.db, caller.organizationId, connectionId);
  if (!row) return null;
  try {
    const peer = await ctx.upstream.peerFor(connectionId, caller.organizationId, caller);
    const catalog = peer && await ctx.upstream.catalog(peer);
    if (catalog) await keepLists(ctx, row, catalog);
    return catalog;
  } catch (error) {
    if (error instanceof CredentialNeeded) return null;
    throw error;
  }
}

/** Keeps what a server has said to one person, or to the organization. */
async function keepLists(ctx: Context, row: ConnectionRow, catalog: CatalogResult): Promise<void> {
  const settings = settingsOf(row);
  const wanted = row.status === "inactive" ? "inactive" : undefined;
  // One person's refusal is no fault of the connection, and the first one's lists stand for all.
  if (settings.mode === "per_user" && !catalog.ok) return;
  const lists = catalog.ok && (settings.mode === "shared" || row.tools === null)
    ? listColumns(catalog)
    : null;
  const changes = { ...answerColumns({ catalog, settings }, wanted), ...lists };
  const change = { id: row.id, changes, version: row.updated_at };
  if (lists && catalog.ok) {
    const toolNames = catalog.tools.map(({ name }) => name);
    await connections.replaceTools(ctx.db, row.organization_id, { ...change, toolNames });
  } else await connections.update(ctx.db, row.organization_id, change);
  ctx.upstream.forget(row.id);
}
