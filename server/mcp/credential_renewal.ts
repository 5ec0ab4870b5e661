import type { Header } from "../upstream/credentials.ts";
import type { Refusal } from "../upstream/upstream.ts";
import type { Passage } from "./call.ts";
import type { Message } from "./message.ts";
import { neededActions } from "./needs.ts";

type Renewal = (refusal: Refusal) => Promise<readonly Header[] | null>;

/** What every server has; all else may be refused for what it is about. */
const general: ReadonlySet<string> = new Set(["initialize", "server/discover", "ping", "tools/list"]);

/**
 * How the relay gets another credential after a refusal; undefined where the connection has but the one. Of what the
 * mesh sends by itself there is the `method` alone.
 */
export function renewal(
  passage: Passage,
  { message, method = message?.method }: { message?: Message; method?: string | undefined } = {},
): Renewal | undefined {
  const { services: { upstream }, target, actor } = passage;
  if (target.plain) return undefined;
  return async (refusal) => {
    const action = message && neededActions(message)[0];
    const operation = action ?? method ?? passage.request.method;
    const facts = { operation, general: method !== undefined && general.has(method) };
    const again = await upstream.refused(target, actor, { ...refusal, ...facts });
    if (again) passage.credential = await upstream.headersFor(target, actor);
    return again ? passage.credential : null;
  };
}
