import { at, paths, withQuery } from "../../views/paths.ts";
import type { Session } from "../access/identify.ts";
import { covers } from "../access/policy.ts";
import { describePlace, matches } from "../access/redirect_uris.ts";
import { ResourceUrls } from "../access/resource_urls.ts";
import { newId } from "../ids.ts";
import { describeError } from "../log.ts";
import type { Services } from "../services.ts";
import * as oauthConsents from "../storage/oauth_consents.ts";
import * as oauthRequests from "../storage/oauth_requests.ts";
import { keepOpener, type VisitContext, type VisitHandler } from "../visit.ts";
import { issueCode, redirectOf } from "./answer.ts";
import type { Asked } from "./asked.ts";
import { askedOf, checks, type Draft } from "./checks.ts";
import { ClientDocuments, isDocumentId } from "./client_documents.ts";
import { OAuthError, PageError } from "./errors.ts";
import { leave, showRefusal } from "./pages.tsx";
import { Parameters } from "./parameters.ts";
import { reachablePlaces } from "./places.ts";

/** How long a question waits for its answer, in milliseconds. */
const waitMs = 10 * 60_000;
const maxQuery = 16_384; // characters

/** The authorization endpoint: the checks, then the person, then their answer. RFC 6749 section 3.1 */
export function authorizePage(services: Services): VisitHandler {
  const resources = new ResourceUrls(services.config.baseUrl);
  const documents = new ClientDocuments(services.outbound);
  return async (c) => {
    c.header("referrer-policy", "no-referrer");
    keepOpener(c);
    const query = new URLSearchParams(new URL(c.req.url).search);
    const draft: Draft = { services, resources, documents, parameters: new Parameters(query) };
    try {
      if (query.toString().length > maxQuery) throw new PageError("The application's request is too long");
      // Only for people of this server it reads documents of others.
      const { session } = c.get("visit");
      if (!session && query.getAll("client_id").some(isDocumentId)) return askToSignIn(c, query);
      for (const check of checks) await check(draft);
      const asked = askedOf(draft);
      const prompts = draft.parameters.one("prompt")?.split(" ") ?? [];
      if (!session) {
        if (prompts.includes("none")) throw new OAuthError("login_required", "Nobody is signed in");
        return askToSignIn(c, query);
      }
      return await ask(c, { services, session, asked, prompts });
    } catch (error) {
      return await refuse(c, draft, error);
    }
  };
}

/** Leads to the sign-in page, which comes back here with the same request. */
function askToSignIn(c: VisitContext, query: URLSearchParams): Response {
  const next = at(`/api/auth/authorize?${query}`);
  return c.redirect(withQuery(paths.signIn, { next }), 303);
}

interface Asking {
  services: Services;
  session: Session;
  asked: Asked;
  prompts: readonly string[];
}

/** Puts the question to the person who is signed in, unless they have answered the very same one before. */
async function ask(c: VisitContext, asking: Asking): Promise<Response> {
  const { services, session, asked, prompts } = asking;
  const places = await reachablePlaces(services.db, session, asked);
  if (places.length === 0) {
    const what = asked.resource === "self" ? "belongs to no organization" : "cannot reach this resource";
    throw new OAuthError(
      asked.resource === "self" ? "access_denied" : "invalid_target",
      `The person who is signed in ${what}`,
    );
  }
  const remembered = prompts.includes("consent") ? null : await findAnswer(asking);
  if (remembered) return await leave(c, await issueCode(services, asked, remembered), asked.clientName);
  if (prompts.includes("none")) throw new OAuthError("consent_required", "The person has to be asked");
  const id = newId("ask");
  const now = Date.now();
  await oauthRequests.insert(services.db, {
    id,
    sessionHash: session.tokenHash,
    userId: session.actor.userId,
    asked,
    createdAt: now,
    expiresAt: now + waitMs,
  });
  return c.redirect(at(`/consent?request=${id}`), 303);
}

/**
 * The consent that answers this question already: the only one of this person for this client and resource, for the
 * same address, given while the client said the same of itself (AS56), holding all that is asked. Never where
 * anybody on the person's machine may take the code (RFC 8252 section 8.6, AS17).
 */
async function findAnswer(
  { services, session, asked }: Asking,
): Promise<oauthConsents.OauthConsentRow | null> {
  if (describePlace(asked.redirectUri).kind !== "web") return null;
  const { clientId, resource } = asked;
  const [only, ...more] = await oauthConsents.findRemembered(services.db, {
    userId: session.actor.userId,
    clientId,
    resource,
  });
  if (!only || more.length > 0 || only.clientPrint !== asked.clientPrint) return null;
  if (only.redirectUri === null || !matches(only.redirectUri, asked.redirectUri)) return null;
  return covers(only.permissions, { [resource]: asked.actions }) ? only : null;
}

/** The one error map of this page: shown, told to the client, or, where nobody expected it, shown without a word. */
async function refuse(c: VisitContext, draft: Draft, error: unknown): Promise<Response> {
  const { services, redirect, state } = draft;
  const known = error instanceof OAuthError || error instanceof PageError;
  if (known) {
    services.log.info("authorization request refused", {
      reason: error.message,
      detail: error.detail,
      requestId: c.get("requestId"),
    });
  } else {
    services.log.error("authorization request failed", {
      error: describeError(error),
      requestId: c.get("requestId"),
    });
  }
  if (error instanceof PageError) return await showRefusal(c, { status: 400, message: error.message });
  if (!redirect) return await showRefusal(c, { status: 500 });
  const told = error instanceof OAuthError ? error : new OAuthError("server_error", "Internal error");
  const answer = { redirectUri: redirect.uri, state: state ?? null };
  return await leave(c, redirectOf(services.config, answer, told), draft.client?.name ?? "the application");
}
