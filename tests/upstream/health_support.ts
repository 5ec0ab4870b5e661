// Checks in the background with short times, and what they leave behind.
import assert from "node:assert/strict";
import { Log, type LogFields } from "../../server/log.ts";
import type { Services } from "../../server/services.ts";
import * as connectionHealth from "../../server/storage/connection_health.ts";
import type { HealthRow } from "../../server/storage/connection_health.ts";
import * as connections from "../../server/storage/connections.ts";
import type { ConnectionChanges, ConnectionRow } from "../../server/storage/connections.ts";
import { Health, type HealthOptions } from "../../server/upstream/health.ts";
import { addConnection } from "../support/connections.ts";
import { until } from "../support/until.ts";

/** A log that keeps what it is told from `info` on. */
export class Lines extends Log {
  readonly lines: [level: string, message: string, fields: LogFields | undefined][] = [];

  constructor() {
    super("silent");
  }

  override info(message: string, fields?: LogFields): void {
    this.lines.push(["info", message, fields]);
  }
  override warn(message: string, fields?: LogFields): void {
    this.lines.push(["warn", message, fields]);
  }
  override error(message: string, fields?: LogFields): void {
    this.lines.push(["error", message, fields]);
  }
}

/** Connections of one organization whose checks run at the test's word. */
export class Checked implements AsyncDisposable {
  readonly log = new Lines();
  readonly health: Health;
  readonly #services: Services;
  readonly #organizationId = "org_1";

  constructor(services: Services, options: Partial<HealthOptions> = {}) {
    this.#services = services;
    const parts = { ...services, log: this.log };
    this.health = new Health(parts, { intervalMs: 3_600_000, tickMs: 5, enrolMs: 0, ...options });
    this.health.start();
  }

  /** Adds a connection and gives its id. */
  async add(url: string, changes: ConnectionChanges = {}): Promise<string> {
    const id = await addConnection(this.#services.db, this.#organizationId, {
      url,
      tools: [{ name: "old" }],
    });
    if (Object.keys(changes).length > 0) {
      await connections.update(this.#services.db, this.#organizationId, { id, changes });
    }
    return id;
  }

  async row(id: string): Promise<ConnectionRow> {
    const row = await connections.find(this.#services.db, this.#organizationId, id);
    assert.ok(row);
    return row;
  }

  async found(id: string): Promise<HealthRow | undefined> {
    return (await connectionHealth.list(this.#services.db, this.#organizationId, [id])).get(id);
  }

  /** Makes a check due. */
  async due(id: string): Promise<void> {
    await until(async () => await this.found(id) !== undefined, "the connection's row of health");
    const now = Date.now() - 1;
    await connectionHealth.hasten(this.#services.db, this.#organizationId, { connectionId: id, now });
  }

  /** Has a connection checked once, and gives what was found. */
  async check(
    id: string,
  ): Promise<HealthRow & { code: string | null; healthy: boolean; stage: string | null }> {
    const before = (await this.found(id))?.checked_at ?? 0;
    await until(() => Date.now() > before);
    await this.due(id);
    await until(async () => ((await this.found(id))?.checked_at ?? 0) > before, "a check");
    await this.looked();
    const row = await this.found(id);
    assert.ok(row?.result);
    return { ...row, ...JSON.parse(row.result) };
  }

  /** Resolves when it has looked for due checks from beginning to end since now. */
  async looked(): Promise<void> {
    const { rounds } = this.health;
    await until(() => this.health.rounds > rounds + 1, "another look");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.health.close();
  }
}
