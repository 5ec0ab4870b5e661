import { ConsentGonePage, ConsentPage, type ConsentScope } from "../../views/consent.tsx";
import type { FormState } from "../../views/types.ts";
import { can } from "../access/policy.ts";
import { type Permissions, readOnlyManagement } from "../access/roles.ts";
import { AppError } from "../errors.ts";
import type { Session } from "../access/identify.ts";
import { keepOpener, pagePolicy, publicShell, type VisitContext } from "../visit.ts";
import { type ConsentQuestion, decide, pendingRequest } from "./consent.ts";
import type { RedirectPlace } from "../access/redirect_uris.ts";

/** What the form of the page says, or is to say when it is shown. */
interface Choice {
  organizationId: string;
  scope: ConsentScope;
  chosen: string[];
}

/** Asks the person who is signed in whether the application may do what it asks for. */
export async function showConsent(c: VisitContext): Promise<Response> {
  const found = await findQuestion(c, c.req.query("request") ?? "");
  return found ? await show(c, { ...found, choice: firstChoice(found) }) : await showGone(c);
}

/** Takes the answer and sends the browser back to the application with it. */
export async function answerConsent(c: VisitContext): Promise<Response> {
  const form = c.get("form");
  const found = await findQuestion(c, form.text("request"));
  if (!found) return await showGone(c);
  const { question, session } = found;
  const choice: Choice = {
    organizationId: form.text("organizationId"),
    scope: scopeOf(form.text("scope")),
    chosen: form.all("tool"),
  };
  try {
    const url = await decide(c.get("visit").services, {
      requestId: question.requestId,
      session,
      allow: form.text("answer") === "allow", // whatever else it says is no
      organizationId: choice.organizationId,
      permissions: permissionsOf(question, choice),
    });
    protect(c, question.redirect);
    return c.redirect(url, 303); // AS18
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    if (error.code === "not_found") return await showGone(c);
    if (error.code !== "invalid") throw error;
    const { organizationId, permissions: message } = error.fields ?? {};
    return await show(c, { ...found, choice, form: { errors: { organizationId }, message } });
  }
}

interface Found {
  question: ConsentQuestion;
  session: Session;
}

/** The question that waits for this browser, with those tools only that the person may call themselves. */
async function findQuestion(c: VisitContext, id: string): Promise<Found | null> {
  const { services, session } = c.get("visit");
  if (!session) return null;
  const question = await pendingRequest(services, id, session);
  const [place] = question?.organizations ?? [];
  if (!question || !place) return null;
  const actor = await services.identities.actorIn(session.actor, place.id);
  const tools = question.tools?.filter(({ name }) =>
    actor !== null && can(actor, question.resource.id, name)
  );
  return { question: { ...question, tools: tools ?? null }, session };
}

function scopeOf(text: string): ConsentScope {
  return text === "all" || text === "read" ? text : "chosen";
}

/** What is chosen when the page appears: what the person chose last time, else what is usual for the resource. */
function firstChoice({ question, session: { actor } }: Found): Choice {
  const { organizations, remembered, resource, actions } = question;
  const own = remembered.find((one) => organizations.some(({ id }) => id === one.organizationId)) ?? null;
  const active = organizations.find(({ id }) => id === actor.organizationId) ?? organizations[0];
  const organizationId = own?.organizationId ?? active?.id ?? "";
  const before = own?.permissions[resource.id] ?? [];
  if (before.includes("*")) return { organizationId, scope: "all", chosen: [] };
  if (resource.id === "self") {
    const management: readonly string[] = readOnlyManagement.self ?? [];
    const chosen = [...new Set([...before, ...actions])].filter((action) => !management.includes(action));
    return { organizationId, scope: chosen.length > 0 ? "chosen" : "read", chosen };
  }
  if (!own) return { organizationId, scope: "all", chosen: [...actions] };
  const chosen = [...new Set([...before, ...actions])];
  const reading = readingTools(question);
  const same = chosen.length === reading.length && chosen.every((action) => reading.includes(action));
  return { organizationId, scope: same ? "read" : "chosen", chosen };
}

function readingTools({ tools }: ConsentQuestion): string[] {
  return (tools ?? []).filter(({ readOnly }) => readOnly).map(({ name }) => name);
}

function permissionsOf(question: ConsentQuestion, { scope, chosen }: Choice): Permissions {
  const { resource: { id } } = question;
  if (scope === "all") return question.asks;
  if (id === "self") return { self: [...readOnlyManagement.self ?? [], ...scope === "chosen" ? chosen : []] };
  return { [id]: scope === "read" ? readingTools(question) : chosen };
}

/** What else than tools can be chosen. */
function othersOf({ resource, tools, actions }: ConsentQuestion, chosen: readonly string[]): string[] {
  const usual = resource.id === "self" ? [] : ["prompt:*", "resource:*"];
  const known = new Set(tools?.map(({ name }) => name));
  return [...new Set([...usual, ...actions, ...chosen])].filter((action) => !known.has(action));
}

async function show(
  c: VisitContext,
  { question, session, choice, form }: Found & { choice: Choice; form?: FormState },
): Promise<Response> {
  protect(c, question.redirect);
  const { name, email } = session.actor;
  return await c.html(
    <ConsentPage
      shell={publicShell(c)}
      asked={question}
      user={{ name, email }}
      others={othersOf(question, choice.chosen)}
      {...choice}
      {...form && { form }}
    />,
    form ? 422 : 200,
  );
}

async function showGone(c: VisitContext): Promise<Response> {
  keepOpener(c);
  return await c.html(<ConsentGonePage shell={publicShell(c)} />, 410);
}

/**
 * The policy of the page and of its answer. Browsers hold `form-action` against every address that the form's answer
 * leads on to, so it names the application's; a callback may lead on to any site of the web.
 */
function protect(c: VisitContext, redirect: RedirectPlace): void {
  keepOpener(c);
  c.header("content-security-policy", pagePolicy(["https:", ...targetsOf(redirect)]));
}

function targetsOf({ kind, source, host }: RedirectPlace): string[] {
  if (kind !== "loopback") return [source];
  // A policy has no spelling for IPv6 addresses. CSP Level 3, section 2.3.1
  return host.startsWith("[") ? ["http:"] : ["http://localhost:*", "http://127.0.0.1:*"];
}
