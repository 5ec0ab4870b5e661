import { AppError } from "../errors.ts";
import { newId } from "../ids.ts";
import type {
  ConnectionChanges as Columns,
  ConnectionOptions,
  ConnectionRow,
} from "../storage/connections.ts";
import * as connections from "../storage/connections.ts";
import * as upstreamCredentials from "../storage/upstream_credentials.ts";
import type { CatalogResult } from "../upstream/catalog.ts";
import { openUrl, sealUrl, updatedUrl } from "../upstream/address.ts";
import { checkSecrets, openSecrets, type Secrets } from "../upstream/credentials.ts";
import { openOauthSecrets, sealOauthSecrets } from "../upstream/oauth_settings.ts";
import { checkCertificates, parseOptions } from "../upstream/tls_options.ts";
import { type Context, organizationOf } from "./action.ts";
import { type ConnectionChanges, type ConnectionInput, unmaskValues } from "./connection_fields.ts";
import { askServer, authorizeItself, listAs } from "./connection_asking.ts";
import {
  type ClientCertificate,
  emptyColumns,
  listColumns,
  mergeCertificate,
  mergeSecrets,
  openCertificate,
  openConfiguration,
  optionsColumn,
  plainColumns,
  refuseForbiddenAddress,
  sealCertificate,
  sealConfiguration,
  sealSecrets,
} from "./connection_saving.ts";
import { answerColumns, type ServerAnswer } from "./connection_status.ts";
import { dropCredentials } from "./credential_keeping.ts";
import {
  type CredentialSettings,
  firstSettings,
  fittingSecrets,
  mergeOauth,
  nextSettings,
  outdatesCredentials,
  settingsColumns,
  settingsOf,
} from "./credential_settings.ts";

const noSecrets = { token: null, headers: null };

/** Makes one connection. Throws `outbound_refused` for an address that the mesh may not reach; then there is none. */
export async function addConnection(ctx: Context, data: ConnectionInput): Promise<{ id: string }> {
  const owner = { id: newId("conn"), organization_id: organizationOf(ctx) };
  const draft = await draftOf(ctx, { owner, data, row: null });
  const answer = await askServer(ctx, { ...draft, ...owner, title: data.title });
  refuseForbiddenAddress(answer.catalog);
  const now = Date.now();
  const { catalog } = answer;
  const row: ConnectionRow = {
    ...owner,
    ...emptyColumns,
    ...plainColumns(data),
    ...await sealUrl(ctx.vault, owner, draft.url),
    ...settingsColumns(answer.settings),
    ...listColumns(catalog.ok ? catalog : null),
    ...answerColumns(answer, data.status),
    ...await sealSecrets(ctx.vault, owner, draft.secrets),
    sealed_oauth: await sealOauthSecrets(ctx.vault, owner, draft.oauth.secrets),
    sealed_certificate: await sealCertificate(ctx.vault, owner, draft.certificate),
    sealed_configuration: await sealConfiguration(ctx.vault, owner, data.configuration_state ?? null),
    created_by: ctx.actor.userId,
    updated_by: ctx.actor.userId,
    created_at: now,
    updated_at: now,
  };
  await connections.insert(ctx.db, row, toolNames(catalog));
  if (answer.settings.oauth?.grant_type === "client_credentials") await authorizeItself(ctx, row.id);
  return owner;
}

/** How often a change is worked out where others change the connection while its server is asked. */
const attempts = 5;

/**
 * Changes a connection, asking its server again where the change may matter to it; false where it is gone. What is
 * kept of it was decided for the row as it was read, so it is written to that row alone: else a secret could meet an
 * address that it was not given for. Throws `conflict` where others change it again and again.
 */
export async function changeConnection(
  ctx: Context,
  row: ConnectionRow,
  data: ConnectionChanges,
): Promise<boolean> {
  for (let attempt = 0, current: ConnectionRow | null = row; attempt < attempts; attempt++) {
    if (current === null) return false;
    if (await change(ctx, current, data)) return true;
    current = await connections.find(ctx.db, row.organization_id, row.id);
  }
  throw new AppError("conflict", `Cannot update '${row.title}': it was changed meanwhile; try again`);
}

