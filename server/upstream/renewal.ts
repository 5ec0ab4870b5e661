import { newId } from "../ids.ts";
import { describeError, type Log } from "../log.ts";
import type { Outbound } from "../outbound.ts";
import * as connections from "../storage/connections.ts";
import type { Db } from "../storage/dialect.ts";
import * as credentials from "../storage/upstream_credentials.ts";
import type { Vault } from "../vault.ts";
import { openUrl } from "./address.ts";
import { contentOf, type Held, newCredential, openHeld, sealSecret } from "./held.ts";
import type { Granted, OauthConnection, OauthParts } from "./oauth_client/types.ts";
import { oauthConnectionOf } from "./oauth_settings.ts";
import { UpstreamFailure } from "./relay.ts";
import { targetFor } from "./tls_options.ts";

/** What the class needs; a part of the services. */
export interface RenewalServices {
  readonly db: Db;
  readonly vault: Vault;
  readonly outbound: Outbound;
  readonly log: Log;
  readonly config: { readonly baseUrl: string };
}

/** The place of one credential. */
export interface Slot {
  readonly organizationId: string;
  readonly connectionId: string;
  /** A person's id, or `sharedOwner`. */
  readonly owner: string;
}

/** A failure that may pass by itself, and until when nobody asks again. */
interface Pause {
  readonly error: unknown;
  readonly count: number;
  /** Milliseconds of `performance.now()`. */
  readonly until: number;
}

/** How long a process has for a renewal before another one takes over, in milliseconds. */
const claimMs = 30_000;
/** No further attempt begins later than this after the first. */
const attemptsMs = 8_000;
const firstWaitMs = 200;
const attempts = 3;
const lookEveryMs = 100;
/** Clocks of two processes may differ by this much: what another one wrote is believed to hold for longer. */
const clockSkewMs = 5 * 60_000;
const shortestPauseMs = 500;
const longestPauseMs = 5_000;

/**
 * Gets new access tokens for credentials: one renewal at a time for each, in this process and in all that share its
 * database (CL12). New tokens are stored before anybody uses them, as the old refresh token is often worth nothing then.
 */
export class Renewals {
  readonly #services: RenewalServices;
  readonly #running = new Map<string, Promise<void>>();
  readonly #pauses = new Map<string, Pause>();
  readonly #stop = new AbortController();

  constructor(services: RenewalServices) {
    this.#services = services;
  }

  /**
   * Renews a credential that is still as it is `held`; resolved once a newer one, or the reason why there is none, is
   * stored. Throws UpstreamFailure where that may pass by itself.
   */
  renew(slot: Slot, held: Held): Promise<void> {
    return this.#single(slot, () => this.#renewOnce(slot, held));
  }

