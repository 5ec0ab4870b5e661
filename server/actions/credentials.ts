import { z } from "zod";
import { can, canReach } from "../access/policy.ts";
import { publicUrl } from "../audit/public_url.ts";
import { AppError } from "../errors.ts";
import type { CredentialPlace } from "../storage/connections.ts";
import * as connections from "../storage/connections.ts";
import * as members from "../storage/members.ts";
import type { CredentialRow } from "../storage/upstream_credentials.ts";
import * as upstreamCredentials from "../storage/upstream_credentials.ts";
import { readOauthSettings } from "../upstream/oauth_settings.ts";
import { type Context, defineAction, organizationOf } from "./action.ts";
import { awaitAuthorization, listAs } from "./connection_asking.ts";
import { findOrRefuse } from "./connections.ts";
import { keepGiven, markRefused, mergeGiven, openGiven } from "./credential_keeping.ts";
import { atMost, idField, isoOf } from "./fields.ts";
import { giveBack } from "./oauth_grants.ts";

const { sharedOwner } = upstreamCredentials;
const connectionId = idField().describe("The connection's id, conn_...");

/** How a credential stands. */
const status = z.enum(["connected", "not_connected", "needs_attention"]);

/** A connection as the person who gives a credential for it sees it; nothing secret is in it. */
const credentialItem = z.object({
  connection_id: z.string(),
  title: z.string(),
  icon: z.string().nullable(),
  url: z.string().nullable().describe("The address of the server"),
  connect_url: z.string().describe("The page on which the person connects"),
  mode: z.enum(["shared", "per_user"]),
  type: z.enum(["static", "oauth"]),
  personal_headers: z.array(z.string()).nullable().describe("Headers to give; null where it is a token"),
  shared: z.boolean().describe("true: one credential serves the whole organization"),
  status,
  reason: z.string().nullable().describe("What needs attention, in a sentence"),
  account: z.string().nullable().describe("As whom the server knows the owner, where it says so"),
  connected_at: z.string().nullable().describe("ISO 8601"),
  expires_at: z.string().nullable().describe("ISO 8601; null where that is not known"),
  can_connect: z.boolean().describe("false: it is switched off, or there is nobody to connect"),
});

export type CredentialItem = z.output<typeof credentialItem>;

export const listCredentials = defineAction({
  name: "CREDENTIAL_LIST",
  title: "List own credentials",
  description:
    "Lists the connections for which you give a credential of your own, and how each stands; for those " +
    "who may change connections also the shared ones that somebody authorizes.",
  readOnly: true,
  input: z.object({}),
  output: z.object({ items: z.array(credentialItem) }),
  run: async (ctx) => {
    const organizationId = organizationOf(ctx);
    const places = (await connections.listCredentialPlaces(ctx.db, organizationId))
      .filter((place) => mayManage(ctx, place));
    const own = await upstreamCredentials.listOfOwner(ctx.db, organizationId, ctx.actor.userId);
    const shared = await upstreamCredentials.listOfOwner(ctx.db, organizationId, sharedOwner);
    const items = places.map((place) => {
      const rows = place.credential_mode === "shared" ? shared : own;
      return itemOf(ctx, place, rows.find((row) => row.connection_id === place.id));
    });
    return { items };
  },
});

const holder = z.object({
  user_id: z.string().nullable().describe("Null for the credential that the organization shares"),
  name: z.string().nullable(),
  email: z.string().nullable(),
  status,
  reason: z.string().nullable(),
  account: z.string().nullable(),
  connected_at: z.string().describe("ISO 8601"),
  updated_at: z.string().describe("ISO 8601"),
});

export const listHolders = defineAction({
  name: "CREDENTIAL_HOLDERS_LIST",
  title: "List holders of credentials",
  description:
    "Lists who has connected to a server, and how their credentials stand; for those who may change " +
    "connections.",
  readOnly: true,
  input: z.object({ connectionId }),
  output: z.object({ items: z.array(holder) }),
  run: async (ctx, input) => {
    const row = await findOrRefuse(ctx, { id: input.connectionId, doing: "list the credentials of" });
    demandManager(ctx, "list who has connected");
    const rows = await upstreamCredentials.listOfConnection(ctx.db, row.organization_id, row.id);
    const people = await members.findPeople(ctx.db, row.organization_id, rows.map(({ owner }) => owner));
    return { items: rows.map((one) => holderOf(one, people)) };
  },
});

export const setCredential = defineAction({
  name: "CREDENTIAL_SET",
  title: "Set own credential",
  description:
    "Stores your own token, or your values of the headers that a connection asks for, and tries it. " +
    "A header that is left out, or given as '***', keeps its stored value.",
  idempotent: true,
  input: z.object({
    connectionId,
    token: z.string().trim().max(8192).optional(),
    headers: atMost(100, z.record(z.string().max(100), z.string().trim().max(8192))).optional(),
  }),
  output: z.object({ item: credentialItem }),
  run: async (ctx, { connectionId: id, token, headers }) => {
    const row = await findOrRefuse(ctx, { id, doing: "connect to" });
    demandReach(ctx, row);
    if (row.credential_mode !== "per_user" || row.credential_type !== "static") {
      throw new AppError("conflict", `Cannot set your credential: ${row.title} ${whyNoOwn(row)}`);
    }
    const own = { connectionId: id, owner: ctx.actor.userId };
    const find = () => upstreamCredentials.find(ctx.db, row.organization_id, own);
    const stored = await openGiven(ctx.vault, await find());
    await keepGiven(ctx, row, mergeGiven(row, { token, headers }, stored));
    const kept = await find();
    const trouble = await listAs(ctx, id);
    if (kept && trouble?.refused) await markRefused(ctx, kept);
    return { item: itemOf(ctx, row, await find() ?? undefined) };
  },
});

