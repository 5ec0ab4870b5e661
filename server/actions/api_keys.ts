import { z } from "zod";
import type { Actor } from "../access/actor.ts";
import { apiKeyPrefix, hashToken } from "../access/identify.ts";
import { covers, hasFewPatterns, isManager, maxPatterns, mayGrant } from "../access/policy.ts";
import { type Permissions, readOnlyManagement } from "../access/roles.ts";
import { AppError } from "../errors.ts";
import { newId, newSecret } from "../ids.ts";
import * as apiKeys from "../storage/api_keys.ts";
import type { Db } from "../storage/dialect.ts";
import { isFull } from "../storage/held.ts";
import * as members from "../storage/members.ts";
import * as organizations from "../storage/organizations.ts";
import { type Context, defineAction, organizationOf } from "./action.ts";
import { atMost, idField, isoOf, jsonObject, line } from "./fields.ts";

/** Actions by resource, as they are given out. */
export const permissionMap = z.record(z.string(), z.array(z.string()));

/** A key without its secret. */
const apiKeyEntity = z.object({
  id: z.string(),
  name: z.string(),
  userId: z.string().describe("The person whose power it is limited by"),
  ownerName: z.string(),
  permissions: permissionMap,
  metadata: z.record(z.string(), z.unknown()).nullable(),
  expiresAt: z.string().nullable().describe("ISO 8601, null where it does not expire"),
  lastUsedAt: z.string().nullable().describe("ISO 8601, exact to a minute, null where it was never used"),
  createdAt: z.string().describe("ISO 8601"),
  updatedAt: z.string().describe("ISO 8601"),
});

export type ApiKey = z.output<typeof apiKeyEntity>;

const maxActions = 1000; // of one resource
const maxPermissions = 100_000; // characters of JSON
const maxValues = 10_000; // resources and actions
const maxExpirySeconds = 10 * 365 * 24 * 3600;

const name = line(200).min(1, "it is required");
const metadata = jsonObject(20_000);
/** Actions by resource, as they are asked for. */
export const permissionsField = atMost(
  maxValues,
  z.record(
    z.string().regex(
      /^(self|\*|(conn|gw)_(\*|[a-z0-9]{1,60}))$/,
      "a resource is 'self', 'conn_...', 'gw_...' or '*'",
    ),
    z.array(z.string().min(1, "an action is not empty").max(2100, "an action has at most 2100 characters"))
      .max(maxActions, `a resource has at most ${maxActions} actions`)
      .refine(hasFewPatterns, `a resource has at most ${maxPatterns} actions with a '*' inside`),
  ).refine(
    (value) => JSON.stringify(value).length <= maxPermissions,
    `they must not be longer than ${maxPermissions} characters of JSON`,
  ).describe(
    "Actions by resource: 'self' (names of management tools), 'conn_...' and 'gw_...' (names of tools, 'prompt:<name>', " +
      "'resource:<uri>'), '*' (any resource); the action '*' is every action. Left out: reading the management lists",
  ),
);

export const createApiKey = defineAction({
  name: "API_KEY_CREATE",
  title: "Create API key",
  description:
    "Creates a key for the active organization with your power at most. Its secret is shown this once.",
  input: z.object({
    name,
    permissions: permissionsField.optional(),
    expiresIn: z.int().min(1).max(maxExpirySeconds).optional().describe(
      "Seconds until it expires; never by default",
    ),
    metadata: metadata.optional(),
  }),
  output: z.object({
    id: z.string(),
    name: z.string(),
    key: z.string().describe("The secret; it is not shown again"),
    permissions: permissionMap,
    expiresAt: z.string().nullable().describe("ISO 8601"),
    createdAt: z.string().describe("ISO 8601"),
  }),
  run: async (ctx, input) => {
    const what = `Cannot create the API key '${input.name}'`;
    const wanted = input.permissions ?? readOnlyManagement;
    refuseMore(ctx.actor, wanted, what);
    await refuseUnknown(ctx, wanted, what);
    const now = Date.now();
    const expiresAt = await expiryOf(
      ctx,
      input.expiresIn === undefined ? null : now + input.expiresIn * 1000,
      what,
    );
    const secret = newSecret(apiKeyPrefix);
    const key = {
      id: newId("key"),
      userId: ctx.actor.userId,
      name: input.name,
      permissions: input.permissions ?? null,
      metadata: input.metadata ?? null,
      expiresAt,
      lastUsedAt: null,
      createdAt: now,
      updatedAt: now,
    };
    await keep(ctx, key, secret);
    return {
      id: key.id,
      name: key.name,
      key: secret,
      permissions: copyOf(wanted),
      expiresAt: expiresAt === null ? null : isoOf(expiresAt),
      createdAt: isoOf(now),
    };
  },
});

