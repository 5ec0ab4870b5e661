import type { Db } from "./dialect.ts";
import { parseRoles } from "./members.ts";

/** A person who was asked to join an organization; times in milliseconds. */
export interface InvitationRow {
  id: string;
  organizationId: string;
  /** Lower case. */
  email: string;
  roles: string[];
  inviterId: string;
  status: string;
  createdAt: number;
  expiresAt: number;
}

/** Keeps a new invitation. */
export async function insert(
  db: Db,
  organizationId: string,
  invitation: Omit<InvitationRow, "organizationId">,
): Promise<void> {
  await db.insertInto("invitations").values({
    id: invitation.id,
    organization_id: organizationId,
    email: invitation.email,
    roles: JSON.stringify(invitation.roles),
    inviter_id: invitation.inviterId,
    status: invitation.status,
    created_at: invitation.createdAt,
    expires_at: invitation.expiresAt,
  }).execute();
}

/** The invitations of the organization, newest first. */
export async function list(db: Db, organizationId: string): Promise<InvitationRow[]> {
  const rows = await db.selectFrom("invitations").selectAll().where("organization_id", "=", organizationId)
    .orderBy("created_at", "desc").orderBy("id", "desc").execute();
  return rows.map((row) => ({
    id: row.id,
    organizationId: row.organization_id,
    email: row.email,
    roles: parseRoles(row.roles),
    inviterId: row.inviter_id,
    status: row.status,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
  }));
}
