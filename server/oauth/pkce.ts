import { Buffer } from "node:buffer";
import { createHash, timingSafeEqual } from "node:crypto";
import { OAuthError } from "./errors.ts";

/**
 * The code challenge of a request. Throws `invalid_request` unless it is one of method S256: `plain`, which is also
 * what an absent method means, proves nothing (RFC 7636 section 4.3, AS10).
 */
export function readChallenge({ challenge, method }: {
  challenge: string | undefined;
  method: string | undefined;
}): string {
  if (challenge === undefined) {
    throw new OAuthError(
      "invalid_request",
      "'code_challenge' is missing: this server requires PKCE with S256",
    );
  }
  if (method !== "S256") {
    throw new OAuthError("invalid_request", "'code_challenge_method' is not S256, the only one supported");
  }
  if (!/^[A-Za-z0-9_-]{43}$/.test(challenge)) {
    throw new OAuthError("invalid_request", "'code_challenge' is not the base64url of a SHA-256 hash");
  }
  return challenge;
}

/** True where the verifier belongs to the challenge. RFC 7636 section 4.6 */
export function verifies(verifier: string, challenge: string): boolean {
  if (!/^[A-Za-z0-9._~-]{43,128}$/.test(verifier)) return false; // RFC 7636 section 4.1
  const actual = Buffer.from(createHash("sha256").update(verifier).digest("base64url"));
  const expected = Buffer.from(challenge);
  return actual.length === expected.length && timingSafeEqual(actual, expected);
}
