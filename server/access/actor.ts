import type { Permissions } from "./roles.ts";

/** Who is asking: a person through a session, a key or a client's token, in one organization, with the power they have now. */
export interface Actor {
  readonly kind: "session" | "key" | "token";
  readonly userId: string;
  readonly name: string;
  readonly email: string;
  /** Null for a person who belongs to no organization. */
  readonly organizationId: string | null;
  readonly roles: readonly string[];
  /** The key's own permissions, or what the person has allowed the client; null for a session, which has none. */
  readonly limits: Permissions | null;
  readonly keyId: string | null;
  /** The client that holds the token. */
  readonly clientId: string | null;
  /** The one resource that the token is for: `self`, `conn_...` or `gw_...`; null for sessions and keys. */
  readonly resource: string | null;
}
