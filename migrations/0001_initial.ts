import type { Kysely } from "kysely";
import { type DatabaseKind, key, longText, whole } from "./columns.ts";

// deno-lint-ignore no-explicit-any -- see Migration in mod.ts
type Untyped = Kysely<any>;

/** Accounts, connections, keys and the audit log. */
export async function initial(db: Untyped, kind: DatabaseKind): Promise<void> {
  await instance(db, kind);
  await people(db, kind);
  await membership(db, kind);
  await apiKeys(db, kind);
  await connections(db, kind);
  await taskOwners(db, kind);
  await auditLog(db, kind);
}

async function instance(db: Untyped, kind: DatabaseKind): Promise<void> {
  await db.schema.createTable("instance")
    .addColumn("name", key(kind), (c) => c.primaryKey())
    .addColumn("value", longText(kind), (c) => c.notNull())
    .execute();
  await db.schema.createTable("data_keys")
    .addColumn("organization_id", key(kind), (c) => c.primaryKey())
    .addColumn("wrapped", longText(kind), (c) => c.notNull())
    .addColumn("created_at", whole(kind), (c) => c.notNull())
    .execute();
  await db.schema.createTable("throttles")
    .addColumn("id", key(kind), (c) => c.primaryKey())
    .addColumn("failures", "integer", (c) => c.notNull())
    .addColumn("blocked_until", whole(kind), (c) => c.notNull())
    .addColumn("updated_at", whole(kind), (c) => c.notNull())
    .execute();
}

async function people(db: Untyped, kind: DatabaseKind): Promise<void> {
  await db.schema.createTable("users")
    .addColumn("id", key(kind), (c) => c.primaryKey())
    .addColumn("email", key(kind, 320), (c) => c.notNull().unique())
    .addColumn("name", longText(kind), (c) => c.notNull())
    .addColumn("image", longText(kind))
    .addColumn("password_hash", longText(kind))
    .addColumn("created_at", whole(kind), (c) => c.notNull())
    .addColumn("updated_at", whole(kind), (c) => c.notNull())
    .execute();
  await db.schema.createTable("sessions")
    .addColumn("token_hash", key(kind), (c) => c.primaryKey())
    .addColumn("user_id", key(kind), (c) => c.notNull())
    .addColumn("active_organization_id", key(kind))
    .addColumn("user_agent", longText(kind))
    .addColumn("created_at", whole(kind), (c) => c.notNull())
    .addColumn("expires_at", whole(kind), (c) => c.notNull())
    .execute();
  await db.schema.createIndex("sessions_user").on("sessions").column("user_id").execute();
  await db.schema.createIndex("sessions_expiry").on("sessions").column("expires_at").execute();
}

async function membership(db: Untyped, kind: DatabaseKind): Promise<void> {
  await db.schema.createTable("organizations")
    .addColumn("id", key(kind), (c) => c.primaryKey())
    .addColumn("name", longText(kind), (c) => c.notNull())
    .addColumn("slug", key(kind, 100), (c) => c.notNull().unique())
    .addColumn("description", longText(kind))
    .addColumn("settings", longText(kind), (c) => c.notNull())
    .addColumn("created_at", whole(kind), (c) => c.notNull())
    .addColumn("updated_at", whole(kind), (c) => c.notNull())
    .execute();
  await db.schema.createTable("members")
    .addColumn("id", key(kind), (c) => c.primaryKey())
    .addColumn("organization_id", key(kind), (c) => c.notNull())
    .addColumn("user_id", key(kind), (c) => c.notNull())
    .addColumn("roles", longText(kind), (c) => c.notNull())
    .addColumn("created_at", whole(kind), (c) => c.notNull())
    .execute();
  await db.schema.createIndex("members_pair").unique().on("members").columns(["organization_id", "user_id"])
    .execute();
  await db.schema.createIndex("members_user").on("members").column("user_id").execute();
  await db.schema.createTable("invitations")
    .addColumn("id", key(kind), (c) => c.primaryKey())
    .addColumn("organization_id", key(kind), (c) => c.notNull())
    .addColumn("email", key(kind, 320), (c) => c.notNull())
    .addColumn("roles", longText(kind), (c) => c.notNull())
    .addColumn("inviter_id", key(kind), (c) => c.notNull())
    .addColumn("status", key(kind, 20), (c) => c.notNull())
    .addColumn("created_at", whole(kind), (c) => c.notNull())
    .addColumn("expires_at", whole(kind), (c) => c.notNull())
    .execute();
  await db.schema.createIndex("invitations_organization").on("invitations")
    .columns(["organization_id", "created_at"]).execute();
}

async function apiKeys(db: Untyped, kind: DatabaseKind): Promise<void> {
  await db.schema.createTable("api_keys")
    .addColumn("id", key(kind), (c) => c.primaryKey())
    .addColumn("organization_id", key(kind), (c) => c.notNull())
    .addColumn("user_id", key(kind), (c) => c.notNull())
    .addColumn("name", longText(kind), (c) => c.notNull())
    .addColumn("key_hash", key(kind), (c) => c.notNull().unique())
    .addColumn("permissions", longText(kind))
    .addColumn("metadata", longText(kind))
    .addColumn("expires_at", whole(kind))
    .addColumn("last_used_at", whole(kind))
    .addColumn("created_at", whole(kind), (c) => c.notNull())
    .addColumn("updated_at", whole(kind), (c) => c.notNull())
    .execute();
  await db.schema.createIndex("api_keys_owner").on("api_keys")
    .columns(["organization_id", "user_id", "created_at"]).execute();
}

