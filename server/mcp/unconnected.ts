import type { AppError } from "../errors.ts";
import { CredentialNeeded } from "../upstream/holders.ts";
import { version } from "../version.ts";
import { type Call, type Passage, recordCall } from "./call.ts";
import { opensLinks } from "./early_sessions.ts";
import { isObject } from "../body.ts";
import { errorResponse, type Message, rpcCodes } from "./message.ts";
import { capabilitiesOf, firstModern } from "./modern.ts";
import { listFilter } from "./needs.ts";

/** URLElicitationRequired of the legacy era: the client opens the links and sends its request again. */
const linksRequired = -32042;

/** The methods of the modern era in whose answer a server may ask for something. */
const askingMethods: ReadonlySet<string> = new Set(["tools/call", "prompts/get", "resources/read"]);

/** How the names of our own questions begin, so that their answers are told from those to the upstream's. */
const ours = "mcp-mesh/";

type Result = Record<string, unknown>;

/**
 * The answer to a message for which there is no credential. What a client needs to list the tools is answered as the
 * server would, so that they stay listed; to all else the person has to connect first, or `why` is thrown.
 */
export async function answerWithout(call: Call, why: AppError): Promise<Response> {
  const { message, requestId } = call;
  if (!call.modern) call.early.check(call);
  const answer = message.kind === "request"
    ? opening(call, why) ?? await refusal(call, why)
    : new Response(null, { status: 202 });
  answer.headers.set("x-request-id", requestId.value);
  return answer;
}

/** The answer to what a client asks before it calls anything; null for everything else. */
function opening(call: Call, why: AppError): Response | null {
  const { message, modern, target } = call;
  switch (message.method) {
    case "initialize": {
      const { id, version: protocolVersion } = call.early.begin(call, message.params);
      const answer = resultOf(call, { protocolVersion, ...introduction(call, why) });
      answer.headers.set("mcp-session-id", id);
      return answer;
    }
    case "server/discover":
      return modern ? discovered(call, why) : null;
    case "ping":
      return resultOf(call, {});
    case "tools/list": {
      const result: Result = { tools: target.tools() ?? [], ...modern ? uncached : {} };
      listFilter(call.actor, target.id, message)?.(result);
      return resultOf(call, result);
    }
    default:
      return null;
  }
}

/** What is said here changes as soon as the person has connected, and is theirs alone (M07). */
const uncached = { ttlMs: 0, cacheScope: "private" };

function introduction({ target }: Call, why: AppError): Result {
  return {
    capabilities: { tools: {} },
    serverInfo: { name: "mcp-mesh", title: target.title, version },
    instructions: why.message,
  };
}

function discovered(call: Call, why: AppError): Response {
  if (call.target.era === "legacy") {
    // As the server itself would: its clients then open a session (X03).
    const text = "Cannot answer 'server/discover': the server speaks earlier protocol versions";
    return errorResponse(call.message.id, { status: 400, code: -32000, message: text });
  }
  const { serverInfo, ...rest } = introduction(call, why);
  const _meta = { "io.modelcontextprotocol/serverInfo": serverInfo };
  return resultOf(call, { supportedVersions: [firstModern], ...rest, ...uncached, _meta });
}

async function refusal(call: Call, why: AppError): Promise<Response> {
  const outcome = why instanceof CredentialNeeded ? "denied" : "failed";
  await recordCall(call, { outcome, errorMessage: why.message, responseBytes: 0 });
  if (!(why instanceof CredentialNeeded)) throw why;
  return answerNeed(call, why);
}

/** Says what the person has to do, with the link, as the client understands it (X05). */
function answerNeed(call: Call, needed: CredentialNeeded): Response {
  const { message, modern } = call;
  if (modern) {
    const asks = askingMethods.has(message.method) && opensLinks(capabilitiesOf(message)) &&
      answerTo(message, ours + needed.reason) === null;
    if (asks) return resultOf(call, questionFor(needed), "input_required");
  } else if (call.early.opensLinks(call)) {
    const elicitation = { mode: "url", elicitationId: call.requestId.value, url: needed.url };
    return errorResponse(message.id, {
      status: 200,
      code: linksRequired,
      message: needed.message,
      data: { elicitations: [{ ...elicitation, message: sentence(needed) }] },
    });
  }
  if (message.method === "tools/call") return toolError(call, needed.message);
  return errorResponse(message.id, { status: 200, code: rpcCodes.internal, message: needed.message });
}

function questionFor(needed: CredentialNeeded): Result {
  const params = { mode: "url", url: needed.url, message: sentence(needed) };
  return { inputRequests: { [ours + needed.reason]: { method: "elicitation/create", params } } };
}

/** What the person reads beside the link. */
function sentence({ connectionTitle, missing }: CredentialNeeded): string {
  return `To use '${connectionTitle}' open this page: ${missing}`;
}

/** What the person's client has answered last to a question of ours: `accept`, `decline`, `cancel`; null for nothing. */
export function ownAnswer(message: Pick<Message, "params">): string | null {
  const name = namesOfOurs(message).at(-1);
  return name === undefined ? null : answerTo(message, name);
}

function answerTo({ params: { inputResponses } }: Pick<Message, "params">, name: string): string | null {
  const answer = isObject(inputResponses) ? inputResponses[name] : undefined;
  return isObject(answer) ? String(answer.action) : null;
}

function namesOfOurs({ params: { inputResponses } }: Pick<Message, "params">): string[] {
  return isObject(inputResponses) ? Object.keys(inputResponses).filter((name) => name.startsWith(ours)) : [];
}

/** Takes the answers to our questions out of a message, as the upstream has not asked them. */
export function withoutOwnAnswer(message: Message): Message {
  const names = namesOfOurs(message);
  if (names.length === 0) return message;
  const { inputResponses, ...params } = message.params;
  const others = Object.entries(inputResponses as Result).filter(([name]) => !names.includes(name));
  const left = others.length === 0 ? params : { ...params, inputResponses: Object.fromEntries(others) };
  return { ...message, params: left, body: { ...message.body, params: left } };
}

/** A tool's answer that says why it was not called. */
export function toolError(call: Pick<Call, "message" | "modern">, text: string): Response {
  return resultOf(call, { content: [{ type: "text", text }], isError: true });
}

function resultOf(
  { message, modern }: Pick<Call, "message" | "modern">,
  result: Result,
  resultType = "complete",
): Response {
  return Response.json({
    jsonrpc: "2.0",
    id: message.id,
    result: modern ? { resultType, ...result } : result,
  });
}

/** The answer to a GET or DELETE of somebody who has to connect first: there is no stream (L05), and nothing to keep. */
export function streamWithout(passage: Passage): Response {
  const { early } = passage;
  early.check(passage);
  if (passage.request.method === "GET") return noStream();
  early.end(passage);
  return new Response(null, { status: 204 });
}

/** The plain no to a GET (L05, Q-20). */
export function noStream(allow = "POST"): Response {
  const body = { code: "method_not_allowed", message: "Cannot open a stream here: the server has none" };
  return Response.json(body, { status: 405, headers: { allow } });
}