export const listApiKeys = defineAction({
  name: "API_KEY_LIST",
  title: "List API keys",
  description:
    "Lists the keys of the active organization, newest first: owners and admins see all, others their own.",
  readOnly: true,
  input: z.object({}),
  output: z.object({ items: z.array(apiKeyEntity) }),
  run: async (ctx) => {
    const owner = isManager(ctx.actor) ? undefined : ctx.actor.userId;
    const rows = await apiKeys.list(ctx.db, organizationOf(ctx), owner);
    return { items: rows.map(toApiKey) };
  },
});

export const updateApiKey = defineAction({
  name: "API_KEY_UPDATE",
  title: "Update API key",
  description: "Changes the name, permissions or metadata of a key; what is left out stays.",
  idempotent: true,
  input: z.object({
    keyId: idField(),
    name: name.optional(),
    permissions: permissionsField.optional(),
    metadata: metadata.nullable().optional(),
  }),
  output: z.object({ item: apiKeyEntity }),
  run: async (ctx, { keyId, ...input }) => {
    const organizationId = organizationOf(ctx);
    const what = `Cannot update the API key '${keyId}'`;
    const key = await visibleKey(ctx, keyId, what);
    if (input.permissions) {
      refuseMore(ctx.actor, input.permissions, what);
      refuseWidening(ctx.actor, key, { wanted: input.permissions, what });
      await refuseUnknown(ctx, input.permissions, what);
    }
    const grows = isLonger(input.permissions, key.permissions) || isLonger(input.metadata, key.metadata);
    if (grows) await refuseFull(ctx.db, { organizationId, userId: key.userId, what });
    const changes = {
      ...(input.name === undefined ? {} : { name: input.name }),
      ...(input.permissions === undefined ? {} : { permissions: input.permissions }),
      ...(input.metadata === undefined ? {} : { metadata: input.metadata }),
    };
    await apiKeys.update(ctx.db, organizationId, { id: key.id, changes, now: Date.now() });
    ctx.identities.forget();
    return { item: toApiKey(await visibleKey(ctx, keyId, what)) };
  },
});

export const deleteApiKey = defineAction({
  name: "API_KEY_DELETE",
  title: "Delete API key",
  description: "Revokes a key: it stops working at once.",
  destructive: true,
  input: z.object({ keyId: idField() }),
  output: z.object({ success: z.boolean(), keyId: z.string() }),
  run: async (ctx, { keyId }) => {
    const key = await visibleKey(ctx, keyId, `Cannot delete the API key '${keyId}'`);
    await apiKeys.remove(ctx.db, organizationOf(ctx), key.id);
    ctx.identities.forget();
    return { success: true, keyId };
  },
});

/** A key that the actor looks after: their own, or any of the organization for its owners and admins. */
async function visibleKey(ctx: Context, id: string, what: string): Promise<apiKeys.OwnedApiKey> {
  const key = await apiKeys.find(ctx.db, organizationOf(ctx), id);
  if (key && (key.userId === ctx.actor.userId || isManager(ctx.actor))) return key;
  throw new AppError("not_found", `${what}: there is no such key`);
}

/** Throws `forbidden` where the actor would give away more than it has. */
export function refuseMore(actor: Actor, wanted: Permissions, what: string): void {
  if (mayGrant(actor, wanted)) return;
  throw new AppError(
    "forbidden",
    `${what}: a key or token cannot give permissions that it does not have itself`,
  );
}

