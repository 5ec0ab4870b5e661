// People and keys who run actions, as the server identifies them.
import assert from "node:assert/strict";
import type { z } from "zod";
import type { Actor } from "../../server/access/actor.ts";
import { hashToken, sessionMs } from "../../server/access/identify.ts";
import type { Permissions } from "../../server/access/roles.ts";
import { type Action, perform } from "../../server/actions/action.ts";
import { AppError } from "../../server/errors.ts";
import { newId, newSecret } from "../../server/ids.ts";
import type { Services } from "../../server/services.ts";
import * as sessions from "../../server/storage/sessions.ts";
import { addKey, addMember, addOrganization, addUser } from "./accounts.ts";

/** Runs an action for an actor through the one door. */
export function run<I extends z.ZodObject, O extends z.ZodObject>(
  services: Services,
  actor: Actor,
  { action, input = {} }: { action: Action<I, O>; input?: unknown },
): Promise<z.output<O>> {
  const request = { id: newId("req"), userAgent: null };
  return perform(action, Object.freeze({ ...services, actor, request }), input);
}

/** The refusal of an action, which must be an AppError. */
export async function refusal(promise: Promise<unknown>): Promise<AppError> {
  try {
    await promise;
  } catch (error) {
    assert.ok(error instanceof AppError, String(error));
    return error;
  }
  assert.fail("it was not refused");
}

/** A person through a new session, in the organization that is named, or in their first. */
export async function signedIn(services: Services, userId: string, organizationId?: string): Promise<Actor> {
  const token = newSecret("");
  const now = Date.now();
  await sessions.insert(services.db, {
    tokenHash: hashToken(token),
    userId,
    activeOrganizationId: organizationId ?? null,
    userAgent: null,
    createdAt: now,
    expiresAt: now + sessionMs,
  });
  const session = await services.identities.bySession(token);
  assert.ok(session);
  return session.actor;
}

/** A new member of an organization, through a session. */
export async function join(
  services: Services,
  organizationId: string,
  { name, roles }: { name: string; roles: string[] },
): Promise<Actor & { memberId: string }> {
  const user = await addUser(services.db, name);
  const member = await addMember(services.db, organizationId, { userId: user.id, roles });
  return { ...await signedIn(services, user.id, organizationId), memberId: member.id };
}

/** A new organization with an owner, an admin and a user. */
export async function company(services: Services, name: string) {
  const organization = await addOrganization(services.db, name);
  const member = (role: string) =>
    join(services, organization.id, { name: `${name}-${role}`, roles: [role] });
  return {
    organization,
    owner: await member("owner"),
    admin: await member("admin"),
    user: await member("user"),
  };
}

/** A new key of a person, as the server identifies it. */
export async function keyOf(
  services: Services,
  owner: Actor,
  options: { permissions?: Permissions; expiresAt?: number } = {},
): Promise<Actor & { secret: string }> {
  const key = await addKey(services.db, owner.organizationId ?? "", { userId: owner.userId, ...options });
  const actor = await services.identities.byBearer(key.secret);
  assert.ok(actor);
  return { ...actor, secret: key.secret };
}
