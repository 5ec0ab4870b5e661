import type { Client } from "./clients.ts";

/** An authorization request that passed every check, as it waits for the person's answer. */
export interface Asked {
  readonly clientId: string;
  readonly clientName: string;
  readonly clientSource: Client["source"];
  readonly clientUri: string | null;
  /** The only organization that may allow it anything: that of the admin who registered it; null for any. */
  readonly clientOrganizationId: string | null;
  /** Fingerprint of what the client says of itself. */
  readonly clientPrint: string;
  /** Milliseconds since 1970; null for a document. */
  readonly clientRegisteredAt: number | null;
  /** True where only addresses of the person's own machine speak for who the client is. */
  readonly unproven: boolean;
  readonly redirectUri: string;
  /** False where the client left the address out, as it has registered one only. */
  readonly redirectUriSent: boolean;
  readonly state: string | null;
  readonly challenge: string;
  /** `self`, `conn_...` or `gw_...`. */
  readonly resource: string;
  /** What is granted as `scope`. */
  readonly scope: string;
  /** Actions that the client says it needs. */
  readonly actions: readonly string[];
}
