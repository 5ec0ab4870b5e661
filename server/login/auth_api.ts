import { type Context, Hono } from "hono";
import { z } from "zod";
import type { Session } from "../access/identify.ts";
import { isJson, readBody } from "../body.ts";
import { AppError, httpStatus } from "../errors.ts";
import { describeError } from "../log.ts";
import type { Services } from "../services.ts";
import * as organizations from "../storage/organizations.ts";
import * as sessions from "../storage/sessions.ts";
import * as users from "../storage/users.ts";
import { check } from "./input.ts";
import type { LoginFacts } from "./record.ts";
import { endSession, isSameOrigin, originFacts, sessionOf, startSession } from "./session.ts";
import { signUp } from "./setup.ts";
import { signIn } from "./sign_in.ts";

/** What the accounts' endpoints are told by the app. */
export interface AuthApiOptions {
  /** The token that was printed at start, null where none was. */
  readonly setupToken: string | null;
  /** Reads the client's address, the request's id and user agent off a request. */
  readonly facts: (c: Context) => LoginFacts;
}

const maxBody = 64 * 1024;

/** The account endpoints of `/api/auth`: JSON in, JSON out, a cookie for the session. */
export function authApi(services: Services, options: AuthApiOptions): Hono {
  const app = new Hono();
  app.onError((error, c) => answerError(services, error, c));
  const ownSite = refuseOtherSites(services);

  app.post("/sign-up/email", ownSite, async (c) => {
    const input = await readJson(c);
    const facts = { ...options.facts(c), setupToken: options.setupToken };
    const user = await signUp(services, input, facts);
    return c.json(await beginSession(c, services, user.id));
  });
  app.post("/sign-in/email", ownSite, async (c) => {
    const user = await signIn(services, await readJson(c), options.facts(c));
    return c.json(await beginSession(c, services, user.id));
  });
  app.post("/sign-out", ownSite, async (c) => {
    await endSession(c, services);
    return c.json({ success: true });
  });
  app.get("/get-session", async (c) => {
    noStore(c);
    const session = await sessionOf(c, services);
    return c.json(session ? await describe(services, session) : null);
  });
  app.post("/organization/set-active", ownSite, async (c) => {
    const session = await requireSession(c, services);
    const { organizationId } = check(setActiveSchema, await readJson(c), "choose the organization");
    const actor = await services.identities.actorIn(session.actor, organizationId);
    if (!actor) {
      throw new AppError(
        "not_found",
        `Cannot choose the organization: there is no organization '${organizationId}'`,
      );
    }
    await sessions.setActive(services.db, session.tokenHash, organizationId);
    return c.json(await describe(services, { ...session, actor }));
  });
  app.get("/organization/list", async (c) => {
    noStore(c);
    const { actor } = await requireSession(c, services);
    const joined = await organizations.listOfUser(services.db, actor.userId);
    return c.json(joined.map(describeOrganization));
  });
  return app;
}

const setActiveSchema = z.object({
  organizationId: z.string("Organization is required").regex(/^[\w-]{1,64}$/, "Organization is not an id"),
});

function noStore(c: Context): void {
  c.header("Cache-Control", "no-store");
}

function refuseOtherSites({ config }: Services) {
  return async function sameOriginOnly(c: Context, next: () => Promise<void>): Promise<void> {
    noStore(c);
    const facts = originFacts(c.req.raw.headers);
    if (!isSameOrigin(facts, config.baseUrl)) {
      throw new AppError(
        "forbidden",
        `Cannot accept this request: it comes from '${facts.origin ?? facts.secFetchSite}', ` +
          `and this server is '${config.baseUrl}' (BASE_URL)`,
      );
    }
    await next();
  };
}

async function readJson(c: Context): Promise<unknown> {
  if (!isJson(c.req.header("Content-Type") ?? null)) {
    throw new AppError(
      "unsupported_media_type",
      "Cannot read the request: its content is not application/json",
    );
  }
  const text = await readBody(c.req.raw, maxBody);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new AppError("malformed", "Cannot read the request: its body is not JSON", { cause });
  }
}

async function requireSession(c: Context, services: Services): Promise<Session> {
  const session = await sessionOf(c, services);
  if (session) return session;
  throw new AppError("unauthenticated", "Cannot do this: you are not signed in");
}

async function beginSession(c: Context, services: Services, userId: string) {
  const token = await startSession(c, services, userId);
  const session = await services.identities.bySession(token);
  if (!session) {
    throw new AppError("unavailable", "Cannot sign in: the new session was not found again");
  }
  return await describe(services, session);
}

/** A session as its owner sees it; nothing in it can be used to take it over. */
async function describe({ db }: Services, { actor, createdAt, expiresAt }: Session) {
  const user = await users.find(db, actor.userId);
  return {
    user: { id: actor.userId, name: actor.name, email: actor.email, image: user?.image ?? null },
    session: {
      userId: actor.userId,
      activeOrganizationId: actor.organizationId,
      createdAt: new Date(createdAt).toISOString(),
      expiresAt: new Date(expiresAt).toISOString(),
    },
  };
}

function describeOrganization(row: organizations.OrganizationRow & { roles: string[] }) {
  return {
    id: row.id,
    name: row.name,
    slug: row.slug,
    description: row.description,
    role: row.roles,
    createdAt: new Date(row.createdAt).toISOString(),
    updatedAt: new Date(row.updatedAt).toISOString(),
  };
}

function answerError(services: Services, error: unknown, c: Context): Response {
  noStore(c);
  if (!(error instanceof AppError)) {
    services.log.error("request failed", { path: c.req.path, error: describeError(error) });
    return c.json({ code: "internal", message: "Internal error" }, 500);
  }
  const { code, message, fields, retryAfterSeconds } = error;
  if (retryAfterSeconds !== undefined) c.header("Retry-After", String(retryAfterSeconds));
  return c.json({ code, message, ...(fields ? { fields } : {}) }, httpStatus[code]);
}
