import type { Header } from "../upstream/credentials.ts";
import type { CredentialNeeded } from "../upstream/holders.ts";
import type { Refusal } from "../upstream/upstream.ts";
import { type Call, type Passage, recordCall } from "./call.ts";
import { errorResponse, rpcCodes } from "./message.ts";

type Renewal = (refusal: Refusal) => Promise<readonly Header[] | null>;

/** How the relay gets another credential after a refusal; undefined where the connection has but the one. */
export function renewal({ services: { upstream }, target, actor }: Passage): Renewal | undefined {
  if (target.plain) return undefined;
  return async (refusal) =>
    await upstream.refused(target, actor, refusal) ? await upstream.headersFor(target, actor) : null;
}

/** Tells a client that its person has to connect first; recorded as denied. */
export async function answerNeed(call: Call, needed: CredentialNeeded): Promise<Response> {
  await recordCall(call, {
    outcome: "denied",
    errorMessage: needed.message,
    output: undefined,
    responseBytes: 0,
  });
  const { message } = call;
  const answer = message.method === "tools/call" && message.kind === "request"
    ? toolError(call, needed.message)
    : errorResponse(message.id, { status: 200, code: rpcCodes.internal, message: needed.message });
  answer.headers.set("x-request-id", call.requestId);
  return answer;
}

/** A tool's answer that says why it was not called. */
export function toolError({ message, modern }: Pick<Call, "message" | "modern">, text: string): Response {
  const result = { content: [{ type: "text", text }], isError: true };
  return Response.json({
    jsonrpc: "2.0",
    id: message.id,
    result: modern ? { resultType: "complete", ...result } : result,
  });
}
