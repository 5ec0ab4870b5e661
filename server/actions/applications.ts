import { z } from "zod";
import { isManager } from "../access/policy.ts";
import { describePlace } from "../access/redirect_uris.ts";
import { AppError } from "../errors.ts";
import * as oauthClients from "../storage/oauth_clients.ts";
import * as oauthConsents from "../storage/oauth_consents.ts";
import { type Context, defineAction, organizationOf } from "./action.ts";
import { copyOf, permissionMap } from "./api_keys.ts";
import { idField, isoOf } from "./fields.ts";

/** What a person has allowed an application. */
const applicationEntity = z.object({
  id: z.string(),
  clientId: z.string(),
  clientName: z.string().describe("As the application calls itself"),
  source: z.enum(["document", "dynamic", "manual"]).describe(
    "document: described at the URL that is its id; dynamic: it registered itself; manual: an admin registered it",
  ),
  host: z.string().nullable().describe("The host of its id, where that is a URL"),
  returnsTo: z.string().nullable().describe(
    "Host or scheme that the answer went to; null where no person was asked",
  ),
  resource: z.string().describe("'self' (the mesh itself), 'conn_...' or 'gw_...'"),
  resourceTitle: z.string().nullable(),
  permissions: permissionMap,
  userId: z.string().describe("Whom it acts for"),
  userName: z.string(),
  userEmail: z.string(),
  createdAt: z.string().describe("ISO 8601"),
  lastUsedAt: z.string().nullable().describe("ISO 8601, exact to a minute, null where it was never used"),
});

export type Application = z.output<typeof applicationEntity>;

export const listApplications = defineAction({
  name: "APPLICATION_LIST",
  title: "List applications",
  description:
    "Lists the applications that were allowed something in the active organization, newest first: owners and admins " +
    "see all, others their own.",
  readOnly: true,
  input: z.object({}),
  output: z.object({ items: z.array(applicationEntity) }),
  run: async (ctx) => {
    const organizationId = organizationOf(ctx);
    const person = isManager(ctx.actor) ? undefined : ctx.actor.userId;
    const rows = await oauthConsents.list(ctx.db, organizationId, person);
    const registered = new Set((await oauthClients.list(ctx.db, organizationId)).map(({ id }) => id));
    return { items: rows.map((row) => toApplication(row, registered)) };
  },
});

export const revokeApplication = defineAction({
  name: "APPLICATION_REVOKE",
  title: "Revoke application",
  description: "Takes back what a person allowed an application: its tokens stop working at once.",
  destructive: true,
  input: z.object({ id: idField().describe("consent_...") }),
  output: z.object({ success: z.boolean(), id: z.string() }),
  run: async (ctx, { id }) => {
    const organizationId = organizationOf(ctx);
    if (!await isVisible(ctx, id) || !await oauthConsents.revoke(ctx.db, organizationId, id)) {
      throw new AppError("not_found", `Cannot revoke the application '${id}': there is no such application`);
    }
    ctx.identities.forget();
    return { success: true, id };
  },
});

/** One's own, or any of the organization for its owners and admins. */
async function isVisible(ctx: Context, id: string): Promise<boolean> {
  const consent = await oauthConsents.find(ctx.db, organizationOf(ctx), id);
  return consent !== null && (consent.userId === ctx.actor.userId || isManager(ctx.actor));
}

function toApplication(row: oauthConsents.ListedConsent, registered: ReadonlySet<string>): Application {
  const isDocument = row.clientId.startsWith("https:");
  return {
    id: row.id,
    clientId: row.clientId,
    clientName: row.clientName,
    source: isDocument ? "document" : registered.has(row.clientId) ? "manual" : "dynamic",
    host: isDocument ? new URL(row.clientId).host : null,
    returnsTo: row.redirectUri === null ? null : describePlace(row.redirectUri).host,
    resource: row.resource,
    resourceTitle: row.resourceTitle,
    permissions: copyOf(row.permissions),
    userId: row.userId,
    userName: row.userName,
    userEmail: row.userEmail,
    createdAt: isoOf(row.createdAt),
    lastUsedAt: row.lastUsedAt === null ? null : isoOf(row.lastUsedAt),
  };
}
