import { type ExpressionBuilder, sql } from "kysely";
import { bulkInsertIfAbsent, type Db } from "./dialect.ts";
import type { AuditLogTable, Schema } from "./schema.ts";
import { named } from "./users.ts";

/** One call or action as it is shown: the contract's Log, with `timestamp` in milliseconds. */
export interface Log {
  id: string;
  organizationId: string;
  connectionId: string;
  connectionTitle: string | null;
  gatewayId: string | null;
  toolName: string | null;
  method: string;
  input: unknown;
  output: unknown;
  isError: boolean;
  outcome: "ok" | "denied" | "failed";
  errorMessage: string | null;
  durationMs: number;
  timestamp: number;
  userId: string | null;
  keyId: string | null;
  clientId: string | null;
  requestId: string;
  traceId: string | null;
  userAgent: string | null;
  upstreamStatus: number | null;
  requestBytes: number;
  responseBytes: number;
  properties: Record<string, string> | null;
}

/** Which rows are meant; what is left out does not narrow. */
export interface Filter {
  connectionId?: string | undefined;
  gatewayId?: string | undefined;
  toolName?: string | undefined;
  userId?: string | undefined;
  /** True: denied or failed; false: ok. */
  isError?: boolean | undefined;
  outcome?: Log["outcome"] | undefined;
  /** Milliseconds since 1970, both inclusive. */
  from?: number | undefined;
  to?: number | undefined;
  /** Part of a tool name, a request id, or the name or e-mail address of a user; case does not matter. */
  search?: string | undefined;
  /** Labels that the row must have. */
  properties?: Readonly<Record<string, string>> | undefined;
  /** Narrows to the rows of one user, whatever `userId` says. */
  onlyOfUser?: string | undefined;
}

const columns = [
  "id",
  "organization_id",
  "connection_id",
  "connection_title",
  "gateway_id",
  "tool_name",
  "method",
  "input",
  "output",
  "outcome",
  "error_message",
  "duration_ms",
  "timestamp",
  "user_id",
  "key_id",
  "client_id",
  "request_id",
  "trace_id",
  "user_agent",
  "upstream_status",
  "request_bytes",
  "response_bytes",
  "properties",
] as const satisfies (keyof AuditLogTable)[];

/** Inserts rows; one whose id is there already is left as it is. */
export async function insertMany(db: Db, rows: readonly AuditLogTable[]): Promise<void> {
  await bulkInsertIfAbsent(db, "audit_log", { columns, rows });
}

/** True where the database would refuse the row again, for what it holds; false for any trouble of the database. */
export function isRefusal(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { code, sqlState, errno, errcode } = error as Partial<Record<string, unknown>> & Error;
  // SQLite: constraint, too big, mismatch. SQLSTATE classes: data exception, integrity, program limit.
  if (typeof errcode === "number") return [18, 19, 20].includes(errcode & 0xff);
  if (errno === 1366 || errno === 1364) return true; // these two come with the general SQLSTATE
  const state = sqlState ?? code;
  return typeof state === "string" && /^(22|23|54)[0-9A-Z]{3}$/.test(state);
}

type Expressions = ExpressionBuilder<Schema, "audit_log">;

/** The condition of a filter within one organization. */
export function matching(eb: Expressions, organizationId: string, filter: Filter) {
  const all = [eb("organization_id", "=", organizationId)];
  const equal = {
    connection_id: filter.connectionId,
    gateway_id: filter.gatewayId,
    tool_name: filter.toolName,
    user_id: filter.userId,
    outcome: filter.outcome,
  };
  for (const [column, value] of Object.entries(equal)) {
    if (value !== undefined) all.push(eb(column as keyof typeof equal, "=", value));
  }
  if (filter.onlyOfUser !== undefined) all.push(eb("user_id", "=", filter.onlyOfUser));
  if (filter.isError !== undefined) all.push(eb("outcome", filter.isError ? "!=" : "=", "ok"));
  if (filter.from !== undefined) all.push(eb("timestamp", ">=", filter.from));
  if (filter.to !== undefined) all.push(eb("timestamp", "<=", filter.to));
  if (filter.search) all.push(found(eb, filter.search));
  for (const [name, value] of Object.entries(filter.properties ?? {})) {
    all.push(labelled(eb, name, value));
  }
  return eb.and(all);
}

