import {
  type Expression,
  type Insertable,
  type Selectable,
  sql,
  type SqlBool,
  type Updateable,
} from "kysely";
import { AppError } from "../errors.ts";
import { type Db, insertIfAbsent } from "./dialect.ts";
import { type Fields, type ListInput, orderOf, whereOf } from "./filters.ts";
import type { ConnectionsTable } from "./schema.ts";

/** A row of the table as it is; its JSON columns are read with `parse`. */
export type ConnectionRow = Selectable<ConnectionsTable>;

/** What a change may set; the tenant, the id and who made it stay. */
export type ConnectionChanges = Omit<
  Updateable<ConnectionsTable>,
  "id" | "organization_id" | "created_by" | "created_at" | "updated_at"
>;

/** The JSON columns of a row, parsed. */
export interface ParsedConnection {
  headerNames: string[];
  oauthConfig: Record<string, unknown> | null;
  configurationScopes: string[];
  metadata: Record<string, unknown> | null;
  tools: { name: string; [key: string]: unknown }[] | null;
  resources: Record<string, unknown>[] | null;
  prompts: { name: string; [key: string]: unknown }[] | null;
  bindings: unknown[] | null;
  personalHeaders: string[] | null;
  options: ConnectionOptions | null;
}

/** What a connection says of the way to its server beside its address; null is as good as absent. */
export interface ConnectionOptions {
  /** The longest silence of the server during a call. */
  timeout_seconds?: number | null | undefined;
  /** Whether a token says who calls. */
  identity_token?: boolean | null | undefined;
  /** PEM. */
  ca_certificates?: string | null | undefined;
}

/** What the proxy needs of a connection. */
export type RelayRow = Pick<
  ConnectionRow,
  | "id"
  | "organization_id"
  | "title"
  | "status"
  | "connection_type"
  | "connection_url"
  | "tools"
  | "sealed_token"
  | "sealed_headers"
  | "credential_mode"
  | "credential_type"
  | "personal_headers"
  | "oauth_config"
  | "options"
  | "sealed_oauth"
  | "sealed_certificate"
  | "sealed_url"
  | "protocol_version"
  | "updated_at"
>;

/** The fields that a list may be filtered and sorted by. */
export const fields: Fields = {
  id: { column: "id", kind: "text" },
  title: { column: "title_lower", kind: "lower" },
  description: { column: "description", kind: "text", nullable: true },
  icon: { column: "icon", kind: "text", nullable: true },
  app_name: { column: "app_name", kind: "text", nullable: true },
  app_id: { column: "app_id", kind: "text", nullable: true },
  connection_type: {
    column: "connection_type",
    kind: "enum",
    values: ["HTTP", "SSE", "Websocket", "STDIO"],
  },
  connection_url: { column: "connection_url", kind: "text", nullable: true },
  status: { column: "status", kind: "enum", values: ["active", "inactive", "error"] },
  credential_mode: { column: "credential_mode", kind: "enum", values: ["shared", "per_user"] },
  credential_type: { column: "credential_type", kind: "enum", values: ["static", "oauth"] },
  tool_count: { column: "tool_count", kind: "number" },
  created_by: { column: "created_by", kind: "text" },
  updated_by: { column: "updated_by", kind: "text" },
  created_at: { column: "created_at", kind: "time" },
  updated_at: { column: "updated_at", kind: "time" },
};

const maxIndexedName = 200; // characters of connection_tools.name; MCP advises at most 128

/** A connection of an organization, or null. */
export async function find(db: Db, organizationId: string, id: string): Promise<ConnectionRow | null> {
  const row = await db.selectFrom("connections").selectAll()
    .where("organization_id", "=", organizationId).where("id", "=", id).executeTakeFirst();
  return row?.id === id ? row : null;
}

/** What the proxy needs of a connection of an organization, sealed columns included, in one query; or null. */
export async function findForRelay(db: Db, organizationId: string, id: string): Promise<RelayRow | null> {
  const row = await db.selectFrom("connections").select([
    "id",
    "organization_id",
    "title",
    "status",
    "connection_type",
    "connection_url",
    "tools",
    "sealed_token",
    "sealed_headers",
    "credential_mode",
    "credential_type",
    "personal_headers",
    "oauth_config",
    "options",
    "sealed_oauth",
    "sealed_certificate",
    "sealed_url",
    "protocol_version",
    "updated_at",
  ]).where("organization_id", "=", organizationId).where("id", "=", id).executeTakeFirst();
  return row?.id === id ? row : null; // a database that pads with blanks finds "id " too
}

