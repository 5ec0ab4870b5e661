import { reportedFailure, type Settled, type Watch } from "../upstream/answer.ts";
import { type Call, recordCall, type Verdict } from "./call.ts";
import { isObject } from "../body.ts";
import { type MessageId, rpcCodes } from "./message.ts";
import { isCall, type ListFilter, listFilter } from "./needs.ts";
import type { TaskRule } from "./tasks.ts";

/** Watches the answer to a call: filters lists, remembers tasks, and writes the row before the answer is whole. */
export class CallWatch implements Watch {
  readonly id: MessageId;
  readonly mustRewrite: boolean;
  readonly cancelOnLeave: boolean;
  readonly endless: boolean;
  readonly #call: Call;
  readonly #tasks: TaskRule;
  readonly #filter: ListFilter | null;
  readonly #named: boolean;
  #settled = false;

  constructor(call: Call, tasks: TaskRule) {
    const { message } = call;
    this.#call = call;
    this.#tasks = tasks;
    this.#filter = listFilter(call.actor, call.target.id, message);
    this.#named = isCall(message);
    this.id = message.kind === "request" ? message.id : null;
    this.mustRewrite = this.#filter !== null || message.method === "tasks/list";
    this.cancelOnLeave = call.modern;
    this.endless = message.method === "subscriptions/listen";
  }

  rewrite(response: Record<string, unknown>): boolean {
    const filtered = this.#filter !== null && isObject(response.result) && this.#filter(response.result);
    return this.#tasks.rewrite(response) || filtered;
  }

  settle(facts: Settled): Promise<void> | undefined {
    if (this.#settled) return undefined;
    this.#settled = true;
    const remembered = facts.answer ? this.#tasks.remember(facts.answer) : undefined;
    const recorded = this.#record(facts);
    return remembered ? Promise.all([remembered, recorded]).then(() => undefined) : recorded;
  }

  errorText(failure: string): string {
    const error = { code: rpcCodes.internal, message: failure };
    return JSON.stringify({ jsonrpc: "2.0", id: this.#call.message.id, error });
  }

  /** What a server sends last when it ends a subscription by itself (M12). */
  get endText(): string | null {
    const { modern, message: { id } } = this.#call;
    if (!this.endless || !modern) return null;
    const result = { resultType: "complete", _meta: { "io.modelcontextprotocol/subscriptionId": id } };
    return JSON.stringify({ jsonrpc: "2.0", id, result });
  }

  #record(facts: Settled): Promise<void> | undefined {
    const call = this.#call;
    const verdict = verdictOf(facts);
    // Of what is no call only failures are worth a row, and what nobody waits for fails unseen.
    const unseen = verdict.outcome === "ok" || call.message.kind !== "request" || isProbe(call);
    if (!this.#named && unseen) return undefined;
    return recordCall(call, verdict);
  }
}

/** True where an older server has refused the question by which clients find out its era (X03). */
function isProbe({ message, upstreamStatus }: Call): boolean {
  return message.method === "server/discover" && upstreamStatus !== null && upstreamStatus < 500;
}

function verdictOf({ answer, bytes: responseBytes, failure, resumable }: Settled): Verdict {
  const fine: Verdict = { outcome: "ok", errorMessage: null, responseBytes };
  if (failure !== null) {
    // A server may close the stream and let the client fetch the answer by GET (SEP-1699).
    if (resumable) return { ...fine, properties: { stream: "closed early" } };
    return { outcome: "failed", errorMessage: failure, responseBytes };
  }
  if (answer === null) return fine;
  const errorMessage = reportedFailure(answer);
  const output = isObject(answer.error) ? answer.error : answer.result;
  return { outcome: errorMessage === null ? "ok" : "failed", errorMessage, output, responseBytes };
}
