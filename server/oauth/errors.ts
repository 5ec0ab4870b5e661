import type { Context } from "hono";
import { AppError } from "../errors.ts";
import { describeError } from "../log.ts";
import type { Services } from "../services.ts";

/** The error codes of RFC 6749, 7009, 7591, 8707 and OpenID Connect Core that this server uses. */
export type OAuthErrorCode =
  | "invalid_request"
  | "invalid_client"
  | "invalid_grant"
  | "unauthorized_client"
  | "unsupported_grant_type"
  | "unsupported_response_type"
  | "unsupported_token_type"
  | "invalid_scope"
  | "invalid_target"
  | "access_denied"
  | "login_required"
  | "consent_required"
  | "request_not_supported"
  | "invalid_redirect_uri"
  | "invalid_client_metadata"
  | "temporarily_unavailable"
  | "server_error";

/**
 * A refusal that the client is told: as JSON by the endpoints for programs, in the redirect by `authorize`.
 * `message` is public; `detail` is for the log alone.
 */
export class OAuthError extends Error {
  readonly code: OAuthErrorCode;
  readonly detail: string | undefined;

  constructor(code: OAuthErrorCode, message: string, detail?: string) {
    super(message);
    this.name = "OAuthError";
    this.code = code;
    this.detail = detail;
  }
}

/**
 * A refusal of `authorize` that is shown to the person and never redirected: nobody knows yet who would get it
 * (RFC 6749 section 4.1.2.1, AS12).
 */
export class PageError extends Error {
  readonly detail: string | undefined;

  constructor(message: string, detail?: string) {
    super(message);
    this.name = "PageError";
    this.detail = detail;
  }
}

/** What a description may hold (RFC 6749 section 5.2). */
export function describable(text: string): string {
  return text.replaceAll('"', "'").replace(/[^\x20-\x21\x23-\x5b\x5d-\x7e]/g, "?").slice(0, 300);
}

/** The one error map of the endpoints for programs: what is not expected says nothing of itself. */
export function answerError(c: Context, services: Services, error: unknown): Response {
  c.header("cache-control", "no-store"); // AS30
  if (error instanceof OAuthError) {
    services.log.info("oauth request refused", {
      path: c.req.path,
      error: error.code,
      reason: error.message,
      detail: error.detail,
    });
    const body = { error: error.code, error_description: describable(error.message) };
    if (error.code !== "invalid_client") return c.json(body, error.code === "server_error" ? 500 : 400);
    if (/^basic(\s|$)/i.test(c.req.header("authorization") ?? "")) {
      c.header("www-authenticate", 'Basic realm="mesh"'); // RFC 6749 section 5.2
    }
    return c.json(body, 401);
  }
  if (error instanceof AppError && error.code === "rate_limited") {
    if (error.retryAfterSeconds !== undefined) c.header("retry-after", String(error.retryAfterSeconds));
    return c.json({ error: "temporarily_unavailable", error_description: describable(error.message) }, 429);
  }
  if (error instanceof AppError && error.code === "too_large") {
    return c.json({ error: "invalid_request", error_description: describable(error.message) }, 413);
  }
  services.log.error("oauth request failed", { path: c.req.path, error: describeError(error) });
  return c.json({ error: "server_error", error_description: "Internal error" }, 500);
}