/** One attempt; false where the row is not as it was any more. */
async function change(ctx: Context, row: ConnectionRow, data: ConnectionChanges): Promise<boolean> {
  const draft = await draftOf(ctx, { owner: row, data, row });
  const asks = draft.changed || (data.status === "active" && row.status !== "active");
  const asked = {
    ...draft,
    id: row.id,
    organization_id: row.organization_id,
    title: data.title ?? row.title,
  };
  const answer = asks ? await askServer(ctx, asked) : null;
  if (answer) refuseForbiddenAddress(answer.catalog);
  const settings = answer?.settings ?? draft.settings;
  const outdated = outdatesCredentials({ before: settingsOf(row), next: settings, moved: draft.moved });
  const dropped = outdated ? await dropCredentials(ctx, row) : 0;
  const notes = [...draft.notes, ...dropped > 0 ? [endedNote(dropped)] : []];
  const configuration = data.configuration_state;
  const changes: Columns = {
    ...plainColumns(data),
    ...(draft.newUrl || isOpen(row) ? await sealUrl(ctx.vault, row, draft.url) : {}),
    ...settingsColumns(settings),
    ...(draft.secrets.changed ? await sealSecrets(ctx.vault, row, draft.secrets) : {}),
    ...(draft.oauth.changed
      ? { sealed_oauth: await sealOauthSecrets(ctx.vault, row, draft.oauth.secrets) }
      : {}),
    ...(draft.newCertificate === undefined
      ? {}
      : { sealed_certificate: await sealCertificate(ctx.vault, row, draft.newCertificate) }),
    ...(configuration === undefined
      ? {}
      : { sealed_configuration: await changedConfiguration(ctx, row, configuration) }),
    ...statusAfter(row, { data, answer, notes }),
    updated_by: ctx.actor.userId,
  };
  const done = await write(ctx, row, { changes, answer, newUrl: draft.newUrl });
  ctx.upstream.forget(row.id);
  if (outdated) await dropCredentials(ctx, row); // what was stored while this was written
  if (done && asks) await askAgain(ctx, row, settings);
  return done;
}

/** Asks with the credential that somebody has brought, which the change may have made of use again. */
async function askAgain(
  ctx: Context,
  { id, organization_id }: ConnectionRow,
  settings: CredentialSettings,
): Promise<void> {
  if (settings.mode === "shared" && settings.type === "static") return;
  const shared = { connectionId: id, owner: upstreamCredentials.sharedOwner };
  const itself = settings.oauth?.grant_type === "client_credentials";
  // Its client may be another one now.
  if (itself) await upstreamCredentials.remove(ctx.db, organization_id, shared);
  await (itself ? authorizeItself(ctx, id) : listAs(ctx, id));
}

interface Written {
  changes: Columns;
  answer: ServerAnswer | null;
  newUrl: boolean;
}

async function write(
  ctx: Context,
  row: ConnectionRow,
  { changes, answer, newUrl }: Written,
): Promise<boolean> {
  const catalog = answer?.catalog;
  const versioned = { id: row.id, version: row.updated_at };
  // What a server listed before stays while it is the same server and only does not answer.
  if (!catalog || !(catalog.ok || newUrl)) {
    return await connections.update(ctx.db, row.organization_id, { ...versioned, changes });
  }
  return await connections.replaceTools(ctx.db, row.organization_id, {
    ...versioned,
    changes: { ...changes, ...listColumns(catalog.ok ? catalog : null) },
    toolNames: toolNames(catalog),
  });
}

/** A connection as it would be after a change. */
interface Draft {
  url: string;
  /** True where it is another one than before. */
  newUrl: boolean;
  settings: CredentialSettings;
  secrets: Secrets & { changed: boolean };
  oauth: Awaited<ReturnType<typeof mergeOauth>>;
  certificate: ClientCertificate | null;
  /** Undefined where it stays. */
  newCertificate: ClientCertificate | null | undefined;
  options: ConnectionOptions;
  moved: boolean;
  /** True where its server may answer differently now. */
  changed: boolean;
  /** True where it may still be found out whether the server offers OAuth. */
  mayDiscover: boolean;
  notes: string[];
}

interface DraftInput {
  owner: Pick<ConnectionRow, "id" | "organization_id">;
  data: ConnectionChanges;
  /** What is stored; null for a new connection. */
  row: ConnectionRow | null;
}

