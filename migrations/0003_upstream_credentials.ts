import type { Kysely } from "kysely";
import { type DatabaseKind, key, longText, whole } from "./columns.ts";

// deno-lint-ignore no-explicit-any -- see Migration in mod.ts
type Untyped = Kysely<any>;

/** The mesh as a client of its upstreams: whose credential, OAuth grants, health, and the keys that it signs with. */
export async function upstreamCredentials(db: Untyped, kind: DatabaseKind): Promise<void> {
  await connectionColumns(db, kind);
  await credentials(db, kind);
  await clients(db, kind);
  await flows(db, kind);
  await health(db, kind);
  await signingKeys(db, kind);
}

async function connectionColumns(db: Untyped, kind: DatabaseKind): Promise<void> {
  for (const [name, initial] of [["credential_mode", "shared"], ["credential_type", "static"]] as const) {
    await db.schema.alterTable("connections")
      .addColumn(name, key(kind, 20), (c) => c.notNull().defaultTo(initial)).execute();
  }
  for (const name of ["personal_headers", "options", "sealed_oauth", "sealed_certificate"]) {
    await db.schema.alterTable("connections").addColumn(name, longText(kind)).execute();
  }
  await db.schema.alterTable("connections").addColumn("protocol_version", key(kind, 20)).execute();
}

async function credentials(db: Untyped, kind: DatabaseKind): Promise<void> {
  await db.schema.createTable("upstream_credentials")
    .addColumn("id", key(kind), (c) => c.primaryKey())
    .addColumn("organization_id", key(kind), (c) => c.notNull())
    .addColumn("connection_id", key(kind), (c) => c.notNull())
    .addColumn("owner", key(kind), (c) => c.notNull())
    .addColumn("kind", key(kind, 20), (c) => c.notNull())
    .addColumn("sealed", longText(kind), (c) => c.notNull())
    .addColumn("account", longText(kind))
    .addColumn("issuer", longText(kind))
    .addColumn("scope", longText(kind))
    .addColumn("expires_at", whole(kind))
    .addColumn("state", key(kind, 20), (c) => c.notNull())
    .addColumn("reason", longText(kind))
    .addColumn("version", whole(kind), (c) => c.notNull())
    .addColumn("claimed_by", key(kind))
    .addColumn("claimed_until", whole(kind))
    .addColumn("created_by", key(kind), (c) => c.notNull())
    .addColumn("created_at", whole(kind), (c) => c.notNull())
    .addColumn("updated_at", whole(kind), (c) => c.notNull())
    .addColumn("refreshed_at", whole(kind))
    .execute();
  await db.schema.createIndex("upstream_credentials_owner").on("upstream_credentials").unique()
    .columns(["connection_id", "owner"]).execute();
  await db.schema.createIndex("upstream_credentials_organization").on("upstream_credentials")
    .columns(["organization_id", "owner"]).execute();
}

async function clients(db: Untyped, kind: DatabaseKind): Promise<void> {
  await db.schema.createTable("upstream_clients")
    .addColumn("id", key(kind), (c) => c.primaryKey())
    .addColumn("organization_id", key(kind), (c) => c.notNull())
    .addColumn("match_hash", key(kind), (c) => c.notNull())
    .addColumn("issuer", longText(kind), (c) => c.notNull())
    .addColumn("client_id", longText(kind), (c) => c.notNull())
    .addColumn("auth_method", key(kind, 40), (c) => c.notNull())
    .addColumn("sealed_secret", longText(kind))
    .addColumn("secret_expires_at", whole(kind))
    .addColumn("created_at", whole(kind), (c) => c.notNull())
    .execute();
  await db.schema.createIndex("upstream_clients_match").on("upstream_clients").unique()
    .columns(["organization_id", "match_hash"]).execute();
}

async function flows(db: Untyped, kind: DatabaseKind): Promise<void> {
  await db.schema.createTable("upstream_flows")
    .addColumn("state_hash", key(kind), (c) => c.primaryKey())
    .addColumn("organization_id", key(kind), (c) => c.notNull())
    .addColumn("connection_id", key(kind), (c) => c.notNull())
    .addColumn("user_id", key(kind), (c) => c.notNull())
    .addColumn("session_hash", key(kind), (c) => c.notNull())
    .addColumn("sealed", longText(kind), (c) => c.notNull())
    .addColumn("created_at", whole(kind), (c) => c.notNull())
    .addColumn("expires_at", whole(kind), (c) => c.notNull())
    .execute();
  await db.schema.createIndex("upstream_flows_organization").on("upstream_flows").column("organization_id")
    .execute();
  await db.schema.createIndex("upstream_flows_expiry").on("upstream_flows").column("expires_at").execute();
}

async function health(db: Untyped, kind: DatabaseKind): Promise<void> {
  await db.schema.createTable("connection_health")
    .addColumn("connection_id", key(kind), (c) => c.primaryKey())
    .addColumn("organization_id", key(kind), (c) => c.notNull())
    .addColumn("due_at", whole(kind), (c) => c.notNull())
    .addColumn("checked_at", whole(kind))
    .addColumn("ok_at", whole(kind))
    .addColumn("failures", whole(kind), (c) => c.notNull())
    .addColumn("result", longText(kind))
    .execute();
  await db.schema.createIndex("connection_health_due").on("connection_health").column("due_at").execute();
  await db.schema.createIndex("connection_health_organization").on("connection_health")
    .column("organization_id").execute();
}

async function signingKeys(db: Untyped, kind: DatabaseKind): Promise<void> {
  await db.schema.createTable("signing_keys")
    .addColumn("id", key(kind), (c) => c.primaryKey())
    .addColumn("public_key", longText(kind), (c) => c.notNull())
    .addColumn("sealed_private_key", longText(kind), (c) => c.notNull())
    .addColumn("created_at", whole(kind), (c) => c.notNull())
    .addColumn("expires_at", whole(kind), (c) => c.notNull())
    .execute();
}