export const deleteCredential = defineAction({
  name: "CREDENTIAL_DELETE",
  title: "Delete credential",
  description:
    "Disconnects you from a server, and gives back what it has granted. Those who may change connections can end another person's " +
    "credential, or with userId null the shared one.",
  destructive: true,
  input: z.object({
    connectionId,
    userId: idField().nullish().describe("Whose; your own where it is left out, null for the shared one"),
  }),
  output: z.object({ success: z.boolean(), connectionId: z.string() }),
  run: async (ctx, { connectionId: id, userId }) => {
    const row = await findOrRefuse(ctx, { id, doing: "disconnect from" });
    const own = row.credential_mode === "shared" ? sharedOwner : ctx.actor.userId;
    const owner = userId === undefined ? own : userId ?? sharedOwner;
    if (owner !== ctx.actor.userId) demandManager(ctx, "end a credential that is not your own");
    const place = { connectionId: id, owner };
    const ended = await upstreamCredentials.find(ctx.db, row.organization_id, place);
    if (!ended || !await upstreamCredentials.remove(ctx.db, row.organization_id, place)) {
      throw new AppError("not_found", `Cannot disconnect from ${row.title}: there is no such credential`);
    }
    ctx.upstream.forget(id);
    await giveBack(ctx, [ended]);
    if (owner === sharedOwner) await awaitAuthorization(ctx, row);
    return { success: true, connectionId: id };
  },
});

/** True for those who may give the credential that the connection asks for. */
function mayManage(ctx: Context, place: CredentialPlace): boolean {
  return place.credential_mode === "per_user" ? canReach(ctx.actor, place.id) : isConnectionManager(ctx);
}

function isConnectionManager({ actor }: Context): boolean {
  return can(actor, "self", "COLLECTION_CONNECTIONS_UPDATE");
}

/** Refuses those who may not change connections. Throws `forbidden`. */
export function demandManager(ctx: Context, doing: string): void {
  if (isConnectionManager(ctx)) return;
  const needs = "the permission 'COLLECTION_CONNECTIONS_UPDATE' on 'self' is missing";
  throw new AppError("forbidden", `Cannot ${doing}: ${needs}`);
}

/** Refuses those who can do nothing with the connection. Throws `forbidden`. */
export function demandReach(ctx: Context, { id, title }: CredentialPlace): void {
  if (canReach(ctx.actor, id)) return;
  throw new AppError("forbidden", `Cannot connect to ${title}: you may not use this connection`);
}

function whyNoOwn(place: CredentialPlace): string {
  return place.credential_mode === "shared"
    ? "has one credential for the whole organization"
    : "asks you to authorize, not for a token; use its page";
}

/** The page on which a person connects. */
export function connectUrl(ctx: Context, id: string): string {
  return `${ctx.config.baseUrl}/my-connections/${id}`;
}

/** A connection and what the person has given for it, as it may be shown. */
function itemOf(ctx: Context, place: CredentialPlace, row: CredentialRow | undefined): CredentialItem {
  const shared = place.credential_mode === "shared";
  return {
    connection_id: place.id,
    title: place.title,
    icon: place.icon,
    url: place.connection_url && publicUrl(place.connection_url),
    connect_url: connectUrl(ctx, place.id),
    mode: shared ? "shared" : "per_user",
    type: place.credential_type === "oauth" ? "oauth" : "static",
    personal_headers: place.personal_headers === null ? null : JSON.parse(place.personal_headers),
    shared,
    status: statusOf(row),
    reason: row?.reason == null ? null : sentence(row.reason),
    account: row?.account ?? null,
    connected_at: row ? isoOf(row.created_at) : null,
    expires_at: row?.expires_at == null ? null : isoOf(row.expires_at),
    can_connect: mayManage(ctx, place) && place.status !== "inactive" && !actsForItself(place),
  };
}

/** True where the mesh's client acts for itself, so that there is nobody to connect. */
export function actsForItself(place: Pick<CredentialPlace, "oauth_config">): boolean {
  return readOauthSettings(place)?.grant_type === "client_credentials";
}

/** A stored reason continues a sentence; here it stands alone. */
function sentence(reason: string): string {
  return reason.charAt(0).toUpperCase() + reason.slice(1);
}

function statusOf(row: Pick<CredentialRow, "state"> | undefined): z.output<typeof status> {
  if (row === undefined) return "not_connected";
  return row.state === "ok" ? "connected" : "needs_attention";
}

function holderOf(row: CredentialRow, people: ReadonlyMap<string, members.Person>): z.output<typeof holder> {
  const person = people.get(row.owner);
  return {
    user_id: row.owner === sharedOwner ? null : row.owner,
    name: person?.name ?? null,
    email: person?.email ?? null,
    status: statusOf(row),
    reason: row.reason === null ? null : sentence(row.reason),
    account: row.account,
    connected_at: isoOf(row.created_at),
    updated_at: isoOf(row.updated_at),
  };
}
