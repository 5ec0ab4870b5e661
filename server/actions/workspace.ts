import { z } from "zod";
import { isManager } from "../access/policy.ts";
import * as counts from "../storage/counts.ts";
import * as organizations from "../storage/organizations.ts";
import { defineAction } from "./action.ts";

const named = z.object({ id: z.string(), name: z.string() });

export const getWorkspace = defineAction({
  name: "WORKSPACE_GET",
  title: "Get workspace",
  description: "Gives who you are, the organization that you act in, your other ones, and how much it holds.",
  readOnly: true,
  withoutOrganization: true,
  input: z.object({}),
  output: z.object({
    user: named.extend({ email: z.string() }),
    organization: named.nullable(),
    organizations: z.array(named),
    role: z.array(z.string()).describe("Your roles in the organization"),
    counts: z.object({
      connections: z.int(),
      members: z.int(),
      apiKeys: z.int().describe("All for owners and admins, your own otherwise"),
      applications: z.int().describe("All for owners and admins, your own otherwise"),
      needReconnect: z.int().describe("Your credentials, and the shared ones that you look after, to renew"),
    }).nullable(),
  }),
  run: async ({ db, actor }) => {
    const { organizationId } = actor;
    const joined = await organizations.listOfUser(db, actor.userId);
    // A key knows of its own organization only.
    const visible = actor.kind !== "session" ? joined.filter((one) => one.id === organizationId) : joined;
    const own = visible.map(({ id, name }) => ({ id, name }));
    const keysOf = isManager(actor) ? undefined : actor.userId;
    return {
      user: { id: actor.userId, name: actor.name, email: actor.email },
      organization: own.find((one) => one.id === organizationId) ?? null,
      organizations: own,
      role: [...actor.roles],
      counts: organizationId === null ? null : {
        ...await counts.ofOrganization(db, organizationId, { keysOf }),
        needReconnect: await counts.needingAttention(db, organizationId, {
          userId: actor.userId,
          shared: isManager(actor),
        }),
      },
    };
  },
});
