import type { Db } from "./dialect.ts";
import { parseRoles } from "./members.ts";

/** An organization of a person in which a resource lies, with the roles that they have there. */
export interface ResourcePlace {
  organizationId: string;
  organizationName: string;
  roles: string[];
  /** The connection's title; null for the mesh itself. */
  title: string | null;
  /** What the connection's server listed, of any shape; null for the mesh itself and while it has not answered. */
  tools: unknown[] | null;
}

/** Where this person may mean the resource: for `self` every organization of theirs, else the one that has it. */
export async function placesOf(db: Db, userId: string, resource: string): Promise<ResourcePlace[]> {
  const memberships = db.selectFrom("members")
    .innerJoin("organizations", "organizations.id", "members.organization_id")
    .where("members.user_id", "=", userId);
  if (resource === "self") {
    const rows = await memberships
      .select(["organizations.id", "organizations.name", "members.roles"])
      .orderBy("members.created_at").orderBy("members.id").execute();
    return rows.map((row) => toPlace({ ...row, title: null, tools: null }));
  }
  const rows = await memberships
    .innerJoin("connections", "connections.organization_id", "members.organization_id")
    .select([
      "organizations.id",
      "organizations.name",
      "members.roles",
      "connections.title",
      "connections.tools",
    ])
    .where("connections.id", "=", resource).execute();
  return rows.map(toPlace);
}

interface PlaceRow {
  id: string;
  name: string;
  roles: string;
  title: string | null;
  tools: string | null;
}

function toPlace(row: PlaceRow): ResourcePlace {
  return {
    organizationId: row.id,
    organizationName: row.name,
    roles: parseRoles(row.roles),
    title: row.title,
    tools: row.tools === null ? null : JSON.parse(row.tools) as unknown[],
  };
}
