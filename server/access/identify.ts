import { createHash } from "node:crypto";
import { LRUCache } from "lru-cache";
import { describeError, Log } from "../log.ts";
import * as apiKeys from "../storage/api_keys.ts";
import type { Db } from "../storage/dialect.ts";
import * as members from "../storage/members.ts";
import * as organizations from "../storage/organizations.ts";
import * as sessions from "../storage/sessions.ts";
import type { Actor } from "./actor.ts";
import { readOnlyManagement } from "./roles.ts";

/** What an API key begins with; 43 characters of base64url follow. */
export const apiKeyPrefix = "mesh_key_";
const apiKeyLength = apiKeyPrefix.length + 43;

/** How long an answer is used again: a revocation by another process is seen within a second. */
const freshMs = 800;
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

/** An answer of the database: the actor of a key, until when it may be used (process clock), when the key ends. */
interface Entry {
  readonly actor: Actor | null;
  readonly freshUntil: number;
  readonly expiresAt: number;
}

interface Lookup {
  readonly freshUntil: number;
  readonly answer: Promise<Actor | null>;
}

/** Tells who is behind a token. Remembers keys for less than a second, sessions not at all. */
export class Identities {
  readonly #db: Db;
  readonly #log: Log;
  readonly #known = new LRUCache<string, Entry>({ max: 10_000 });
  /** Apart, so that a flood of made-up keys does not push out real ones. */
  readonly #unknown = new LRUCache<string, Entry>({ max: 1_000 });
  #lookups = new Map<string, Lookup>();
  readonly #writes = new Set<Promise<void>>();

  constructor({ db, log = new Log("error") }: { db: Db; log?: Log }) {
    this.#db = db;
    this.#log = log;
  }

  /** The actor of an API key, or null; at once where the answer is less than a second old. */
  byBearer(token: string): Actor | null | Promise<Actor | null> {
    if (token.length !== apiKeyLength || !token.startsWith(apiKeyPrefix)) return null;
    const hash = hashToken(token);
    const entry = this.#known.get(hash) ?? this.#unknown.get(hash);
    const now = performance.now();
    if (entry !== undefined && now < entry.freshUntil) {
      return Date.now() < entry.expiresAt ? entry.actor : null;
    }
    const running = this.#lookups.get(hash);
    if (running !== undefined && now < running.freshUntil) return running.answer;
    return this.#lookUp(hash, now + freshMs);
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
      }),
    };
  }

  /** The same person in another organization, or null where they do not belong to it; a key stays in its own. */
  async actorIn(actor: Actor, organizationId: string): Promise<Actor | null> {
    if (actor.kind === "key") return actor.organizationId === organizationId ? actor : null;
    const roles = await members.rolesOf(this.#db, organizationId, actor.userId);
    return roles ? Object.freeze({ ...actor, organizationId, roles }) : null;
  }

  /** Forgets every answer: called by whatever changes keys, members, roles or sessions. */
  forget(): void {
    this.#known.clear();
    this.#unknown.clear();
    this.#lookups = new Map(); // a lookup that is under way answers those who wait for it, nobody after them
  }

  /** Resolves when what was noted in the background is written. */
  async idle(): Promise<void> {
    while (this.#writes.size > 0) await Promise.all(this.#writes);
  }

  #lookUp(hash: string, freshUntil: number): Promise<Actor | null> {
    const lookups = this.#lookups;
    const answer = this.#ask(hash).then(({ actor, expiresAt }) => {
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

  async #ask(hash: string): Promise<{ actor: Actor | null; expiresAt: number }> {
    const found = await apiKeys.identify(this.#db, hash);
    const expiresAt = found?.key.expiresAt ?? Infinity;
    if (!found || Date.now() >= expiresAt) return { actor: null, expiresAt: Infinity };
    const { key, user, roles } = found;
    this.#noteUse(key);
    const actor: Actor = Object.freeze({
      kind: "key",
      userId: user.id,
      name: user.name,
      email: user.email,
      organizationId: key.organizationId,
      roles,
      limits: key.permissions ?? readOnlyManagement,
      keyId: key.id,
      clientId: null,
    });
    return { actor, expiresAt };
  }

  #noteUse({ id, organizationId, lastUsedAt }: apiKeys.ApiKeyRow): void {
    const now = Date.now();
    if (lastUsedAt !== null && now - lastUsedAt < lastUsedEveryMs) return;
    const write = apiKeys.touch(this.#db, organizationId, { id, now, every: lastUsedEveryMs })
      .catch((error: unknown) =>
        this.#log.warn("use of a key was not noted", { keyId: id, error: describeError(error) })
      ).finally(() => this.#writes.delete(write));
    this.#writes.add(write);
  }
}

/** What is stored of a token: its SHA-256, base64url. */
export function hashToken(token: string): string {
  return createHash("sha256").update(token).digest("base64url");
}
