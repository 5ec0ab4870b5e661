// Runs actions as a surface does, for somebody in an organization of a test.
import assert from "node:assert/strict";
import type { z } from "zod";
import type { Actor } from "../../server/access/actor.ts";
import type { Permissions } from "../../server/access/roles.ts";
import { type Action, perform } from "../../server/actions/action.ts";
import { createConnection } from "../../server/actions/connections.ts";
import { AppError } from "../../server/errors.ts";
import { newId } from "../../server/ids.ts";
import type { Services } from "../../server/services.ts";
import { addMember, addOrganization, addUser } from "../support/accounts.ts";

/** A new person with these roles in a new organization, or in the given one. */
export async function someone(
  { db }: Services,
  roles: string[] = ["owner"],
  organizationId?: string,
): Promise<Actor & { organizationId: string }> {
  const user = await addUser(db, "Ann");
  const organization = organizationId ?? (await addOrganization(db, "Northwind")).id;
  await addMember(db, organization, { userId: user.id, roles });
  const { id: userId, name, email } = user;
  const none = { limits: null, keyId: null, clientId: null, resource: null };
  return { kind: "session", userId, name, email, organizationId: organization, roles, ...none };
}

/** The same person with a key that may do only this. */
export function withKey(actor: Actor, limits: Permissions): Actor {
  return { ...actor, kind: "key", keyId: "key_test", limits };
}

/** Runs an action as the JSON API does: the output has been through JSON. */
export async function run<I extends z.ZodObject, O extends z.ZodObject>(
  services: Services,
  actor: Actor,
  [action, input]: [Action<I, O>, unknown],
): Promise<z.output<O>> {
  const context = Object.freeze({ ...services, actor, request: { id: newId("req"), userAgent: "test" } });
  return JSON.parse(JSON.stringify(await perform(action, context, input)));
}

/** Makes a connection and returns its entity. */
export async function connect(services: Services, actor: Actor, data: Record<string, unknown>) {
  const { item } = await run(services, actor, [createConnection, { data: { title: "Upstream", ...data } }]);
  return item;
}

/** Asserts that something is refused with a code and a sentence. */
export async function refused(
  work: Promise<unknown>,
  code: AppError["code"],
  message: RegExp,
): Promise<AppError> {
  const error = await work.then(() => null, (error) => error);
  assert.ok(error instanceof AppError, `expected a refusal, got ${error}`);
  assert.equal(error.code, code, error.message);
  assert.match(error.message, message);
  return error;
}
