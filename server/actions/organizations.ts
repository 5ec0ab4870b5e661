import { z } from "zod";
import { AppError } from "../errors.ts";
import { newId } from "../ids.ts";
import { isUniqueViolation } from "../storage/dialect.ts";
import * as invitations from "../storage/invitations.ts";
import * as members from "../storage/members.ts";
import * as organizations from "../storage/organizations.ts";
import * as users from "../storage/users.ts";
import { type Context, defineAction, organizationOf } from "./action.ts";
import { idField, isoOf, jsonObject, line, paragraph } from "./fields.ts";
import { memberEntity, toMember } from "./members.ts";
import { giveBackAfter } from "./oauth_grants.ts";

/** A tenant: connections, members and keys belong to one. */
const organizationEntity = z.object({
  id: z.string(),
  name: z.string(),
  slug: z.string(),
  description: z.string().nullable(),
  createdAt: z.string().describe("ISO 8601"),
  updatedAt: z.string().describe("ISO 8601"),
});

export type Organization = z.output<typeof organizationEntity>;

const invitationEntity = z.object({
  id: z.string(),
  organizationId: z.string(),
  email: z.string(),
  role: z.array(z.string()),
  inviterId: z.string(),
  status: z.string(),
  createdAt: z.string().describe("ISO 8601"),
  expiresAt: z.string().describe("ISO 8601"),
});

const name = line(200).min(1, "it is required");
const slug = z.string().min(1, "it is required").max(
  100,
  "it must have at most 100 characters",
)
  .regex(/^[a-z0-9-]+$/, "it may contain a-z, 0-9 and - only").describe("Unique short name: a-z, 0-9 and -");
const description = paragraph(2000).nullable().optional();

/** The most members that come with an organization; ORGANIZATION_MEMBER_LIST gives all. */
const maxMembersShown = 1000;
const maxSettings = 100_000; // characters of JSON

export const createOrganization = defineAction({
  name: "ORGANIZATION_CREATE",
  title: "Create organization",
  description: "Creates an organization that you own.",
  withoutOrganization: true,
  input: z.object({ name, slug, description }),
  output: z.object({ organization: organizationEntity }),
  run: async (ctx, input) => {
    const now = Date.now();
    const row = {
      id: newId("org"),
      name: input.name,
      slug: input.slug,
      description: input.description || null,
      createdAt: now,
      updatedAt: now,
    };
    const owner = { id: newId("mem"), userId: ctx.actor.userId, roles: ["owner"], createdAt: now };
    await ctx.db.transaction().execute(async (db) => {
      await organizations.insert(db, row);
      await members.insert(db, row.id, owner);
    }).catch((error: unknown) => refuseTaken(error, "Cannot create the organization", input.slug));
    return { organization: toOrganization(row) };
  },
});

export const listOrganizations = defineAction({
  name: "ORGANIZATION_LIST",
  title: "List organizations",
  description:
    "Lists the organizations that you belong to, or those of them that another person belongs to too.",
  readOnly: true,
  withoutOrganization: true,
  input: z.object({ userId: idField().optional().describe("Another person's id, usr_...") }),
  output: z.object({
    organizations: z.array(organizationEntity.extend({
      role: z.array(z.string()).describe("The person's roles there"),
    })),
  }),
  run: async ({ db, actor }, { userId = actor.userId }) => {
    const own = await organizations.listOfUser(db, actor.userId);
    const theirs = userId === actor.userId ? own : await organizations.listOfUser(db, userId);
    // A key knows of its own organization only.
    const visible = new Set(actor.kind !== "session" ? [actor.organizationId] : own.map((one) => one.id));
    const shared = theirs.filter((one) => visible.has(one.id));
    return { organizations: shared.map((one) => ({ ...toOrganization(one), role: one.roles })) };
  },
});

export const getOrganization = defineAction({
  name: "ORGANIZATION_GET",
  title: "Get organization",
  description: "Gives the active organization with its members (the first 1000) and invitations.",
  readOnly: true,
  input: z.object({}),
  output: z.object({
    organization: organizationEntity,
    members: z.array(memberEntity),
    invitations: z.array(invitationEntity),
  }),
  run: async (ctx) => {
    const id = organizationOf(ctx);
    const rows = await members.list(ctx.db, id, { limit: maxMembersShown, offset: 0 });
    const invited = await invitations.list(ctx.db, id);
    return {
      organization: await present(ctx, id),
      members: rows.map(toMember),
      invitations: invited.map(({ roles, createdAt, expiresAt, ...invitation }) => ({
        ...invitation,
        role: roles,
        createdAt: isoOf(createdAt),
        expiresAt: isoOf(expiresAt),
      })),
    };
  },
});

