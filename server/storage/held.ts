import { sql } from "kysely";
import type { Db } from "./dialect.ts";

/** What lists give back whole, and what of it may be long. */
const columns = {
  api_keys: ["permissions", "metadata"],
  oauth_consents: ["permissions"],
  oauth_clients: ["permissions", "redirect_uris"],
} as const;

/** So many rows, and so many characters in them, belong to one owner at most: lists of them are held in memory. */
const most = { rows: 1000, characters: 2_000_000 };

/** True where an organization, or one person in it, has so much of a noun that nothing may be added to it. */
export async function isFull(
  db: Db,
  table: keyof typeof columns,
  { organizationId, userId }: { organizationId: string; userId?: string },
): Promise<boolean> {
  const lengths = columns[table].map((column) => sql`coalesce(length(${sql.ref(column)}), 0)`);
  const owner = userId === undefined ? sql`1 = 1` : sql`user_id = ${userId}`;
  const query = sql<{ count: number; characters: number | null }>`
    select count(*) as count, sum(${sql.join(lengths, sql` + `)}) as characters
    from ${sql.table(table)} where organization_id = ${organizationId} and ${owner}`;
  const [found] = (await query.execute(db)).rows;
  return Number(found?.count) >= most.rows || Number(found?.characters) >= most.characters;
}
