/** The closed list of what can go wrong in a way that a caller may be told; each surface maps it once. */
export type ErrorCode =
  | "malformed" // the request cannot be read at all
  | "invalid" // it can be read, but a field is not acceptable
  | "unauthenticated"
  | "forbidden"
  | "not_found"
  | "conflict"
  | "too_large"
  | "unsupported_media_type"
  | "rate_limited"
  | "outbound_refused" // an address that the outbound policy does not allow
  | "upstream_failed" // an upstream server did not do its part
  | "unavailable"; // the mesh itself cannot answer now

/** Extra facts of an AppError: messages per form field, seconds to wait, and the logged-only cause. */
export interface AppErrorDetails {
  fields?: Record<string, string>;
  retryAfterSeconds?: number;
  cause?: unknown;
}

/** An expected failure. `message` is public; `cause` is for the log alone. */
export class AppError extends Error {
  readonly code: ErrorCode;
  readonly fields: Readonly<Record<string, string>> | undefined;
  readonly retryAfterSeconds: number | undefined;

  constructor(code: ErrorCode, message: string, details: AppErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = "AppError";
    this.code = code;
    this.fields = details.fields;
    this.retryAfterSeconds = details.retryAfterSeconds;
  }
}

/** The HTTP status of each code, shared by the JSON API and the pages. */
export const httpStatus = {
  malformed: 400,
  invalid: 422,
  unauthenticated: 401,
  forbidden: 403,
  not_found: 404,
  conflict: 409,
  too_large: 413,
  unsupported_media_type: 415,
  rate_limited: 429,
  outbound_refused: 422,
  upstream_failed: 502,
  unavailable: 503,
} as const satisfies Record<ErrorCode, number>;

/** The message of anything thrown, without its stack. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
