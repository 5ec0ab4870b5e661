import { createHash } from "node:crypto";
import { LRUCache } from "lru-cache";
import { describeError, Log } from "../log.ts";
import * as apiKeys from "../storage/api_keys.ts";
import type { Db } from "../storage/dialect.ts";
import * as members from "../storage/members.ts";
import * as oauthConsents from "../storage/oauth_consents.ts";
import * as oauthTokens from "../storage/oauth_tokens.ts";
import * as organizations from "../storage/organizations.ts";
import * as sessions from "../storage/sessions.ts";
import type { Actor } from "./actor.ts";
import { readOnlyManagement } from "./roles.ts";

/** What an API key begins with; 43 characters of base64url follow. */
export const apiKeyPrefix = "mesh_key_";
const apiKeyLength = apiKeyPrefix.length + 43;

/** What an access token of a client begins with; 43 characters of base64url follow. */
export const accessTokenPrefix = "mesh_at_";
const accessTokenLength = accessTokenPrefix.length + 43;

/** What the secret of a client begins with; 43 characters of base64url follow. */
export const clientSecretPrefix = "mesh_cs_";

/** How long an answer is used again: a revocation by another process is seen within a second. */
const freshMs = 800;
const maxRecent = 1_000;
const lastUsedEveryMs = 60_000;

/** How long a session lives after its last use, in milliseconds. */
export const sessionMs = 7 * 24 * 3600_000;
const extendEveryMs = 3600_000;

/** A signed-in browser and who is behind it. */
export interface Session {
  readonly actor: Actor;
  readonly tokenHash: string;
  readonly createdAt: number;
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
  /** True where this request moved the end: the cookie is then to be sent again. */
  readonly extended: boolean;
}

/** An answer of the database: the actor of a token, until when it may be used (process clock), when the token ends. */
interface Entry {
  readonly actor: Actor | null;
  readonly freshUntil: number;
  readonly expiresAt: number;
}

function actorOf({ actor, expiresAt }: Entry): Actor | null {
  return Date.now() < expiresAt ? actor : null;
}

interface Lookup {
  readonly freshUntil: number;
  readonly answer: Promise<Actor | null>;
}

/** Tells who is behind a token. Remembers keys and clients' tokens for less than a second, sessions not at all. */
export class Identities {
  readonly #db: Db;
  readonly #log: Log;
  readonly #known = new LRUCache<string, Entry>({ max: 10_000 });
  /** Apart, so that a flood of made-up keys does not push out real ones. */
  readonly #unknown = new LRUCache<string, Entry>({ max: 1_000 });
  #lookups = new Map<string, Lookup>();
  /** By the token itself, used for less than a second: hashing is dearer than the rest of the look-up. */
  readonly #recent = new Map<string, Entry>();
  #recentUntil = 0;
  readonly #writes = new Set<Promise<void>>();

  constructor({ db, log = new Log("error") }: { db: Db; log?: Log }) {
    this.#db = db;
    this.#log = log;
  }

  /**
   * The actor of an API key or access token, or null; at once where the answer is less than a second old. `now` is
   * that of `performance.now`.
   */
  byBearer(token: string, now: number = performance.now()): Actor | null | Promise<Actor | null> {
    const recent = this.#recent.get(token);
    if (recent !== undefined && now < recent.freshUntil) return actorOf(recent);
    const isKey = token.length === apiKeyLength && token.startsWith(apiKeyPrefix);
    if (!isKey && !(token.length === accessTokenLength && token.startsWith(accessTokenPrefix))) return null;
    const hash = hashToken(token);
    const entry = this.#known.get(hash) ?? this.#unknown.get(hash);
    if (entry !== undefined && now < entry.freshUntil) {
      this.#remember(token, entry, now);
      return actorOf(entry);
    }
    const running = this.#lookups.get(hash);
    if (running !== undefined && now < running.freshUntil) return running.answer;
    return this.#lookUp(hash, { isKey, freshUntil: now + freshMs });
  }

