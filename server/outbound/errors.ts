import { AppError } from "../errors.ts";

/** Where an outbound exchange ended: what was being done when it failed, or who ended it. */
export type OutboundStage =
  | "refused" // the outbound policy does not allow the address; nothing was sent
  | "dns"
  | "connect"
  | "tls"
  | "send" // the request could not be written, or is not one that may be sent
  | "headers" // no answer, or one that is not HTTP/1.1
  | "body" // the answer broke off or is malformed after its headers
  | "timeout"
  | "aborted"
  | "too_large";

/** A failed outbound exchange; the message names the origin alone, never a path, query or header value. */
export class OutboundError extends AppError {
  readonly stage: OutboundStage;

  constructor(stage: OutboundStage, message: string, cause?: unknown) {
    super(stage === "refused" ? "outbound_refused" : "upstream_failed", message, { cause });
    this.name = "OutboundError";
    this.stage = stage;
  }
}
