import { AppError } from "../../errors.ts";
import { OutboundError } from "../../outbound.ts";

/** What a failure means for a credential: `transient` may pass by itself, all others need somebody or something else. */
export type OauthKind =
  | "discovery" // the server does not say, or not acceptably, how access is given
  | "registration" // there is no client to ask as
  | "refused" // the authorization server or the person said no
  | "invalid_grant" // the code or refresh token is of no use any more
  | "invalid_client" // the authorization server does not know the client
  | "transient" // the network, 5xx, 429
  | "insufficient"; // what was granted does not allow what was asked

/** How far getting access came. */
export type OauthStage = "auth_discovery" | "token";

/** A failure to get or renew access to an upstream. `message` is public: no secret, nothing from an unproven sender. */
export class OauthError extends AppError {
  readonly kind: OauthKind;
  readonly stage: OauthStage;

  constructor(
    { kind, stage, message, refusedAddress = false, retryAfterSeconds, cause }: {
      kind: OauthKind;
      stage: OauthStage;
      message: string;
      refusedAddress?: boolean;
      retryAfterSeconds?: number | undefined;
      cause?: unknown;
    },
  ) {
    super(refusedAddress ? "outbound_refused" : "upstream_failed", message, {
      cause,
      ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
    });
    this.name = "OauthError";
    this.kind = kind;
    this.stage = stage;
  }
}

/** Whom access is wanted to, and at which stage: what every failure names. */
export interface Attempt {
  readonly title: string;
  readonly stage: OauthStage;
}

/** A failure as a sentence about the attempt. */
export function failed(
  { title, stage }: Attempt,
  kind: OauthKind,
  { reason, cause, retryAfterSeconds }: { reason: string; cause?: unknown; retryAfterSeconds?: number },
): OauthError {
  const message = `Cannot get access to ${title}: ${reason}`;
  return new OauthError({ kind, stage, message, cause, retryAfterSeconds });
}

/** What a failed exchange means; anything but a failure of the network is given back as it is. */
export function fromNetwork(error: unknown, attempt: Attempt, host: string): unknown {
  const { title, stage } = attempt;
  if (error instanceof DOMException && error.name === "TimeoutError") {
    return failed(attempt, "transient", { reason: `${host} did not answer in time`, cause: error });
  }
  if (!(error instanceof OutboundError)) return error;
  if (error.stage === "refused") {
    const kind = stage === "token" ? "refused" : "discovery";
    const message = `Cannot get access to ${title}: ${lowered(error.message)}`;
    return new OauthError({ kind, stage, message, refusedAddress: true, cause: error });
  }
  if (error.stage === "too_large") {
    const kind = stage === "token" ? "refused" : "discovery";
    return failed(attempt, kind, { reason: `the answer of ${host} is too large`, cause: error });
  }
  return failed(attempt, "transient", {
    reason: `${host} ${networkSentences[error.stage] ?? "broke off"}`,
    cause: error,
  });
}

const networkSentences: Record<string, string> = {
  dns: "cannot be found",
  connect: "accepts no connections",
  tls: "offers no secure connection that can be trusted",
  headers: "did not answer in HTTP",
  timeout: "did not answer in time",
  aborted: "did not answer in time", // no signal but that of the time-out exists
};

function lowered(sentence: string): string {
  return sentence.charAt(0).toLowerCase() + sentence.slice(1);
}

const maxQuoted = 200;

/** Foreign words as they may be shown: quoted, short, on one line, without what was sent in confidence. */
export function quoted(text: string, secrets: readonly (string | null | undefined)[] = []): string {
  let shown = text;
  for (const secret of secrets) if (secret && secret.length >= 4) shown = shown.replaceAll(secret, "***");
  // deno-lint-ignore no-control-regex -- control characters would break a log line or a terminal
  shown = shown.replace(/[\s\u0000-\u001f\u007f-\u009f]+/g, " ").trim();
  return `'${shown.length > maxQuoted ? `${shown.slice(0, maxQuoted)}...` : shown}'`;
}
