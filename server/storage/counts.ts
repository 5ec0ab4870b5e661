import type { Db } from "./dialect.ts";

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
