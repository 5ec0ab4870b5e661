import type { Actor } from "../access/actor.ts";
import { can, canReach, toolAction } from "../access/policy.ts";
import { isObject } from "../body.ts";
import { TooLong } from "../upstream/answer.ts";
import type { Message } from "./message.ts";

/** A member of `*\/list` results that a policy filters, and the action that an item needs. */
interface List {
  member: string;
  action: (item: Record<string, unknown>) => string;
}

const lists: Readonly<Record<string, List>> = {
  "tools/list": { member: "tools", action: (item) => toolAction(String(item.name)) },
  "prompts/list": { member: "prompts", action: (item) => `prompt:${item.name}` },
  "resources/list": { member: "resources", action: (item) => `resource:${item.uri}` },
  "resources/templates/list": {
    member: "resourceTemplates",
    action: (item) => `resource:${item.uriTemplate}`,
  },
};

/** The member of `params` that says what a call is for, by method. */
const subjects: Readonly<Record<string, string>> = {
  "tools/call": "name",
  "prompts/get": "name",
  "resources/read": "uri",
  "resources/subscribe": "uri",
  "resources/unsubscribe": "uri",
};

/** The member that must be a string and is none, as policy and upstream would read it differently; else null. */
export function misnamed({ method, params }: Message): string | null {
  const member = Object.hasOwn(subjects, method) ? subjects[method] : undefined;
  return member === undefined || typeof params[member] === "string" ? null : member;
}

/** Methods that anybody may send who may do anything at all with the connection. */
const open: ReadonlySet<string> = new Set([
  ...Object.keys(lists),
  "initialize",
  "ping",
  "server/discover",
  "logging/setLevel",
  "tasks/get",
  "tasks/result",
  "tasks/update",
  "tasks/cancel",
  "tasks/list",
]);

/** Methods that the log has a row for also when nothing went wrong: what a person would call a call. */
const calls: ReadonlySet<string> = new Set(["tools/call", "prompts/get", "resources/read"]);

/** True where an answered message gets a row in the log. */
export function isCall(message: Message): boolean {
  return calls.has(message.method) || neededActions(message).includes("*");
}

/**
 * The actions on the connection that a message needs, all of them; none where reaching the connection suffices.
 * A method that we do not know needs everything. A call without an id is checked as well: whether it is run is up to
 * the upstream.
 */
export function neededActions({ kind, method, params }: Message): string[] {
  if (kind === "response" || open.has(method)) return [];
  if (kind === "notification" && method.startsWith("notifications/")) return [];
  switch (method) {
    case "tools/call":
      return [toolAction(String(params.name))];
    case "prompts/get":
      return [`prompt:${params.name}`];
    case "resources/read":
    case "resources/subscribe":
    case "resources/unsubscribe":
      return [`resource:${params.uri}`];
    case "completion/complete":
      return [completionAction(params.ref)];
    case "subscriptions/listen":
      return subscribedActions(params);
    default:
      return ["*"];
  }
}

function completionAction(ref: unknown): string {
  if (isObject(ref) && ref.type === "ref/prompt") return `prompt:${ref.name}`;
  if (isObject(ref) && ref.type === "ref/resource") return `resource:${ref.uri}`;
  return "*";
}

/** Of each resource; more than can be looked at one by one, or named in an answer, take everything. */
const maxSubscribed = 1000;

function subscribedActions(params: Record<string, unknown>): string[] {
  const uris = isObject(params.notifications) ? params.notifications.resourceSubscriptions : undefined;
  if (!Array.isArray(uris)) return [];
  return uris.length > maxSubscribed ? ["*"] : uris.map((uri) => `resource:${uri}`);
}

/** The first action that the actor lacks for a message; null where everything is allowed. */
export function missingAction(actor: Actor, connectionId: string, message: Message): string | null {
  const needed = neededActions(message);
  const lacking = needed.find((action) => !can(actor, connectionId, action));
  if (lacking !== undefined) return lacking;
  return needed.length > 0 || canReach(actor, connectionId) ? null : "*";
}

/**
 * Leaves of a list result what the actor may use, and says whether it is one. What is left is theirs alone, so it is
 * private to caches (M07).
 */
export type ListFilter = (result: Record<string, unknown>) => boolean;

/** The filter for the answer to a message; null where the answer passes untouched. */
export function listFilter(actor: Actor, connectionId: string, { method }: Message): ListFilter | null {
  const list = Object.hasOwn(lists, method) ? lists[method] : undefined;
  if (!list || can(actor, connectionId, "*")) return null;
  return (result) => filterList(list, result, (action) => can(actor, connectionId, action));
}

/** The filter for answers whose question is not known, as on a stream that is resumed; null as above. */
export function anyListFilter(actor: Actor, connectionId: string): ListFilter | null {
  if (can(actor, connectionId, "*")) return null;
  const allowed = (action: string) => can(actor, connectionId, action);
  return (result) => Object.values(lists).map((list) => filterList(list, result, allowed)).includes(true);
}

/** How many items of one answer can be looked at. */
const maxListed = 10_000;

function filterList(
  { member, action }: List,
  result: Record<string, unknown>,
  allowed: (action: string) => boolean,
): boolean {
  const items = result[member];
  if (!Array.isArray(items)) return false;
  // Not cut: what is left out without a word is missed.
  if (items.length > maxListed) throw new TooLong(`a list of more than ${maxListed} items`);
  result[member] = items.filter((item) => isObject(item) && allowed(action(item)));
  if ("cacheScope" in result) result.cacheScope = "private";
  return true;
}
