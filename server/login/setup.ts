import { createHash, timingSafeEqual } from "node:crypto";
import { z } from "zod";
import { type Config, isLoopbackHost } from "../config.ts";
import { AppError } from "../errors.ts";
import { distinctSlug, newId, newSecret, slugOf } from "../ids.ts";
import type { Services } from "../services.ts";
import { type Db, isUniqueViolation } from "../storage/dialect.ts";
import * as instance from "../storage/instance.ts";
import * as members from "../storage/members.ts";
import * as organizations from "../storage/organizations.ts";
import * as users from "../storage/users.ts";
import { check, emailField, nameField, newPasswordField, organizationField } from "./input.ts";
import { hashPassword } from "./password.ts";
import { type LoginFacts, recorded } from "./record.ts";
import * as throttle from "./throttle.ts";

/** The fact that names the account which owns this installation. */
const ownerFact = "owner";

const owned = new WeakSet<Db>();

/** True where the account that owns this installation exists; it never goes away again. */
export async function isSetUp(db: Db): Promise<boolean> {
  if (owned.has(db)) return true;
  if (await instance.find(db, ownerFact) === null) return false;
  owned.add(db);
  return true;
}

/**
 * True where setting up asks for the token that is printed at start: others than this machine reach the server,
 * directly or through a proxy in front of it.
 */
export function asksForSetupToken({ host, baseUrl, trustProxy }: Config): boolean {
  return trustProxy || !isLoopbackHost(host) || !isLoopbackHost(new URL(baseUrl).hostname);
}

/** A token for `signUp`, to be made and printed at each start while nobody owns the installation. */
export function newSetupToken(): string {
  return newSecret("mesh_setup_");
}

const signUpSchema = z.object({
  name: nameField,
  email: emailField,
  password: newPasswordField,
  organization: organizationField,
  setupToken: z.string().max(200, "Setup token is too long").optional(),
});

type SignUpInput = z.output<typeof signUpSchema>;

/** The request behind a sign-up, and the setup token that this process printed, null where it printed none. */
export interface SignUpFacts extends LoginFacts {
  readonly setupToken: string | null;
}

/**
 * Makes an account; `input` is `{name, email, password, organization?, setupToken?}`. The first account owns the
 * installation. Throws `forbidden` where sign-up is closed or the setup token is wrong, `conflict` where the
 * address has an account, `rate_limited`, or `invalid` with messages per field.
 */
export async function signUp(
  services: Services,
  input: unknown,
  facts: SignUpFacts,
): Promise<users.UserRow> {
  const first = !await isSetUp(services.db);
  refuseWhereClosed(services.config, first);
  const checked = check(signUpSchema, input, "create the account");
  const attempt = { purpose: "sign-up", clientAddress: facts.clientAddress };
  await throttle.take(services.db, attempt);
  const { email } = checked;
  const entry = { method: "auth/sign-up", input: { email }, organizationId: "", userId: null } as const;
  return await recorded(services, { entry: { ...entry }, facts }, async (entry) => {
    if (first && asksForSetupToken(services.config)) checkSetupToken(checked.setupToken, facts.setupToken);
    const passwordHash = await hashPassword(checked.password);
    const made = await makeAccount(services, { input: checked, passwordHash, first });
    entry.userId = made.user.id;
    entry.organizationId = made.organizationId ?? "";
    await throttle.succeed(services.db, attempt);
    return made.user;
  });
}

function refuseWhereClosed({ auth }: Config, first: boolean): void {
  if (!auth.emailAndPassword.enabled) {
    throw new AppError("forbidden", "Cannot sign up: e-mail and password is turned off on this server");
  }
  if (!first && !auth.emailAndPassword.allowSignUp) throw closed();
}

function closed(): AppError {
  return new AppError("forbidden", "Cannot sign up: sign-up is closed; ask an owner for an invitation");
}

/** Compares in constant time, also where the lengths differ. */
function checkSetupToken(given: string | undefined, expected: string | null): void {
  const digest = (text: string) => createHash("sha256").update(text).digest();
  if (expected !== null && timingSafeEqual(digest(given ?? ""), digest(expected))) return;
  throw new AppError("forbidden", "Cannot set up: the setup token is wrong; the server printed it at start", {
    fields: { setupToken: "Setup token is wrong" },
  });
}

interface NewAccount {
  input: SignUpInput;
  passwordHash: string;
  first: boolean;
}

async function makeAccount(
  services: Services,
  account: NewAccount,
): Promise<{ user: users.UserRow; organizationId: string | null }> {
  const { db } = services;
  for (let attempt = 0;; attempt++) {
    try {
      return await db.transaction().execute((transaction) => insertAccount(transaction, services, account));
    } catch (error) {
      if (!isUniqueViolation(error)) throw error;
      if (await users.findForSignIn(db, account.input.email)) {
        throw new AppError("conflict", "Cannot create the account: this e-mail address has an account", {
          fields: { email: "This e-mail address has an account" },
        });
      }
      if (attempt === 3) throw error; // otherwise somebody took the slug in between: try the next one
    }
  }
}

async function insertAccount(
  transaction: Db,
  { config }: Services,
  { input, passwordHash, first }: NewAccount,
): Promise<{ user: users.UserRow; organizationId: string | null }> {
  const now = Date.now();
  const { name, email } = input;
  const user = { id: newId("usr"), email, name, image: null, createdAt: now, updatedAt: now };
  // Of two setups at once one waits here for the other, and then finds it done.
  if (first && await instance.settle(transaction, ownerFact, user.id) !== user.id) throw closed();
  await users.insert(transaction, { ...user, passwordHash });
  if (!first && !input.organization && !config.auth.autoCreateOrganizationOnSignup) {
    return { user, organizationId: null };
  }
  const title = input.organization || `${name}'s organization`;
  const id = newId("org");
  const slug = await freeSlug(transaction, title);
  await organizations.insert(transaction, {
    id,
    name: title,
    slug,
    description: null,
    createdAt: now,
    updatedAt: now,
  });
  await members.insert(transaction, id, {
    id: newId("mem"),
    userId: user.id,
    roles: ["owner"],
    createdAt: now,
  });
  return { user, organizationId: id };
}

async function freeSlug(db: Db, title: string): Promise<string> {
  const slug = slugOf(title);
  return await organizations.isSlugTaken(db, slug) ? distinctSlug(slug) : slug;
}
