// Connections for which people hold credentials, and the credentials themselves, made straight in the storage.
import type { Services } from "../../server/services.ts";
import * as connections from "../../server/storage/connections.ts";
import * as credentials from "../../server/storage/upstream_credentials.ts";
import { newCredential, sealSecret, type Secret } from "../../server/upstream/held.ts";
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
  const belonging = {
    organization_id: organizationId,
    connection_id: connectionId,
    owner,
    created_by: owner,
  };
  const made = await newCredential(vault, belonging, { secret, url });
  const { id = made.id } = row;
  const sealed = await sealSecret(vault, { id, organization_id: organizationId }, { secret, url });
  await credentials.put(db, { ...made, ...row, id, sealed });
  return id;
}
