// Connections for which people hold credentials, and the credentials themselves, made straight in the storage.
import { newId } from "../../server/ids.ts";
import type { Services } from "../../server/services.ts";
import * as connections from "../../server/storage/connections.ts";
import * as credentials from "../../server/storage/upstream_credentials.ts";
import { sealSecret, type Secret } from "../../server/upstream/held.ts";
import type { Caller } from "../../server/upstream/holders.ts";
import { addConnection } from "../support/connections.ts";

export type Kept = Pick<Services, "db" | "vault">;

/** A person of an organization, as the relay names them. */
export function callerOf(
  { organizationId, userId }: { organizationId: string; userId: string },
): Caller {
  const person = { userId, name: "Ann", email: "ann@example.com", roles: ["user"] };
  return { organizationId, ...person, keyId: null, clientId: null };
}

/** A connection with these columns beside its address. */
export async function holderConnection(
  { db }: Pick<Services, "db">,
  organizationId: string,
  { url, tools, ...changes }:
    & { url: string; tools?: readonly { name: string }[] | null }
    & connections.ConnectionChanges,
): Promise<string> {
  const id = await addConnection(db, organizationId, { url, tools: tools ?? null });
  await connections.update(db, organizationId, {
    id,
    changes: { credential_mode: "per_user", ...changes },
  });
  return id;
}

export interface Gift {
  organizationId: string;
  connectionId: string;
  /** A person's id; the organization's own credential where it is left out. */
  owner?: string;
  secret: Secret;
  url?: string | null;
  row?: Partial<Parameters<typeof credentials.put>[1]>;
}

/** Keeps a credential and returns its id. */
export async function give(
  { db, vault }: Kept,
  { organizationId, connectionId, owner = credentials.sharedOwner, secret, url = null, row = {} }: Gift,
): Promise<string> {
  const id = row.id ?? newId("cred");
  const now = Date.now();
  await credentials.put(db, {
    id,
    organization_id: organizationId,
    connection_id: connectionId,
    owner,
    kind: secret.kind,
    sealed: await sealSecret(vault, { id, organization_id: organizationId }, { secret, url }),
    account: null,
    issuer: null,
    scope: null,
    expires_at: null,
    state: "ok",
    reason: null,
    version: 1,
    claimed_by: null,
    claimed_until: null,
    created_by: owner,
    created_at: now,
    updated_at: now,
    refreshed_at: null,
    ...row,
  });
  return id;
}