/** Whoever holds the secret of another's key would gain that person's power. */
function refuseWidening(
  actor: Actor,
  key: apiKeys.ApiKeyRow,
  { wanted, what }: { wanted: Permissions; what: string },
): void {
  if (key.userId === actor.userId || covers(key.permissions ?? readOnlyManagement, wanted)) return;
  throw new AppError("forbidden", `${what}: only the person who owns it can give it more permissions`);
}

/** Throws `invalid`: a permission for what does not exist is a mistake that nobody would notice. */
export async function refuseUnknown(ctx: Context, wanted: Permissions, what: string): Promise<void> {
  const named = Object.keys(wanted).filter((resource) => /^(conn|gw)_[^*]/.test(resource));
  const known = await apiKeys.knownConnections(
    ctx.db,
    organizationOf(ctx),
    named.filter((resource) => resource.startsWith("conn_")),
  );
  const unknown = named.find((resource) => !known.has(resource));
  if (unknown === undefined) return;
  const kind = unknown.startsWith("conn_") ? "connection" : "gateway";
  const problem = `the organization has no ${kind} '${unknown}'`;
  throw new AppError("invalid", `${what}: ${problem}`, { fields: { permissions: problem } });
}

/** A key that ends makes no key that outlives it, and a client's token, which can be taken back, makes none. */
async function expiryOf(
  ctx: Context,
  wanted: number | null,
  what: string,
): Promise<number | null> {
  if (ctx.actor.kind === "token") {
    throw new AppError("forbidden", `${what}: it would outlive what the application was allowed`);
  }
  if (ctx.actor.keyId === null) return wanted;
  const maker = await apiKeys.find(ctx.db, organizationOf(ctx), ctx.actor.keyId);
  if (!maker) throw new AppError("forbidden", `${what}: the key that makes it was revoked`);
  if (maker.expiresAt === null) return wanted;
  if (wanted === null || wanted <= maker.expiresAt) return wanted ?? maker.expiresAt;
  throw new AppError(
    "forbidden",
    `${what}: it would outlive the key that makes it, which ends at ${isoOf(maker.expiresAt)}`,
  );
}

/** Keeps the key while its owner is a member for certain: one that is being removed leaves no key behind. */
async function keep(ctx: Context, key: Omit<apiKeys.ApiKeyRow, "organizationId">, secret: string) {
  const organizationId = organizationOf(ctx);
  await organizations.withLock(ctx.db, organizationId, async (db) => {
    if (!await members.rolesOf(db, organizationId, key.userId)) {
      throw new AppError("forbidden", `Cannot create the API key '${key.name}': you left the organization`);
    }
    await refuseFull(db, { organizationId, userId: key.userId, what: `Cannot create '${key.name}'` });
    await apiKeys.insert(db, organizationId, { key, keyHash: hashToken(secret) });
  });
  ctx.identities.forget();
}

/** True where a change makes longer what is kept; whoever keeps too much may still narrow a key. */
function isLonger(wanted: unknown, kept: unknown): boolean {
  return wanted !== undefined && JSON.stringify(wanted).length > JSON.stringify(kept).length;
}

async function refuseFull(
  db: Db,
  { what, ...owner }: { organizationId: string; userId: string; what: string },
): Promise<void> {
  if (!await isFull(db, "api_keys", owner)) return;
  throw new AppError("conflict", `${what}: there are too many API keys, or they hold too much; delete some`);
}

function toApiKey(row: apiKeys.OwnedApiKey): ApiKey {
  return {
    id: row.id,
    name: row.name,
    userId: row.userId,
    ownerName: row.ownerName,
    permissions: copyOf(row.permissions ?? readOnlyManagement),
    metadata: row.metadata,
    expiresAt: row.expiresAt === null ? null : isoOf(row.expiresAt),
    lastUsedAt: row.lastUsedAt === null ? null : isoOf(row.lastUsedAt),
    createdAt: isoOf(row.createdAt),
    updatedAt: isoOf(row.updatedAt),
  };
}

/** Permissions that nobody shares. */
export function copyOf(permissions: Permissions): Record<string, string[]> {
  return Object.fromEntries(
    Object.entries(permissions).map(([resource, actions]) => [resource, [...actions]]),
  );
}