  /** The same for who does not wait for it: the old token is still good. */
  renewSoon(slot: Slot, held: Held): void {
    const pause = this.#pauses.get(keyOf(slot));
    if (pause !== undefined && performance.now() < pause.until) return;
    if (this.#running.has(keyOf(slot)) || this.#stop.signal.aborted) return;
    this.renew(slot, held).catch((error: unknown) => {
      this.#services.log.warn("a token was not renewed ahead of its end", {
        connectionId: slot.connectionId,
        error: describeError(error),
      });
    });
  }

  /** Gets the first token of a connection whose client acts for itself. Throws UpstreamFailure. */
  obtain(slot: Slot, createdBy: string): Promise<void> {
    return this.#single(slot, async () => {
      const { clientCredentials } = await import("./oauth_client.ts");
      const connection = await this.#connection(slot);
      if (connection === null) return;
      const granted = await this.#patiently(() => clientCredentials(this.#parts, { connection }));
      await this.#insert(slot, { granted, createdBy, url: connection.url });
    });
  }

  /** Ends what waits, and resolves when nothing is under way. */
  async close(): Promise<void> {
    this.#stop.abort();
    await Promise.allSettled(this.#running.values());
  }

  #single(slot: Slot, work: () => Promise<void>): Promise<void> {
    const key = keyOf(slot);
    const running = this.#running.get(key);
    if (running) return running;
    const pause = this.#pauses.get(key);
    if (pause !== undefined && performance.now() < pause.until) return Promise.reject(pause.error);
    const started = work().then(() => {
      this.#pauses.delete(key);
    }, (cause: unknown) => {
      const error = failureOf(cause);
      this.#pause(key, error);
      throw error;
    }).finally(() => this.#running.delete(key));
    this.#running.set(key, started);
    return started;
  }

  #pause(key: string, error: unknown): void {
    const count = (this.#pauses.get(key)?.count ?? 0) + 1;
    const lasting = Math.min(longestPauseMs, shortestPauseMs * 2 ** (count - 1));
    if (this.#pauses.size >= 10_000) this.#pauses.clear();
    this.#pauses.set(key, { error, count, until: performance.now() + lasting });
  }

  async #renewOnce(slot: Slot, { row: { id, version } }: Held): Promise<void> {
    const by = newId("req");
    const row = await this.#claim(slot, { id, version, by });
    if (row === null) return;
    const { db } = this.#services;
    try {
      const held = await openHeld(this.#services.vault, row);
      const connection = await this.#connection(slot);
      if (held.secret.kind !== "oauth" || connection === null) return;
      await this.#exchange(slot, { held, connection });
    } finally {
      // Nothing to give back where it was settled: that ended the claim.
      await credentials.release(db, slot.organizationId, { id, by });
    }
  }

  async #exchange(
    slot: Slot,
    { held, connection }: { held: Held; connection: OauthConnection },
  ): Promise<void> {
    const { refresh, OauthError } = await import("./oauth_client.ts");
    const { secret, row } = held;
    if (secret.kind !== "oauth") return;
    const { grant } = secret;
    try {
      const granted = await this.#patiently(() => refresh(this.#parts, { connection, grant }));
      // Bound to where it was first given to, wherever the connection has moved since (CL12).
      await this.#keep(slot, { row, granted, url: held.origin ?? connection.url });
    } catch (error) {
      if (!(error instanceof OauthError)) throw error;
      const isGiven = connection.config?.client_id === grant.client.clientId;
      const forSelf = grant.grantType === "client_credentials";
      if (error.kind === "transient" || error.code === "outbound_refused") throw error;
      await this.#attend(slot, { row, reason: reasonOf(error, isGiven) });
      if (error.kind === "invalid_client") await this.#forgetClient(slot, held);
      // Nobody authorizes a client that acts for itself: it is asked again as soon as its settings are right.
      if (forSelf) throw error;
    }
  }

  /** The row, claimed for this renewal; null where it is not as it was any more, so that there is nothing to do. */
  async #claim(
    slot: Slot,
    { id, version, by }: { id: string; version: number; by: string },
  ): Promise<credentials.CredentialRow | null> {
    const { db } = this.#services;
    let seen: { until: number | null; by: string | null; since: number } | undefined;
    for (;;) {
      const row = await credentials.find(db, slot.organizationId, slot);
      if (row?.id !== id || row.version !== version) return null;
      const { claimed_until: until, claimed_by: holder } = row;
      if (seen?.until !== until || seen?.by !== holder) {
        seen = { until, by: holder, since: performance.now() };
      }
      const now = Date.now();
      const lapsed = until !== null &&
        (performance.now() - seen.since >= claimMs || until + clockSkewMs < now);
      if (until === null || lapsed) {
        // A claim is taken over only by who has watched it lapse, whatever the clock says.
        const claim = { id, version, by, until: now + claimMs, now: until ?? 0 };
        if (await credentials.claim(db, slot.organizationId, claim)) return row;
      }
      await this.#wait(lookEveryMs);
    }
  }

  async #keep(
    slot: Slot,
    { row, granted, url }: { row: credentials.CredentialRow; granted: Granted; url: string },
  ): Promise<void> {
    const { db, vault, log } = this.#services;
    const { id, version } = row;
    const now = Date.now();
    const changes = {
      sealed: await sealSecret(vault, row, { secret: { kind: "oauth", grant: granted.grant }, url }),
      issuer: granted.grant.issuer,
      // What the person was last asked for stays (CL11), whatever part of it this answer names.
      scope: row.scope ?? granted.scope,
      account: granted.account ?? row.account,
      expires_at: granted.expiresAt,
      state: "ok",
      ...(row.state === "ok" ? {} : { reason: null }),
      refreshed_at: now,
    };
    // Lost here, the tokens would be lost for good: the old refresh token may be worth nothing now.
    for (let attempt = 1;; attempt++) {
      try {
        if (await credentials.settle(db, slot.organizationId, { id, version, changes, now })) return;
        break;
      } catch (error) {
        if (attempt === 5) throw error;
        log.warn("a renewed token was not stored yet", { error: describeError(error) });
        await new Promise((resolve) => setTimeout(resolve, firstWaitMs * 2 ** attempt));
      }
    }
    // The person has disconnected or authorized anew meanwhile: nobody will use these.
    const { revoke } = await import("./oauth_client.ts");
    const kept = await credentials.find(db, slot.organizationId, slot);
    if (kept === null) await revoke(this.#parts, granted.grant);
  }

  async #attend(
    slot: Slot,
    { row: { id, version }, reason }: { row: credentials.CredentialRow; reason: string },
  ): Promise<void> {
    const changes = { state: "attention", reason };
    await credentials.settle(this.#services.db, slot.organizationId, {
      id,
      version,
      changes,
      now: Date.now(),
    });
  }

  async #forgetClient({ organizationId }: Slot, { secret }: Held): Promise<void> {
    const { forgetClient } = await import("./oauth_client.ts");
    if (secret.kind === "oauth") await forgetClient(this.#services, organizationId, secret.grant.client);
  }

  async #insert(
    slot: Slot,
    { granted, createdBy, url }: { granted: Granted; createdBy: string; url: string },
  ): Promise<void> {
    const { db, vault } = this.#services;
    const belonging = {
      organization_id: slot.organizationId,
      connection_id: slot.connectionId,
      owner: slot.owner,
      created_by: createdBy,
    };
    const content = { ...contentOf(granted), url, refreshed_at: Date.now() };
    await credentials.put(db, await newCredential(vault, belonging, content));
  }

  /** Does what may fail for a moment, again and again for some seconds. */
  async #patiently(work: () => Promise<Granted>): Promise<Granted> {
    const { OauthError } = await import("./oauth_client.ts");
    const began = performance.now();
    for (let attempt = 1;; attempt++) {
      try {
        return await work();
      } catch (error) {
        const passing = error instanceof OauthError && error.kind === "transient";
        const waitMs = Math.max(
          firstWaitMs * 4 ** (attempt - 1),
          (passing && error.retryAfterSeconds || 0) * 1000,
        );
        const over = attempt === attempts || performance.now() - began + waitMs > attemptsMs;
        if (!passing || over || this.#stop.signal.aborted) throw error;
        await this.#wait(waitMs);
      }
    }
  }

  /** The connection as it is now, its client's secrets opened; null where it is gone. */
  async #connection(slot: Slot): Promise<OauthConnection | null> {
    const { db, vault, outbound } = this.#services;
    const row = await connections.findForRelay(db, slot.organizationId, slot.connectionId);
    if (row?.connection_url == null) return null;
    const target = await targetFor(row, await openUrl(row, vault) ?? "", { vault, outbound });
    return await oauthConnectionOf(row, vault, target);
  }

  get #parts(): OauthParts {
    const { outbound, db, vault, log, config } = this.#services;
    return { outbound, db, vault, log, baseUrl: config.baseUrl };
  }

  #wait(ms: number): Promise<void> {
    const { signal } = this.#stop;
    if (signal.aborted) throw new UpstreamFailure("The mesh is stopping", { stage: "token", status: 503 });
    return new Promise((resolve) => {
      const timer = setTimeout(done, ms);
      function done() {
        clearTimeout(timer);
        signal.removeEventListener("abort", done);
        resolve();
      }
      signal.addEventListener("abort", done);
    });
  }
}

function keyOf({ organizationId, connectionId, owner }: Slot): string {
  return `${connectionId} ${owner} ${organizationId}`;
}

/** What needs attention, as people read it behind the name of the connection. */
function reasonOf({ kind, message }: { kind: string; message: string }, isGiven: boolean): string {
  if (kind === "invalid_grant") return "the server ended the authorization, or it was taken back there";
  if (kind !== "invalid_client") return message;
  return isGiven
    ? "the server does not accept the client that an admin has entered"
    : "the server no longer knows the mesh as its client";
}

/** What the client of a call is told of a failure to get a token. */
function failureOf(cause: unknown): unknown {
  if (!(cause instanceof Error) || !("kind" in cause && "stage" in cause)) return cause;
  return new UpstreamFailure(cause.message, { stage: String(cause.stage), cause });
}
