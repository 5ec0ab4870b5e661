import { LRUCache } from "lru-cache";
import { AppError } from "../errors.ts";
import * as credentials from "../storage/upstream_credentials.ts";
import type { Header } from "./credentials.ts";
import type { IdentifiedCaller } from "./identity_token.ts";
import { hasTemplates } from "./templates.ts";
import { bearerChallenge } from "./oauth_client/challenge.ts";
import { type Held, isRenewable, openHeld } from "./held.ts";
import { Renewals, type RenewalServices, type Slot } from "./renewal.ts";
import { Scopes } from "./scopes.ts";
import type { Refusal, RelayTarget } from "./upstream.ts";

/** For whom a message is sent; a key or a client's token acts with its owner's credential. */
export interface Caller extends IdentifiedCaller {
  readonly organizationId: string;
}

export type NeededReason = "not_connected" | "needs_attention" | "needs_scope";

/**
 * A call that has to wait for a person: `url` is the page on which they connect, reconnect or allow more. Its code is
 * `forbidden`, not `unauthenticated`, as a client would take that for a refusal of its own token.
 */
export class CredentialNeeded extends AppError {
  readonly reason: NeededReason;
  readonly url: string;
  readonly connectionId: string;
  readonly connectionTitle: string;
  /** What is missing, as a sentence without the link. */
  readonly missing: string;

  constructor(
    reason: NeededReason,
    { missing, url, target }: { missing: string; url: string; target: Pick<RelayTarget, "id" | "title"> },
  ) {
    super("forbidden", `Cannot use '${target.title}': ${missing}. Open ${url}`);
    this.name = "CredentialNeeded";
    this.reason = reason;
    this.url = url;
    this.connectionId = target.id;
    this.connectionTitle = target.title;
    this.missing = missing;
  }
}

interface Known {
  readonly held: Held | null;
  /** When the database was last asked, in milliseconds of `performance.now()`. */
  checkedAt: number;
}

/** How long an opened credential is taken as it is: a change by another process takes effect within a second. */
const validMs = 800;

/** Whose credential goes with a call: finds it, opens it, and remembers it for less than a second. Made once. */
export class Holders {
  readonly #services: RenewalServices;
  readonly #renewals: Renewals;
  readonly #scopes: Scopes;
  readonly #known = new LRUCache<string, Known>({ max: 10_000 });
  readonly #loading = new Map<string, Promise<Known>>();
  /** What was made of a credential and the headers of its connection, so that it is made once. */
  readonly #merged = new WeakMap<Held, { own: readonly Header[]; headers: readonly Header[] }>();
  #changes = 0;

  constructor(services: RenewalServices) {
    this.#services = services;
    this.#renewals = new Renewals(services);
    this.#scopes = new Scopes(services.db);
  }

  /**
   * The credential's headers; at once while it is known and good. Throws CredentialNeeded, or UpstreamFailure where a
   * token could not be renewed for now.
   */
  headersFor(target: RelayTarget, caller: Caller): readonly Header[] | Promise<readonly Header[]> {
    const slot = slotOf(target, caller);
    const known = this.#find(slot);
    const held = known instanceof Promise ? null : known.held;
    if (held === null || held.row.state !== "ok" || held.renewAt <= Date.now()) {
      return this.#prepared(target, slot, caller);
    }
    return this.#headersOf(target, held);
  }

