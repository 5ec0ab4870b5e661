// What the tests of the relay share: a mesh with a connection, messages of both eras, the rows of the log.
import type { Permissions } from "../../server/access/roles.ts";
import { newId } from "../../server/ids.ts";
import * as auditLog from "../../server/storage/audit_log.ts";
import { placeOf } from "../../server/upstream/credentials.ts";
import { type Mesh, type Person, startMesh } from "../support/app.ts";
import { addConnection as insertConnection } from "../support/connections.ts";
import type { Behaviour, HostileRequest } from "../support/upstreams.ts";

export type { Mesh, Person };

/** Runs `fn` with a mesh of its own; `env` holds settings by their environment names. */
export async function withMesh(
  fn: (mesh: Mesh) => Promise<void>,
  env: Record<string, string> = {},
): Promise<void> {
  const mesh = await startMesh(env);
  try {
    await fn(mesh);
  } finally {
    await mesh.stop();
  }
}

export interface ConnectionOptions {
  title?: string;
  token?: string;
  headers?: Record<string, string>;
  status?: "active" | "inactive" | "error";
}

/** Adds a connection to an organization, straight in the storage, and gives its id. */
export async function addConnection(
  { services: { db, vault } }: Mesh,
  { organizationId, userId }: Person,
  { token, headers, ...options }: ConnectionOptions & { url: string },
): Promise<string> {
  const id = newId("conn");
  const row = { id, organization_id: organizationId };
  return await insertConnection(db, organizationId, {
    ...options,
    id,
    createdBy: userId,
    ...token !== undefined && { sealed_token: await vault.seal(placeOf(row, "sealed_token"), token) },
    ...headers && {
      header_names: JSON.stringify(Object.keys(headers)),
      sealed_headers: await vault.seal(placeOf(row, "sealed_headers"), JSON.stringify(headers)),
    },
  });
}

/** A connection, a person of its organization, and a key. */
export interface Site {
  readonly url: string;
  readonly connectionId: string;
  readonly person: Person;
  readonly key: string;
}

/** A connection to an upstream with a key that may do everything. */
export async function site(mesh: Mesh, url: string, options: ConnectionOptions = {}): Promise<Site> {
  const person = await mesh.organization();
  const connectionId = await addConnection(mesh, person, { url, ...options });
  return { url: `${mesh.url}/mcp/${connectionId}`, connectionId, person, key: await mesh.key(person) };
}

/** The same connection with a key that may do only this on it. */
export async function narrowed(mesh: Mesh, of: Site, actions: readonly string[]): Promise<Site> {
  const permissions: Permissions = { [of.connectionId]: actions };
  return { ...of, key: await mesh.key(of.person, permissions) };
}

/** The same connection for another member of the organization. */
export async function colleague(mesh: Mesh, of: Site): Promise<Site> {
  const person = await mesh.member(of.person.organizationId);
  return { ...of, person, key: await mesh.key(person) };
}

export const modernVersion = "2026-07-28";
export const legacyVersion = "2025-11-25";

export interface Sent {
  headers: Record<string, string>;
  body: string;
}

/** A message of the legacy era as it is sent. */
export function legacy(
  method: string,
  params?: Record<string, unknown>,
  { id = 1, session }: { id?: string | number | null; session?: string | null | undefined } = {},
): Sent {
  const message = { jsonrpc: "2.0", method, ...id !== null && { id }, ...params && { params } };
  const headers = { "mcp-protocol-version": legacyVersion, ...session && { "mcp-session-id": session } };
  return { headers, body: JSON.stringify(message) };
}

export interface ModernOptions {
  id?: string | number;
  capabilities?: Record<string, unknown>;
  meta?: Record<string, unknown>;
}

