// Rows of the audit log that look random, and what filters mean, computed without a database.
import * as auditLog from "../../server/storage/audit_log.ts";
import type { Db } from "../../server/storage/dialect.ts";
import type { AuditLogTable } from "../../server/storage/schema.ts";
import { addUser, withMigrated } from "../support/accounts.ts";

/** The organization that is asked about, and another. */
export const here = "org_here";
export const elsewhere = "org_elsewhere";
export const began = Date.UTC(2026, 0, 1);
export const hour = 3_600_000;
export const day = 24 * hour;

/** Numbers that look random and are the same in each run. */
function dice(seed: number): (sides: number) => number {
  let state = seed;
  return (sides) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor(state / 2 ** 32 * sides);
  };
}

const labels = [
  null,
  { env: "prod", team: "a" },
  { env: "PROD" },
  { 'x"env': "prod" },
  { note: ',"env":"prod"' },
  { team: "prod", env: "prod%" },
];
const tools = ["search", "Fetch", "send_mail", "100%", null];

/** A row of the log, ordinary but for the changes. */
export function row(changes: Partial<AuditLogTable>): AuditLogTable {
  return {
    id: "log_0",
    organization_id: here,
    connection_id: "conn_a",
    connection_title: "A",
    gateway_id: null,
    tool_name: "search",
    method: "tools/call",
    input: '{"q":"ä"}',
    output: null,
    outcome: "ok",
    error_message: null,
    duration_ms: 1.5,
    timestamp: began,
    user_id: null,
    key_id: null,
    client_id: null,
    request_id: "req_0",
    trace_id: null,
    user_agent: null,
    upstream_status: null,
    request_bytes: 0,
    response_bytes: 0,
    properties: null,
    ...changes,
  };
}

function manyRows(users: string[]): AuditLogTable[] {
  const roll = dice(7);
  return Array.from({ length: 400 }, (_, i) => {
    const outcome = ["ok", "ok", "ok", "denied", "failed"][roll(5)] ?? "ok";
    const labelled = labels[roll(labels.length)];
    return row({
      id: `log_${String(i).padStart(5, "0")}`,
      organization_id: roll(8) === 0 ? elsewhere : here,
      connection_id: ["conn_a", "conn_b", "self"][roll(3)] ?? "self",
      gateway_id: [null, "gw_a"][roll(2)] ?? null,
      tool_name: tools[roll(tools.length)] ?? null,
      outcome,
      error_message: outcome === "ok" ? null : "It did not work",
      duration_ms: roll(20_000) / 16,
      timestamp: began + roll(100) * hour / 2,
      user_id: [null, ...users][roll(users.length + 1)] ?? null,
      request_id: `req_${i % 50}_x`,
      properties: labelled ? JSON.stringify(labelled) : null,
    });
  });
}

/** What the filter means, computed without a database. */
export function accepts(
  filter: auditLog.Filter,
  names: Map<string, string>,
): (row: AuditLogTable) => boolean {
  const search = filter.search?.toLowerCase();
  return (row) =>
    row.organization_id === here &&
    (filter.connectionId === undefined || row.connection_id === filter.connectionId) &&
    (filter.gatewayId === undefined || row.gateway_id === filter.gatewayId) &&
    (filter.toolName === undefined || row.tool_name === filter.toolName) &&
    (filter.userId === undefined || row.user_id === filter.userId) &&
    (filter.onlyOfUser === undefined || row.user_id === filter.onlyOfUser) &&
    (filter.isError === undefined || (row.outcome !== "ok") === filter.isError) &&
    (filter.outcome === undefined || row.outcome === filter.outcome) &&
    (filter.from === undefined || row.timestamp >= filter.from) &&
    (filter.to === undefined || row.timestamp <= filter.to) &&
    (search === undefined ||
      [row.tool_name, row.request_id, names.get(row.user_id ?? "")].some((text) =>
        text?.toLowerCase().includes(search)
      )) &&
    Object.entries(filter.properties ?? {}).every(([name, value]) =>
      JSON.parse(row.properties ?? "{}")[name] === value
    );
}

/** Filters of every kind, with people of the sample. */
export function filtersOf(users: string[]): auditLog.Filter[] {
  return [
    {},
    { connectionId: "conn_a" },
    { connectionId: "self", outcome: "denied" },
    { gatewayId: "gw_a", isError: true },
    { toolName: "Fetch" },
    { toolName: "fetch" },
    { userId: users[0] },
    { userId: users[0], onlyOfUser: users[1] },
    { onlyOfUser: users[1], isError: false },
    { from: began + 10 * hour, to: began + 20 * hour },
    { from: began + 5000 * hour },
    { search: "FETCH" },
    { search: "100%" },
    { search: "_mail" },
    { search: "REQ_7_" },
    { search: "ada" },
    { search: "@example.com", isError: true },
    { search: "!" },
    { search: "' or 1=1 --" },
    { properties: { env: "prod" } },
    { properties: { env: "PROD" } },
    { properties: { env: "prod%" } },
    { properties: { 'x"env': "prod" } },
    { properties: { env: "prod", team: "a" } },
    { properties: { note: ',"env":"prod"' } },
    { properties: { none: "" } },
  ];
}

export interface Sample {
  db: Db;
  rows: AuditLogTable[];
  users: string[];
  /** "name e-mail" by user. */
  names: Map<string, string>;
}

/** Runs `work` on a database with 400 rows that look random. */
export async function withSample(url: string, work: (sample: Sample) => Promise<void>): Promise<void> {
  await withMigrated(url, async (db) => {
    const people = [await addUser(db, "Ada"), await addUser(db, "Grace")];
    const users = people.map(({ id }) => id);
    const rows = manyRows(users);
    await auditLog.insertMany(db, rows);
    const names = new Map(people.map(({ id, name, email }) => [id, `${name} ${email}`]));
    await work({ db, rows, users, names });
  });
}