async function draftOf({ vault }: Context, { data, row }: DraftInput): Promise<Draft> {
  const stored = row && await openUrl(row, vault);
  const url = updatedUrl(data.connection_url, stored ?? "");
  const newUrl = row !== null && url !== stored;
  const moved = newUrl && originOf(url) !== originOf(stored);
  const before = row ? settingsOf(row) : firstSettings;
  const settings = nextSettings(before, data);
  const given = givenSecrets(data);
  const merged = mergeSecrets(row ? await openSecrets(row, vault) : noSecrets, given, moved);
  const secrets = fittingSecrets(settings, merged, given);
  checkSecrets(secrets);
  checkCertificates({ ca_certificates: data.options?.ca_certificates });
  const change = { before, next: settings, moved };
  const oauth = mergeOauth(row ? await openOauthSecrets(row, vault) : {}, data.oauth_config, change);
  const pair = row && await openCertificate(vault, row);
  const certificate = mergeCertificate(pair, data.client_certificate, moved);
  const names = Object.keys(secrets.headers ?? {});
  const newOptions = data.options !== undefined &&
    optionsColumn(data.options ?? {}) !== (row?.options ?? null);
  const notes = [
    ...secrets.dropped || (moved && (oauth.dropped || certificate.dropped)) ? [droppedNote] : [],
    ...secrets.removed.length > 0 ? [removedNote(secrets.removed, settings)] : [],
    ...oauth.dropped && !moved ? [oauthNote] : [],
  ];
  return {
    url,
    newUrl,
    settings,
    secrets,
    oauth,
    certificate: certificate.value === undefined ? pair : certificate.value,
    newCertificate: certificate.value,
    options: data.options === undefined ? row ? parseOptions(row) : {} : data.options ?? {},
    moved,
    changed: newUrl || secrets.changed || oauth.changed || certificate.value !== undefined ||
      newOptions || JSON.stringify(before) !== JSON.stringify(settings),
    mayDiscover: data.credential_type === undefined && settings.type === "static" &&
      settings.personalHeaders === null && secrets.token === null && names.length === 0 &&
      (row === null || settings.mode === "shared"),
    notes,
  };
}

/** The sealed configuration after a change; `***` in it keeps what is stored at the same place. */
export async function changedConfiguration(
  ctx: Context,
  row: ConnectionRow,
  given: Record<string, unknown> | null,
): Promise<string | null> {
  const stored = await openConfiguration(ctx.vault, row);
  const state = given && unmaskValues(given, stored) as Record<string, unknown>;
  return await sealConfiguration(ctx.vault, row, state);
}

interface Answer {
  data: ConnectionChanges;
  answer: ServerAnswer | null;
  notes: string[];
}

/** The status after an update. */
function statusAfter(row: ConnectionRow, { data, answer, notes }: Answer): Columns {
  const asked = data.status === "error" ? undefined : data.status;
  const wanted = asked ?? (row.status === "inactive" ? "inactive" : undefined);
  if (answer) return answerColumns(answer, wanted, notes);
  return wanted === "inactive" ? { status: "inactive" } : {};
}

const droppedNote = "The URL moved to another origin, so the stored secrets were dropped; give them again";
const oauthNote =
  "The secrets of the OAuth client were for another server or client and were dropped; give " +
  "them again";

function removedNote(names: string[], { type }: CredentialSettings): string {
  const what = names.map((name) => name === "token" ? "token" : `header ${name}`).join(" and ");
  const why = type === "oauth" ? "the connection authorizes by OAuth now" : "each person gives their own now";
  return `Its ${what} ${names.length === 1 ? "was" : "were"} removed, as ${why}`;
}

function endedNote(count: number): string {
  return count === 1
    ? "One credential was given for the connection as it was before, and is removed; connect again"
    : `${count} credentials were given for the connection as it was before, and are removed; their owners have to connect again`;
}

function givenSecrets(data: ConnectionChanges) {
  const { connection_token: token, connection_headers: headers } = data;
  return { token, headers: headers === null ? null : headers?.headers };
}

/** True for an address that was stored before what is secret of one was sealed. */
function isOpen({ connection_url: url, sealed_url: sealed }: ConnectionRow): boolean {
  return url !== null && sealed === null;
}

function originOf(url: string | null): string | null {
  return url !== null && URL.canParse(url) ? new URL(url).origin : null;
}

/** The names of the tools that an upstream listed. */
function toolNames(catalog: CatalogResult): string[] {
  return catalog.ok ? catalog.tools.map(({ name }) => name) : [];
}
