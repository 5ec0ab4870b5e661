import { AppError } from "../errors.ts";
import type { Relayed } from "../upstream/relay.ts";
import { type Passage, sessionOwner } from "./call.ts";

/** Sent with every message; one pair for all. */
const uncompressed: [string, string] = ["accept-encoding", "identity"];
const json: [string, string] = ["content-type", "application/json"];
const agent: [string, string] = ["user-agent", "mcp-mesh"];

const legacyHeaders = ["mcp-protocol-version"];
const modernHeaders = ["mcp-protocol-version", "mcp-method", "mcp-name"];

/** What is sent of the caller's headers: an allow-list, as their credential must never be among them (G05, RS10). */
export function requestHeaders(passage: Passage, modern: boolean, method: string): [string, string][] {
  const { headers } = passage.request;
  const out: [string, string][] = [
    ["accept", headers.get("accept") ?? "application/json, text/event-stream"],
    uncompressed,
  ];
  if (passage.request.method === "POST") out.push(json);
  else pushGiven(headers, "last-event-id", out);
  for (const name of modern ? modernHeaders : legacyHeaders) pushGiven(headers, name, out);
  if (pushGiven(headers, "traceparent", out)) pushGiven(headers, "tracestate", out);
  if (!passage.credential.some(([name]) => name === "user-agent")) out.push(agent);
  if (!modern) pushSession(passage, out);
  else if (method === "tools/call") pushParameters(headers, out);
  return out;
}

function pushGiven(headers: Headers, name: string, out: [string, string][]): boolean {
  const value = headers.get(name);
  if (value === null) return false;
  out.push([name, value]);
  return true;
}

/** The headers that tools/call repeats arguments in, known to us or not (M02). */
function pushParameters(headers: Headers, out: [string, string][]): void {
  // Going through all headers is the dearest step of a modern call, hence not for other methods and by no iterator.
  headers.forEach((value, name) => {
    if (name.startsWith("mcp-param-")) out.push([name, value]);
  });
}

function pushSession(passage: Passage, out: [string, string][]): void {
  const session = passage.request.headers.get("mcp-session-id");
  if (session === null) return;
  if (passage.session !== null) {
    const { upstreamId } = passage.session;
    if (upstreamId !== null) out.push(["mcp-session-id", upstreamId]);
    return;
  }
  const upstreamId = passage.sessions.unwrap(sessionOwner(passage), session);
  if (upstreamId === null) throw new AppError("not_found", "Cannot continue: there is no such session"); // L02
  out.push(["mcp-session-id", upstreamId]);
}

const jsonOnly = { "content-type": "application/json" };

/** The client's answer; of the upstream's headers only those that mean the same to it (G05). */
export function responseOf(passage: Passage, relayed: Relayed, legacy: boolean): Response {
  const { body, status, contentType } = relayed;
  const plain = typeof body === "string" && status === 200 && contentType === "application/json" &&
    relayed.retryAfter === null && (!legacy || relayed.sessionId === null);
  // The runtime has a short way for a text with this one header, worth a twentieth of a call; nobody asks after
  // the request id of an answer without trouble, which is in the log.
  if (plain) return new Response(body, { headers: jsonOnly });
  const headers: Record<string, string> = { "x-request-id": passage.requestId.value };
  if (relayed.contentType !== null) headers["content-type"] = relayed.contentType;
  if (relayed.body instanceof ReadableStream) {
    headers["x-accel-buffering"] = "no"; // G02
    headers["cache-control"] = "no-store, no-transform";
  }
  if (legacy && relayed.sessionId !== null && passage.session === null) {
    headers["mcp-session-id"] = passage.sessions.wrap(sessionOwner(passage), relayed.sessionId);
  }
  if (relayed.status === 405) headers["allow"] = relayed.allow ?? "POST";
  if (relayed.retryAfter !== null) headers["retry-after"] = relayed.retryAfter;
  return new Response(relayed.body, { status: relayed.status, headers });
}
