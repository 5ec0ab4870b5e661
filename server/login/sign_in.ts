import { z } from "zod";
import { AppError } from "../errors.ts";
import type { Services } from "../services.ts";
import * as organizations from "../storage/organizations.ts";
import * as sessions from "../storage/sessions.ts";
import * as users from "../storage/users.ts";
import { check, typedEmailField } from "./input.ts";
import { verifyPassword } from "./password.ts";
import { type LoginFacts, recorded } from "./record.ts";
import * as throttle from "./throttle.ts";

const signInSchema = z.object({
  email: typedEmailField,
  password: z.string("Password is required").min(1, "Password is required").max(1024, "Password is too long"),
});

/**
 * The person with this address and password; `input` is `{email, password}`.
 * Throws `unauthenticated` in the same words, after the same work, whether or not the address has an account;
 * `rate_limited` with the seconds to wait after repeated failures; `invalid` with messages per field.
 */
export async function signIn(services: Services, input: unknown, facts: LoginFacts): Promise<users.UserRow> {
  const { email, password } = check(signInSchema, input, "sign in");
  if (!services.config.auth.emailAndPassword.enabled) {
    throw new AppError("forbidden", "Cannot sign in: e-mail and password is turned off on this server");
  }
  const { clientAddress, device } = facts;
  const attempt = { purpose: "sign-in", email, device, clientAddress };
  // What the throttle refuses is not recorded: a flood must not fill the disk.
  await throttle.take(services.db, attempt);
  const entry = { method: "auth/sign-in", input: { email }, organizationId: "", userId: null } as const;
  return await recorded(services, { entry: { ...entry }, facts }, async (entry) => {
    const user = await authenticate(services, { email, password }, entry);
    await throttle.succeed(services.db, attempt);
    await throttle.removeOld(services.db);
    await sessions.removeExpired(services.db, Date.now());
    return user;
  });
}

async function authenticate(
  { db }: Services,
  { email, password }: z.output<typeof signInSchema>,
  entry: { organizationId: string; userId: string | null },
): Promise<users.UserRow> {
  const found = await users.findForSignIn(db, email);
  // Asked for nobody too, so that an unknown address costs the same.
  const joined = await organizations.listOfUser(db, found?.user.id ?? "");
  const right = await verifyPassword(password, found?.passwordHash ?? null);
  entry.userId = found?.user.id ?? null;
  entry.organizationId = joined[0]?.id ?? "";
  if (found && right) return found.user;
  throw new AppError("unauthenticated", "Cannot sign in: the e-mail address or the password is wrong");
}
