// Rows of people, organizations and keys, made straight in the storage.
import { apiKeyPrefix, hashToken } from "../../server/access/identify.ts";
import type { Permissions } from "../../server/access/roles.ts";
import { newId, newSecret } from "../../server/ids.ts";
import * as apiKeys from "../../server/storage/api_keys.ts";
import { migrate, openDatabase } from "../../server/storage/database.ts";
import type { Db } from "../../server/storage/dialect.ts";
import * as oauthClients from "../../server/storage/oauth_clients.ts";
import * as oauthConsents from "../../server/storage/oauth_consents.ts";
import * as members from "../../server/storage/members.ts";
import * as organizations from "../../server/storage/organizations.ts";
import * as users from "../../server/storage/users.ts";

let latest = 0;

/** The time, later at each call, so that what is made later also sorts later. */
function tick(): number {
  latest = Math.max(Date.now(), latest + 1);
  return latest;
}

/** Runs `fn` with the migrated database of a URL, which is closed afterwards. */
export async function withMigrated(url: string, fn: (db: Db) => Promise<void>): Promise<void> {
  const db = await openDatabase(url, 5);
  try {
    await migrate(db);
    await fn(db);
  } finally {
    await db.destroy();
  }
}

/** A new person without a password. */
export async function addUser(db: Db, name: string): Promise<users.UserRow> {
  const now = Date.now();
  const id = newId("usr");
  const user = {
    id,
    name,
    email: `${name.toLowerCase()}.${id}@example.com`,
    image: null,
    createdAt: now,
    updatedAt: now,
  };
  await users.insert(db, { ...user, passwordHash: null });
  return user;
}

/** A new organization without members. */
export async function addOrganization(db: Db, name: string): Promise<organizations.OrganizationRow> {
  const now = Date.now();
  const id = newId("org");
  const organization = {
    id,
    name,
    slug: id.replace("_", "-"),
    description: null,
    createdAt: now,
    updatedAt: now,
  };
  await organizations.insert(db, organization);
  return organization;
}

/** Makes the person a member. */
export async function addMember(
  db: Db,
  organizationId: string,
  { userId, roles }: { userId: string; roles: string[] },
): Promise<members.MemberRow> {
  const member = { id: newId("mem"), userId, roles, createdAt: tick() };
  await members.insert(db, organizationId, member);
  return { ...member, organizationId };
}

/** A new key of the person in the organization, with its secret. */
export async function addKey(
  db: Db,
  organizationId: string,
  options: { userId: string; name?: string; permissions?: Permissions | null; expiresAt?: number },
): Promise<{ id: string; secret: string }> {
  const now = tick();
  const secret = newSecret(apiKeyPrefix);
  const key = {
    id: newId("key"),
    userId: options.userId,
    name: options.name ?? "a key",
    permissions: options.permissions ?? null,
    metadata: null,
    expiresAt: options.expiresAt ?? null,
    lastUsedAt: null,
    createdAt: now,
    updatedAt: now,
  };
  await apiKeys.insert(db, organizationId, { key, keyHash: hashToken(secret) });
  return { id: key.id, secret };
}

/** What the person has allowed a client that registered itself; gives the id. */
export async function addConsent(
  db: Db,
  organizationId: string,
  { userId, ...more }: { userId: string } & Partial<Parameters<typeof oauthConsents.remember>[2]>,
): Promise<string> {
  const resource = more.resource ?? "self";
  return await oauthConsents.remember(db, organizationId, {
    id: newId("consent"),
    userId,
    clientId: newId("client"),
    clientName: "a client",
    clientPrint: "",
    resource,
    permissions: { [resource]: ["*"] },
    redirectUri: "https://client.example/callback",
    now: tick(),
    ...more,
  });
}

/** A client without a secret that an admin of the organization registered; gives the id. */
export async function addOauthClient(
  db: Db,
  organizationId: string,
  more: Partial<oauthClients.OauthClientRow> = {},
): Promise<string> {
  const row = {
    id: newId("client"),
    organizationId,
    name: "a client",
    redirectUris: ["https://client.example/callback"],
    grantTypes: ["authorization_code", "refresh_token"],
    authMethod: "none",
    clientUri: null,
    ownerId: null,
    permissions: null,
    createdAt: tick(),
    unusedUntil: null,
    lastUsedAt: null,
    ...more,
  };
  await oauthClients.insert(db, { ...row, secretHash: null });
  return row.id;
}
