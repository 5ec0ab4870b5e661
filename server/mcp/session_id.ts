import { createHmac, timingSafeEqual } from "node:crypto";

/** Who a session belongs to. */
export interface SessionOwner {
  organizationId: string;
  userId: string;
  connectionId: string;
}

const tagLength = 22; // 128 bits as base64url

/**
 * Session ids towards clients: the upstream's own id behind a tag that binds it to a person and a connection (L01).
 * Nothing is stored, so sessions outlive a restart of the mesh and work on every replica.
 */
export class SessionIds {
  readonly #key: Uint8Array;

  constructor(key: Uint8Array) {
    this.#key = key;
  }

  wrap(owner: SessionOwner, upstreamId: string): string {
    return `${this.#tag(owner, upstreamId)}.${upstreamId}`;
  }

  /** The upstream's id; null where the id was not made by `wrap` for this owner. */
  unwrap(owner: SessionOwner, id: string): string | null {
    if (id.length <= tagLength + 1 || id[tagLength] !== ".") return null;
    const upstreamId = id.slice(tagLength + 1);
    const wanted = new TextEncoder().encode(this.#tag(owner, upstreamId));
    const sent = new TextEncoder().encode(id.slice(0, tagLength));
    return sent.length === wanted.length && timingSafeEqual(sent, wanted) ? upstreamId : null;
  }

  #tag(owner: SessionOwner, upstreamId: string): string {
    const bound = `${owner.organizationId}\n${owner.userId}\n${owner.connectionId}\n${upstreamId}`;
    return createHmac("sha256", this.#key).update(bound).digest("base64url").slice(0, tagLength);
  }
}
