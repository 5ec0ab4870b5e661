import type { Permissions } from "./roles.ts";

/** Who is asking: a person through a session or a key, in one organization, with the power they have now. */
export interface Actor {
  readonly kind: "session" | "key";
  readonly userId: string;
  readonly name: string;
  readonly email: string;
  /** Null for a person who belongs to no organization. */
  readonly organizationId: string | null;
  readonly roles: readonly string[];
  /** The key's own permissions; null for a session, which has none of its own. */
  readonly limits: Permissions | null;
  readonly keyId: string | null;
  readonly clientId: string | null;
}
