import { z } from "zod";
import { clientSecretPrefix, hashToken } from "../access/identify.ts";
import { problemOf } from "../access/redirect_uris.ts";
import { AppError } from "../errors.ts";
import { newId, newSecret } from "../ids.ts";
import * as apiKeys from "../storage/api_keys.ts";
import { isFull } from "../storage/held.ts";
import * as members from "../storage/members.ts";
import * as oauthClients from "../storage/oauth_clients.ts";
import * as organizations from "../storage/organizations.ts";
import { type Context, defineAction, organizationOf } from "./action.ts";
import { copyOf, permissionMap, permissionsField, refuseMore, refuseUnknown } from "./api_keys.ts";
import { idField, isoOf, line } from "./fields.ts";

/** An application that an admin registered, without its secret. */
const oauthClientEntity = z.object({
  clientId: z.string(),
  name: z.string(),
  redirectUris: z.array(z.string()),
  confidential: z.boolean().describe("True where it has a secret"),
  grantTypes: z.array(z.string()),
  ownerId: z.string().nullable().describe("Whom it acts as where it acts without a person"),
  ownerName: z.string().nullable(),
  permissions: permissionMap.nullable().describe("What it may do without a person; null for nothing"),
  lastUsedAt: z.string().nullable().describe("ISO 8601, when somebody last allowed it something"),
  createdAt: z.string().describe("ISO 8601"),
});

export type OauthClient = z.output<typeof oauthClientEntity>;

const redirectUris = z.array(
  z.string().trim().superRefine((uri, ctx) => {
    const problem = problemOf(uri);
    if (problem !== null) ctx.addIssue({ code: "custom", message: `'${uri.slice(0, 200)}' ${problem}` });
  }),
).max(20, "it must have at most 20 addresses");

export const listOauthClients = defineAction({
  name: "OAUTH_CLIENT_LIST",
  title: "List OAuth clients",
  description: "Lists the applications that admins of the active organization have registered, newest first.",
  readOnly: true,
  input: z.object({}),
  output: z.object({ items: z.array(oauthClientEntity) }),
  run: async (ctx) => {
    const rows = await oauthClients.list(ctx.db, organizationOf(ctx));
    return { items: rows.map(toOauthClient) };
  },
});

export const createOauthClient = defineAction({
  name: "OAUTH_CLIENT_CREATE",
  title: "Create OAuth client",
  description:
    "Registers an application that people of the organization may then allow to act for them. Its secret is shown " +
    "this once. With permissions it also acts without a person (client_credentials), as you and with your power at most.",
  input: z.object({
    name: line(100).min(1, "it is required"),
    redirectUris: redirectUris.default([]).describe(
      "Where people come back to: https, http of their own machine, or a scheme of its own; none where it only acts " +
        "without a person",
    ),
    confidential: z.boolean().optional().describe(
      "True for a secret; by default only an application that acts without a person has one",
    ),
    permissions: permissionsField.optional(),
  }),
  output: z.object({
    item: oauthClientEntity.extend({
      clientSecret: z.string().nullable().describe("It is not shown again; null where it has none"),
    }),
  }),
  run: async (ctx, input) => {
    const what = `Cannot create the OAuth client '${input.name}'`;
    const permissions = input.permissions ?? null;
    const confidential = input.confidential ?? permissions !== null;
    if (permissions === null && input.redirectUris.length === 0) {
      throw invalid("redirectUris", "an address to come back to is required", what);
    }
    if (permissions !== null) {
      if (!confidential) {
        throw invalid("confidential", "an application that acts without a person needs a secret", what);
      }
      await refusePassing(ctx, what);
      refuseMore(ctx.actor, permissions, what);
      await refuseUnknown(ctx, permissions, what);
    }
    const secret = confidential ? newSecret(clientSecretPrefix) : null;
    const row = {
      id: newId("client"),
      organizationId: organizationOf(ctx),
      name: input.name,
      redirectUris: [...new Set(input.redirectUris)],
      grantTypes: [
        ...(input.redirectUris.length > 0 ? ["authorization_code", "refresh_token"] : []),
        ...(permissions === null ? [] : ["client_credentials"]),
      ],
      authMethod: secret === null ? "none" : "client_secret_basic",
      clientUri: null,
      ownerId: permissions === null ? null : ctx.actor.userId,
      permissions,
      createdAt: Date.now(),
      unusedUntil: null,
      lastUsedAt: null,
    };
    const secretHash = secret === null ? null : hashToken(secret);
    // One that is being removed from the organization leaves none behind that acts as them.
    await organizations.withLock(ctx.db, row.organizationId, async (db) => {
      if (!await members.rolesOf(db, row.organizationId, ctx.actor.userId)) {
        throw new AppError("forbidden", `${what}: you left the organization`);
      }
      if (await isFull(db, "oauth_clients", row)) {
        throw new AppError("conflict", `${what}: there are too many, or they hold too much; delete some`);
      }
      await oauthClients.insert(db, { ...row, secretHash });
    });
    const ownerName = permissions === null ? null : ctx.actor.name;
    return { item: { ...toOauthClient({ ...row, ownerName }), clientSecret: secret } };
  },
});

export const deleteOauthClient = defineAction({
  name: "OAUTH_CLIENT_DELETE",
  title: "Delete OAuth client",
  description:
    "Removes an application that an admin registered, with all that it was allowed: it stops at once.",
  destructive: true,
  input: z.object({ clientId: idField() }),
  output: z.object({ success: z.boolean(), clientId: z.string() }),
  run: async (ctx, { clientId }) => {
    if (!await oauthClients.remove(ctx.db, organizationOf(ctx), clientId)) {
      throw new AppError(
        "not_found",
        `Cannot delete the OAuth client '${clientId}': there is no such client`,
      );
    }
    ctx.identities.forget();
    return { success: true, clientId };
  },
});

/** Its secret does not end, so whoever registers it must not be something that does. */
async function refusePassing(ctx: Context, what: string): Promise<void> {
  const { kind, keyId } = ctx.actor;
  if (kind === "session") return;
  const key = keyId === null ? null : await apiKeys.find(ctx.db, organizationOf(ctx), keyId);
  if (key && key.expiresAt === null) return;
  throw new AppError(
    "forbidden",
    `${what}: it would outlive the key or token that lets it act without a person`,
  );
}

function invalid(field: string, problem: string, what: string): AppError {
  return new AppError("invalid", `${what}: ${problem}`, { fields: { [field]: problem } });
}

function toOauthClient(row: oauthClients.OwnedOauthClient): OauthClient {
  return {
    clientId: row.id,
    name: row.name,
    redirectUris: row.redirectUris,
    confidential: row.authMethod !== "none",
    grantTypes: row.grantTypes,
    ownerId: row.ownerId,
    ownerName: row.ownerName,
    permissions: row.permissions === null ? null : copyOf(row.permissions),
    lastUsedAt: row.lastUsedAt === null ? null : isoOf(row.lastUsedAt),
    createdAt: isoOf(row.createdAt),
  };
}
