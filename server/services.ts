import type { Identities } from "./access/identify.ts";
import type { Audit } from "./audit.ts";
import type { Config } from "./config.ts";
import type { Log } from "./log.ts";
import type { Outbound } from "./outbound.ts";
import type { Db } from "./storage/dialect.ts";
import type { SigningKeys } from "./upstream/signing_keys.ts";
import type { Health } from "./upstream/health.ts";
import type { Upstream } from "./upstream/upstream.ts";
import type { Vault } from "./vault.ts";

/** What is made once at start and handed to everything. */
export interface Services {
  readonly config: Config;
  readonly log: Log;
  readonly db: Db;
  readonly vault: Vault;
  readonly audit: Audit;
  readonly identities: Identities;
  readonly outbound: Outbound;
  readonly signingKeys: SigningKeys;
  readonly upstream: Upstream;
  readonly health: Health;
}
