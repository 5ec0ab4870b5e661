import { AppError, messageOf } from "../errors.ts";
import { describeError } from "../log.ts";
import type { Services } from "../services.ts";

/** The request behind a sign-in or sign-up. */
export interface LoginFacts {
  /** The address of the client as the server believes it: see TRUST_PROXY. */
  readonly clientAddress: string;
  readonly requestId: string;
  readonly userAgent: string | null;
  /** A browser that is known to be the person's own; absent where it is not. */
  readonly device?: string | null;
}

/** What becomes known of a sign-in or sign-up while it runs; no password ever. */
export interface LoginEntry {
  method: "auth/sign-in" | "auth/sign-up";
  input: { email: string };
  /** "" where there is none. */
  organizationId: string;
  userId: string | null;
}

/** Runs a sign-in or sign-up and records it, success or failure; `run` fills in what it learns. */
export async function recorded<T>(
  services: Services,
  { entry, facts }: { entry: LoginEntry; facts: LoginFacts },
  run: (entry: LoginEntry) => Promise<T>,
): Promise<T> {
  const began = performance.now();
  await services.audit.room();
  try {
    const result = await run(entry);
    await write(null);
    return result;
  } catch (error) {
    await write(error);
    throw error;
  }

  async function write(error: unknown): Promise<void> {
    const expected = error instanceof AppError;
    if (error !== null && !expected) {
      services.log.error("login failed", { requestId: facts.requestId, error: describeError(error) });
    }
    await services.audit.record({
      ...entry,
      connectionId: "self",
      toolName: null,
      outcome: error === null ? "ok" : expected ? "denied" : "failed",
      errorMessage: error === null ? null : expected ? messageOf(error) : "Internal error",
      durationMs: performance.now() - began,
      keyId: null,
      clientId: null,
      requestId: facts.requestId,
      userAgent: facts.userAgent,
    });
  }
}
