import { baseScope } from "../access/resource_urls.ts";

const maxActions = 50;

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

/** The scope that asks for actions beside the base scope (RS08). */
export function scopeText(actions: readonly string[]): string {
  return [baseScope, ...actions.map((action) => `${baseScope}:${encodeURIComponent(action)}`)].join(" ");
}

function actionOf(scope: string): string | null {
  if (!scope.startsWith(`${baseScope}:`)) return null;
  try {
    return decodeURIComponent(scope.slice(baseScope.length + 1)) || null;
  } catch {
    return null; // not of our making
  }
}
