// The tables of the mesh as a client of its upstreams; times are milliseconds since 1970.

/** What identifies the organization, or one person of it, to an upstream. */
export interface UpstreamCredentialsTable {
  id: string;
  organization_id: string;
  connection_id: string;
  /** The person's id; empty for the one credential of the organization. */
  owner: string;
  /** `oauth`, `token` or `headers`. */
  kind: string;
  /** A vault envelope of JSON. */
  sealed: string;
  /** As whom the upstream knows the owner, where it says so. */
  account: string | null;
  issuer: string | null;
  scope: string | null;
  /** When the access token ends; null where that is not known. */
  expires_at: number | null;
  /** `ok` or `attention`. */
  state: string;
  /** A sentence that says what needs attention. */
  reason: string | null;
  /** Grows with every change. */
  version: number;
  /** Which process renews it, and until when that is believed. */
  claimed_by: string | null;
  claimed_until: number | null;
  created_by: string;
  created_at: number;
  updated_at: number;
  refreshed_at: number | null;
}

/** Clients that the mesh has registered for itself at authorization servers. */
export interface UpstreamClientsTable {
  id: string;
  organization_id: string;
  /** SHA-256 of issuer and redirect URI, base64url. */
  match_hash: string;
  issuer: string;
  client_id: string;
  auth_method: string;
  sealed_secret: string | null;
  secret_expires_at: number | null;
  created_at: number;
}

/** Authorizations that wait for a browser to come back, each for one session. */
export interface UpstreamFlowsTable {
  /** SHA-256 of the state, base64url. */
  state_hash: string;
  organization_id: string;
  connection_id: string;
  user_id: string;
  session_hash: string;
  /** A vault envelope of JSON: verifier, issuer, client, resource, scope. */
  sealed: string;
  created_at: number;
  expires_at: number;
}

/** What the last check of a connection found, and when the next is due. */
export interface ConnectionHealthTable {
  connection_id: string;
  organization_id: string;
  due_at: number;
  checked_at: number | null;
  ok_at: number | null;
  /** Failed checks in a row. */
  failures: number;
  /** JSON of the last check. */
  result: string | null;
}

/** Keys that identity tokens are signed with. */
export interface SigningKeysTable {
  id: string;
  /** JSON Web Key. RFC 7517 */
  public_key: string;
  sealed_private_key: string;
  created_at: number;
  expires_at: number;
}
