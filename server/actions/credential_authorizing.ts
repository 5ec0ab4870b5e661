import { z } from "zod";
import { hashToken } from "../access/identify.ts";
import { AppError } from "../errors.ts";
import { newSecret } from "../ids.ts";
import type { ConnectionRow } from "../storage/connections.ts";
import * as connections from "../storage/connections.ts";
import * as upstreamCredentials from "../storage/upstream_credentials.ts";
import * as upstreamFlows from "../storage/upstream_flows.ts";
import type { UpstreamFlowRow } from "../storage/upstream_flows.ts";
import type { AuthorizationAnswer, Granted, PendingFlow } from "../upstream/oauth_client/types.ts";
import type { Place } from "../vault.ts";
import { type Context, defineAction, organizationOf } from "./action.ts";
import { listAs } from "./connection_asking.ts";
import { findOrRefuse } from "./connections.ts";
import { changedMeanwhile, confirmKept, deletedMeanwhile, markRefused } from "./credential_keeping.ts";
import { printOf } from "./credential_settings.ts";
import { actsForItself, connectUrl, demandManager, demandReach } from "./credentials.ts";
import { idField } from "./fields.ts";
import { giveBack, keepGrant, oauthConnection, oauthParts } from "./oauth_grants.ts";

/** How long an authorization waits for the browser to come back, in milliseconds (CL15). */
const waitMs = 10 * 60_000;
/** One that is begun again after this time was left, in milliseconds. */
const leftMs = 15_000;

/** What is kept of an authorization until the browser comes back; it lies sealed. */
interface Waiting {
  flow: PendingFlow;
  returnTo: string | null;
  /** What the connection said when it began: a grant is for that server alone. */
  print: string;
}

export const authorizeCredential = defineAction({
  name: "CREDENTIAL_AUTHORIZE",
  title: "Authorize",
  description:
    "Begins to connect you, or for a shared connection the organization, with a server that signs people " +
    "in; only a page of the mesh can, anybody else is told its address.",
  input: z.object({
    connectionId: idField().describe("The connection's id, conn_..."),
    returnTo: z.string().max(2000).regex(/^\/(?![/\\])[^\\\p{Cc}]*$/u, "it is not a path of this site")
      .optional()
      .describe("The page of this site to show afterwards"),
  }),
  output: z.object({ authorization_url: z.string().describe("Where to lead the browser") }),
  run: async (ctx, { connectionId, returnTo }) => {
    const row = await findOrRefuse(ctx, { id: connectionId, doing: "connect to" });
    demandOauth(ctx, row);
    const { sessionHash } = ctx.request;
    if (ctx.actor.kind !== "session" || sessionHash === undefined) {
      const page = connectUrl(ctx, row.id);
      throw new AppError("forbidden", `Cannot connect to ${row.title} from here: open ${page} in a browser`);
    }
    return { authorization_url: await begin(ctx, row, { sessionHash, returnTo: returnTo ?? null }) };
  },
});

/** Takes what the authorization server sent the browser back with. */
export const finishAuthorizing = defineAction({
  name: "CREDENTIAL_AUTHORIZE_FINISH",
  title: "Finish authorizing",
  description: "Ends what CREDENTIAL_AUTHORIZE began, in the same browser.",
  internal: true,
  input: z.object({
    state: z.string().max(500),
    code: z.string().max(16_384).optional(),
    iss: z.string().max(2048).optional(),
    error: z.string().max(500).optional(),
    error_description: z.string().max(4000).optional(),
  }),
  output: z.object({
    organization_id: z.string(),
    connection_id: z.string(),
    title: z.string(),
    return_to: z.string().nullable(),
    problem: z.string().nullable().describe("Why the server is of no use all the same"),
  }),
  logged: () => ({ state: "***" }),
  loggedInput: ({ error, state }) => ({ state: "***", error: withoutState(error, state) }),
  organization: async ({ state }, { db, request: { sessionHash } }) =>
    sessionHash === undefined
      ? undefined
      : await upstreamFlows.findOrganization(db, { stateHash: hashToken(state), sessionHash }) ?? undefined,
  run: async (ctx, { state, error: said, error_description: description, ...answer }) => {
    const { row, waiting } = await takeFlow(ctx, state);
    const error = withoutState(said, state);
    const errorDescription = withoutState(description, state);
    const granted = await finish(ctx, row, {
      flow: waiting.flow,
      answer: { ...answer, error, errorDescription },
    });
    const problem = await keep(ctx, row, granted);
    return {
      organization_id: row.organization_id,
      connection_id: row.id,
      title: row.title,
      return_to: waiting.returnTo,
      problem,
    };
  },
});

/** The server's words as they may be shown: it knows the state, and nobody else has to. */
function withoutState(words: string | undefined, state: string): string | undefined {
  return state === "" ? words : words?.replaceAll(state, "***");
}