/** A request of the modern era as it is sent, with the headers that repeat its body. */
export function modern(
  method: string,
  params: Record<string, unknown> = {},
  options: ModernOptions = {},
): Sent {
  const { id = 1, capabilities = {}, meta = {} } = options;
  const _meta = {
    "io.modelcontextprotocol/protocolVersion": modernVersion,
    "io.modelcontextprotocol/clientCapabilities": capabilities,
    "io.modelcontextprotocol/clientInfo": { name: "test", version: "1.0.0" },
    ...meta,
  };
  const name = params.name ?? params.uri ?? params.taskId;
  return {
    headers: {
      "mcp-protocol-version": modernVersion,
      "mcp-method": method,
      ...typeof name === "string" && { "mcp-name": name },
    },
    body: JSON.stringify({ jsonrpc: "2.0", id, method, params: { ...params, _meta } }),
  };
}

/** Posts a message with the site's key, where there is one. */
export async function post(
  to: { readonly url: string; readonly key: string | null },
  sent: Sent,
  init: RequestInit = {},
): Promise<Response> {
  return await fetch(to.url, {
    method: "POST",
    body: sent.body,
    ...init,
    headers: {
      ...to.key !== null && { authorization: `Bearer ${to.key}` },
      accept: "application/json, text/event-stream",
      "content-type": "application/json",
      ...sent.headers,
      ...init.headers as Record<string, string>,
    },
  });
}

function greeting(capabilities: Record<string, unknown> = {}): Sent {
  const clientInfo = { name: "test", version: "1.0.0" };
  return legacy("initialize", { protocolVersion: legacyVersion, capabilities, clientInfo });
}

/** The status with which a server answers whoever greets it with this token. */
export async function greetingStatus(url: string, key: string | null): Promise<number> {
  const response = await post({ url, key }, greeting());
  await response.text();
  return response.status;
}

/** Opens a legacy session and gives the id by which the mesh knows it. */
export async function openSession(to: Site, capabilities: Record<string, unknown> = {}): Promise<string> {
  const response = await post(to, greeting(capabilities));
  await response.text();
  const session = response.headers.get("mcp-session-id");
  if (session === null) throw new Error(`There is no session: ${response.status}`);
  const initialized = await post(to, legacy("notifications/initialized", undefined, { id: null, session }));
  await initialized.text();
  return session;
}

// deno-lint-ignore no-explicit-any -- what a server answers has no type before it is looked at
export type Json = any;

/** The JSON-RPC response in an answer, be it JSON or an event stream. */
export async function answerOf(response: Response): Promise<Json> {
  const text = await response.text();
  if (!response.headers.get("content-type")?.startsWith("text/event-stream")) return JSON.parse(text);
  return messagesOf(text).find((message) => "result" in message || "error" in message);
}

/** The messages in the text of an event stream. */
export function messagesOf(text: string): Json[] {
  const events = text.split(/\r?\n\r?\n/).map((event) =>
    event.split(/\r?\n/).filter((line) => line.startsWith("data:")).map((line) => line.slice(5).trim()).join(
      "\n",
    )
  );
  return events.filter((data) => data !== "").map((data) => JSON.parse(data));
}

/** The rows of the organization's log, newest first. */
export async function rowsOf({ services }: Mesh, { person }: Pick<Site, "person">): Promise<auditLog.Log[]> {
  await services.audit.flush();
  return await auditLog.list(services.db, person.organizationId, { filter: {}, limit: 100, offset: 0 });
}

interface Reply {
  status?: string;
  type?: string | null;
  headers?: Record<string, string>;
  body?: string;
}

/** An upstream that answers every request with what is made of it. */
export function replying(make: (request: HostileRequest) => Reply): Behaviour {
  return async ({ request, send }) => {
    const { status = "200 OK", type = "application/json", headers = {}, body = "" } = make(request);
    const length = new TextEncoder().encode(body).length;
    const all = { ...type !== null && { "content-type": type }, ...headers, "content-length": `${length}` };
    const lines = Object.entries({ ...all, connection: "close" }).map(([name, value]) =>
      `${name}: ${value}\r\n`
    );
    await send(`HTTP/1.1 ${status}\r\n${lines.join("")}\r\n${body}`);
  };
}

/** The text of a successful response to a request. */
export function resultFor({ message }: HostileRequest, result: unknown): string {
  return JSON.stringify({ jsonrpc: "2.0", id: message.id, result });
}
