// What the authorization server of a test keeps, in memory, so that a test can take it away.

/** What the server hands over to be kept; its members are its own affair but for these. */
interface Kept {
  grantId?: string;
  uid?: string;
  consumed?: number;
  [member: string]: unknown;
}

/** The records of one server, by kind and id. */
export class OidcStore {
  readonly #kinds = new Map<string, Map<string, Kept>>();

  /** The keeper of one kind, in the shape that the server asks for. */
  adapter(kind: string): OidcAdapter {
    return new OidcAdapter(this, kind);
  }

  of(kind: string): Map<string, Kept> {
    const known = this.#kinds.get(kind);
    if (known) return known;
    const made = new Map<string, Kept>();
    this.#kinds.set(kind, made);
    return made;
  }

  /** Forgets all records of these kinds. */
  clear(...kinds: string[]): void {
    for (const kind of kinds) this.of(kind).clear();
  }

  /** Forgets what came of a grant. */
  endGrant(grantId: string): void {
    for (const records of this.#kinds.values()) {
      for (const [id, record] of records) if (record.grantId === grantId) records.delete(id);
    }
  }
}

class OidcAdapter {
  readonly #store: OidcStore;
  readonly #records: Map<string, Kept>;

  constructor(store: OidcStore, kind: string) {
    this.#store = store;
    this.#records = store.of(kind);
  }

  upsert(id: string, record: Kept): Promise<void> {
    this.#records.set(id, record);
    return Promise.resolve();
  }

  find(id: string): Promise<Kept | undefined> {
    return Promise.resolve(this.#records.get(id));
  }

  findByUid(uid: string): Promise<Kept | undefined> {
    return Promise.resolve([...this.#records.values()].find((record) => record.uid === uid));
  }

  findByUserCode(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  consume(id: string): Promise<void> {
    const record = this.#records.get(id);
    if (record) record.consumed = Math.floor(Date.now() / 1000);
    return Promise.resolve();
  }

  destroy(id: string): Promise<void> {
    this.#records.delete(id);
    return Promise.resolve();
  }

  revokeByGrantId(grantId: string): Promise<void> {
    this.#store.endGrant(grantId);
    return Promise.resolve();
  }
}
