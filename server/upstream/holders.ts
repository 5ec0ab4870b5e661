import { LRUCache } from "lru-cache";
import { AppError } from "../errors.ts";
import type { Db } from "../storage/dialect.ts";
import * as credentials from "../storage/upstream_credentials.ts";
import type { Vault } from "../vault.ts";
import type { Header } from "./credentials.ts";
import type { IdentifiedCaller } from "./identity_token.ts";
import { hasTemplates } from "./templates.ts";
import { type Held, openHeld } from "./held.ts";
import type { RelayTarget } from "./upstream.ts";

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

/** What the class needs; a part of the services. */
export interface HolderServices {
  readonly db: Db;
  readonly vault: Vault;
  readonly config: { readonly baseUrl: string };
}

/** The place of one credential. */
interface Slot {
  readonly organizationId: string;
  readonly connectionId: string;
  /** A person's id, or `sharedOwner`. */
  readonly owner: string;
}

interface Known {
  readonly held: (Held & { readonly origin?: string | undefined }) | null;
  /** When the database was last asked, in milliseconds of `performance.now()`. */
  checkedAt: number;
}

/** How long an opened credential is taken as it is: a change by another process takes effect within a second. */
const validMs = 800;

/** Whose credential goes with a call: finds it, opens it, and remembers it for less than a second. Made once. */
export class Holders {
  readonly #services: HolderServices;
  readonly #known = new LRUCache<string, Known>({ max: 10_000 });
  readonly #loading = new Map<string, Promise<Known>>();
  #changes = 0;

  constructor(services: HolderServices) {
    this.#services = services;
  }

  /** The credential's headers, at once while it is known. Throws CredentialNeeded. */
  headersFor(target: RelayTarget, caller: Caller): readonly Header[] | Promise<readonly Header[]> {
    const known = this.#find(slotOf(target, caller));
    return known instanceof Promise
      ? known.then((found) => this.#use(target, found))
      : this.#use(target, known);
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
   * Takes note that the upstream refused what it was sent; true where there is something else to send. A person's
   * secret is marked, unless it was changed meanwhile. Throws CredentialNeeded.
   */
  async refused(target: RelayTarget, caller: Caller, used: readonly Header[]): Promise<boolean> {
    const known = await this.#find(slotOf(target, caller));
    const { held } = known;
    if (held === null || held.row.state !== "ok") return this.#use(target, known).length > 0;
    if (!held.headers.every((header) => isAmong(used, header))) return true;
    const { id, version } = held.row;
    const changes = { state: "attention", reason: refusedReason };
    await credentials.settle(this.#services.db, target.organizationId, {
      id,
      version,
      changes,
      now: Date.now(),
    });
    this.forget(target.id);
    this.#use(target, await this.#find(slotOf(target, caller)));
    return true;
  }

  /** Says that a person has to act, with the page where they do. */
  needed(target: RelayTarget, reason: NeededReason, missing: string): CredentialNeeded {
    const url = `${this.#services.config.baseUrl}/my-connections/${target.id}`;
    return new CredentialNeeded(reason, { missing, url, target });
  }

  #use(target: RelayTarget, { held }: Known): readonly Header[] {
    if (held === null) throw this.needed(target, "not_connected", notConnected(target));
    if (held.origin !== undefined && held.origin !== target.target.origin) {
      throw this.needed(target, "needs_attention", movedReason);
    }
    if (held.row.state !== "ok") {
      throw this.needed(target, "needs_attention", held.row.reason ?? refusedReason);
    }
    return merged(target.headers, held.headers);
  }

  #find(slot: Slot): Known | Promise<Known> {
    const key = `${slot.connectionId} ${slot.owner} ${slot.organizationId}`;
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

const refusedReason = "the server did not accept the credential";
const movedReason = "the server has moved to another address since it was connected";

function notConnected({ credentialMode }: RelayTarget): string {
  return credentialMode === "per_user"
    ? "you have not connected your account with it"
    : "nobody has authorized it for the organization";
}

function slotOf(target: RelayTarget, caller: Caller): Slot {
  const owner = target.credentialMode === "per_user" ? caller.userId : credentials.sharedOwner;
  return { organizationId: target.organizationId, connectionId: target.id, owner };
}

/** The connection's own headers, of which a person's take precedence. */
function merged(own: readonly Header[], personal: readonly Header[]): readonly Header[] {
  if (own.length === 0) return personal;
  return [...own.filter(([name]) => !personal.some(([other]) => other === name)), ...personal];
}

function isAmong(headers: readonly Header[], [name, value]: Header): boolean {
  return headers.some(([other, sent]) => other === name && (sent === value || hasTemplates([[name, value]])));
}