  #remember(token: string, entry: Entry, now: number): void {
    if (now > this.#recentUntil || this.#recent.size >= maxRecent) {
      this.#recent.clear();
      this.#recentUntil = now + 1000;
    }
    this.#recent.set(token, entry);
  }

  /** The session behind a cookie, or null where it ended; a use in its later life moves its end. */
  async bySession(token: string): Promise<Session | null> {
    const now = Date.now();
    const tokenHash = hashToken(token);
    const row = await sessions.find(this.#db, tokenHash, now);
    if (!row) return null;
    const joined = await organizations.listOfUser(this.#db, row.userId);
    const active = joined.find((one) => one.id === row.activeOrganizationId) ?? joined[0];
    const extended = row.expiresAt < now + sessionMs - extendEveryMs &&
      await sessions.extend(this.#db, tokenHash, { now, expiresAt: now + sessionMs });
    return {
      tokenHash,
      createdAt: row.createdAt,
      expiresAt: extended ? now + sessionMs : row.expiresAt,
      extended,
      actor: Object.freeze({
        kind: "session",
        userId: row.userId,
        name: row.user.name,
        email: row.user.email,
        organizationId: active?.id ?? null,
        roles: active?.roles ?? [],
        limits: null,
        keyId: null,
        clientId: null,
        resource: null,
      }),
    };
  }

  /** The same person in another organization, or null where they do not belong to it; keys and tokens stay in their own. */
  async actorIn(actor: Actor, organizationId: string): Promise<Actor | null> {
    if (actor.kind !== "session") return actor.organizationId === organizationId ? actor : null;
    const roles = await members.rolesOf(this.#db, organizationId, actor.userId);
    return roles ? Object.freeze({ ...actor, organizationId, roles }) : null;
  }

  /** Forgets every answer: called by whatever changes keys, tokens, members, roles or sessions. */
  forget(): void {
    this.#recent.clear();
    this.#known.clear();
    this.#unknown.clear();
    this.#lookups = new Map(); // a lookup that is under way answers those who wait for it, nobody after them
  }

  /** Resolves when what was noted in the background is written. */
  async idle(): Promise<void> {
    while (this.#writes.size > 0) await Promise.all(this.#writes);
  }

  #lookUp(
    hash: string,
    { isKey, freshUntil }: { isKey: boolean; freshUntil: number },
  ): Promise<Actor | null> {
    const lookups = this.#lookups;
    const asked = isKey ? this.#askForKey(hash) : this.#askForToken(hash);
    const answer = asked.then(({ actor, expiresAt }) => {
      if (lookups === this.#lookups) {
        (actor ? this.#known : this.#unknown).set(hash, { actor, expiresAt, freshUntil });
        (actor ? this.#unknown : this.#known).delete(hash);
      }
      return actor;
    }).finally(() => {
      if (lookups.get(hash) === lookup) lookups.delete(hash);
    });
    const lookup: Lookup = { answer, freshUntil };
    lookups.set(hash, lookup);
    return answer;
  }

  async #askForKey(hash: string): Promise<Answer> {
    const found = await apiKeys.identify(this.#db, hash);
    const expiresAt = found?.key.expiresAt ?? Infinity;
    if (!found || Date.now() >= expiresAt) return nobody;
    const { key, user, roles } = found;
    const { id, organizationId } = key;
    this.#noteUse(key.lastUsedAt, (times) => apiKeys.touch(this.#db, organizationId, { id, ...times }));
    const actor: Actor = Object.freeze({
      kind: "key",
      userId: user.id,
      name: user.name,
      email: user.email,
      organizationId,
      roles,
      limits: key.permissions ?? readOnlyManagement,
      keyId: id,
      clientId: null,
      resource: null,
    });
    return { actor, expiresAt };
  }

  async #askForToken(hash: string): Promise<Answer> {
    const found = await oauthTokens.identify(this.#db, hash);
    if (!found || Date.now() >= found.expiresAt) return nobody;
    const { consentId: id, organizationId, user, roles, expiresAt } = found;
    this.#noteUse(
      found.lastUsedAt,
      (times) => oauthConsents.touch(this.#db, organizationId, { id, ...times }),
    );
    const actor: Actor = Object.freeze({
      kind: "token",
      userId: user.id,
      name: user.name,
      email: user.email,
      organizationId,
      roles,
      limits: found.permissions,
      keyId: null,
      clientId: found.clientId,
      resource: found.resource,
    });
    return { actor, expiresAt };
  }

  #noteUse(
    lastUsedAt: number | null,
    touch: (times: { now: number; every: number }) => Promise<void>,
  ): void {
    const now = Date.now();
    if (lastUsedAt !== null && now - lastUsedAt < lastUsedEveryMs) return;
    const write = touch({ now, every: lastUsedEveryMs })
      .catch((error: unknown) =>
        this.#log.warn("use of a token was not noted", { error: describeError(error) })
      ).finally(() => this.#writes.delete(write));
    this.#writes.add(write);
  }
}

/** What the database knows of a token. */
interface Answer {
  readonly actor: Actor | null;
  readonly expiresAt: number;
}

const nobody: Answer = { actor: null, expiresAt: Infinity };

/** What is stored of a token: its SHA-256, base64url. */
export function hashToken(token: string): string {
  return createHash("sha256").update(token).digest("base64url");
}