  /** Drops what is known of a connection's credentials, or of all. */
  forget(connectionId?: string): void {
    this.#changes++;
    for (const known of [this.#known, this.#loading]) {
      for (const key of [...known.keys()]) {
        if (connectionId === undefined || key.startsWith(`${connectionId} `)) known.delete(key);
      }
    }
  }

  /**
   * Takes note that the upstream refused what it was sent; true where there is something else to send: a token that was
   * renewed for it, or meanwhile. A secret that cannot be renewed is marked; what all share, only where it is what was
   * refused, and not a call of one of them. Throws CredentialNeeded, UpstreamFailure.
   */
  async refused(target: RelayTarget, caller: Caller, refusal: Refusal): Promise<boolean> {
    const slot = slotOf(target, caller);
    this.#drop(slot);
    const { held } = await this.#find(slot);
    if (held === null || held.row.state !== "ok") throw this.#missing(target, held);
    if (!askedFor(target, held).every((header) => isAmong(refusal.used, header))) return true;
    if (refusal.status === 403) {
      return target.actsForItself ? false : await this.#outOfScope(target, slot, { held, refusal });
    }
    if (isRenewable(held)) return await this.#renewed(target, slot, { held, refusal });
    if (!refusesCredential(target, refusal)) return false;
    await this.#mark(slot, held);
    throw this.#missing(target, (await this.#find(slot)).held);
  }

  /** Resolves when no renewal is under way, and begins none any more. */
  close(): Promise<void> {
    return this.#renewals.close();
  }

  /** Finds, renews and obtains until there are headers to send. */
  async #prepared(target: RelayTarget, slot: Slot, caller: Caller): Promise<readonly Header[]> {
    for (let round = 0; round < maxRounds; round++) {
      const { held } = await this.#find(slot);
      if (held === null) {
        if (!target.actsForItself) throw this.#missing(target, held);
        await this.#renewals.obtain(slot, caller.userId);
      } else if (held.row.state !== "ok" && !(target.actsForItself && isRenewable(held))) {
        throw this.#missing(target, held);
      } else if (held.row.state === "ok" && this.#isGood(slot, held)) {
        return this.#headersOf(target, held);
      } else if (!isRenewable(held)) {
        throw this.#needed(target, "needs_attention", endedReason);
      } else await this.#renewals.renew(slot, held);
      this.#drop(slot);
    }
    throw new AppError("unavailable", `Cannot use '${target.title}': its credential changes all the time`);
  }

