import { parse } from "hono/utils/cookie";
import { paths, withQuery } from "../../views/paths.ts";
import { hashToken, type Session } from "../access/identify.ts";
import { AppError } from "../errors.ts";
import { readForm } from "../form.ts";
import { newSecret } from "../ids.ts";
import type { Services } from "../services.ts";
import * as sessions from "../storage/sessions.ts";
import { goTo, pathOf, setCookie, type VisitContext, type VisitMiddleware } from "../visit.ts";
import { csrfPurpose, csrfToken, isCsrfToken, isSameOrigin, originFacts, sessionOf } from "./session.ts";
import { isSetUp } from "./setup.ts";

const guestCookie = "mesh_guest";

/** Finds out who visits; a browser without a session gets a cookie that its forms are bound to. */
export function visits(services: Services): VisitMiddleware {
  const key = services.vault.deriveKey(csrfPurpose);
  return async function visit(c, next) {
    const session = await sessionOf(c, services);
    const guest = session ? null : guestOf(c) ?? newSecret("");
    const csrf = csrfToken(key, session?.tokenHash ?? hashToken(guest ?? ""));
    const choose = (organizationId: string) => chooseOrganization(services, session, organizationId);
    c.set("visit", { services, session, csrf, choose });
    if (guest !== null && guest !== guestOf(c)) setCookie(c, { name: guestCookie, value: guest });
    await next();
  };
}

async function chooseOrganization(
  { db, identities }: Services,
  session: Session | null,
  organizationId: string,
): Promise<boolean> {
  if (!session || !await identities.actorIn(session.actor, organizationId)) return false;
  await sessions.setActive(db, session.tokenHash, organizationId);
  return true;
}

function guestOf(c: VisitContext): string | null {
  const header = c.req.header("cookie");
  const value = header === undefined ? undefined : parse(header, guestCookie)[guestCookie];
  return value !== undefined && /^[\w-]{43}$/.test(value) ? value : null;
}

/** Reads the form of a POST, and lets it through only where site and token say that a page of ours sent it. */
export function ownForms(services: Services): VisitMiddleware {
  const key = services.vault.deriveKey(csrfPurpose);
  const { baseUrl } = services.config;
  return async function ownForm(c, next) {
    const facts = originFacts(c.req.raw.headers);
    if (!isSameOrigin(facts, baseUrl)) {
      const place = facts.origin ?? facts.secFetchSite;
      throw refused(`it comes from '${place}', and this server is '${baseUrl}' (BASE_URL)`);
    }
    const { session } = c.get("visit");
    const form = await readForm(c.req.raw, session ? "member" : "guest");
    const bound = session?.tokenHash ?? hashToken(guestOf(c) ?? "");
    if (!isCsrfToken(key, bound, form.text("csrf"))) {
      throw refused("its page is older than your session; go back, reload it and send it again");
    }
    c.set("form", form);
    await next();
  };
}

function refused(reason: string): AppError {
  return new AppError("forbidden", `Cannot accept this form: ${reason}`, { fields: { csrf: reason } });
}

/** Leads whoever is not signed in to the page that changes that: setup first, sign-in afterwards. */
export const signedIn: VisitMiddleware = async (c, next) => {
  const { services, session } = c.get("visit");
  if (session) return await next();
  if (!await isSetUp(services.db)) return lead(c, paths.setup);
  const wanted = c.req.method === "GET" ? pathOf(c) : paths.home;
  return lead(c, withQuery(paths.signIn, { next: wanted === paths.home ? "" : wanted }));
};

/** As `signedIn`; leads whoever belongs to no organization to where one is made. */
export const member: VisitMiddleware = async (c, next) => {
  if (c.get("visit").session?.actor.organizationId === null) return lead(c, paths.newOrganization);
  return await signedIn(c, next);
};

/** A redirect that htmx follows as a whole page, not as a part of one. */
function lead(c: VisitContext, path: string): Response {
  if (c.req.header("hx-request") !== "true") return goTo(c, path);
  return c.body(null, 200, { "hx-redirect": path });
}
