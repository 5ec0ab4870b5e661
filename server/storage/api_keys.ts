import type { Selectable } from "kysely";
import type { Permissions } from "../access/roles.ts";
import type { Db } from "./dialect.ts";
import { parseRoles } from "./members.ts";
import type { ApiKeysTable } from "./schema.ts";

/** A key without its secret; times in milliseconds. */
export interface ApiKeyRow {
  id: string;
  organizationId: string;
  userId: string;
  name: string;
  /** Null where they were left out. */
  permissions: Permissions | null;
  metadata: Record<string, unknown> | null;
  expiresAt: number | null;
  lastUsedAt: number | null;
  createdAt: number;
  updatedAt: number;
}

/** A key with the member who owns it, as they are now. */
export interface IdentifiedKey {
  key: ApiKeyRow;
  user: { id: string; name: string; email: string };
  roles: string[];
}

/** A key with the name of the person who owns it. */
export type OwnedApiKey = ApiKeyRow & { ownerName: string };

/** What may be changed of a key. */
export type ApiKeyChanges = Partial<Pick<ApiKeyRow, "name" | "permissions" | "metadata">>;

/** The key with this hash and its owner, or null; a key whose owner has left the organization is none. */
export async function identify(db: Db, keyHash: string): Promise<IdentifiedKey | null> {
  const row = await db.selectFrom("api_keys")
    .innerJoin("members", (join) =>
      join.onRef("members.organization_id", "=", "api_keys.organization_id")
        .onRef("members.user_id", "=", "api_keys.user_id"))
    .innerJoin("organizations", "organizations.id", "api_keys.organization_id")
    .innerJoin("users", "users.id", "api_keys.user_id")
    .selectAll("api_keys")
    .select(["members.roles as roles", "users.name as user_name", "users.email as user_email"])
    .where("api_keys.key_hash", "=", keyHash)
    .executeTakeFirst();
  if (!row) return null;
  return {
    key: toKey(row),
    user: { id: row.user_id, name: row.user_name, email: row.user_email },
    roles: parseRoles(row.roles),
  };
}

/** Keeps a new key; `keyHash` is the SHA-256 of its secret, base64url. */
export async function insert(
  db: Db,
  organizationId: string,
  { key, keyHash }: { key: Omit<ApiKeyRow, "organizationId">; keyHash: string },
): Promise<void> {
  await db.insertInto("api_keys").values({
    id: key.id,
    organization_id: organizationId,
    user_id: key.userId,
    name: key.name,
    key_hash: keyHash,
    permissions: toJson(key.permissions),
    metadata: toJson(key.metadata),
    expires_at: key.expiresAt,
    last_used_at: key.lastUsedAt,
    created_at: key.createdAt,
    updated_at: key.updatedAt,
  }).execute();
}

function withOwners(db: Db, organizationId: string) {
  return db.selectFrom("api_keys").innerJoin("users", "users.id", "api_keys.user_id")
    .selectAll("api_keys").select("users.name as owner_name")
    .where("api_keys.organization_id", "=", organizationId);
}

/** One key of the organization, or null. */
export async function find(db: Db, organizationId: string, id: string): Promise<OwnedApiKey | null> {
  const row = await withOwners(db, organizationId).where("api_keys.id", "=", id).executeTakeFirst();
  return row?.id === id ? { ...toKey(row), ownerName: row.owner_name } : null;
}

/** The keys of the organization, or of one of its members, newest first. */
export async function list(db: Db, organizationId: string, userId?: string): Promise<OwnedApiKey[]> {
  let query = withOwners(db, organizationId);
  if (userId !== undefined) query = query.where("api_keys.user_id", "=", userId);
  const rows = await query.orderBy("api_keys.created_at", "desc").orderBy("api_keys.id", "desc").execute();
  return rows.map((row) => ({ ...toKey(row), ownerName: row.owner_name }));
}

/** Changes a key; false where the organization has no such key. */
export async function update(
  db: Db,
  organizationId: string,
  { id, changes, now }: { id: string; changes: ApiKeyChanges; now: number },
): Promise<boolean> {
  const result = await db.updateTable("api_keys").set({
    updated_at: now,
    ...(changes.name === undefined ? {} : { name: changes.name }),
    ...(changes.permissions === undefined ? {} : { permissions: toJson(changes.permissions) }),
    ...(changes.metadata === undefined ? {} : { metadata: toJson(changes.metadata) }),
  }).where("organization_id", "=", organizationId).where("id", "=", id).executeTakeFirst();
  return result.numUpdatedRows > 0n;
}

/** Removes a key; false where the organization has no such key. */
export async function remove(db: Db, organizationId: string, id: string): Promise<boolean> {
  const result = await db.deleteFrom("api_keys")
    .where("organization_id", "=", organizationId).where("id", "=", id).executeTakeFirst();
  return result.numDeletedRows > 0n;
}

/** Notes that a key was used; a note less than `every` milliseconds old is left as it is. */
export async function touch(
  db: Db,
  organizationId: string,
  { id, now, every }: { id: string; now: number; every: number },
): Promise<void> {
  await db.updateTable("api_keys").set({ last_used_at: now })
    .where("organization_id", "=", organizationId).where("id", "=", id)
    .where((eb) => eb.or([eb("last_used_at", "is", null), eb("last_used_at", "<=", now - every)]))
    .execute();
}

/** Those of `ids` that are connections of the organization. */
export async function knownConnections(
  db: Db,
  organizationId: string,
  ids: readonly string[],
): Promise<Set<string>> {
  if (ids.length === 0) return new Set();
  const rows = await db.selectFrom("connections").select("id")
    .where("organization_id", "=", organizationId).where("id", "in", ids).execute();
  return new Set(rows.map((row) => row.id));
}

function toKey(row: Selectable<ApiKeysTable>): ApiKeyRow {
  return {
    id: row.id,
    organizationId: row.organization_id,
    userId: row.user_id,
    name: row.name,
    permissions: row.permissions === null ? null : JSON.parse(row.permissions) as Permissions,
    metadata: row.metadata === null ? null : JSON.parse(row.metadata) as Record<string, unknown>,
    expiresAt: row.expires_at,
    lastUsedAt: row.last_used_at,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}

function toJson(value: unknown): string | null {
  return value === null || value === undefined ? null : JSON.stringify(value);
}