async function connections(db: Untyped, kind: DatabaseKind): Promise<void> {
  await db.schema.createTable("connections")
    .addColumn("id", key(kind), (c) => c.primaryKey())
    .addColumn("organization_id", key(kind), (c) => c.notNull())
    .addColumn("title", longText(kind), (c) => c.notNull())
    .addColumn("title_lower", key(kind, 200), (c) => c.notNull())
    .addColumn("description", longText(kind))
    .addColumn("icon", longText(kind))
    .addColumn("app_name", key(kind, 200))
    .addColumn("app_id", key(kind, 200))
    .addColumn("connection_type", key(kind, 20), (c) => c.notNull())
    .addColumn("connection_url", longText(kind))
    .addColumn("header_names", longText(kind), (c) => c.notNull())
    .addColumn("oauth_config", longText(kind))
    .addColumn("configuration_scopes", longText(kind), (c) => c.notNull())
    .addColumn("metadata", longText(kind))
    .addColumn("tools", longText(kind))
    .addColumn("tool_count", "integer", (c) => c.notNull())
    .addColumn("resources", longText(kind))
    .addColumn("prompts", longText(kind))
    .addColumn("bindings", longText(kind))
    .addColumn("status", key(kind, 20), (c) => c.notNull())
    .addColumn("status_reason", longText(kind))
    .addColumn("sealed_token", longText(kind))
    .addColumn("sealed_headers", longText(kind))
    .addColumn("sealed_configuration", longText(kind))
    .addColumn("created_by", key(kind), (c) => c.notNull())
    .addColumn("updated_by", key(kind), (c) => c.notNull())
    .addColumn("created_at", whole(kind), (c) => c.notNull())
    .addColumn("updated_at", whole(kind), (c) => c.notNull())
    .execute();
  for (const column of ["title_lower", "created_at", "updated_at", "status", "tool_count"]) {
    await db.schema.createIndex(`connections_${column}`).on("connections").columns([
      "organization_id",
      column,
      "id",
    ]).execute();
  }
  await db.schema.createTable("connection_tools")
    .addColumn("organization_id", key(kind), (c) => c.notNull())
    .addColumn("name", key(kind, 200), (c) => c.notNull())
    .addColumn("connection_id", key(kind), (c) => c.notNull())
    .addPrimaryKeyConstraint("connection_tools_key", ["organization_id", "name", "connection_id"])
    .execute();
  await db.schema.createIndex("connection_tools_connection").on("connection_tools").column("connection_id")
    .execute();
}

async function taskOwners(db: Untyped, kind: DatabaseKind): Promise<void> {
  await db.schema.createTable("task_owners")
    .addColumn("id", key(kind), (c) => c.primaryKey())
    .addColumn("organization_id", key(kind), (c) => c.notNull())
    .addColumn("connection_id", key(kind), (c) => c.notNull())
    .addColumn("user_id", key(kind), (c) => c.notNull())
    .addColumn("created_at", whole(kind), (c) => c.notNull())
    .execute();
  await db.schema.createIndex("task_owners_owner").on("task_owners")
    .columns(["organization_id", "connection_id", "user_id", "created_at"]).execute();
}

async function auditLog(db: Untyped, kind: DatabaseKind): Promise<void> {
  // Long texts stand last: a database file reads a row from its beginning, and most queries need none of them.
  await db.schema.createTable("audit_log")
    .addColumn("id", key(kind), (c) => c.primaryKey())
    .addColumn("organization_id", key(kind), (c) => c.notNull())
    .addColumn("connection_id", key(kind), (c) => c.notNull())
    .addColumn("gateway_id", key(kind))
    .addColumn("tool_name", key(kind, 200))
    .addColumn("method", key(kind, 100), (c) => c.notNull())
    .addColumn("outcome", key(kind, 10), (c) => c.notNull())
    .addColumn("duration_ms", "double precision", (c) => c.notNull())
    .addColumn("timestamp", whole(kind), (c) => c.notNull())
    .addColumn("user_id", key(kind))
    .addColumn("key_id", key(kind))
    .addColumn("client_id", key(kind, 500))
    .addColumn("request_id", key(kind), (c) => c.notNull())
    .addColumn("trace_id", key(kind))
    .addColumn("upstream_status", "integer")
    .addColumn("request_bytes", whole(kind), (c) => c.notNull())
    .addColumn("response_bytes", whole(kind), (c) => c.notNull())
    .addColumn("connection_title", longText(kind))
    .addColumn("user_agent", longText(kind))
    .addColumn("properties", longText(kind))
    .addColumn("error_message", longText(kind))
    .addColumn("input", longText(kind))
    .addColumn("output", longText(kind))
    .execute();
  const indexes: Record<string, string[]> = {
    // The statistics are answered from this index alone.
    time: ["organization_id", "timestamp", "id", "outcome", "duration_ms", "connection_id"],
    connection: ["organization_id", "connection_id", "timestamp"],
    tool: ["organization_id", "tool_name", "timestamp"],
    user: ["organization_id", "user_id", "timestamp"],
  };
  for (const [name, columns] of Object.entries(indexes)) {
    await db.schema.createIndex(`audit_log_${name}`).on("audit_log").columns(columns).execute();
  }
}
