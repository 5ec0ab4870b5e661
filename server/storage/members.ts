import type { Db } from "./dialect.ts";
import * as oauthClients from "./oauth_clients.ts";
import * as oauthConsents from "./oauth_consents.ts";
import * as upstreamCredentials from "./upstream_credentials.ts";
import { named } from "./users.ts";

/** A person's place in an organization; times in milliseconds. */
export interface MemberRow {
  id: string;
  organizationId: string;
  userId: string;
  roles: string[];
  createdAt: number;
}

/** A member with the person behind it. */
export interface MemberWithUser extends MemberRow {
  user: { id: string; name: string; email: string; image: string | null };
}

// Some databases ignore spaces at the end when they compare, so what was found is compared once more.

/** The role names of a stored JSON array. */
export function parseRoles(json: string): string[] {
  return JSON.parse(json) as string[];
}

/** Adds a person to the organization. Throws a unique violation where they belong to it already. */
export async function insert(
  db: Db,
  organizationId: string,
  member: Omit<MemberRow, "organizationId">,
): Promise<void> {
  await db.insertInto("members").values({
    id: member.id,
    organization_id: organizationId,
    user_id: member.userId,
    roles: JSON.stringify(member.roles),
    created_at: member.createdAt,
  }).execute();
}

function withUsers(db: Db, organizationId: string) {
  return db.selectFrom("members").innerJoin("users", "users.id", "members.user_id")
    .select([
      "members.id",
      "members.organization_id",
      "members.user_id",
      "members.roles",
      "members.created_at",
      "users.name",
      "users.email",
      "users.image",
    ])
    .where("members.organization_id", "=", organizationId);
}

type Joined = Awaited<ReturnType<ReturnType<typeof withUsers>["execute"]>>[number];

/** One member by id, or null. */
export async function find(db: Db, organizationId: string, id: string): Promise<MemberWithUser | null> {
  const row = await withUsers(db, organizationId).where("members.id", "=", id).executeTakeFirst();
  return row?.id === id ? toMember(row) : null;
}

/** A person by name and address. */
export interface Person {
  name: string;
  email: string;
}

/** Those of these people who belong to the organization, by their id. */
export async function findPeople(
  db: Db,
  organizationId: string,
  userIds: readonly string[],
): Promise<Map<string, Person>> {
  const found = new Map<string, Person>();
  for (let start = 0; start < userIds.length; start += 500) {
    const rows = await withUsers(db, organizationId)
      .where("members.user_id", "in", userIds.slice(start, start + 500)).execute();
    for (const { user_id, name, email } of rows) found.set(user_id, { name, email });
  }
  return found;
}

/** One member by the person's address in lower case, or null. */
export async function findByEmail(
  db: Db,
  organizationId: string,
  email: string,
): Promise<MemberWithUser | null> {
  const row = await withUsers(db, organizationId).where("users.email", "=", email).executeTakeFirst();
  return row?.email === email ? toMember(row) : null;
}

/** The roles that a person has in the organization, or null where they do not belong to it. */
export async function rolesOf(db: Db, organizationId: string, userId: string): Promise<string[] | null> {
  const row = await db.selectFrom("members")
    .innerJoin("organizations", "organizations.id", "members.organization_id")
    .select(["members.organization_id", "members.user_id", "members.roles"])
    .where("members.organization_id", "=", organizationId).where("members.user_id", "=", userId)
    .executeTakeFirst();
  return row?.organization_id === organizationId && row.user_id === userId ? parseRoles(row.roles) : null;
}

/** The members of the organization, oldest first; with `search` those whose name or address holds it. */
export async function list(
  db: Db,
  organizationId: string,
  { limit, offset, search }: { limit: number; offset: number; search?: string | undefined },
): Promise<MemberWithUser[]> {
  const rows = await withUsers(db, organizationId).$if(
    Boolean(search),
    (all) => all.where(named(search ?? "")),
  )
    .orderBy("members.created_at").orderBy("members.id").limit(limit).offset(offset).execute();
  return rows.map(toMember);
}

/** How many members the organization has; with `search` how many of those `list` finds. */
export async function count(db: Db, organizationId: string, search?: string): Promise<number> {
  const row = await db.selectFrom("members").innerJoin("users", "users.id", "members.user_id")
    .select((eb) => eb.fn.countAll<number>().as("count"))
    .where("members.organization_id", "=", organizationId)
    .$if(Boolean(search), (all) => all.where(named(search ?? ""))).executeTakeFirstOrThrow();
  return Number(row.count);
}

/** How many owners the organization has; exact only while the organization is locked. */
export async function countOwners(db: Db, organizationId: string): Promise<number> {
  const rows = await db.selectFrom("members").select("roles")
    .where("organization_id", "=", organizationId).where("roles", "like", '%"owner"%').execute();
  return rows.filter((row) => parseRoles(row.roles).includes("owner")).length;
}

/** Replaces the roles of a member; false where the organization has no such member. */
export async function updateRoles(
  db: Db,
  organizationId: string,
  { id, roles }: { id: string; roles: string[] },
): Promise<boolean> {
  const result = await db.updateTable("members").set({ roles: JSON.stringify(roles) })
    .where("organization_id", "=", organizationId).where("id", "=", id).executeTakeFirst();
  return result.numUpdatedRows > 0n;
}

/** Removes a member with their keys, credentials and what they allowed clients here: nothing comes back with them. */
export async function remove(db: Db, organizationId: string, member: MemberRow): Promise<boolean> {
  await db.deleteFrom("api_keys").where("organization_id", "=", organizationId)
    .where("user_id", "=", member.userId).execute();
  await oauthConsents.removeOfMember(db, organizationId, member.userId);
  await oauthClients.endActingAs(db, organizationId, member.userId);
  await upstreamCredentials.removeOfOwner(db, organizationId, member.userId);
  const result = await db.deleteFrom("members").where("organization_id", "=", organizationId)
    .where("id", "=", member.id).executeTakeFirst();
  return result.numDeletedRows > 0n;
}

function toMember(row: Joined): MemberWithUser {
  return {
    id: row.id,
    organizationId: row.organization_id,
    userId: row.user_id,
    roles: parseRoles(row.roles),
    createdAt: row.created_at,
    user: { id: row.user_id, name: row.name, email: row.email, image: row.image },
  };
}
