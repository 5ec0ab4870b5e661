import { AppError } from "../errors.ts";

/** How far an exchange with an upstream came: the stages of a test in their order, and the call of a tool. */
export type Stage =
  | "dns"
  | "tcp"
  | "tls"
  | "http"
  | "auth_discovery"
  | "token"
  | "handshake"
  | "list"
  | "call";

/** Why an upstream is of no use now: where it failed, a code for programs, and for people what is wrong. */
export interface Failure {
  stage: Stage;
  code: string;
  /** What happened and why, without a full stop. */
  message: string;
  /** What to do, as a sentence of its own without a full stop; null where nothing is known that helps. */
  advice: string | null;
}

/** A failure as one text: what happened, why, and what to do. */
export function explain({ message, advice }: Pick<Failure, "message" | "advice">): string {
  return advice === null ? message : `${message}. ${advice}`;
}

/** A failed exchange with an upstream. `message` is public; no secret of the connection is in it. */
export class ConversationError extends AppError {
  /** Its parts: `message` is what happened and what to do in one. */
  readonly failure: Failure;

  constructor(failure: Failure, cause?: unknown) {
    const code = failure.code === "outbound_refused" ? "outbound_refused" : "upstream_failed";
    super(code, explain(failure), { cause });
    this.name = "ConversationError";
    this.failure = failure;
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

/** An answer that did not come in time; without any answer at all it is HTTP that failed. */
export function lateFailure(
  { title, stage, status }: Pick<Circumstances, "title" | "stage" | "status">,
): Failure {
  const at = status === null ? stageOfHttp(stage) : stage;
  return {
    stage: at,
    code: "timeout",
    message: `${title} did not answer in time (${at})`,
    advice: "Check that the server runs and is not overloaded",
  };
}

/** The stage that a failure of HTTP belongs to: its own at the beginning, later that of the step it ended. */
export function stageOfHttp(stage: Circumstances["stage"]): Stage {
  return stage === "handshake" ? "http" : stage;
}

/** An upstream's words as they may be shown: short, on one line, without what it was sent in confidence. */
export function quote(text: string, secrets: readonly string[]): string {
  let shown = text;
  for (const secret of secrets) if (secret.length >= 4) shown = shown.replaceAll(secret, "***");
  // deno-lint-ignore no-control-regex -- control characters would break a log line or a terminal
  shown = shown.replace(/[\u0000-\u001f\u007f]+/g, " ").trim();
  return `'${shown.length > maxQuoted ? `${shown.slice(0, maxQuoted)}...` : shown}'`;
}
