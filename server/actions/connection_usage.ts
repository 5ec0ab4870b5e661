import { z } from "zod";
import { isManager } from "../access/policy.ts";
import { publicUrl } from "../audit/public_url.ts";
import * as connectionUsage from "../storage/connection_usage.ts";
import { type Condition, listOutput } from "../storage/filters.ts";
import { type Standing, standings } from "../storage/upstream_credentials.ts";
import { defineAction, organizationOf } from "./action.ts";
import { healthFields, healthOf } from "./connection_health.ts";
import { actsForItself } from "./credentials.ts";
import { idField } from "./fields.ts";

const days = 7;

const usedConnection = z.object({
  id: z.string(),
  title: z.string(),
  description: z.string().nullable(),
  connection_type: z.string(),
  connection_url: z.string().nullable(),
  status: z.enum(["active", "inactive", "error"]),
  status_reason: z.string().nullable(),
  toolCount: z.int().nullable().describe("Null while its server never listed any"),
  calls: z.int().describe(`Calls of the last ${days} days; your own where you look after nobody else's`),
  medianMs: z.number().nullable().describe("Of the latest 200 of these calls"),
  daily: z.array(z.int()).describe("Calls a day (UTC), oldest first"),
  needReconnect: z.int().describe(
    "How many people have to connect again; 0 for those who do not look after them",
  ),
  sharedAccess: z.enum(["connected", "not_connected", "needs_attention"]).nullable().describe(
    "How the access stands that somebody signs in for on behalf of all; null where there is no such thing",
  ),
  health: healthFields.nullable().describe("What its last check found; null before the first"),
});

export const listConnectionUsage = defineAction({
  name: "CONNECTION_USAGE_LIST",
  title: "List connections by use",
  description:
    `Lists connections with how often they were called in the last ${days} days and how long it took.`,
  readOnly: true,
  input: z.object({
    search: z.string().max(200).regex(/^\P{Cc}*$/u).optional().describe(
      "Part of the title, URL or description",
    ),
    ids: z.array(idField()).max(100).optional().describe("Only these connections"),
    status: z.enum(["active", "inactive", "error"]).optional(),
    orderBy: z.enum(["used", "title", "created"]).default("used").describe(
      "used: most calls first; created: newest first",
    ),
    figures: z.boolean().default(true).describe("false: only the connections, as if nothing was called"),
    limit: z.int().min(1).max(200).default(50),
    offset: z.int().min(0).max(1_000_000_000).default(0),
  }),
  output: listOutput(usedConnection),
  run: async (ctx, { search, ids, status, orderBy, figures, limit, offset }) => {
    const { actor } = ctx;
    if (figures) await ctx.audit.flush();
    const { items, totalCount } = await connectionUsage.list(ctx.db, organizationOf(ctx), {
      where: whereOf({ search, ids, status }),
      order: orderBy,
      days: figures ? days : 0,
      onlyOfUser: isManager(actor) ? undefined : actor.userId,
      limit,
      offset,
    });
    const shown = items.map((item) => item.id);
    const standing = await standings(ctx.db, organizationOf(ctx), shown);
    const health = await healthOf(ctx, shown);
    const known = items.map((item) => ({
      ...item,
      connection_url: item.connection_url && publicUrl(item.connection_url),
      status: item.status as "active",
      needReconnect: isManager(actor) ? standing.get(item.id)?.people ?? 0 : 0,
      sharedAccess: sharedAccess(item, standing.get(item.id)),
      health: health.get(item.id) ?? null,
    }));
    return { items: known, totalCount, hasMore: offset + items.length < totalCount };
  },
});

function sharedAccess(item: connectionUsage.UsedConnection, standing: Standing | undefined) {
  const signsIn = item.credential_type === "oauth" && item.credential_mode === "shared";
  if (!signsIn || actsForItself(item)) return null;
  if (!standing?.shared) return "not_connected" as const;
  return standing.shared === "ok" ? "connected" as const : "needs_attention" as const;
}

interface Narrowed {
  search: string | undefined;
  ids: string[] | undefined;
  status: string | undefined;
}

function whereOf({ search, ids, status }: Narrowed): Condition {
  const conditions: Condition[] = [];
  if (ids !== undefined) conditions.push({ field: ["id"], operator: "in", value: ids });
  if (status !== undefined) conditions.push({ field: ["status"], operator: "eq", value: status });
  if (search) {
    const fields = ["title", "connection_url", "description"];
    conditions.push({
      operator: "or",
      conditions: fields.map((field) => ({ field: [field], operator: "contains" as const, value: search })),
    });
  }
  return { operator: "and", conditions };
}
