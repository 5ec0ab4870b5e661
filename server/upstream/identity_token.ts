import { LRUCache } from "lru-cache";
import { signingAlgorithm, type SigningKeys } from "./signing_keys.ts";

/** The header that carries the token. */
export const identityHeader = "x-mesh-token";

/** Who calls, as the token says it. */
export interface IdentifiedCaller {
  readonly userId: string;
  readonly email: string;
  readonly name: string;
  readonly roles: readonly string[];
  /** The API key that was used, or the client that acts for the person. */
  readonly keyId: string | null;
  readonly clientId: string | null;
}

/** For whom the token is made. */
export interface TokenAudience {
  readonly id: string;
  readonly url: string;
  readonly organization: { readonly id: string; readonly slug: string };
}

interface Kept {
  /** The claims but for the times, as JSON. */
  readonly says: string;
  token: string | Promise<string>;
  /** Milliseconds since 1970. */
  readonly renewAt: number;
}

const lifeSeconds = 300;
const renewBeforeSeconds = 60;
/** Verifiers whose clock is behind ours. */
const skewSeconds = 60;

/** What the class needs. */
export interface IdentityTokenParts {
  readonly keys: SigningKeys;
  /** The issuer. */
  readonly baseUrl: string;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
}

/**
 * Tells upstreams who calls: a JWT (RFC 7519) of five minutes for one connection, signed with a published key. A token
 * is used again until its last minute, so `jti` names the token and not the call.
 */
export class IdentityTokens {
  readonly #keys: SigningKeys;
  readonly #baseUrl: string;
  readonly #now: () => number;
  readonly #kept = new LRUCache<string, Kept>({ max: 10_000 });

  constructor({ keys, baseUrl, now = Date.now }: IdentityTokenParts) {
    this.#keys = keys;
    this.#baseUrl = baseUrl;
    this.#now = now;
  }

  /** The header's value, at once while a token is at hand. */
  headerFor(audience: TokenAudience, caller: IdentifiedCaller): string | Promise<string> {
    const key = `${audience.id} ${caller.userId} ${caller.keyId ?? caller.clientId ?? ""}`;
    const says = JSON.stringify(this.#claims(audience, caller));
    const now = this.#now();
    const kept = this.#kept.get(key);
    if (kept !== undefined && kept.says === says && now < kept.renewAt) return kept.token;
    const token = this.#sign(says, Math.floor(now / 1000));
    const made: Kept = { says, token, renewAt: now + (lifeSeconds - renewBeforeSeconds) * 1000 };
    this.#kept.set(key, made);
    token.then((text) => made.token = text, () => {
      if (this.#kept.peek(key) === made) this.#kept.delete(key);
    });
    return token;
  }

  #claims({ id, url, organization }: TokenAudience, caller: IdentifiedCaller): Record<string, unknown> {
    const { origin, pathname } = new URL(url);
    return {
      iss: this.#baseUrl,
      aud: origin + pathname,
      sub: caller.userId,
      email: caller.email,
      name: caller.name,
      roles: caller.roles, // RFC 9068 section 2.2.3.1
      org_id: organization.id,
      org_slug: organization.slug,
      connection_id: id,
      ...(caller.keyId === null ? {} : { key_id: caller.keyId }),
      ...(caller.clientId === null ? {} : { client_id: caller.clientId }), // RFC 8693 section 4.3
    };
  }

  async #sign(says: string, now: number): Promise<string> {
    const [{ SignJWT }, { kid, key }] = await Promise.all([import("jose"), this.#keys.signer()]);
    return await new SignJWT(JSON.parse(says))
      .setProtectedHeader({ alg: signingAlgorithm, kid, typ: "JWT" })
      .setJti(crypto.randomUUID())
      .setIssuedAt(now).setNotBefore(now - skewSeconds).setExpirationTime(now + lifeSeconds)
      .sign(key);
  }
}
