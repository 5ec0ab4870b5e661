import type { Lifecycle } from "../lifecycle.ts";
import { describeError } from "../log.ts";
import type { Services } from "../services.ts";
import type { Db } from "../storage/dialect.ts";
import * as oauthClients from "../storage/oauth_clients.ts";
import * as oauthCodes from "../storage/oauth_codes.ts";
import * as oauthConsents from "../storage/oauth_consents.ts";
import * as oauthRequests from "../storage/oauth_requests.ts";
import * as oauthTokens from "../storage/oauth_tokens.ts";

const dayMs = 24 * 3600_000;
/** Used codes stay for a while, so that one that comes again ends its family. */
const codesStayMs = dayMs;
/** Clients and consents stay long: applications keep their id for ever. */
const idleMs = 180 * dayMs;

/** Removes what has expired by `now`: questions, codes, tokens, consents and clients that nobody uses. */
export async function removeExpired(db: Db, now: number): Promise<void> {
  await oauthRequests.removeExpired(db, now);
  await oauthCodes.removeExpired(db, now - codesStayMs);
  await oauthTokens.removeExpired(db, now);
  await oauthConsents.removeIdle(db, now - idleMs);
  await oauthClients.removeOld(db, { now, idleSince: now - idleMs });
}

/**
 * Cleans up in the background, at most once in ten minutes, when there is traffic: without any, nothing grows.
 * A stop of the server waits for it.
 */
export class CleanUp {
  readonly #services: Services;
  readonly #lifecycle: Lifecycle;
  #next = 0;

  constructor(services: Services, lifecycle: Lifecycle) {
    this.#services = services;
    this.#lifecycle = lifecycle;
  }

  /** Begins where it is time to; never throws. */
  mayBegin(): void {
    const { db, log } = this.#services;
    const now = Date.now();
    if (now < this.#next || this.#lifecycle.draining) return;
    this.#next = now + 600_000;
    this.#lifecycle.enter();
    removeExpired(db, now)
      .catch((error: unknown) => log.warn("expired tokens were not removed", { error: describeError(error) }))
      .finally(() => this.#lifecycle.leave());
  }
}