/** A number that grows with every change of a connection; null where there is no such connection. */
export async function findVersion(db: Db, organizationId: string, id: string): Promise<number | null> {
  const row = await db.selectFrom("connections").select("updated_at")
    .where("organization_id", "=", organizationId).where("id", "=", id).executeTakeFirst();
  return row?.updated_at ?? null;
}

/** The title of a connection of an organization; null where there is no such connection. */
export async function findTitle(db: Db, organizationId: string, id: string): Promise<string | null> {
  const row = await db.selectFrom("connections").select("title")
    .where("organization_id", "=", organizationId).where("id", "=", id).executeTakeFirst();
  return row?.title ?? null;
}

/** Characters of the long columns in one page: servers may list megabytes each, and a page is held in memory whole. */
const maxPageLength = 16_000_000;
const longColumns = [
  "tools",
  "resources",
  "prompts",
  "sealed_configuration",
  "metadata",
  "bindings",
  "icon",
  "options",
] as const;

/**
 * One page of an organization's connections, newest first unless told, and how many match in all. It ends early, but
 * not before its first, where what they hold would be too much at once.
 */
export async function list(
  db: Db,
  organizationId: string,
  input: ListInput & { binding?: readonly string[] | undefined },
): Promise<{ rows: ConnectionRow[]; totalCount: number }> {
  const matching = db.selectFrom("connections").where("organization_id", "=", organizationId)
    .where(whereOf(input.where, fields)).where(hasTools(organizationId, input.binding ?? []));
  const { count } = await matching.select((eb) => eb.fn.countAll().as("count")).executeTakeFirstOrThrow();
  const page = matching.orderBy(
    orderOf(input.orderBy, fields, { db, field: "created_at", direction: "desc" }),
  )
    .offset(input.offset);
  const lengths = longColumns.map((column) => sql`coalesce(length(${sql.ref(column)}), 0)`);
  const sizes = await page.select(sql<number>`${sql.join(lengths, sql` + `)}`.as("length")).limit(input.limit)
    .execute();
  const rows = await page.selectAll().limit(fitting(sizes)).execute();
  return { rows, totalCount: Number(count) };
}

function fitting(rows: readonly { length: number }[]): number {
  let left = maxPageLength;
  const full = rows.findIndex(({ length }) => (left -= Number(length)) < 0);
  return Math.max(1, full < 0 ? rows.length : full);
}

/** What a person is told of a connection that they may give a credential for. */
export type CredentialPlace = Pick<
  ConnectionRow,
  | "id"
  | "title"
  | "icon"
  | "status"
  | "connection_url"
  | "credential_mode"
  | "credential_type"
  | "personal_headers"
  | "oauth_config"
>;

/** The connections of an organization for which people give credentials of their own or authorize, by title. */
export async function listCredentialPlaces(db: Db, organizationId: string): Promise<CredentialPlace[]> {
  return await db.selectFrom("connections").select([
    "id",
    "title",
    "icon",
    "status",
    "connection_url",
    "credential_mode",
    "credential_type",
    "personal_headers",
    "oauth_config",
  ]).where("organization_id", "=", organizationId)
    .where((eb) => eb.or([eb("credential_mode", "=", "per_user"), eb("credential_type", "=", "oauth")]))
    .orderBy("title_lower").orderBy("id").execute();
}

/** Adds a connection; `toolNames` are indexed for the filter by binding. */
export async function insert(
  db: Db,
  row: Insertable<ConnectionsTable>,
  toolNames: readonly string[] = [],
): Promise<void> {
  await db.transaction().execute(async (trx) => {
    await trx.insertInto("connections").values(row).execute();
    await insertTools(trx, row.organization_id, { id: row.id, names: toolNames });
  });
}

/** What is to be changed, and the version that it must still have where that matters. */
export interface Change {
  id: string;
  changes: ConnectionChanges;
  version?: number;
}