  /** True where the token can be sent now; one that ends soon is renewed meanwhile. */
  #isGood(slot: Slot, held: Held): boolean {
    const now = Date.now();
    if (held.renewAt > now) return true;
    if ((held.row.expires_at ?? Infinity) <= now) return false;
    if (isRenewable(held)) this.#renewals.renewSoon(slot, held);
    return true;
  }

  async #renewed(
    target: RelayTarget,
    slot: Slot,
    { held, refusal }: { held: Held; refusal: Refusal },
  ): Promise<boolean> {
    // A token that is refused as soon as it was made is not made again with each call.
    const isNew = Date.now() - (held.row.refreshed_at ?? 0) < newMs;
    if (refusal.again || isNew) {
      if (target.actsForItself) return false;
      throw this.#needed(target, "needs_attention", refusedAnewReason);
    }
    await this.#renewals.renew(slot, held);
    this.#drop(slot);
    return true;
  }

  async #outOfScope(
    target: RelayTarget,
    slot: Slot,
    { held, refusal }: { held: Held; refusal: Refusal },
  ): Promise<boolean> {
    const wanted = await this.#scopes.challenged(slot, held, refusal);
    if (wanted === null) return false;
    this.#drop(slot);
    throw this.#needed(target, "needs_scope", `it asks for more than was allowed: ${wanted}`);
  }

  async #mark(slot: Slot, { row: { id, version } }: Held): Promise<void> {
    const changes = { state: "attention", reason: refusedReason };
    const change = { id, version, changes, now: Date.now() };
    await credentials.settle(this.#services.db, slot.organizationId, change);
    this.#drop(slot);
  }

  #headersOf(target: RelayTarget, held: Held): readonly Header[] {
    const { headers, origin, secret } = held;
    // What was given while the connection asked for something else is of no use.
    if (secret.kind !== wantedKind(target)) throw this.#missing(target, null);
    if (origin !== undefined && origin !== target.target.origin) {
      throw this.#needed(target, "needs_attention", movedReason);
    }
    if (target.headers.length === 0 && target.personalHeaders === null) return headers;
    const known = this.#merged.get(held);
    if (known?.own === target.headers) return known.headers;
    const all = merged(target.headers, askedFor(target, held));
    this.#merged.set(held, { own: target.headers, headers: all });
    return all;
  }

  #missing(target: RelayTarget, held: Held | null): CredentialNeeded {
    return held === null
      ? this.#needed(target, "not_connected", notConnected(target))
      : this.#needed(target, "needs_attention", held.row.reason ?? refusedReason);
  }

  #needed(target: RelayTarget, reason: NeededReason, missing: string): CredentialNeeded {
    const url = `${this.#services.config.baseUrl}/my-connections/${target.id}`;
    return new CredentialNeeded(reason, { missing, url, target });
  }

  #drop(slot: Slot): void {
    this.#changes++;
    this.#known.delete(keyOf(slot));
    this.#loading.delete(keyOf(slot));
  }

  #find(slot: Slot): Known | Promise<Known> {
    const key = keyOf(slot);
    const known = this.#known.get(key);
    if (known !== undefined && performance.now() - known.checkedAt < validMs) return known;
    const loading = this.#loading.get(key);
    if (loading !== undefined) return loading;
    const started = this.#load(key, slot, known).finally(() => {
      if (this.#loading.get(key) === started) this.#loading.delete(key);
    });
    this.#loading.set(key, started);
    return started;
  }

  async #load(key: string, slot: Slot, before: Known | undefined): Promise<Known> {
    const changes = this.#changes;
    const checkedAt = performance.now();
    const row = await credentials.find(this.#services.db, slot.organizationId, slot);
    const old = before?.held?.row;
    if (before && row && old?.id === row.id && old.version === row.version) {
      before.checkedAt = checkedAt;
      return before;
    }
    const known: Known = { held: row && await openHeld(this.#services.vault, row), checkedAt };
    // What was read before a change in this process must not be kept after it.
    if (changes === this.#changes) this.#known.set(key, known);
    return known;
  }
}

/** A token younger than this that is refused is not renewed once more, in milliseconds. */
const newMs = 10_000;
const maxRounds = 5;

const refusedReason = "the server did not accept the credential";
const refusedAnewReason = "the server does not accept the token, not even a new one";
const endedReason = "the access has ended, and there is no way to renew it";
const movedReason = "the server has moved to another address since it was connected";

function notConnected({ credentialMode }: RelayTarget): string {
  return credentialMode === "per_user"
    ? "you have not connected your account with it"
    : "nobody has authorized it for the organization";
}

function keyOf({ connectionId, owner, organizationId }: Slot): string {
  return `${connectionId} ${owner} ${organizationId}`;
}

function slotOf(target: RelayTarget, caller: Caller): Slot {
  const owner = target.credentialMode === "per_user" ? caller.userId : credentials.sharedOwner;
  return { organizationId: target.organizationId, connectionId: target.id, owner };
}

/**
 * True where a refusal is one of the credential itself. Servers answer 401, too, to a call that they do not allow, and
 * nobody's call may end what all share: there the server has to say so (RFC 6750 section 3.1), or refuse what depends
 * neither on the call nor on who calls.
 */
function refusesCredential(
  { credentialMode, templated, identityToken }: RelayTarget,
  { challenge, general = false }: Refusal,
): boolean {
  if (credentialMode === "per_user") return true;
  const error = bearerChallenge(challenge)?.error ?? null;
  return error === null ? general && !templated && !identityToken : error === "invalid_token";
}

function wantedKind({ credentialType, personalHeaders }: RelayTarget): Held["secret"]["kind"] {
  if (credentialType === "oauth") return "oauth";
  return personalHeaders === null ? "token" : "headers";
}

/**
 * What a person has given that the connection still asks for: a header that it has ceased to ask for must not go in
 * place of the connection's own, which may say who calls.
 */
function askedFor({ personalHeaders: names }: RelayTarget, { headers }: Held): readonly Header[] {
  return names === null ? headers : headers.filter(([name]) => names.has(name));
}

/** The connection's own headers, of which a person's take precedence. */
function merged(own: readonly Header[], personal: readonly Header[]): readonly Header[] {
  return [...own.filter(([name]) => !personal.some(([other]) => other === name)), ...personal];
}

function isAmong(headers: readonly Header[], [name, value]: Header): boolean {
  return headers.some(([other, sent]) => other === name && (sent === value || hasTemplates([[name, value]])));
}
