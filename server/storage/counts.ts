import type { Db } from "./dialect.ts";
import { sharedOwner } from "./upstream_credentials.ts";

/**
 * How much an organization has of each; `apiKeys` and `applications` are those of one person where `keysOf` says
 * whose.
 */
export async function ofOrganization(
  db: Db,
  organizationId: string,
  { keysOf }: { keysOf?: string | undefined },
): Promise<{ connections: number; members: number; apiKeys: number; applications: number }> {
  const rows = (table: "connections" | "members" | "api_keys" | "oauth_consents") =>
    db.selectFrom(table).select((eb) => eb.fn.countAll<number>().as("count"))
      .where("organization_id", "=", organizationId);
  const own = (table: "api_keys" | "oauth_consents") =>
    keysOf === undefined ? rows(table) : rows(table).where("user_id", "=", keysOf);
  const queries = [rows("connections"), rows("members"), own("api_keys"), own("oauth_consents")];
  const counted = await Promise.all(queries.map((query) => query.executeTakeFirstOrThrow()));
  const [connections = 0, members = 0, apiKeys = 0, applications = 0] = counted.map(({ count }) => count);
  return { connections, members, apiKeys, applications };
}

/** How many credentials need attention of a person, the shared ones among them where they look after those. */
export async function needingAttention(
  db: Db,
  organizationId: string,
  { userId, shared }: { userId: string; shared: boolean },
): Promise<number> {
  const { count } = await db.selectFrom("upstream_credentials")
    .select((eb) => eb.fn.countAll<number>().as("count"))
    .where("organization_id", "=", organizationId).where("state", "=", "attention")
    .where("owner", "in", shared ? [userId, sharedOwner] : [userId]).executeTakeFirstOrThrow();
  return count;
}
