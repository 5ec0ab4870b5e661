import type { Header } from "../upstream/credentials.ts";
import type { Refusal } from "../upstream/upstream.ts";
import type { Passage } from "./call.ts";
import type { Message } from "./message.ts";
import { neededActions } from "./needs.ts";

type Renewal = (refusal: Refusal) => Promise<readonly Header[] | null>;

/** How the relay gets another credential after a refusal; undefined where the connection has but the one. */
export function renewal(passage: Passage, message?: Message): Renewal | undefined {
  const { services: { upstream }, target, actor } = passage;
  if (target.plain) return undefined;
  return async (refusal) => {
    const operation = message ? neededActions(message)[0] ?? message.method : passage.request.method;
    const again = await upstream.refused(target, actor, { ...refusal, operation });
    if (again) passage.credential = await upstream.headersFor(target, actor);
    return again ? passage.credential : null;
  };
}
