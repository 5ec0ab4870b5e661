import { ProtocolError, SdkError, SdkErrorCode } from "@modelcontextprotocol/client";
import { OutboundError } from "../outbound.ts";
import { type Circumstances, type Failure, lateFailure, quote, stageOfHttp } from "./failure.ts";
import { networkFailure } from "./failure_network.ts";

/** Names the stage and the reason of anything thrown during an exchange with an upstream. */
export function failureOf(error: unknown, about: Circumstances): Failure {
  const { title, stage, status } = about;
  const network = find(error, (cause) => cause instanceof OutboundError);
  if (network) return networkFailure(network, { title, during: stage });
  if (status !== null && (status < 200 || status >= 300)) return statusFailure(status, about);
  const protocol = find(error, (cause) => cause instanceof ProtocolError);
  if (protocol) {
    return {
      stage,
      code: `mcp_${protocol.code}`,
      message: `${title} answered with an error (${stage}): ${quote(protocol.message, about.secrets)}`,
      advice: "Look at what its log says about it",
    };
  }
  const local = find(error, (cause) => cause instanceof SdkError);
  if (local?.code === SdkErrorCode.RequestTimeout) return lateFailure(about);
  const type = about.contentType?.split(";")[0]?.trim() ?? "";
  if (status !== null && type !== "application/json" && type !== "text/event-stream") {
    const what = type === "" ? "nothing" : quote(type, about.secrets);
    return {
      stage,
      code: "not_mcp",
      message: `${title} is no MCP server at this URL (${stage}): it answered with ${what}`,
      advice: "Check the path; many servers have theirs at /mcp",
    };
  }
  return {
    stage,
    code: "protocol",
    message: `${title} does not speak MCP as the specification says (${stage})`,
    advice: "Check the path, and whether a newer version of the server exists",
  };
}

function statusFailure(status: number, about: Circumstances): Failure {
  const { what, advice } = statusWords(status, about);
  const refused = status === 401 || (status === 403 && about.hasCredential);
  return {
    stage: refused ? "token" : stageOfHttp(about.stage),
    code: `http_${status}`,
    message: `${about.title} ${what} (${status})`,
    advice,
  };
}

function statusWords(
  status: number,
  { hasCredential, location, secrets }: Circumstances,
): { what: string; advice: string } {
  if (status === 401) {
    return hasCredential
      ? { what: "did not accept the token", advice: "Reconnect, or paste a new token" }
      : { what: "asks for a credential", advice: "Add a token" };
  }
  if (status === 403) {
    const advice = hasCredential ? "Check what its token may do" : "Add a token, or check who may reach it";
    return { what: "refused access", advice };
  }
  if (status === 404) return { what: "has nothing at this URL", advice: "Check the path" };
  if (status === 405) return { what: "takes no messages at this URL", advice: "Check the path" };
  if (status === 429) return { what: "takes no more requests for now", advice: "Try again later" };
  if (status >= 300 && status < 400) {
    const target = location === null ? "another address" : quote(location, secrets);
    return { what: `redirects to ${target}`, advice: "Use that URL where it is the intended server" };
  }
  return status >= 500
    ? { what: "failed", advice: "Try again later, or look at what its log says about it" }
    : { what: "refused the request", advice: "Check the URL, and what its log says about it" };
}

/** The first of an error and its causes that is wanted. */
function find<T>(error: unknown, wanted: (cause: unknown) => cause is T): T | undefined {
  for (let cause = error, depth = 0; cause !== undefined && depth < 6; depth++) {
    if (wanted(cause)) return cause;
    cause = cause instanceof Error ? cause.cause : undefined;
  }
  return undefined;
}
