import type { Db } from "./dialect.ts";

/** How much an organization has of each; `apiKeys` are those of one person where `keysOf` says whose. */
export async function ofOrganization(
  db: Db,
  organizationId: string,
  { keysOf }: { keysOf?: string | undefined },
): Promise<{ connections: number; members: number; apiKeys: number }> {
  const rows = (table: "connections" | "members" | "api_keys") =>
    db.selectFrom(table).select((eb) => eb.fn.countAll<number>().as("count"))
      .where("organization_id", "=", organizationId);
  let keys = rows("api_keys");
  if (keysOf !== undefined) keys = keys.where("user_id", "=", keysOf);
  const counted = [rows("connections"), rows("members"), keys].map((query) =>
    query.executeTakeFirstOrThrow()
  );
  const [connections = 0, members = 0, apiKeys = 0] = (await Promise.all(counted)).map(({ count }) => count);
  return { connections, members, apiKeys };
}
