import { z } from "zod";
import { AppError } from "../errors.ts";
import * as users from "../storage/users.ts";
import { defineAction } from "./action.ts";
import { line, rolesField } from "./fields.ts";
import { addMember, memberEntity } from "./members.ts";

export const addMemberByEmail = defineAction({
  name: "ORGANIZATION_MEMBER_ADD_BY_EMAIL",
  title: "Add member by e-mail",
  description: "Makes the person with this address, who has an account, a member of the active organization.",
  input: z.object({
    email: line(254).min(1, "it is required").toLowerCase(),
    role: rolesField().describe("owner, admin or user"),
  }),
  output: z.object({ member: memberEntity }),
  run: async (ctx, { email, role }) => {
    const found = await users.findForSignIn(ctx.db, email);
    if (!found) {
      throw new AppError("invalid", `Cannot add '${email}': nobody has an account with this address`, {
        fields: { email: "nobody has an account with this address" },
      });
    }
    return await addMember.run(ctx, { userId: found.user.id, role });
  },
});
