import { Buffer } from "node:buffer";
import { createHmac, timingSafeEqual } from "node:crypto";
import { LRUCache } from "lru-cache";

/** Who a session belongs to. */
export interface SessionOwner {
  organizationId: string;
  userId: string;
  connectionId: string;
}

const tagLength = 22; // 128 bits as base64url

/** Longer ids are not remembered: what a client makes up must not fill the memory. */
const maxRemembered = 512;

/**
 * Session ids towards clients: the upstream's own id behind a tag that binds it to a person and a connection (L01).
 * Nothing is stored, so sessions outlive a restart of the mesh and work on every replica.
 */
export class SessionIds {
  readonly #key: Uint8Array;
  /** Tags that were right before: a session shows its id with every request, and making a tag is dear. */
  readonly #tags = new LRUCache<string, string>({ max: 10_000 });

  constructor(key: Uint8Array) {
    this.#key = key;
  }

  wrap(owner: SessionOwner, upstreamId: string): string {
    const bound = boundText(owner, upstreamId);
    const tag = this.#tag(bound);
    this.#remember(bound, tag);
    return `${tag}.${upstreamId}`;
  }

  /** The upstream's id; null where the id was not made by `wrap` for this owner. */
  unwrap(owner: SessionOwner, id: string): string | null {
    if (id.length <= tagLength + 1 || id[tagLength] !== ".") return null;
    const upstreamId = id.slice(tagLength + 1);
    const bound = boundText(owner, upstreamId);
    const tag = this.#tag(bound);
    const sent = Buffer.from(id.slice(0, tagLength));
    if (sent.length !== tagLength || !timingSafeEqual(sent, Buffer.from(tag))) return null;
    this.#remember(bound, tag);
    return upstreamId;
  }

  #tag(bound: string): string {
    return this.#tags.get(bound) ??
      createHmac("sha256", this.#key).update(bound).digest("base64url").slice(0, tagLength);
  }

  #remember(bound: string, tag: string): void {
    if (bound.length <= maxRemembered) this.#tags.set(bound, tag);
  }
}

function boundText({ organizationId, userId, connectionId }: SessionOwner, upstreamId: string): string {
  return `${organizationId}\n${userId}\n${connectionId}\n${upstreamId}`;
}
