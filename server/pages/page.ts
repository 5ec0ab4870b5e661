import type { FormState, PageInfo, Shell } from "../../views/types.ts";
import { at, withQuery } from "../../views/paths.ts";
import type { Actor } from "../access/actor.ts";
import { can, isManager } from "../access/policy.ts";
import { type Context, perform } from "../actions/action.ts";
import { getWorkspace } from "../actions/workspace.ts";
import { AppError } from "../errors.ts";
import { type Refusal, refusalOf } from "../form.ts";
import { pathOf, takeFlash, themeOf, type VisitContext } from "../visit.ts";

/** The person behind a page that wants one. */
export function actorOf(c: VisitContext): Actor {
  const { session } = c.get("visit");
  if (session) return session.actor;
  throw new AppError("unauthenticated", "Cannot show the page: nobody is signed in");
}

/** What an action of this page runs with. */
export function contextOf(c: VisitContext): Context {
  const { services, session } = c.get("visit");
  const request = {
    id: c.get("requestId"),
    userAgent: c.req.header("user-agent") ?? null,
    viewing: true,
    ...(session && { sessionHash: session.tokenHash }),
  };
  return Object.freeze({ ...services, actor: actorOf(c), request });
}

/** Refuses a page whose form the person could not send. Throws `forbidden`. */
export function demand(c: VisitContext, { name }: { name: string }): void {
  if (can(actorOf(c), "self", name)) return;
  throw new AppError("forbidden", `Cannot show the page: the permission '${name}' on 'self' is missing`);
}

/** The frame of a signed-in page: who and where they are, and the message that waits for them. */
export async function shellOf(c: VisitContext): Promise<Shell> {
  const { user, organization, organizations, counts } = await perform(getWorkspace, contextOf(c), {});
  return {
    csrf: c.get("visit").csrf,
    theme: themeOf(c),
    path: pathOf(c),
    user,
    organization,
    organizations,
    canManage: isManager(actorOf(c)),
    counts: counts ?? undefined,
    flash: takeFlash(c),
  };
}

/** A parameter of the path. */
export function param(c: VisitContext, name: string): string {
  return c.req.param(name) ?? "";
}

/** The part of a list that `?page=` asks for. */
export function pageOf(c: VisitContext, size: number): { page: number; limit: number; offset: number } {
  const asked = Number(c.req.query("page") ?? 1);
  const page = Number.isInteger(asked) && asked >= 1 && asked <= 1_000_000 ? asked : 1;
  return { page, limit: size, offset: (page - 1) * size };
}

/** The way to the last page of a list for who asks for one behind it, as where its rows are gone; else null. */
export function toLastPage(
  c: VisitContext,
  { page, limit }: { page: number; limit: number },
  total: number,
): Response | null {
  const last = Math.max(1, Math.ceil(total / limit));
  if (page <= last) return null;
  const query = Object.fromEntries(new URL(c.req.url).searchParams);
  return c.redirect(withQuery(at(c.req.path), { ...query, page: last > 1 ? last : "" }), 303);
}

/** Where a list stands after `shown` rows of `total`. */
export function infoOf(
  { page, offset }: { page: number; offset: number },
  { shown, total }: { shown: number; total: number },
): PageInfo {
  return {
    page,
    from: shown === 0 ? 0 : offset + 1,
    to: offset + shown,
    total,
    hasMore: offset + shown < total,
  };
}

/** One of the words, or the first where the text is none of them. */
export function oneOf<T extends string>(text: string | undefined, words: readonly [T, ...T[]]): T {
  return words.find((word) => word === text) ?? words[0];
}

/** Runs what a form asks for; shows the form again where the person can correct what is wrong. */
export async function attempt<T>(
  form: { values: Record<string, string>; names?: Record<string, string> },
  { run, again }: {
    run: () => Promise<T>;
    again: (form: FormState, status: Refusal["status"]) => Response | Promise<Response>;
  },
): Promise<T | Response> {
  try {
    return await run();
  } catch (error) {
    const { status, form: state } = refusalOf(error, form);
    return await again(state, status);
  }
}
