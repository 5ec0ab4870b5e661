import { AppError } from "../errors.ts";
import type { ConnectionOptions, ConnectionRow } from "../storage/connections.ts";
import * as connections from "../storage/connections.ts";
import { sharedOwner } from "../storage/upstream_credentials.ts";
import type { CatalogResult } from "../upstream/catalog.ts";
import { headersOf, type Secrets } from "../upstream/credentials.ts";
import { explain } from "../upstream/failure.ts";
import { type Caller, CredentialNeeded } from "../upstream/holders.ts";
import { type Certificates, tlsOptions } from "../upstream/tls_options.ts";
import { type Context, organizationOf } from "./action.ts";
import { checkSoon } from "./connection_health.ts";
import { listColumns } from "./connection_saving.ts";
import { answerColumns, awaitsAuthorization, type ServerAnswer } from "./connection_status.ts";
import { keepGrant, oauthConnection, oauthParts } from "./oauth_grants.ts";
import { type CredentialSettings, printOf, settingsOf } from "./credential_settings.ts";

/** A connection that is to be: what its server is asked with. */
export interface AskedDraft {
  id: string;
  organization_id: string;
  title: string;
  url: string;
  settings: CredentialSettings;
  secrets: Secrets;
  options: ConnectionOptions;
  certificate: Certificates["client_certificate"];
  /** True where it may be found out whether the server offers OAuth. */
  mayDiscover: boolean;
}

/** Asks a server for its lists with what the connection has of its own. */
export async function askServer(ctx: Context, draft: AskedDraft): Promise<ServerAnswer> {
  const peer = await ctx.upstream.draftPeer({ ...draft, headers: headersOf(draft.secrets) }, callerOf(ctx));
  const catalog = await ctx.upstream.catalog(peer);
  const asksForToken = !catalog.ok && catalog.code === "http_401";
  const offer = draft.mayDiscover && asksForToken ? await offerOf(ctx, draft) : null;
  const settings: CredentialSettings = offer ? { ...draft.settings, type: "oauth" } : draft.settings;
  return { catalog, settings, bare: true, notes: offer?.notes ?? [] };
}

/** What a server says by itself of how people authorize, and what has to be done for it; null where it does not. */
async function offerOf(ctx: Context, draft: AskedDraft): Promise<{ notes: string[] } | null> {
  const { id, organization_id, title, url, options, certificate } = draft;
  const { discoverAuthorization, OauthError, redirectUriOf } = await import("../upstream/oauth_client.ts");
  try {
    const target = ctx.outbound.target(url, { ...tlsOptions(options, certificate), tenant: organization_id });
    const connection = { id, organizationId: organization_id, title, url, config: null, target };
    const { source, registration } = await discoverAuthorization(oauthParts(ctx), { connection });
    if (source === "default_endpoints") return null; // a guess; a token is the likelier one
    if (registration !== "none") return { notes: [] };
    const redirectUri = redirectUriOf(ctx.config.baseUrl);
    return {
      notes: [
        `Its authorization server takes no registrations: register the mesh there with the redirect URI ` +
        `'${redirectUri}' and give the connection that client id, or make its type static and give it a token`,
      ],
    };
  } catch (error) {
    if (error instanceof OauthError) return null;
    throw error;
  }
}

/** Gets access for a connection whose client acts for itself, and its lists with it. */
export async function authorizeItself(ctx: Context, connectionId: string): Promise<void> {
  const row = await connections.find(ctx.db, organizationOf(ctx), connectionId);
  if (!row) return;
  const { clientCredentials, OauthError } = await import("../upstream/oauth_client.ts");
  try {
    const connection = await oauthConnection(ctx, row);
    const granted = await clientCredentials(oauthParts(ctx), { connection });
    await keepGrant(ctx, row, { owner: sharedOwner, granted });
  } catch (error) {
    if (!(error instanceof OauthError)) throw error;
    return await fail(ctx, row, error.message);
  }
  await listAs(ctx, row.id);
}

/** Says of a connection that somebody has to authorize it before it is of use. */
export async function awaitAuthorization(ctx: Context, row: ConnectionRow): Promise<void> {
  if (row.credential_mode === "shared" && row.credential_type === "oauth") {
    await fail(ctx, row, awaitsAuthorization);
  }
}

async function fail(ctx: Context, row: ConnectionRow, reason: string): Promise<void> {
  const status = row.status === "inactive" ? "inactive" : "error";
  const changes = { status, status_reason: reason };
  await connections.update(ctx.db, row.organization_id, { id: row.id, changes });
  ctx.upstream.forget(row.id);
}

/** For whom an action talks to an upstream. */
export function callerOf(ctx: Context): Caller {
  const { userId, name, email, roles, keyId, clientId } = ctx.actor;
  return { organizationId: organizationOf(ctx), userId, name, email, roles, keyId, clientId };
}

/** Why a server is of no use with somebody's credential. */
export interface Trouble {
  /** A sentence or two, without a full stop at the end. */
  problem: string;
  /** True where it does not accept the credential. */
  refused: boolean;
}

/**
 * Asks a connection's server for its lists with the credential of the person, or the shared one, and keeps what it
 * says. Null where all is well, and where there is no such credential or connection.
 */
export async function listAs(ctx: Context, connectionId: string): Promise<Trouble | null> {
  const caller = callerOf(ctx);
  const row = await connections.find(ctx.db, caller.organizationId, connectionId);
  if (!row) return null;
  try {
    const peer = await ctx.upstream.peerFor(connectionId, caller.organizationId, caller);
    if (peer === null) return null;
    const catalog = await ctx.upstream.catalog(peer);
    await keepLists(ctx, row, catalog);
    await checkSoon(ctx, row.id);
    return catalog.ok ? null : { problem: explain(catalog), refused: catalog.code === "http_401" };
  } catch (error) {
    if (error instanceof CredentialNeeded) return null;
    if (!(error instanceof AppError) || error.code !== "upstream_failed") throw error;
    // The credential could not be renewed for now.
    if (row.credential_mode === "shared") await fail(ctx, row, error.message);
    return { problem: error.message, refused: false };
  }
}

const maxAttempts = 3;

/** Keeps what a server has said to one person, or to the organization, whatever else is noted of it meanwhile. */
async function keepLists(ctx: Context, row: ConnectionRow, catalog: CatalogResult): Promise<void> {
  // One person's refusal is no fault of the connection.
  if (row.credential_mode === "per_user" && !catalog.ok) return;
  let now: ConnectionRow | null = row;
  for (let attempt = 1; now && attempt <= maxAttempts; attempt++) {
    if (printOf(now) !== printOf(row) || await keptLists(ctx, now, catalog)) break;
    now = await connections.find(ctx.db, row.organization_id, row.id);
  }
  ctx.upstream.forget(row.id);
}

/** False where the connection was changed since `row` was read. */
async function keptLists(ctx: Context, row: ConnectionRow, catalog: CatalogResult): Promise<boolean> {
  const settings = settingsOf(row);
  const wanted = row.status === "inactive" ? "inactive" : undefined;
  // The first one's lists stand for all.
  const replaces = settings.mode === "shared" || row.tools === null;
  const status = answerColumns({ catalog, settings }, wanted);
  const change = { id: row.id, changes: status, version: row.updated_at };
  if (!catalog.ok || !replaces) return await connections.update(ctx.db, row.organization_id, change);
  return await connections.replaceTools(ctx.db, row.organization_id, {
    ...change,
    changes: { ...status, ...listColumns(catalog) },
    toolNames: catalog.tools.map(({ name }) => name),
  });
}
