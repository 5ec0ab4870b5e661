import { isObject } from "../body.ts";
import { type Message, MessageError, rpcCodes } from "./message.ts";

const versionKey = "io.modelcontextprotocol/protocolVersion";
const tasksKey = "io.modelcontextprotocol/tasks";
const capabilitiesKey = "io.modelcontextprotocol/clientCapabilities";

/** The first revision without handshake and sessions. */
export const firstModern = "2026-07-28";

/** The member of `params` that `Mcp-Name` repeats, by method. */
const namedBy: Readonly<Record<string, string>> = {
  "tools/call": "name",
  "prompts/get": "name",
  "resources/read": "uri",
  "tasks/get": "taskId",
  "tasks/update": "taskId",
  "tasks/cancel": "taskId",
};

/** True where the message opens a stateless exchange: modern `_meta`, or a modern version header (X02). */
export function isModern(message: Message, headers: Headers): boolean {
  if (isObject(message.params._meta) && versionKey in message.params._meta) return true;
  const version = headers.get("mcp-protocol-version");
  return version !== null && version >= firstModern && /^\d{4}-\d\d-\d\d$/.test(version);
}

/**
 * Checks that the routing headers of a modern message say what its body says (M01, M03), as whatever stands behind
 * may trust the headers where we decided by the body. Throws MessageError.
 */
export function checkModernHeaders(message: Message, headers: Headers): void {
  if (message.kind === "response") {
    throw refuse(message, rpcCodes.invalidRequest, "a client sends no responses in this protocol version");
  }
  const meta = message.params._meta;
  const version = isObject(meta) ? meta[versionKey] : undefined;
  if (message.kind === "request") {
    if (typeof version !== "string" || !isObject(meta) || !isObject(meta[capabilitiesKey])) {
      throw refuse(message, rpcCodes.invalidParams, `'_meta' lacks '${versionKey}' or '${capabilitiesKey}'`);
    }
    expectHeader(message, "Mcp-Protocol-Version", headers.get("mcp-protocol-version"), version);
    expectHeader(message, "Mcp-Method", headers.get("mcp-method"), message.method);
  } else {
    const method = headers.get("mcp-method");
    if (method !== null) expectHeader(message, "Mcp-Method", method, message.method);
  }
  const member = Object.hasOwn(namedBy, message.method) ? namedBy[message.method] : undefined;
  const name = member === undefined ? undefined : message.params[member];
  if (typeof name === "string") expectHeader(message, "Mcp-Name", headers.get("mcp-name"), name);
}

/** Methods of the legacy era that the modern one has not. */
const removed: ReadonlySet<string> = new Set([
  "initialize",
  "ping",
  "logging/setLevel",
  "resources/subscribe",
  "resources/unsubscribe",
  "tasks/list",
  "tasks/result",
]);

/** Refuses a method that this era has not (M04), and tasks for a client that did not declare them (M05, M14). */
export function checkModernMethod(message: Message): void {
  if (removed.has(message.method)) {
    const answer = { status: 404, code: rpcCodes.methodNotFound, id: message.id };
    throw new MessageError(`Cannot find the method '${message.method}' in this protocol version`, answer);
  }
  if (!message.method.startsWith("tasks/") || declaresTasks(message)) return;
  throw new MessageError(`Cannot run '${message.method}': the client did not declare tasks`, {
    status: 400,
    code: rpcCodes.missingCapability,
    id: message.id,
    data: { requiredCapabilities: { extensions: { [tasksKey]: {} } } },
  });
}

function expectHeader(message: Message, header: string, sent: string | null, wanted: string): void {
  if (sent !== null && decodeHeader(sent) === wanted) return;
  const what = sent === null
    ? `the header ${header} is missing`
    : `the header ${header} differs from the body`;
  throw refuse(message, rpcCodes.headerMismatch, what);
}

function refuse(message: Message, code: number, what: string): MessageError {
  return new MessageError(`Cannot accept the message: ${what}`, { status: 400, code, id: message.id });
}

/** The value of a header after trimming optional white space and decoding `=?base64?..?=` (M01). */
function decodeHeader(value: string): string | null {
  const trimmed = withoutBlanks(value);
  const encoded = /^=\?base64\?([A-Za-z0-9+/]*={0,2})\?=$/.exec(trimmed)?.[1];
  if (encoded === undefined) return trimmed;
  try {
    const bytes = Uint8Array.from(atob(encoded), (char) => char.charCodeAt(0));
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return null; // not what any body says, so the comparison fails
  }
}

/** Without blanks and tabs at its ends; a regular expression would look at blanks in the middle again and again. */
function withoutBlanks(value: string): string {
  let [from, to] = [0, value.length];
  while (from < to && isBlank(value[from])) from++;
  while (to > from && isBlank(value[to - 1])) to--;
  return value.slice(from, to);
}

function isBlank(character: string | undefined): boolean {
  return character === " " || character === "\t";
}

/** What the client of a modern request says that it can do; undefined where it does not. */
export function capabilitiesOf({ params: { _meta: meta } }: Message): unknown {
  return isObject(meta) ? meta[capabilitiesKey] : undefined;
}

/** True where the client of a modern request declared that it understands tasks (M14). */
export function declaresTasks(message: Message): boolean {
  const capabilities = capabilitiesOf(message);
  const extensions = isObject(capabilities) ? capabilities.extensions : undefined;
  return isObject(extensions) && tasksKey in extensions;
}