/** Changes a connection and its version; false where there is no such connection, or not in that version. */
export async function update(
  db: Db,
  organizationId: string,
  { id, changes, version }: Change,
): Promise<boolean> {
  const now = Date.now();
  const result = await db.updateTable("connections").set({
    ...changes,
    // Grows even where two changes share a millisecond, so that no cache takes one for the other.
    updated_at: sql<number>`case when updated_at >= ${now} then updated_at + 1 else ${now} end`,
  }).where("organization_id", "=", organizationId).where("id", "=", id)
    .$if(version !== undefined, (query) => query.where("updated_at", "=", version ?? 0)).executeTakeFirst();
  return result.numUpdatedRows > 0n;
}

/** Changes a connection together with the indexed names of its tools; with a `version`, only while it has that one. */
export async function replaceTools(
  db: Db,
  organizationId: string,
  { toolNames, ...change }: Change & { toolNames: readonly string[] },
): Promise<boolean> {
  const { id } = change;
  return await db.transaction().execute(async (trx) => {
    if (!await update(trx, organizationId, change)) return false;
    await trx.deleteFrom("connection_tools").where("organization_id", "=", organizationId)
      .where("connection_id", "=", id).execute();
    await insertTools(trx, organizationId, { id, names: toolNames });
    return true;
  });
}

/** Removes a connection; false where there is no such connection. */
export async function remove(db: Db, organizationId: string, id: string): Promise<boolean> {
  return await db.transaction().execute(async (trx) => {
    const result = await trx.deleteFrom("connections")
      .where("organization_id", "=", organizationId).where("id", "=", id).executeTakeFirst();
    if (result.numDeletedRows === 0n) return false;
    for (const table of belongings) {
      await trx.deleteFrom(table).where("organization_id", "=", organizationId)
        .where("connection_id", "=", id).execute();
    }
    return true;
  });
}

/** What goes with a connection. */
const belongings = [
  "connection_tools",
  "upstream_credentials",
  "upstream_flows",
  "connection_health",
] as const;

/** Reads the JSON columns of a row. */
export function parse(row: ConnectionRow): ParsedConnection {
  return {
    headerNames: JSON.parse(row.header_names),
    oauthConfig: fromJson(row.oauth_config),
    configurationScopes: JSON.parse(row.configuration_scopes),
    metadata: fromJson(row.metadata),
    tools: parseTools(row),
    resources: fromJson(row.resources),
    prompts: fromJson(row.prompts),
    bindings: fromJson(row.bindings),
    personalHeaders: fromJson(row.personal_headers),
    options: fromJson(row.options),
  };
}

/** The tools that the upstream listed; null where it never answered. */
export function parseTools(row: Pick<ConnectionRow, "tools">): ParsedConnection["tools"] {
  return fromJson(row.tools);
}

/** The tool names of a `binding`: a name, names, or objects with a name. */
export function bindingNames(binding: string | readonly (string | { name: string })[]): string[] {
  const entries = typeof binding === "string" ? [binding] : binding;
  return [...new Set(entries.map((entry) => typeof entry === "string" ? entry : entry.name))];
}

function fromJson<T>(text: string | null): T | null {
  return text === null ? null : JSON.parse(text);
}

/** True for connections that have all the named tools, from the index on tool names. */
function hasTools(organizationId: string, names: readonly string[]): Expression<SqlBool> {
  if (names.length === 0) return sql<SqlBool>`1 = 1`;
  if (names.length > 100) {
    throw new AppError("invalid", "Cannot list: a binding names at most 100 tools", {
      fields: { binding: "it names more than 100 tools" },
    });
  }
  const table = sql.table("connection_tools");
  return sql<SqlBool>`${sql.ref("connections.id")} in (
    select connection_id from ${table} where organization_id = ${organizationId}
    and name in (${sql.join(names)}) group by connection_id having count(*) = ${names.length})`;
}

async function insertTools(
  db: Db,
  organizationId: string,
  { id, names }: { id: string; names: readonly string[] },
): Promise<void> {
  // A longer name, or one with NUL inside, does not fit the index; no binding can ask for it.
  const unique = [...new Set(names)].filter((name) => name.length <= maxIndexedName && !name.includes("\0"));
  const rows = unique.map((name) => ({ organization_id: organizationId, connection_id: id, name }));
  for (let start = 0; start < rows.length; start += 1000) {
    // Two names may be one to the database, which may pad with blanks or replace what is not Unicode.
    await insertIfAbsent(db, "connection_tools", rows.slice(start, start + 1000));
  }
}
