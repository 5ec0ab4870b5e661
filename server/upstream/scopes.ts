import { LRUCache } from "lru-cache";
import { holds } from "../audit/concealment.ts";
import type { Db } from "../storage/dialect.ts";
import * as credentials from "../storage/upstream_credentials.ts";
import type { Held } from "./held.ts";
import { bearerChallenge } from "./oauth_client/challenge.ts";
import type { Slot } from "./renewal.ts";
import { secretsIn } from "./sent_secrets.ts";
import type { Refusal } from "./upstream.ts";

/** How often a person is asked for more for the same operation (CL11). */
const maxRounds = 3;

interface Rounds {
  count: number;
  /** The row that was refused last: asking begins anew only with another one. */
  rowId: string;
}

/** Scopes that upstreams ask for beyond what was granted. */
export class Scopes {
  readonly #db: Db;
  readonly #rounds = new LRUCache<string, Rounds>({ max: 5_000 });

  constructor(db: Db) {
    this.#db = db;
  }

  /**
   * What the upstream asks for where a token allows too little, kept with what was granted, so that the next
   * authorization asks for all of it. Null where it asks for nothing, or was given all that it asked for three times.
   */
  async challenged(
    slot: Slot,
    { row }: Held,
    { used, challenge, operation = "" }: Refusal,
  ): Promise<string | null> {
    const bearer = bearerChallenge(challenge);
    if (row.kind !== "oauth" || bearer?.error !== "insufficient_scope" || bearer.scope === null) return null;
    // Scopes are shown, kept and sent on: a server that repeats what it was sent names none.
    if (holds(bearer.scope, secretsIn({ headers: used }))) return null;
    const key = `${slot.connectionId} ${slot.owner} ${operation}`;
    const rounds = this.#rounds.get(key) ?? { count: 0, rowId: "" };
    if (rounds.rowId !== row.id) {
      if (rounds.count === maxRounds) return null;
      this.#rounds.set(key, { count: rounds.count + 1, rowId: row.id });
    }
    const granted = row.scope?.split(" ") ?? [];
    const missing = bearer.scope.split(" ").filter((scope) => !granted.includes(scope));
    if (missing.length > 0) {
      const changes = { scope: [...granted, ...missing].join(" ") };
      const { id, version } = row;
      await credentials.settle(this.#db, slot.organizationId, { id, version, changes, now: Date.now() });
    }
    return bearer.scope;
  }
}
