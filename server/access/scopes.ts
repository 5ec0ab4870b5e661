import type { Actor } from "./actor.ts";
import { lacksConsent } from "./policy.ts";
import { baseScope } from "./resource_urls.ts";

const maxActions = 50;
/** A client that is told to ask for more is told to ask for what it has too, where that is no more than this. */
const maxRepeated = 20;
/** A longer challenge is none that a header holds and a client could ask with. */
const maxText = 4096;

/** What a client asks for; scopes that this server does not know count for nothing (AS20, Q-12, Q-13). */
export interface Scope {
  /** As it is granted: `mcp` and the actions that were named. */
  text: string;
  /** Actions that the client says it needs, such as tools that it was refused before. */
  actions: string[];
}

/** Reads a `scope` parameter; an absent one is the base scope. */
export function readScope(text: string | undefined): Scope {
  const named = (text ?? "").split(" ").flatMap((scope) => actionOf(scope) ?? []);
  const actions = [...new Set(named)].slice(0, maxActions);
  return { text: scopeText(actions), actions };
}

/** The scope that asks for actions beside the base scope, each as `mcp:` and the action, percent-encoded. */
export function scopeText(actions: readonly string[]): string {
  return [baseScope, ...actions.map((action) => `${baseScope}:${encode(action)}`)].join(" ");
}

function encode(action: string): string {
  return encodeURIComponent(action.toWellFormed()); // RFC 6749 section 3.3 allows all that is left
}

function actionOf(scope: string): string | null {
  if (!scope.startsWith(`${baseScope}:`)) return null;
  try {
    return decodeURIComponent(scope.slice(baseScope.length + 1)) || null;
  } catch {
    return null; // not of our making
  }
}

/**
 * The scope with which a client would be allowed these actions on a resource, where the person may but has not
 * allowed them to the client; null otherwise, and where they are too many to be asked for. It repeats what the client
 * has (RS08, Q-14).
 */
export function scopeToAsk(
  actor: Actor,
  { resource, actions }: { resource: string; actions: readonly string[] },
): string | null {
  if (!lacksConsent(actor, resource, actions)) return null;
  const had = actor.limits?.[resource] ?? [];
  const text = scopeText([...new Set([...(had.length <= maxRepeated ? had : []), ...actions])]);
  return text.length <= maxText ? text : null;
}
