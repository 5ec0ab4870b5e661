import { isObject } from "../body.ts";
import { isRawNumber, parseExactly, type RawNumber, TooComplex } from "../json.ts";

/** A JSON-RPC id as it came; null where a message has none or none that can be answered. */
export type MessageId = string | number | RawNumber | null;

/** One checked JSON-RPC message. Unknown members stay in `body`, which is what is forwarded. */
export interface Message {
  readonly kind: "request" | "notification" | "response";
  readonly id: MessageId;
  /** Empty for a response. */
  readonly method: string;
  readonly params: Record<string, unknown>;
  readonly body: Record<string, unknown>;
}

/** In the place of one where there is none, as in a GET: it asks for nothing but to reach the connection. */
export const noMessage: Message = { kind: "response", id: null, method: "", params: {}, body: {} };

/** JSON-RPC 2.0 error codes, and MCP's HeaderMismatch (M01). */
export const rpcCodes = {
  parse: -32700,
  invalidRequest: -32600,
  methodNotFound: -32601,
  invalidParams: -32602,
  internal: -32603,
  headerMismatch: -32020,
  missingCapability: -32021,
} as const;

/** A message that cannot be accepted, with what the client is answered. */
export class MessageError extends Error {
  readonly status: number;
  readonly code: number;
  readonly id: MessageId;
  readonly data: unknown;

  constructor(message: string, answer: { status: number; code: number; id?: MessageId; data?: unknown }) {
    super(message);
    this.name = "MessageError";
    this.status = answer.status;
    this.code = answer.code;
    this.id = answer.id ?? null;
    this.data = answer.data;
  }
}

/** Reads one message. Throws MessageError: not JSON (G10), a batch (G09), not JSON-RPC 2.0. */
export function parseMessage(text: string): Message {
  const body = parse(text);
  if (Array.isArray(body)) {
    throw new MessageError("Cannot accept a batch: send one message a request", {
      status: 400,
      code: rpcCodes.invalidRequest,
    });
  }
  if (!isObject(body) || body.jsonrpc !== "2.0") throw invalid("it is not a JSON-RPC 2.0 message", null);
  const { method, params, id } = body;
  const answerable = typeof id === "string" || typeof id === "number" || isRawNumber(id) ? id : null;
  if (method === undefined) {
    if (answerable === null || !("result" in body || "error" in body)) {
      throw invalid("it has neither a method nor a result", answerable);
    }
    return { kind: "response", id: answerable, method: "", params: {}, body };
  }
  if (typeof method !== "string" || method === "") throw invalid("'method' is not a string", answerable);
  if (params !== undefined && !isObject(params)) throw invalid("'params' is not an object", answerable);
  if (id !== undefined && answerable === null) throw invalid("'id' is neither a string nor a number", null);
  const kind = id === undefined ? "notification" : "request";
  return { kind, id: answerable, method, params: params ?? {}, body };
}

function invalid(what: string, id: MessageId): MessageError {
  return new MessageError(`Cannot accept the message: ${what}`, {
    status: 400,
    code: rpcCodes.invalidRequest,
    id,
  });
}

function parse(text: string): unknown {
  try {
    return parseExactly(text);
  } catch (error) {
    const what = error instanceof TooComplex ? error.message : "it is not JSON";
    throw new MessageError(`Cannot read the message: ${what}`, { status: 400, code: rpcCodes.parse });
  }
}

/** A JSON-RPC error as the body of an HTTP answer; carries the id of the request (G03). */
export function errorResponse(
  id: MessageId,
  { status, code, message, data }: { status: number; code: number; message: string; data?: unknown },
): Response {
  const error = data === undefined ? { code, message } : { code, message, data };
  return Response.json({ jsonrpc: "2.0", id, error }, { status });
}