/** Refuses a connection that nobody, or not this person, authorizes. */
function demandOauth(ctx: Context, row: ConnectionRow): void {
  if (row.credential_mode === "per_user") demandReach(ctx, row);
  else demandManager(ctx, `authorize ${row.title} for the organization`);
  const reason = row.status === "inactive"
    ? "is switched off"
    : row.credential_type !== "oauth"
    ? "does not sign people in; it takes a token or headers"
    : actsForItself(row)
    ? "has a client that acts for itself"
    : null;
  if (reason !== null) throw new AppError("conflict", `Cannot connect: ${row.title} ${reason}`);
}

/** Whose the credential will be. */
function ownerOf(ctx: Context, row: Pick<ConnectionRow, "credential_mode">): string {
  return row.credential_mode === "per_user" ? ctx.actor.userId : upstreamCredentials.sharedOwner;
}

async function begin(
  ctx: Context,
  row: ConnectionRow,
  { sessionHash, returnTo }: { sessionHash: string; returnTo: string | null },
): Promise<string> {
  const { beginAuthorization } = await import("../upstream/oauth_client.ts");
  const owner = ownerOf(ctx, row);
  const stored = await upstreamCredentials.find(ctx.db, row.organization_id, { connectionId: row.id, owner });
  const state = newSecret("");
  const connection = await oauthConnection(ctx, row);
  const scopes = stored?.scope ?? null; // CL11
  const now = Date.now();
  await upstreamFlows.removeExpired(ctx.db, now);
  const place = { connectionId: row.id, sessionHash };
  const left = await upstreamFlows.findUnfinished(ctx.db, row.organization_id, place);
  // A server that has forgotten a client says so to the person alone, who comes back and tries again.
  const renewClient = left !== null && left < now - leftMs;
  const asked = { connection, state, scopes, renewClient };
  const { url, flow } = await beginAuthorization(oauthParts(ctx), asked);
  const stateHash = hashToken(state);
  const waiting: Waiting = { flow, returnTo, print: printOf(row) };
  await upstreamFlows.insert(ctx.db, {
    state_hash: stateHash,
    organization_id: row.organization_id,
    connection_id: row.id,
    user_id: ctx.actor.userId,
    session_hash: sessionHash,
    sealed: await ctx.vault.seal(placeOf(row.organization_id, stateHash), JSON.stringify(waiting)),
    created_at: now,
    expires_at: now + waitMs,
  });
  return url;
}

function placeOf(organizationId: string, stateHash: string): Place {
  return { organizationId, table: "upstream_flows", column: "sealed", rowId: stateHash };
}

/**
 * Takes the authorization that this browser session began, and checks that it may still be ended: whatever comes of it,
 * it does not come again (CL15).
 */
async function takeFlow(ctx: Context, state: string): Promise<{ row: ConnectionRow; waiting: Waiting }> {
  const { sessionHash } = ctx.request;
  const now = Date.now();
  const taken = sessionHash === undefined
    ? null
    : await upstreamFlows.take(ctx.db, { stateHash: hashToken(state), sessionHash, now });
  if (!taken || taken.user_id !== ctx.actor.userId || taken.organization_id !== organizationOf(ctx)) {
    throw new AppError(
      "not_found",
      "Cannot connect: this was not begun in this browser, took longer than ten minutes, or has ended already",
    );
  }
  const waiting = await openFlow(ctx, taken);
  const row = await connections.find(ctx.db, taken.organization_id, taken.connection_id);
  if (!row) throw deletedMeanwhile();
  demandOauth(ctx, row);
  if (waiting.print !== printOf(row)) throw changedMeanwhile(row);
  return { row, waiting };
}

async function openFlow(ctx: Context, taken: UpstreamFlowRow): Promise<Waiting> {
  return JSON.parse(await ctx.vault.open(placeOf(taken.organization_id, taken.state_hash), taken.sealed));
}

async function finish(
  ctx: Context,
  row: ConnectionRow,
  { flow, answer }: { flow: PendingFlow; answer: AuthorizationAnswer },
): Promise<Granted> {
  const { finishAuthorization, forgetClient, OauthError } = await import("../upstream/oauth_client.ts");
  try {
    const connection = await oauthConnection(ctx, row);
    return await finishAuthorization(oauthParts(ctx), { connection, flow, answer });
  } catch (error) {
    // The next attempt registers the mesh anew (CL12).
    if (error instanceof OauthError && error.kind === "invalid_client") {
      await forgetClient(oauthParts(ctx), row.organization_id, flow.client);
    }
    throw error;
  }
}

/** Stores what was granted and asks the server for its lists with it; gives what is wrong with it all the same. */
async function keep(ctx: Context, row: ConnectionRow, granted: Granted): Promise<string | null> {
  const owner = ownerOf(ctx, row);
  const before = await upstreamCredentials.find(ctx.db, row.organization_id, { connectionId: row.id, owner });
  const kept = await keepGrant(ctx, row, { owner, granted });
  await confirmKept(ctx, row, kept);
  if (before) await giveBack(ctx, [before]);
  const trouble = await listAs(ctx, row.id);
  if (trouble?.refused) await markRefused(ctx, kept);
  return trouble?.problem ?? null;
}
