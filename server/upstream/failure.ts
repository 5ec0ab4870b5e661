import { ProtocolError, SdkError, SdkErrorCode } from "@modelcontextprotocol/client";
import { AppError } from "../errors.ts";
import { OutboundError } from "../outbound.ts";

/** How far an exchange with an upstream came. */
export type Stage = "dns" | "connect" | "tls" | "http" | "handshake" | "list" | "call";

/** Why an upstream is of no use now: where it failed, a code for programs, a sentence for people. */
export interface Failure {
  stage: Stage;
  code: string;
  message: string;
}

/** A failed exchange with an upstream. `message` is public; no secret of the connection is in it. */
export class ConversationError extends AppError {
  readonly stage: Stage;
  /** Such as `http_401`, `timeout`, `outbound_refused`, `mcp_-32601`. */
  readonly reason: string;

  constructor(failure: Failure, cause?: unknown) {
    super(failure.code === "outbound_refused" ? "outbound_refused" : "upstream_failed", failure.message, {
      cause,
    });
    this.name = "ConversationError";
    this.stage = failure.stage;
    this.reason = failure.code;
  }

  /** The same without what the log alone may know. */
  get failure(): Failure {
    return { stage: this.stage, code: this.reason, message: this.message };
  }
}

/** What is known of an exchange when it fails. */
export interface Circumstances {
  /** The connection's title. */
  title: string;
  stage: "handshake" | "list" | "call";
  /** The last answer's, where there was one. */
  status: number | null;
  contentType: string | null;
  location: string | null;
  /** True where the connection has a credential that may be at fault. */
  hasCredential: boolean;
  /** What must not be shown, as an upstream may repeat what it was sent. */
  secrets: readonly string[];
}

const maxQuoted = 300;

/** Names the stage and the reason of anything thrown during an exchange with an upstream. */
export function failureOf(error: unknown, about: Circumstances): Failure {
  const { title, stage, status } = about;
  const network = find(error, (cause) => cause instanceof OutboundError);
  if (network) return networkFailure(network, about);
  if (status !== null && (status < 200 || status >= 300)) return statusFailure(status, about);
  const protocol = find(error, (cause) => cause instanceof ProtocolError);
  if (protocol) {
    return {
      stage,
      code: `mcp_${protocol.code}`,
      message: `${title} answered with an error (${stage}): ${quote(protocol.message, about.secrets)}`,
    };
  }
  const local = find(error, (cause) => cause instanceof SdkError);
  if (local?.code === SdkErrorCode.RequestTimeout) {
    return { stage, code: "timeout", message: `${title} did not answer in time (${stage})` };
  }
  const type = about.contentType?.split(";")[0]?.trim() ?? "";
  if (status !== null && type !== "application/json" && type !== "text/event-stream") {
    const what = type === "" ? "nothing" : quote(type, about.secrets);
    return {
      stage,
      code: "not_mcp",
      message: `${title} is no MCP server at this URL (${stage}): it answered with ${what}; check the path`,
    };
  }
  return {
    stage,
    code: "protocol",
    message: `${title} does not speak MCP as the specification says (${stage})`,
  };
}

const networkSentences: Record<string, string> = {
  dns: "the name of its host cannot be found; check the URL",
  connect: "nothing accepts connections there; check the URL, and that it runs",
  tls: "no secure connection can be made; check its certificate",
  send: "the request cannot be sent to it; check its headers",
  headers: "it did not answer in HTTP",
  body: "its answer broke off",
  timeout: "it did not answer in time",
  too_large: "its answer is too large",
};

function networkFailure(error: OutboundError, { title, stage }: Circumstances): Failure {
  if (error.stage === "refused") {
    return { stage: "connect", code: "outbound_refused", message: error.message };
  }
  const sentence = networkSentences[error.stage];
  const early = error.stage === "dns" || error.stage === "connect" || error.stage === "tls";
  const at = early ? error.stage : "http";
  return {
    stage: at,
    code: error.stage,
    message: `${title} cannot be reached (${at}): ${sentence ?? `the exchange ended during ${stage}`}`,
  };
}

function statusFailure(status: number, about: Circumstances): Failure {
  return {
    stage: "http",
    code: `http_${status}`,
    message: `${about.title} ${statusSentence(status, about)}`,
  };
}

function statusSentence(status: number, { hasCredential, location, secrets }: Circumstances): string {
  if (status === 401) {
    return hasCredential
      ? "did not accept the token (401). Reconnect, or paste a new token"
      : "asks for a credential (401). Add a token";
  }
  if (status === 403) return "refused access (403). Check what its token may do";
  if (status === 404) return "has nothing at this URL (404). Check the path";
  if (status === 429) return "takes no more requests for now (429). Try again later";
  if (status >= 300 && status < 400) {
    const target = location === null ? "another address" : quote(location, secrets);
    return `redirects to ${target} (${status}). Use that URL where it is the intended server`;
  }
  return status >= 500 ? `failed (${status}). Try again later` : `refused the request (${status})`;
}

/** An upstream's words as they may be shown: short, on one line, without what it was sent in confidence. */
export function quote(text: string, secrets: readonly string[]): string {
  let shown = text;
  for (const secret of secrets) if (secret.length >= 4) shown = shown.replaceAll(secret, "***");
  // deno-lint-ignore no-control-regex -- control characters would break a log line or a terminal
  shown = shown.replace(/[\u0000-\u001f\u007f]+/g, " ").trim();
  return `'${shown.length > maxQuoted ? `${shown.slice(0, maxQuoted)}...` : shown}'`;
}

/** The first of an error and its causes that is wanted. */
function find<T>(error: unknown, wanted: (cause: unknown) => cause is T): T | undefined {
  for (let cause = error, depth = 0; cause !== undefined && depth < 6; depth++) {
    if (wanted(cause)) return cause;
    cause = cause instanceof Error ? cause.cause : undefined;
  }
  return undefined;
}
