import type { Selectable } from "kysely";
import { AppError } from "../errors.ts";
import type { Db } from "./dialect.ts";
import { parseRoles } from "./members.ts";
import type { OrganizationsTable } from "./schema.ts";

/** A tenant; times in milliseconds. */
export interface OrganizationRow {
  id: string;
  name: string;
  slug: string;
  description: string | null;
  createdAt: number;
  updatedAt: number;
}

/** What may be changed of an organization. */
export type OrganizationChanges = Partial<Pick<OrganizationRow, "name" | "slug" | "description">>;

const columns = ["id", "name", "slug", "description", "created_at", "updated_at"] as const;

/** Adds an organization without members. Throws a unique violation where the slug is taken. */
export async function insert(db: Db, organization: OrganizationRow): Promise<void> {
  await db.insertInto("organizations").values({
    id: organization.id,
    name: organization.name,
    slug: organization.slug,
    description: organization.description,
    settings: "{}",
    created_at: organization.createdAt,
    updated_at: organization.updatedAt,
  }).execute();
}

/** The organization with this id, or null. */
export async function find(db: Db, id: string): Promise<OrganizationRow | null> {
  const row = await db.selectFrom("organizations").select(columns).where("id", "=", id).executeTakeFirst();
  return row?.id === id ? toOrganization(row) : null;
}

/** True where another organization has this slug. */
export async function isSlugTaken(db: Db, slug: string): Promise<boolean> {
  const row = await db.selectFrom("organizations").select("id").where("slug", "=", slug).executeTakeFirst();
  return row !== undefined;
}

/** The organizations that a person belongs to, with their roles there; the one they joined first comes first. */
export async function listOfUser(
  db: Db,
  userId: string,
): Promise<(OrganizationRow & { roles: string[] })[]> {
  const rows = await db.selectFrom("members")
    .innerJoin("organizations", "organizations.id", "members.organization_id")
    .select(columns.map((column) => `organizations.${column}` as const)).select("members.roles")
    .where("members.user_id", "=", userId)
    .orderBy("members.created_at").orderBy("members.id").execute();
  return rows.map((row) => ({ ...toOrganization(row), roles: parseRoles(row.roles) }));
}

/** Changes an organization; false where there is none. Throws a unique violation where the slug is taken. */
export async function update(
  db: Db,
  id: string,
  { changes, now }: { changes: OrganizationChanges; now: number },
): Promise<boolean> {
  const result = await db.updateTable("organizations").set({ ...changes, updated_at: now })
    .where("id", "=", id).executeTakeFirst();
  return result.numUpdatedRows > 0n;
}

/** The settings of an organization, or null where there is none. */
export async function findSettings(db: Db, id: string): Promise<Record<string, unknown> | null> {
  const row = await db.selectFrom("organizations").select("settings").where("id", "=", id).executeTakeFirst();
  return row ? JSON.parse(row.settings) as Record<string, unknown> : null;
}

/** Replaces the settings of an organization. */
export async function updateSettings(db: Db, id: string, settings: Record<string, unknown>): Promise<void> {
  await db.updateTable("organizations").set({ settings: JSON.stringify(settings) }).where("id", "=", id)
    .execute();
}

/**
 * Waits until no other transaction holds this organization, and holds it until the end of this one: what is read of
 * its members meanwhile stays true. A write, as that locks the row on every database. Throws `not_found` where it
 * is gone.
 */
export async function lock(transaction: Db, id: string): Promise<void> {
  await transaction.updateTable("organizations").set((eb) => ({ updated_at: eb.ref("updated_at") }))
    .where("id", "=", id).execute();
  if (await find(transaction, id)) return;
  throw new AppError("not_found", `Cannot change the organization: there is no organization '${id}'`);
}

/** Runs `work` in a transaction that holds the organization; see `lock`. */
export async function withLock<T>(db: Db, id: string, work: (transaction: Db) => Promise<T>): Promise<T> {
  return await db.transaction().execute(async (transaction) => {
    await lock(transaction, id);
    return await work(transaction);
  });
}

/** Every table whose rows belong to one organization, those that others refer to last. */
export const tenantTables = [
  "upstream_credentials",
  "upstream_clients",
  "upstream_flows",
  "connection_health",
  "connection_tools",
  "task_owners",
  "connections",
  "api_keys",
  "oauth_tokens",
  "oauth_codes",
  "oauth_consents",
  "oauth_clients",
  "invitations",
  "members",
  "data_keys",
  "audit_log",
] as const;

/** Removes an organization with everything that belongs to it; wants a transaction around it. */
export async function remove(transaction: Db, id: string): Promise<void> {
  for (const table of tenantTables) {
    await transaction.deleteFrom(table).where("organization_id", "=", id).execute();
  }
  await transaction.updateTable("sessions").set({ active_organization_id: null })
    .where("active_organization_id", "=", id).execute();
  await transaction.deleteFrom("organizations").where("id", "=", id).execute();
}

function toOrganization(row: Omit<Selectable<OrganizationsTable>, "settings">): OrganizationRow {
  return {
    id: row.id,
    name: row.name,
    slug: row.slug,
    description: row.description,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}
