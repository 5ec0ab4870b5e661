import type { Kysely } from "kysely";
import { type DatabaseKind, key, longText, whole } from "./columns.ts";

// deno-lint-ignore no-explicit-any -- see Migration in mod.ts
type Untyped = Kysely<any>;

/** The authorization server: clients, what people have allowed them, and their codes and tokens. */
export async function oauth(db: Untyped, kind: DatabaseKind): Promise<void> {
  await clients(db, kind);
  await asking(db, kind);
  await codes(db, kind);
  await tokens(db, kind);
}

async function clients(db: Untyped, kind: DatabaseKind): Promise<void> {
  await db.schema.createTable("oauth_clients")
    .addColumn("id", key(kind), (c) => c.primaryKey())
    .addColumn("organization_id", key(kind))
    .addColumn("name", longText(kind), (c) => c.notNull())
    .addColumn("secret_hash", key(kind))
    .addColumn("redirect_uris", longText(kind), (c) => c.notNull())
    .addColumn("grant_types", longText(kind), (c) => c.notNull())
    .addColumn("auth_method", key(kind, 40), (c) => c.notNull())
    .addColumn("client_uri", longText(kind))
    .addColumn("owner_id", key(kind))
    .addColumn("permissions", longText(kind))
    .addColumn("created_at", whole(kind), (c) => c.notNull())
    .addColumn("unused_until", whole(kind))
    .addColumn("last_used_at", whole(kind))
    .execute();
  await db.schema.createIndex("oauth_clients_organization").on("oauth_clients")
    .columns(["organization_id", "created_at"]).execute();
  await db.schema.createIndex("oauth_clients_unused").on("oauth_clients").column("unused_until").execute();
}

async function asking(db: Untyped, kind: DatabaseKind): Promise<void> {
  await db.schema.createTable("oauth_requests")
    .addColumn("id", key(kind), (c) => c.primaryKey())
    .addColumn("session_hash", key(kind), (c) => c.notNull())
    .addColumn("user_id", key(kind), (c) => c.notNull())
    .addColumn("asked", longText(kind), (c) => c.notNull())
    .addColumn("created_at", whole(kind), (c) => c.notNull())
    .addColumn("expires_at", whole(kind), (c) => c.notNull())
    .execute();
  await db.schema.createIndex("oauth_requests_expiry").on("oauth_requests").column("expires_at").execute();
  await db.schema.createTable("oauth_consents")
    .addColumn("id", key(kind), (c) => c.primaryKey())
    .addColumn("organization_id", key(kind), (c) => c.notNull())
    .addColumn("user_id", key(kind), (c) => c.notNull())
    .addColumn("client_id", key(kind, 500), (c) => c.notNull())
    .addColumn("client_name", longText(kind), (c) => c.notNull())
    .addColumn("client_print", key(kind), (c) => c.notNull())
    .addColumn("resource", key(kind), (c) => c.notNull())
    .addColumn("permissions", longText(kind), (c) => c.notNull())
    .addColumn("redirect_uri", longText(kind))
    .addColumn("match_hash", key(kind), (c) => c.notNull().unique())
    .addColumn("created_at", whole(kind), (c) => c.notNull())
    .addColumn("updated_at", whole(kind), (c) => c.notNull())
    .addColumn("last_used_at", whole(kind))
    .execute();
  await db.schema.createIndex("oauth_consents_user").on("oauth_consents")
    .columns(["user_id", "resource"]).execute();
  await db.schema.createIndex("oauth_consents_organization").on("oauth_consents")
    .columns(["organization_id", "created_at"]).execute();
  await db.schema.createIndex("oauth_consents_client").on("oauth_consents").column("client_id").execute();
}

async function codes(db: Untyped, kind: DatabaseKind): Promise<void> {
  await db.schema.createTable("oauth_codes")
    .addColumn("code_hash", key(kind), (c) => c.primaryKey())
    .addColumn("grant_id", key(kind), (c) => c.notNull())
    .addColumn("consent_id", key(kind), (c) => c.notNull())
    .addColumn("organization_id", key(kind), (c) => c.notNull())
    .addColumn("redirect_uri", longText(kind))
    .addColumn("challenge", key(kind), (c) => c.notNull())
    .addColumn("scope", longText(kind), (c) => c.notNull())
    .addColumn("created_at", whole(kind), (c) => c.notNull())
    .addColumn("expires_at", whole(kind), (c) => c.notNull())
    .addColumn("used_at", whole(kind))
    .execute();
  await db.schema.createIndex("oauth_codes_consent").on("oauth_codes").column("consent_id").execute();
  await db.schema.createIndex("oauth_codes_organization").on("oauth_codes").column("organization_id")
    .execute();
  await db.schema.createIndex("oauth_codes_expiry").on("oauth_codes").column("expires_at").execute();
}

async function tokens(db: Untyped, kind: DatabaseKind): Promise<void> {
  await db.schema.createTable("oauth_tokens")
    .addColumn("token_hash", key(kind), (c) => c.primaryKey())
    .addColumn("kind", key(kind, 10), (c) => c.notNull())
    .addColumn("grant_id", key(kind), (c) => c.notNull())
    .addColumn("consent_id", key(kind), (c) => c.notNull())
    .addColumn("organization_id", key(kind), (c) => c.notNull())
    .addColumn("parent_hash", key(kind))
    .addColumn("scope", longText(kind), (c) => c.notNull())
    .addColumn("created_at", whole(kind), (c) => c.notNull())
    .addColumn("expires_at", whole(kind), (c) => c.notNull())
    .addColumn("used_at", whole(kind))
    .execute();
  for (const column of ["grant_id", "consent_id", "organization_id", "parent_hash", "expires_at"]) {
    await db.schema.createIndex(`oauth_tokens_${column}`).on("oauth_tokens").column(column).execute();
  }
}
