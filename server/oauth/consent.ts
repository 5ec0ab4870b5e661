import type { Session } from "../access/identify.ts";
import { ResourceUrls } from "../access/resource_urls.ts";
import { hasFewPatterns } from "../access/policy.ts";
import type { Permissions } from "../access/roles.ts";
import { isObject } from "../body.ts";
import { AppError } from "../errors.ts";
import { newId } from "../ids.ts";
import type { Services } from "../services.ts";
import { isFull } from "../storage/held.ts";
import * as oauthConsents from "../storage/oauth_consents.ts";
import * as oauthRequests from "../storage/oauth_requests.ts";
import type { ResourcePlace } from "../storage/oauth_resources.ts";
import { issueCode, redirectOf } from "./answer.ts";
import type { Asked } from "./asked.ts";
import { isDocumentId } from "./client_documents.ts";
import { OAuthError } from "./errors.ts";
import { reachablePlaces } from "./places.ts";
import { describePlace, type RedirectPlace } from "../access/redirect_uris.ts";

/** What the consent page puts to the person; nothing that the client said of itself is to be trusted (AS17). */
export interface ConsentQuestion {
  readonly requestId: string;
  readonly client: {
    readonly id: string;
    readonly name: string;
    /** Where it comes from: the host of its id's URL, an id of its own making, or an admin of an organization. */
    readonly source: "document" | "dynamic" | "manual";
    /** The host that vouches for the client; null where none does. */
    readonly host: string | null;
    /** Its own page (https), or null. */
    readonly uri: string | null;
    /** Milliseconds since 1970; null for a document. */
    readonly registeredAt: number | null;
    /** True where any program of the person's machine may be the one that asks: to be warned of. */
    readonly unproven: boolean;
  };
  readonly redirect: RedirectPlace;
  readonly resource: { readonly id: string; readonly url: string };
  /** Where the resource lies; one or more, to choose one. `title` is the connection's, null for the mesh itself. */
  readonly organizations: readonly {
    readonly id: string;
    readonly name: string;
    readonly title: string | null;
  }[];
  /** The tools of the connection to choose from; null for the mesh itself and where they are not known. */
  readonly tools: readonly ConsentTool[] | null;
  /** What it gets unless the person narrows it. */
  readonly asks: Permissions;
  /** Actions that the client says it needs; to be chosen beforehand where the person narrows. */
  readonly actions: readonly string[];
  /** What this person has allowed this client here before, the latest first. */
  readonly remembered: readonly {
    readonly consentId: string;
    readonly organizationId: string;
    readonly permissions: Permissions;
  }[];
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
}

/** A tool as its server describes it: nothing in it is trusted. */
export interface ConsentTool {
  readonly name: string;
  readonly title: string | null;
  readonly description: string | null;
  /** True where the server says that the tool changes nothing. */
  readonly readOnly: boolean;
}

/** The answer to a question. */
export interface ConsentDecision {
  requestId: string;
  session: Session;
  allow: boolean;
  /** One of the question's organizations. */
  organizationId: string;
  /** As `asks` of the question, or less. */
  permissions: Permissions;
}

type Waiting = { asked: Asked; expiresAt: number };

/** The question that waits for this browser session, or null where there is none, not for it, or not any more. */
export async function pendingRequest(
  services: Services,
  id: string,
  session: Session,
): Promise<ConsentQuestion | null> {
  const waiting = await findWaiting(services, id, session);
  if (!waiting) return null;
  const { asked, expiresAt } = waiting;
  const { clientId, resource } = asked;
  const { userId } = session.actor;
  const remembered = await oauthConsents.findRemembered(services.db, { userId, clientId, resource });
  const places = await reachablePlaces(services.db, session, asked);
  return {
    requestId: id,
    client: {
      id: clientId,
      name: asked.clientName,
      source: asked.clientSource,
      host: isDocumentId(clientId) ? new URL(clientId).host : null,
      uri: asked.clientUri,
      registeredAt: asked.clientRegisteredAt,
      unproven: asked.unproven,
    },
    redirect: describePlace(asked.redirectUri),
    resource: { id: resource, url: new ResourceUrls(services.config.baseUrl).urlOf(resource) },
    organizations: places.map((place) => ({
      id: place.organizationId,
      name: place.organizationName,
      title: place.title,
    })),
    tools: toolsOf(places),
    asks: { [resource]: ["*"] },
    actions: asked.actions,
    remembered: remembered.map(({ id: consentId, organizationId, permissions }) => ({
      consentId,
      organizationId,
      permissions,
    })),
    expiresAt,
  };
}

