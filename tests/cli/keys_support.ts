// Organizations with secrets, and data keys enough that a rotation takes its time.
import { randomBytes } from "node:crypto";
import { sql } from "kysely";
import * as connections from "../../server/storage/connections.ts";
import { openDatabase } from "../../server/storage/database.ts";
import type { Db } from "../../server/storage/dialect.ts";
import { MasterKeys, openVault } from "../../server/vault.ts";
import { dataKeyPlace, encrypt } from "../../server/vault/envelope.ts";
import { placeOf } from "../../server/upstream/credentials.ts";
import { legacy, post } from "../mcp/support.ts";
import { addKey, addMember, addOrganization, addUser } from "../support/accounts.ts";
import { addConnection } from "../support/connections.ts";
import type { DatabaseKind } from "../support/databases.ts";
import type { Hostile } from "../support/upstreams.ts";
import { behaviours, startHostile } from "../support/upstreams.ts";

/** An organization with an owner's key. */
export interface Tenant {
  organizationId: string;
  key: string;
}

/** A tenant with a connection whose token is sealed. */
export interface Connected extends Tenant {
  connectionId: string;
}

/** Organizations without any secret, and so without a data key. */
export async function addTenants(db: Db, count: number): Promise<Tenant[]> {
  const user = await addUser(db, "Ann");
  const tenants: Tenant[] = [];
  for (let i = 0; i < count; i++) {
    const { id } = await addOrganization(db, `Number ${i}`);
    await addMember(db, id, { userId: user.id, roles: ["owner"] });
    const { secret } = await addKey(db, id, { userId: user.id, permissions: { "*": ["*"] } });
    tenants.push({ organizationId: id, key: secret });
  }
  return tenants;
}

/** The token that the connection of an organization must send. */
export function tokenOf(organizationId: string): string {
  return `token-of-${organizationId}`;
}

/** Gives each a connection to the upstream, its token sealed under the master key. */
export async function connect(
  db: Db,
  tenants: Tenant[],
  { master, url }: { master: Uint8Array; url: string },
): Promise<Connected[]> {
  const vault = await openVault(db, new MasterKeys(master));
  const connected: Connected[] = [];
  for (const tenant of tenants) {
    const { organizationId } = tenant;
    const connectionId = await addConnection(db, organizationId, { url });
    const place = placeOf({ id: connectionId, organization_id: organizationId }, "sealed_token");
    const sealed = await vault.seal(place, tokenOf(organizationId));
    await connections.update(db, organizationId, { id: connectionId, changes: { sealed_token: sealed } });
    connected.push({ ...tenant, connectionId });
  }
  return connected;
}

/** Data keys of organizations that nobody asks for. */
export async function addDataKeys(db: Db, count: number, master: Uint8Array): Promise<void> {
  const row = (i: number) => {
    const organization_id = `org_filler_${i}`;
    const wrapped = encrypt(master, randomBytes(32), dataKeyPlace(organization_id));
    return { organization_id, wrapped, created_at: 1 };
  };
  for (let at = 0; at < count; at += 500) {
    const rows = Array.from({ length: Math.min(500, count - at) }, (_, i) => row(at + i));
    await db.insertInto("data_keys").values(rows).execute();
  }
}

/**
 * Holds a rotation up at one of so many data keys of `addDataKeys`, the last in their order; gives what lets it go on.
 * A database file has one writer, so there the rotation is kept busy instead, and goes on only if it is killed.
 */
export async function holdUp(url: string, kind: DatabaseKind, count: number): Promise<() => Promise<void>> {
  const db = await openDatabase(url, 1);
  const last = Array.from({ length: count }, (_, i) => `org_filler_${i}`).sort().at(-1) ?? "";
  if (kind === "sqlite") {
    await sql`create trigger hold_up before update on data_keys when old.organization_id = ${sql.lit(last)}
      begin select count(*) from data_keys a, data_keys b, data_keys c, data_keys d; end`.execute(db);
    return async () => {
      await sql`drop trigger hold_up`.execute(db);
      await db.destroy();
    };
  }
  const transaction = await db.startTransaction().execute();
  await transaction.updateTable("data_keys").set((eb) => ({ wrapped: eb.ref("wrapped") }))
    .where("organization_id", "=", last).execute();
  return async () => {
    await transaction.rollback().execute();
    await db.destroy();
  };
}

/** An upstream that answers the tool call of an organization only where its own token comes along. */
export function startGuarded(): Hostile {
  return startHostile(async (exchange) => {
    const { headers, message } = exchange.request;
    const asked = message.params?.arguments as { organization?: string } | undefined;
    const wanted = asked?.organization === undefined
      ? "Bearer token-of-"
      : `Bearer ${tokenOf(asked.organization)}`;
    const given = headers.authorization ?? "";
    const right = asked?.organization === undefined ? given.startsWith(wanted) : given === wanted;
    await (right ? behaviours.good : behaviours.unauthorized)(exchange);
  });
}

/** Calls the tool through a mesh; true where the upstream was sent the right token. */
export async function calls(url: string, { organizationId, connectionId, key }: Connected): Promise<boolean> {
  const call = legacy("tools/call", { name: "echo", arguments: { organization: organizationId } });
  const answer = await post({ url: `${url}/mcp/${connectionId}`, key }, call);
  const text = await answer.text();
  return answer.status === 200 && text.includes('"result"');
}

/** Makes a connection with a token by a mesh, which seals it. */
export async function makes(url: string, tenant: Tenant, upstreamUrl: string): Promise<Connected> {
  const data = {
    title: "Made",
    connection_type: "HTTP",
    connection_url: upstreamUrl,
    connection_token: tokenOf(tenant.organizationId),
  };
  const answer = await fetch(`${url}/api/tools/COLLECTION_CONNECTIONS_CREATE`, {
    method: "POST",
    headers: { "authorization": `Bearer ${tenant.key}`, "content-type": "application/json" },
    body: JSON.stringify({ data }),
  });
  const text = await answer.text();
  if (answer.status !== 200) throw new Error(`Cannot make a connection: ${answer.status} ${text}`);
  return { ...tenant, connectionId: JSON.parse(text).item.id };
}