function found(eb: Expressions, search: string) {
  const pattern = `%${search.toLowerCase().replace(/[!%_]/g, "!$&")}%`;
  const users = eb.selectFrom("users").select("users.id").where(named(search));
  return eb.or([
    sql<boolean>`lower(${eb.ref("tool_name")}) like ${pattern} escape '!'`,
    sql<boolean>`${eb.ref("request_id")} like ${pattern} escape '!'`, // always in lower case
    eb("user_id", "in", users),
  ]);
}

/** Finds `"name":"value"` as a whole member of the stored object: what stands before it is `{` or `,`. */
function labelled(eb: Expressions, name: string, value: string) {
  const member = JSON.stringify({ [name]: value }).slice(1, -1);
  // Not LIKE, for which case does not matter everywhere; replace() compares exactly on every database.
  const holds = (text: string) =>
    sql<boolean>`replace(${eb.ref("properties")}, ${text}, '') != ${eb.ref("properties")}`;
  return eb.or([holds(`{${member}`), holds(`,${member}`)]);
}

/** The rows that match, newest first. */
export async function list(
  db: Db,
  organizationId: string,
  { filter, limit, offset }: { filter: Filter; limit: number; offset: number },
): Promise<Log[]> {
  const rows = await db.selectFrom("audit_log").selectAll()
    .where((eb) => matching(eb, organizationId, filter))
    .orderBy("timestamp", "desc").orderBy("id", "desc")
    .limit(limit).offset(offset).execute();
  return rows.map(logOf);
}

/** How many rows match. */
export async function count(db: Db, organizationId: string, filter: Filter): Promise<number> {
  const { total } = await db.selectFrom("audit_log").select((eb) => eb.fn.countAll<number>().as("total"))
    .where((eb) => matching(eb, organizationId, filter)).executeTakeFirstOrThrow();
  return total;
}

/** One row, or null where the organization has none of this id. */
export async function find(db: Db, organizationId: string, id: string): Promise<Log | null> {
  if (id.includes("\0")) return null; // not every database can be asked for it
  const row = await db.selectFrom("audit_log").selectAll()
    .where("organization_id", "=", organizationId).where("id", "=", id).executeTakeFirst();
  return row ? logOf(row) : null;
}

/** The organization that comes next in the log, in the order of ids; null behind the last. */
export async function nextOrganization(db: Db, after: string | null): Promise<string | null> {
  let query = db.selectFrom("audit_log").select((eb) => eb.fn.min("organization_id").as("next"));
  if (after !== null) query = query.where("organization_id", ">", after);
  return (await query.executeTakeFirst())?.next ?? null;
}

/** Removes some of the organization's rows from before a time, oldest first; returns how many. */
export async function removeOlder(
  db: Db,
  organizationId: string,
  { before, limit }: { before: number; limit: number },
): Promise<number> {
  const rows = await db.selectFrom("audit_log").select("id")
    .where("organization_id", "=", organizationId).where("timestamp", "<", before)
    .orderBy("timestamp").limit(limit).execute();
  if (rows.length === 0) return 0;
  await db.deleteFrom("audit_log").where("id", "in", rows.map((row) => row.id)).execute();
  return rows.length;
}

function logOf(row: AuditLogTable): Log {
  return {
    id: row.id,
    organizationId: row.organization_id,
    connectionId: row.connection_id,
    connectionTitle: row.connection_title,
    gatewayId: row.gateway_id,
    toolName: row.tool_name,
    method: row.method,
    input: parsed(row.input),
    output: parsed(row.output),
    isError: row.outcome !== "ok",
    outcome: row.outcome as Log["outcome"],
    errorMessage: row.error_message,
    durationMs: row.duration_ms,
    timestamp: row.timestamp,
    userId: row.user_id,
    keyId: row.key_id,
    clientId: row.client_id,
    requestId: row.request_id,
    traceId: row.trace_id,
    userAgent: row.user_agent,
    upstreamStatus: row.upstream_status,
    requestBytes: row.request_bytes,
    responseBytes: row.response_bytes,
    properties: parsed(row.properties) as Record<string, string> | null,
  };
}

function parsed(text: string | null): unknown {
  return text === null ? null : JSON.parse(text);
}
