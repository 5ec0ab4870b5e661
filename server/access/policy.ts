import type { Actor } from "./actor.ts";
import { type Permissions, powerOf } from "./roles.ts";

/** True where the actor's role and, for a key, the key's own permissions both allow the action. */
export function can(actor: Actor, resource: string, action: string): boolean {
  return allowedByRole(actor, resource, action) &&
    (actor.limits === null || grants(actor.limits, resource, action));
}

/** True where the actor may do anything at all with a connection or gateway. */
export function canReach(actor: Pick<Actor, "roles" | "limits">, resource: string): boolean {
  const byRole = actor.roles.some((role) => grantsAny(powerOf(role).grants, resource));
  return byRole && (actor.limits === null || grantsAny(actor.limits, resource));
}

/** True where a person may do all of it themselves, but has not allowed it to the client whose token this is. */
export function lacksConsent(actor: Actor, resource: string, actions: readonly string[]): boolean {
  return actor.kind === "token" && actions.every((action) => allowedByRole(actor, resource, action)) &&
    !actions.every((action) => can(actor, resource, action));
}

function allowedByRole(actor: Actor, resource: string, action: string): boolean {
  return actor.roles.some((role) => {
    const power = powerOf(role);
    const lacks = resource === "self" && power.lacks.has(action);
    return !lacks && grants(power.grants, resource, action);
  });
}

/** Action entries apply to a resource from its own id, its kind and `*`. */
function grants(permissions: Permissions, resource: string, action: string): boolean {
  const granted = (entries: readonly string[]) => allows(entries, resource, action);
  return granted(entriesOf(permissions, resource)) || granted(entriesOf(permissions, "*")) ||
    granted(entriesOf(permissions, kindOf(resource)));
}

/** True where there are entries for a resource, whatever they allow. */
function grantsAny(permissions: Permissions, resource: string): boolean {
  return [resource, "*", kindOf(resource)].some((name) => entriesOf(permissions, name).length > 0);
}

/** `conn_*` for a connection; a resource without a kind for itself. */
function kindOf(resource: string): string {
  const end = resource.indexOf("_") + 1;
  return end === 0 || resource.endsWith("*") ? resource : `${resource.slice(0, end)}*`;
}

const none: readonly string[] = [];

/** A resource may be named like something that every object has, such as `constructor`. */
function entriesOf(permissions: Permissions, resource: string): readonly string[] {
  return Object.hasOwn(permissions, resource) ? permissions[resource] ?? none : none;
}

/**
 * `*` alone is every action. Inside an entry it is a wildcard for management tools, prompts and resources;
 * a connection's tool name is taken literally, as an upstream may name a tool anything.
 */
function allows(entries: readonly string[], resource: string, action: string): boolean {
  if (entries.includes("*") || entries.includes(action)) return true;
  return entries.some((entry) => {
    const star = entry.indexOf("*");
    if (star < 0) return false;
    const wild = resource === "self" || entry.startsWith("resource:") || entry.startsWith("prompt:");
    return wild && action.startsWith(entry.slice(0, star)) && matchesGlob(entry, action);
  });
}

/** The most entries with a wildcard inside that may be given for one resource: each is tried in turn. */
export const maxPatterns = 100;

/** True where no more entries than that have a wildcard inside. */
export function hasFewPatterns(entries: readonly string[]): boolean {
  return entries.filter((entry) => entry !== "*" && entry.includes("*")).length <= maxPatterns;
}

/** Matches `*` against any run of characters, in time linear in both lengths times the number of stars. */
function matchesGlob(pattern: string, text: string): boolean {
  const [head = "", ...rest] = pattern.split("*");
  const tail = rest.pop() ?? "";
  if (!text.endsWith(tail) || text.length < head.length + tail.length) return false;
  let from = head.length;
  for (const part of rest) {
    const at = text.indexOf(part, from);
    if (at < 0 || at + part.length > text.length - tail.length) return false;
    from = at + part.length;
  }
  return true;
}

/**
 * The action of a call of this tool. One that is named like the action of a prompt or resource would pass for that, so
 * calling it takes the permission for everything.
 */
export function toolAction(name: string): string {
  return name.startsWith("prompt:") || name.startsWith("resource:") ? "*" : name;
}

/** True where the actor may hand `wanted` to a new key: a key never makes one that can do more than itself. */
export function mayGrant(actor: Actor, wanted: Permissions): boolean {
  // A person's own power is intersected at each use of the key.
  return actor.limits === null || covers(actor.limits, wanted);
}

/** True where `permissions` allow all that `wanted` allows. */
export function covers(permissions: Permissions, wanted: Permissions): boolean {
  return Object.entries(wanted).every(([resource, actions]) =>
    actions.every((action) => grants(permissions, resource, action))
  );
}

/** True for those who look after the whole organization, its members and everybody's keys. */
export function isManager(actor: Actor): boolean {
  return actor.roles.includes("owner") || actor.roles.includes("admin");
}
