import type { Actor } from "../access/actor.ts";
import { can, canReach } from "../access/policy.ts";
import { isObject, type Message } from "./message.ts";

/** The members of `*\/list` results that a policy filters, and the action that an item needs. */
const lists: Readonly<Record<string, { member: string; action: (item: Record<string, unknown>) => string }>> =
  {
    "tools/list": { member: "tools", action: (item) => String(item.name) },
    "prompts/list": { member: "prompts", action: (item) => `prompt:${item.name}` },
    "resources/list": { member: "resources", action: (item) => `resource:${item.uri}` },
    "resources/templates/list": {
      member: "resourceTemplates",
      action: (item) => `resource:${item.uriTemplate}`,
    },
  };

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

/** True where an answered request gets a row in the log. */
export function isCall(message: Message): boolean {
  return calls.has(message.method) || message.kind === "request" && neededActions(message).includes("*");
}

/**
 * The actions on the connection that a message needs, all of them; none where reaching the connection suffices.
 * A method that we do not know needs everything.
 */
export function neededActions({ kind, method, params }: Message): string[] {
  if (kind !== "request" || open.has(method)) return [];
  switch (method) {
    case "tools/call":
      return [String(params.name)];
    case "prompts/get":
      return [`prompt:${params.name}`];
    case "resources/read":
    case "resources/subscribe":
    case "resources/unsubscribe":
      return [`resource:${params.uri}`];
    case "completion/complete":
      return [completionAction(params.ref)];
    case "subscriptions/listen":
      return subscribedResources(params).map((uri) => `resource:${uri}`);
    default:
      return ["*"];
  }
}

function completionAction(ref: unknown): string {
  if (isObject(ref) && ref.type === "ref/prompt") return `prompt:${ref.name}`;
  if (isObject(ref) && ref.type === "ref/resource") return `resource:${ref.uri}`;
  return "*";
}

function subscribedResources(params: Record<string, unknown>): unknown[] {
  const uris = isObject(params.notifications) ? params.notifications.resourceSubscriptions : undefined;
  return Array.isArray(uris) ? uris : [];
}

/** The first action that the actor lacks for a message; null where everything is allowed. */
export function missingAction(actor: Actor, connectionId: string, message: Message): string | null {
  const needed = neededActions(message);
  const lacking = needed.find((action) => !can(actor, connectionId, action));
  if (lacking !== undefined) return lacking;
  return needed.length > 0 || canReach(actor, connectionId) ? null : "*";
}

/** Leaves of a list result what the actor may use; what is left is theirs alone, so it is private to caches (M07). */
export type ListFilter = (result: Record<string, unknown>) => void;

/** The filter for the answer to a message; null where the answer passes untouched. */
export function listFilter(actor: Actor, connectionId: string, message: Message): ListFilter | null {
  const list = lists[message.method];
  if (!list || can(actor, connectionId, "*")) return null;
  return (result) => {
    const items = result[list.member];
    if (!Array.isArray(items)) return;
    result[list.member] = items.filter((item) =>
      isObject(item) && can(actor, connectionId, list.action(item))
    );
    if ("cacheScope" in result) result.cacheScope = "private";
  };
}
