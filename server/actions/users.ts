import { z } from "zod";
import { AppError } from "../errors.ts";
import * as users from "../storage/users.ts";
import { defineAction } from "./action.ts";
import { idField, isoOf, line } from "./fields.ts";

/** A person as those see them who share an organization with them. */
const userEntity = z.object({
  id: z.string(),
  name: z.string(),
  email: z.string(),
  image: z.string().nullable(),
  createdAt: z.string().describe("ISO 8601"),
  updatedAt: z.string().describe("ISO 8601"),
});

export const getUser = defineAction({
  name: "USER_GET",
  title: "Get user",
  description: "Gives a person who belongs to one of your organizations, or null.",
  readOnly: true,
  withoutOrganization: true,
  input: z.object({ id: idField().describe("The person's id, usr_...") }),
  output: z.object({ user: userEntity.nullable() }),
  run: async ({ db, actor }, { id }) => {
    // A key sees the people of its own organization only.
    const within = actor.kind !== "session" ? actor.organizationId ?? "" : undefined;
    const visible = id === actor.userId || await users.shareOrganization(db, [actor.userId, id], within);
    const user = visible ? await users.find(db, id) : null;
    return { user: user && { ...user, createdAt: isoOf(user.createdAt), updatedAt: isoOf(user.updatedAt) } };
  },
});

export const updateUser = defineAction({
  name: "USER_UPDATE",
  title: "Update user",
  description: "Changes your own name.",
  idempotent: true,
  withoutOrganization: true,
  input: z.object({ name: line(200).min(1, "it is required") }),
  output: z.object({ user: userEntity }),
  run: async ({ db, actor }, { name }) => {
    await users.updateName(db, actor.userId, { name, now: Date.now() });
    const user = await users.find(db, actor.userId);
    if (!user) throw new AppError("not_found", "Cannot change your name: your account is gone");
    return { user: { ...user, createdAt: isoOf(user.createdAt), updatedAt: isoOf(user.updatedAt) } };
  },
});
