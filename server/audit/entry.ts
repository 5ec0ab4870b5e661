import { newId } from "../ids.ts";
import type { AuditLogTable } from "../storage/schema.ts";
import { conceal } from "./concealment.ts";
import { redactForLog, redactText } from "./redact.ts";

/** Who acts on what. */
export interface AuditSubject {
  organizationId: string;
  /** `self` for actions of the mesh. */
  connectionId: string;
  connectionTitle?: string | null;
  gatewayId?: string | null;
  userId: string | null;
  keyId: string | null;
  clientId: string | null;
}

/** What was done and how it ended, as who ran it saw it. Redacted before anything is stored. */
export interface AuditCall {
  toolName: string | null;
  /** The JSON-RPC method. */
  method: string;
  input?: unknown;
  output?: unknown;
  outcome: "ok" | "denied" | "failed";
  errorMessage: string | null;
  durationMs: number;
  /** Milliseconds since 1970; now, where it is left out. */
  timestamp?: number;
  requestId: string;
  traceId?: string | null;
  userAgent: string | null;
  upstreamStatus?: number | null;
  requestBytes?: number;
  responseBytes?: number;
  /** What must not be stored wherever it occurs, as a server may repeat what it was sent. */
  secrets?: readonly string[];
  /** Labels that the caller gave; at most 32, values up to 500 characters. */
  properties?: Readonly<Record<string, string>> | null;
}

/** One call or action, with who acts on what. */
export type AuditEntry = AuditSubject & AuditCall;

export type Row = AuditLogTable;

type Subject = Pick<
  Row,
  "organization_id" | "connection_id" | "connection_title" | "gateway_id" | "user_id" | "key_id" | "client_id"
>;
type Called = Omit<Row, keyof Subject>;

const maxError = 2048;
const maxProperties = 32;

/** The row of an entry: a new id, secrets redacted, every text cut to what its column takes. */
export function rowOf(entry: AuditEntry): Row {
  return { ...subjectOf(entry), ...called(entry) };
}

/** What all rows of one caller at one connection begin with in the journal. */
export function subjectPart(subject: AuditSubject): string {
  return JSON.stringify(subjectOf(subject)).slice(0, -1);
}

/** A line of the journal. */
export function lineOf(subject: string, entry: AuditCall): string {
  return subject + "," + JSON.stringify(called(entry)).slice(1) + "\n";
}

function subjectOf(subject: AuditSubject): Subject {
  return {
    organization_id: fit(subject.organizationId, 64),
    connection_id: fit(subject.connectionId, 64),
    connection_title: fitOrNull(subject.connectionTitle, 200),
    gateway_id: fitOrNull(subject.gatewayId, 64),
    user_id: fitOrNull(subject.userId, 64),
    key_id: fitOrNull(subject.keyId, 64),
    client_id: fitOrNull(subject.clientId, 500),
  };
}

function called(entry: AuditCall): Called {
  const { secrets, errorMessage, properties } = entry;
  return {
    id: newId("log"),
    tool_name: fitOrNull(entry.toolName, 200),
    method: fit(entry.method, 100),
    input: redactForLog(entry.input, secrets),
    output: redactForLog(entry.output, secrets),
    outcome: entry.outcome,
    error_message: errorMessage === null ? null : errorText(errorMessage, secrets),
    duration_ms: Math.round(finite(entry.durationMs) * 1000) / 1000,
    timestamp: Math.trunc(finite(entry.timestamp ?? Date.now())),
    request_id: fit(entry.requestId, 64),
    trace_id: fitOrNull(entry.traceId, 64),
    user_agent: fitOrNull(entry.userAgent, 512),
    upstream_status: entry.upstreamStatus ?? null,
    request_bytes: Math.trunc(finite(entry.requestBytes ?? 0)),
    response_bytes: Math.trunc(finite(entry.responseBytes ?? 0)),
    properties: properties ? propertiesText(properties) : null,
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
