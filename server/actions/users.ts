import { z } from "zod";
import * as users from "../storage/users.ts";
import { defineAction } from "./action.ts";
import { idField, isoOf } from "./fields.ts";

/** A person as those see them who share an organization with them. */
export const userEntity = z.object({
  id: z.string(),
  name: z.string(),
  email: z.string(),
  image: z.string().nullable(),
  createdAt: z.string().describe("ISO 8601"),
  updatedAt: z.string().describe("ISO 8601"),
});

export type User = z.output<typeof userEntity>;

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
    const within = actor.kind === "key" ? actor.organizationId ?? "" : undefined;
    const visible = id === actor.userId || await users.shareOrganization(db, [actor.userId, id], within);
    const user = visible ? await users.find(db, id) : null;
    return { user: user && { ...user, createdAt: isoOf(user.createdAt), updatedAt: isoOf(user.updatedAt) } };
  },
});
