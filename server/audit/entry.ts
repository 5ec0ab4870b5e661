import { newId } from "../ids.ts";
import type { AuditLogTable } from "../storage/schema.ts";
import { conceal } from "./concealment.ts";
import { redactForLog, redactText } from "./redact.ts";

/** What is known of a call before it ends. The input is redacted here, before anything is stored. */
export interface AuditBegin {
  organizationId: string;
  /** `self` for actions of the mesh. */
  connectionId: string;
  connectionTitle?: string | null;
  gatewayId?: string | null;
  toolName: string | null;
  /** The JSON-RPC method. */
  method: string;
  input?: unknown;
  userId: string | null;
  keyId: string | null;
  clientId: string | null;
  requestId: string;
  traceId?: string | null;
  userAgent: string | null;
  requestBytes?: number;
  /** What must not be stored wherever it occurs, as a server may repeat what it was sent. */
  secrets?: readonly string[];
}

/** How it ended. */
export interface AuditEnd {
  output?: unknown;
  outcome: "ok" | "denied" | "failed";
  errorMessage: string | null;
  durationMs: number;
  /** Milliseconds since 1970; now, where it is left out. */
  timestamp?: number;
  upstreamStatus?: number | null;
  responseBytes?: number;
  /** What must not be stored wherever it occurs, as above. */
  secrets?: readonly string[];
  /** Labels that the caller gave; at most 32, values up to 500 characters. */
  properties?: Readonly<Record<string, string>> | null;
}

/** One call or action, as who ran it saw it. */
export type AuditEntry = AuditBegin & AuditEnd;

export type Row = AuditLogTable;

type Begun = Omit<Row, keyof Ended>;
type Ended = Pick<
  Row,
  | "output"
  | "outcome"
  | "error_message"
  | "duration_ms"
  | "timestamp"
  | "upstream_status"
  | "response_bytes"
  | "properties"
>;

const maxError = 2048;
const maxProperties = 32;

/** The row of an entry: a new id, secrets redacted, every text cut to what its column takes. */
export function rowOf(entry: AuditEntry): Row {
  return { ...begun(entry), ...ended(entry) };
}

/** The beginning of a line of the journal; `endLine` completes it. */
export function beginLine(entry: AuditBegin): string {
  return JSON.stringify(begun(entry)).slice(0, -1);
}

/** A line of the journal. */
export function endLine(beginning: string, entry: AuditEnd): string {
  return beginning + "," + JSON.stringify(ended(entry)).slice(1) + "\n";
}

function begun(entry: AuditBegin): Begun {
  return {
    id: newId("log"),
    organization_id: fit(entry.organizationId, 64),
    connection_id: fit(entry.connectionId, 64),
    connection_title: fitOrNull(entry.connectionTitle, 200),
    gateway_id: fitOrNull(entry.gatewayId, 64),
    tool_name: fitOrNull(entry.toolName, 200),
    method: fit(entry.method, 100),
    input: redactForLog(entry.input, entry.secrets),
    user_id: fitOrNull(entry.userId, 64),
    key_id: fitOrNull(entry.keyId, 64),
    client_id: fitOrNull(entry.clientId, 500),
    request_id: fit(entry.requestId, 64),
    trace_id: fitOrNull(entry.traceId, 64),
    user_agent: fitOrNull(entry.userAgent, 512),
    request_bytes: Math.trunc(finite(entry.requestBytes ?? 0)),
  };
}

function ended(entry: AuditEnd): Ended {
  return {
    output: redactForLog(entry.output, entry.secrets),
    outcome: entry.outcome,
    error_message: entry.errorMessage === null ? null : errorText(entry.errorMessage, entry.secrets),
    duration_ms: Math.round(finite(entry.durationMs) * 1000) / 1000,
    timestamp: Math.trunc(finite(entry.timestamp ?? Date.now())),
    upstream_status: entry.upstreamStatus ?? null,
    response_bytes: Math.trunc(finite(entry.responseBytes ?? 0)),
    properties: entry.properties ? propertiesText(entry.properties) : null,
  };
}

/** The row of a journal line, which another version of this program may have written; null where it is none. */
export function rowOfLine(line: string): Row | null {
  try {
    const parsed = JSON.parse(line);
    return typeof parsed?.id === "string" ? parsed : null;
  } catch {
    return null; // the caller keeps the line aside and says so
  }
}

function fit(text: string, length: number): string {
  const cut = text.length > length ? text.slice(0, length) : text;
  // Postgres takes no NUL in a text.
  return cut.includes("\0") ? cut.replaceAll("\0", "\uFFFD") : cut;
}

function finite(value: number): number {
  return Number.isFinite(value) ? value : 0;
}

function fitOrNull(text: string | null | undefined, length: number): string | null {
  return text === null || text === undefined ? null : fit(text, length);
}

function errorText(text: string, secrets: readonly string[] = []): string {
  // Redacted with some of what follows, so that a secret is known even where the cut goes through it.
  return fit(redactText(conceal(text, secrets).slice(0, maxError * 2)), maxError);
}

function propertiesText(properties: Readonly<Record<string, string>>): string {
  const entries = Object.entries(properties).slice(0, maxProperties);
  const flat = entries.map(([name, value]) => [name.slice(0, 100), String(value).slice(0, 500)]);
  return redactForLog(Object.fromEntries(flat)) ?? "{}";
}
