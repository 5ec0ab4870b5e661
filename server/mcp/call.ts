import type { Actor } from "../access/actor.ts";
import type { AuditEntry } from "../audit.ts";
import type { Lifecycle } from "../lifecycle.ts";
import { describeError } from "../log.ts";
import type { Services } from "../services.ts";
import type { Settled, Watch } from "../upstream/answer.ts";
import type { Header } from "../upstream/credentials.ts";
import { secretsFor } from "../upstream/sent_secrets.ts";
import type { RelayTarget } from "../upstream/upstream.ts";
import type { EarlySession, EarlySessions } from "./early_sessions.ts";
import type { Guard } from "./guard.ts";
import type { Patience } from "./late.ts";
import { isObject, type Message, type MessageId, rpcCodes } from "./message.ts";
import { isCall, listFilter, neededActions } from "./needs.ts";
import type { Running } from "./running.ts";
import type { SessionIds, SessionOwner } from "./session_id.ts";
import type { TaskRule } from "./tasks.ts";

/** What the proxy works with beside the services. */
export interface ProxyParts {
  services: Services;
  guard: Guard;
  sessions: SessionIds;
  lifecycle: Lifecycle;
}

/** Somebody who acts in an organization. */
export type Member = Actor & { readonly organizationId: string };

/** One request on its way through. */
export interface Passage extends ProxyParts {
  patience: Patience;
  running: Running;
  request: Request;
  actor: Member;
  target: RelayTarget;
  /** What identifies the actor, or the mesh, to the upstream. */
  credential: readonly Header[];
  early: EarlySessions;
  /** The session of the mesh that the request belongs to; null where it has none, or one of the upstream. */
  session: EarlySession | null;
  requestId: string;
  began: number;
}

/** One message of a POST on its way through. */
export interface Call extends Passage {
  message: Message;
  modern: boolean;
  requestBytes: number;
  /** What the upstream answered with; null before it did. */
  upstreamStatus: number | null;
}

/** Who a session of this passage belongs to (L01). */
export function sessionOwner({ actor, target }: Passage): SessionOwner {
  return { organizationId: target.organizationId, userId: actor.userId, connectionId: target.id };
}

/** Watches the answer to a call: filters lists, remembers tasks, and writes the row before the answer is whole. */
export function watchCall(call: Call, tasks: TaskRule): Watch {
  const { message, modern } = call;
  const filter = listFilter(call.actor, call.target.id, message);
  const endless = message.method === "subscriptions/listen";
  let settled = false;
  return {
    id: message.kind === "request" ? message.id : null,
    mustRewrite: filter !== null || message.method === "tasks/list",
    cancelOnLeave: modern,
    endless,
    rewrite: (response) => {
      const filtered = filter !== null && isObject(response.result) && filter(response.result);
      return tasks.rewrite(response) || filtered;
    },
    settle: (facts) => {
      if (settled) return undefined;
      settled = true;
      const remembered = facts.answer ? tasks.remember(facts.answer) : undefined;
      const recorded = record(call, facts);
      return remembered ? Promise.all([remembered, recorded]).then(() => undefined) : recorded;
    },
    errorText: (failure) =>
      JSON.stringify({
        jsonrpc: "2.0",
        id: message.id,
        error: { code: rpcCodes.internal, message: failure },
      }),
    endText: endless && modern ? endOfSubscription(message.id) : null,
  };
}

/** What a server sends last when it ends a subscription by itself (M12). */
function endOfSubscription(id: MessageId): string {
  const result = { resultType: "complete", _meta: { "io.modelcontextprotocol/subscriptionId": id } };
  return JSON.stringify({ jsonrpc: "2.0", id, result });
}

function record(call: Call, facts: Settled): Promise<void> | undefined {
  const { message } = call;
  const verdict = verdictOf(facts);
  const named = isCall(message);
  // Of what is no call only failures are worth a row, and what nobody waits for fails unseen.
  if (!named && (verdict.outcome === "ok" || message.kind !== "request" || isProbe(call))) return undefined;
  return recordCall(call, { ...verdict, responseBytes: facts.bytes });
}

/** True where an older server has refused the question by which clients find out its era (X03). */
function isProbe({ message, upstreamStatus }: Call): boolean {
  return message.method === "server/discover" && upstreamStatus !== null && upstreamStatus < 500;
}

type Verdict =
  & Pick<AuditEntry, "outcome" | "errorMessage" | "output">
  & Partial<Pick<AuditEntry, "properties">>;

function verdictOf({ answer, failure, resumable }: Settled): Verdict {
  if (failure !== null) {
    // A server may close the stream and let the client fetch the answer by GET (SEP-1699).
    if (resumable) {
      return { outcome: "ok", errorMessage: null, output: undefined, properties: { stream: "closed early" } };
    }
    return { outcome: "failed", errorMessage: failure, output: undefined };
  }
  if (answer === null) return { outcome: "ok", errorMessage: null, output: undefined };
  if (isObject(answer.error)) {
    return { outcome: "failed", errorMessage: String(answer.error.message ?? "Error"), output: answer.error };
  }
  const { result } = answer;
  if (!isObject(result) || result.isError !== true) {
    return { outcome: "ok", errorMessage: null, output: result };
  }
  return {
    outcome: "failed",
    errorMessage: firstText(result.content) ?? "The tool reported an error",
    output: result,
  };
}

function firstText(content: unknown): string | null {
  const first: unknown = Array.isArray(content) ? content[0] : undefined;
  return isObject(first) && typeof first.text === "string" ? first.text.slice(0, 500) : null;
}

/** Writes the row of a call. */
export function recordCall(
  call: Call,
  verdict: Verdict & { responseBytes: number },
): Promise<void> | undefined {
  const { actor, target, message } = call;
  const { audit, log } = call.services;
  const recording = audit.record({
    ...verdict,
    organizationId: target.organizationId,
    connectionId: target.id,
    connectionTitle: target.title,
    toolName: neededActions(message)[0]?.slice(0, 200) ?? null,
    method: message.method.slice(0, 100),
    input: message.method === "resources/read" ? { uri: message.params.uri } : message.params.arguments,
    durationMs: performance.now() - call.began,
    userId: actor.userId,
    keyId: actor.keyId,
    clientId: actor.clientId,
    requestId: call.requestId,
    userAgent: call.request.headers.get("user-agent"),
    upstreamStatus: call.upstreamStatus,
    requestBytes: call.requestBytes,
    secrets: secretsFor(call.credential, actor),
  });
  return recording?.catch((error: unknown) => {
    // A client that has left is not told, so the log is.
    log.error("a call was not recorded", { requestId: call.requestId, error: describeError(error) });
    throw error;
  });
}