export const updateOrganization = defineAction({
  name: "ORGANIZATION_UPDATE",
  title: "Update organization",
  description: "Changes the name, slug or description of an organization; what is left out stays.",
  idempotent: true,
  input: z.object({ id: idField(), name: name.optional(), slug: slug.optional(), description }),
  output: z.object({ organization: organizationEntity }),
  organization: (input) => input.id,
  run: async (ctx, { id, name, slug, description }) => {
    const changes = {
      ...(name === undefined ? {} : { name }),
      ...(slug === undefined ? {} : { slug }),
      ...(description === undefined ? {} : { description: description || null }),
    };
    await organizations.update(ctx.db, id, { changes, now: Date.now() })
      .catch((error: unknown) => refuseTaken(error, "Cannot update the organization", slug));
    return { organization: await present(ctx, id) };
  },
});

export const deleteOrganization = defineAction({
  name: "ORGANIZATION_DELETE",
  title: "Delete organization",
  description:
    "Removes an organization with its connections, members, keys and log, for ever. Only an owner may, and not their last one.",
  destructive: true,
  input: z.object({ id: idField() }),
  output: z.object({ success: z.boolean(), id: z.string() }),
  organization: (input) => input.id,
  run: async (ctx, { id }) => {
    await ctx.audit.flush(); // its rows that still wait would come after the removal
    const remove = () =>
      ctx.db.transaction().execute(async (db) => {
        await users.lock(db, ctx.actor.userId); // of two removals at once the second sees what the first has left
        await organizations.lock(db, id);
        if ((await organizations.listOfUser(db, ctx.actor.userId)).length <= 1) {
          throw new AppError(
            "conflict",
            "Cannot delete the organization: it is the last one that you belong to",
          );
        }
        await organizations.remove(db, id);
      });
    await giveBackAfter(ctx, id, remove);
    ctx.identities.forget();
    ctx.upstream.forget();
    return { success: true, id };
  },
});

const settings = jsonObject(maxSettings);

export const getOrganizationSettings = defineAction({
  name: "ORGANIZATION_SETTINGS_GET",
  title: "Get organization settings",
  description: "Gives the settings of the active organization.",
  readOnly: true,
  input: z.object({}),
  output: z.object({ settings: z.record(z.string(), z.unknown()) }),
  run: async (ctx) => {
    const found = await organizations.findSettings(ctx.db, organizationOf(ctx));
    if (!found) throw gone(organizationOf(ctx));
    return { settings: found };
  },
});

export const updateOrganizationSettings = defineAction({
  name: "ORGANIZATION_SETTINGS_UPDATE",
  title: "Update organization settings",
  description: "Sets the given settings of an organization; others stay, and null removes one.",
  idempotent: true,
  input: z.object({ organizationId: idField(), settings }),
  output: z.object({ settings: z.record(z.string(), z.unknown()) }),
  organization: (input) => input.organizationId,
  run: async (ctx, { organizationId, settings: changes }) => {
    const merged = await organizations.withLock(ctx.db, organizationId, async (db) => {
      const current = await organizations.findSettings(db, organizationId);
      const entries = Object.entries({ ...current, ...changes }).filter(([, value]) => value !== null);
      const result = Object.fromEntries(entries);
      if (JSON.stringify(result).length > maxSettings) {
        throw new AppError(
          "invalid",
          `Cannot update the settings: they exceed ${maxSettings} characters of JSON`,
          {
            fields: { settings: `all together exceed ${maxSettings} characters of JSON` },
          },
        );
      }
      await organizations.updateSettings(db, organizationId, result);
      return result;
    });
    return { settings: merged };
  },
});

async function present(ctx: Context, id: string): Promise<Organization> {
  const row = await organizations.find(ctx.db, id);
  if (!row) throw gone(id);
  return toOrganization(row);
}

function gone(id: string): AppError {
  return new AppError("not_found", `Cannot get the organization: there is no organization '${id}'`);
}

function refuseTaken(error: unknown, what: string, slug: string | undefined): never {
  if (!isUniqueViolation(error)) throw error;
  throw new AppError("conflict", `${what}: the slug '${slug}' is taken`, { fields: { slug: "it is taken" } });
}

function toOrganization(row: organizations.OrganizationRow): Organization {
  const { id, name, slug, description } = row;
  return { id, name, slug, description, createdAt: isoOf(row.createdAt), updatedAt: isoOf(row.updatedAt) };
}