/**
 * Takes the person's answer and gives the address that the browser goes to with it (by 303, AS18). One answer a
 * question. Throws `not_found` where no such question waits for this session, `invalid` with messages per field
 * (`organizationId`, `permissions`) where the answer does not fit it; the question then still waits.
 */
export async function decide(services: Services, decision: ConsentDecision): Promise<string> {
  const { requestId, session, allow } = decision;
  const waiting = await findWaiting(services, requestId, session);
  if (!waiting) throw gone();
  const { asked } = waiting;
  if (!allow) {
    if (!await oauthRequests.take(services.db, requestId)) throw gone();
    await record(services, decision, { asked, organizationId: session.actor.organizationId ?? "" });
    return redirectOf(services.config, asked, new OAuthError("access_denied", "The person did not allow it"));
  }
  const places = await reachablePlaces(services.db, session, asked);
  const place = places.find(({ organizationId }) => organizationId === decision.organizationId);
  if (!place) throw invalid("organizationId", "Choose one of your organizations that has this resource");
  const problem = problemOf(decision.permissions, asked.resource);
  if (problem !== null) throw invalid("permissions", problem);
  const { organizationId } = place;
  const url = await services.db.transaction().execute(async (db) => {
    if (await isFull(db, "oauth_consents", { organizationId, userId: session.actor.userId })) {
      throw invalid("permissions", "You have allowed too much to applications; revoke some of it first");
    }
    if (!await oauthRequests.take(db, requestId)) throw gone();
    const id = await oauthConsents.remember(db, organizationId, {
      id: newId("consent"),
      userId: session.actor.userId,
      clientId: asked.clientId,
      clientName: asked.clientName,
      clientPrint: asked.clientPrint,
      resource: asked.resource,
      permissions: decision.permissions,
      redirectUri: asked.redirectUri,
      now: Date.now(),
    });
    return await issueCode({ db, config: services.config }, asked, { id, organizationId });
  });
  await record(services, decision, { asked, organizationId });
  return url;
}

async function findWaiting(services: Services, id: string, session: Session): Promise<Waiting | null> {
  if (!/^ask_[0-9a-z]{26}$/.test(id)) return null;
  const { tokenHash: sessionHash, actor } = session;
  const row = await oauthRequests.find(services.db, { id, sessionHash, now: Date.now() });
  if (row?.userId !== actor.userId) return null;
  return { asked: row.asked as Asked, expiresAt: row.expiresAt };
}

/** A connection lies in one organization, so there is one list at most. */
function toolsOf([place]: readonly ResourcePlace[]): ConsentTool[] | null {
  return place?.tools?.flatMap((tool) => toolOf(tool) ?? []) ?? null;
}

function toolOf(tool: unknown): ConsentTool | null {
  if (!isObject(tool) || typeof tool.name !== "string") return null;
  const { name, title, description, annotations } = tool;
  return {
    name,
    title: typeof title === "string" ? title : null,
    description: typeof description === "string" ? description : null,
    readOnly: isObject(annotations) && annotations.readOnlyHint === true,
  };
}

/** What is wrong with a permission set for a resource, or null: it is about that resource and nothing else. */
function problemOf(permissions: Permissions, resource: string): string | null {
  const actions = Object.hasOwn(permissions, resource) ? permissions[resource] ?? [] : [];
  if (actions.length === 0) return "Choose at least one thing that the application may do";
  if (Object.keys(permissions).length > 1) return "A token is for one resource";
  const odd = actions.some((action) => action === "" || action.length > 2100);
  if (odd || actions.length > 1000 || !hasFewPatterns(actions)) {
    return "There are too many tools, or one of them has no name";
  }
  return null;
}

function gone(): AppError {
  return new AppError(
    "not_found",
    "Cannot answer the application: its request was answered before or has expired; start again in the application",
  );
}

function invalid(field: string, message: string): AppError {
  return new AppError("invalid", `Cannot allow the application: ${message}`, {
    fields: { [field]: message },
  });
}

async function record(
  services: Services,
  { session, allow, permissions }: ConsentDecision,
  { asked, organizationId }: { asked: Asked; organizationId: string },
): Promise<void> {
  await services.audit.record({
    organizationId,
    connectionId: asked.resource,
    toolName: null,
    method: "oauth/consent",
    input: {
      clientName: asked.clientName,
      redirectUri: asked.redirectUri,
      ...(allow ? { permissions } : {}),
    },
    outcome: allow ? "ok" : "denied",
    errorMessage: allow ? null : "The person did not allow it",
    durationMs: 0,
    userId: session.actor.userId,
    keyId: null,
    clientId: asked.clientId,
    requestId: newId("req"),
    userAgent: null,
  });
}
