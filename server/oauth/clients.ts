import { createHash } from "node:crypto";
import type { Permissions } from "../access/roles.ts";
import type { Db } from "../storage/dialect.ts";
import * as oauthClients from "../storage/oauth_clients.ts";
import { isLocalOnly } from "../access/redirect_uris.ts";

/** An application that asks for tokens. */
export interface Client {
  readonly id: string;
  readonly name: string;
  /** `document`: it is described at the URL that is its id; `dynamic`: it registered itself; `manual`: an admin did. */
  readonly source: "document" | "dynamic" | "manual";
  readonly uri: string | null;
  readonly redirectUris: readonly string[];
  readonly grantTypes: readonly string[];
  /** SHA-256 of its secret, base64url; null for a public client. */
  readonly secretHash: string | null;
  /** The organization whose admin registered it. */
  readonly organizationId: string | null;
  /** Whom it acts as, and what it may do, where it acts without a person. */
  readonly ownerId: string | null;
  readonly permissions: Permissions | null;
  /** Milliseconds since 1970; null for a document. */
  readonly registeredAt: number | null;
}

/** What an id of a client that this server gave out begins with; never `https://` (AS42). */
export function isIssuedId(id: string): boolean {
  return /^client_[0-9a-z]{26}$/.test(id);
}

/** The client that this server gave this id, or null where it did not or the client went away since. */
export async function findIssued(db: Db, id: string): Promise<Client | null> {
  const row = isIssuedId(id) ? await oauthClients.find(db, id, Date.now()) : null;
  if (!row) return null;
  return {
    id: row.id,
    name: row.name,
    source: row.organizationId === null ? "dynamic" : "manual",
    uri: row.clientUri,
    redirectUris: row.redirectUris,
    grantTypes: row.grantTypes,
    secretHash: row.secretHash,
    organizationId: row.organizationId,
    ownerId: row.ownerId,
    permissions: row.permissions,
    registeredAt: row.createdAt,
  };
}

/** The name as a person may be shown it: one line, without characters that hide or reorder others. */
export function cleanName(text: string): string {
  return text.replace(/[\s\p{Cc}\p{Cf}]+/gu, " ").trim().slice(0, 100).toWellFormed();
}

/** A fingerprint of what a client says of itself; where it changes, people are asked again (AS56). */
export function printOf({ name, redirectUris }: Client): string {
  const facts = JSON.stringify([name, [...redirectUris].sort()]);
  return createHash("sha256").update(facts).digest("base64url");
}

/** True where nothing but addresses of the person's own machine speaks for who the client is (AS17). */
export function isUnproven({ redirectUris }: Client): boolean {
  return isLocalOnly(redirectUris);
}
