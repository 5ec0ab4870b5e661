// Databases with secrets under a master key, and rotations of it, for tests.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import type { Db } from "../../server/storage/dialect.ts";
import { MasterKeys, openVault, type Place, type Vault } from "../../server/vault.ts";
import { sealerOf } from "../../server/vault/envelope.ts";
import { beginRotation, finishRotation, rewrapDataKeys } from "../../server/vault/rotation.ts";
import { addOrganization } from "./accounts.ts";

/** Who rotates in the tests. */
export const by = "command line";

/** Where the tests keep the secret of an organization. */
export function placeIn(organizationId: string): Place {
  return { organizationId, table: "connections", column: "sealed_token", rowId: "conn_1" };
}

/** A new database with secrets of some organizations under one master key. */
export async function sealed(db: Db, count: number) {
  const master = randomBytes(32);
  const vault = await openVault(db, new MasterKeys(master));
  const secrets = new Map<string, string>();
  for (let i = 0; i < count; i++) {
    const { id } = await addOrganization(db, `Number ${i}`);
    secrets.set(id, await vault.seal(placeIn(id), `secret of ${id}`));
  }
  return { master, vault, secrets };
}

/** Asserts that a process which was given this key opens everything, and derives what every other one does. */
export async function opensAll(db: Db, given: Uint8Array, secrets: Map<string, string>): Promise<Vault> {
  const vault = await openVault(db, new MasterKeys(given));
  for (const [id, envelope] of secrets) {
    assert.equal(await vault.open(placeIn(id), envelope), `secret of ${id}`);
  }
  return vault;
}

/** A whole rotation; returns the new key. */
export async function rotate(
  db: Db,
  given: Uint8Array,
  next: Uint8Array = randomBytes(32),
): Promise<Uint8Array> {
  const parts = { db, keys: new MasterKeys(given), by } as const;
  const row = await beginRotation(parts, next);
  assert.ok(row);
  await rewrapDataKeys(parts, row);
  assert.equal(await finishRotation(parts, row), true);
  return next;
}

/** The names of the master keys that data keys are wrapped by. */
export async function sealersOf(db: Db): Promise<Set<string | null>> {
  const rows = await db.selectFrom("data_keys").select("wrapped").execute();
  return new Set(rows.map((row) => sealerOf(row.wrapped)));
}
