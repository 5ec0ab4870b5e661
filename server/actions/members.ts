import { z } from "zod";
import type { Actor } from "../access/actor.ts";
import { mayGrant } from "../access/policy.ts";
import { powerOf } from "../access/roles.ts";
import { AppError } from "../errors.ts";
import { newId } from "../ids.ts";
import { type Db, isUniqueViolation } from "../storage/dialect.ts";
import * as members from "../storage/members.ts";
import * as organizations from "../storage/organizations.ts";
import * as upstreamCredentials from "../storage/upstream_credentials.ts";
import * as users from "../storage/users.ts";
import { defineAction, organizationOf } from "./action.ts";
import { idField, isoOf, line, rolesField } from "./fields.ts";
import { giveBack } from "./oauth_grants.ts";

/** A person's place in an organization. */
export const memberEntity = z.object({
  id: z.string(),
  organizationId: z.string(),
  userId: z.string(),
  role: z.array(z.string()).describe("Names of roles"),
  createdAt: z.string().describe("ISO 8601"),
  user: z.object({
    id: z.string(),
    name: z.string(),
    email: z.string(),
    image: z.string().nullable(),
  }),
});

export type Member = z.output<typeof memberEntity>;

const organizationId = idField().optional().describe("The organization; the active one by default");
const role = rolesField().describe("owner, admin or user");

export const addMember = defineAction({
  name: "ORGANIZATION_MEMBER_ADD",
  title: "Add member",
  description: "Makes a person who has an account a member of the organization.",
  input: z.object({ organizationId, userId: idField().describe("The person's id, usr_..."), role }),
  output: z.object({ member: memberEntity }),
  organization: (input) => input.organizationId,
  run: async (ctx, input) => {
    const organization = organizationOf(ctx);
    const what = `Cannot add '${input.userId}'`;
    mayTouch(ctx.actor, input.role, what);
    mayGive(ctx.actor, input.role, what);
    const added = await organizations.withLock(ctx.db, organization, async (db) => {
      const user = await users.find(db, input.userId);
      if (!user) throw new AppError("not_found", `${what}: there is no such user`);
      const member = { id: newId("mem"), userId: user.id, roles: input.role, createdAt: Date.now() };
      await members.insert(db, organization, member);
      return await present(db, organization, member.id);
    }).catch((error: unknown) => {
      if (!isUniqueViolation(error)) throw error;
      throw new AppError("conflict", `${what}: they are a member already`, {
        fields: { userId: "they are a member already" },
      });
    });
    ctx.identities.forget();
    return { member: added };
  },
});

export const removeMember = defineAction({
  name: "ORGANIZATION_MEMBER_REMOVE",
  title: "Remove member",
  description:
    "Removes a member from the organization; the API keys that they made in it stop working and are removed, " +
    "and so is what they had connected.",
  destructive: true,
  input: z.object({
    organizationId,
    memberIdOrEmail: line(254).min(1, "it is required").describe(
      "The member's id, mem_..., or e-mail address",
    ),
  }),
  output: z.object({ success: z.boolean(), memberIdOrEmail: z.string() }),
  organization: (input) => input.organizationId,
  run: async (ctx, { memberIdOrEmail }) => {
    const organization = organizationOf(ctx);
    const what = `Cannot remove '${memberIdOrEmail}'`;
    const credentials = await organizations.withLock(ctx.db, organization, async (db) => {
      const member = await members.find(db, organization, memberIdOrEmail) ??
        await members.findByEmail(db, organization, memberIdOrEmail.toLowerCase());
      if (!member) throw new AppError("not_found", `${what}: the organization has no such member`);
      mayTouch(ctx.actor, member.roles, what);
      await keepAnOwner(db, member, what);
      const connected = await upstreamCredentials.listOfOwner(db, organization, member.userId);
      await members.remove(db, organization, member);
      return connected;
    });
    ctx.identities.forget();
    for (const { connection_id } of credentials) ctx.upstream.forget(connection_id);
    await giveBack(ctx, credentials);
    return { success: true, memberIdOrEmail };
  },
});

export const listMembers = defineAction({
  name: "ORGANIZATION_MEMBER_LIST",
  title: "List members",
  description: "Lists the members of the active organization, those who joined first come first.",
  readOnly: true,
  input: z.object({
    search: z.string().max(200).regex(/^\P{Cc}*$/u).optional().describe(
      "Only those whose name or address holds this",
    ),
    limit: z.int().min(1).max(1000).default(100),
    offset: z.int().min(0).max(1_000_000_000).default(0),
  }),
  output: z.object({ members: z.array(memberEntity), totalCount: z.number(), hasMore: z.boolean() }),
  run: async (ctx, page) => {
    const organization = organizationOf(ctx);
    const rows = await members.list(ctx.db, organization, page);
    const totalCount = await members.count(ctx.db, organization, page.search);
    return { members: rows.map(toMember), totalCount, hasMore: page.offset + rows.length < totalCount };
  },
});

export const updateMemberRole = defineAction({
  name: "ORGANIZATION_MEMBER_UPDATE_ROLE",
  title: "Change a member's role",
  description: "Replaces the roles of a member. Only an owner makes an owner, or changes one.",
  idempotent: true,
  input: z.object({ organizationId, memberId: idField().describe("The member's id, mem_..."), role }),
  output: z.object({ member: memberEntity }),
  organization: (input) => input.organizationId,
  run: async (ctx, { memberId, role }) => {
    const organization = organizationOf(ctx);
    const what = `Cannot change the role of '${memberId}'`;
    const updated = await organizations.withLock(ctx.db, organization, async (db) => {
      const member = await members.find(db, organization, memberId);
      if (!member) throw new AppError("not_found", `${what}: the organization has no such member`);
      mayTouch(ctx.actor, [...member.roles, ...role], what);
      mayGive(ctx.actor, role.filter((one) => !member.roles.includes(one)), what);
      if (!role.includes("owner")) await keepAnOwner(db, member, what);
      await members.updateRoles(db, organization, { id: memberId, roles: role });
      return await present(db, organization, memberId);
    });
    ctx.identities.forget();
    return { member: updated };
  },
});

/** An owner is made, changed and removed by an owner only. */
function mayTouch(actor: Actor, roles: readonly string[], what: string): void {
  if (!roles.includes("owner") || actor.roles.includes("owner")) return;
  throw new AppError("forbidden", `${what}: only an owner may make, change or remove an owner`);
}

/** A key or token with a part of its person's power must not make somebody who looks after the organization. */
function mayGive(actor: Actor, roles: readonly string[], what: string): void {
  if (roles.every((role) => role === "user" || mayGrant(actor, powerOf(role).grants))) return;
  throw new AppError(
    "forbidden",
    `${what}: a key or token that may not do everything makes no owner or admin`,
  );
}

/** Wants the organization to be held, so that two owners cannot leave it at once. */
async function keepAnOwner(db: Db, member: members.MemberRow, what: string): Promise<void> {
  if (!member.roles.includes("owner") || await members.countOwners(db, member.organizationId) > 1) return;
  throw new AppError("conflict", `${what}: an organization keeps at least one owner, and this is the last`);
}

async function present(db: Db, organization: string, id: string): Promise<Member> {
  const member = await members.find(db, organization, id);
  if (!member) throw new AppError("not_found", `Cannot get '${id}': the organization has no such member`);
  return toMember(member);
}

/** A member as callers see them. */
export function toMember({ roles, createdAt, ...member }: members.MemberWithUser): Member {
  return { ...member, role: roles, createdAt: isoOf(createdAt) };
}
