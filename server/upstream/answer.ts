import { isRawNumber, parseExactly, parseJson, type RawNumber } from "../json.ts";

/** What is known of an answer when it is settled. */
export interface Settled {
  /** The JSON-RPC response, parsed; null where it was too long to look into, or there was none. */
  answer: Record<string, unknown> | null;
  /** Bytes that came from the upstream. */
  bytes: number;
  /** Why there is no whole answer, or what one that was too long to be parsed says went wrong; else null. */
  failure: string | null;
  /** True where the stream carried event ids, so that a client can fetch the rest by GET (L06). */
  resumable: boolean;
}

/** What the proxy wants to know of, and change in, the answer to one message. */
export interface Watch {
  /** The id whose response is the answer; null where none is expected. */
  readonly id: string | number | RawNumber | null;
  /** Changes a response in place; returns true where it did. */
  readonly rewrite: (response: Record<string, unknown>) => boolean;
  /** True where no response may pass unread, however long it is. */
  readonly mustRewrite: boolean;
  /** Called once, before the client can have its whole answer. */
  readonly settle: (settled: Settled) => Promise<void> | undefined;
  /** True where a client that leaves cancels the call (M11), false where the call goes on (L07). */
  readonly cancelOnLeave: boolean;
  /** True for a stream that the client ends when it has seen enough. */
  readonly endless: boolean;
  /** Text of an error answer for the client. */
  readonly errorText: (failure: string) => string;
  /** Text of the answer that ends the exchange when the process stops (M12); null where the era has none. */
  readonly endText: string | null;
}

/** The longest body in bytes, and event in characters, that is read whole because it must be filtered. */
export const maxListLength = 20 * 1024 * 1024;

/** An answer that is longer than the relay takes. */
export class TooLong extends Error {
  override readonly name = "TooLong";
}

/** True for a JSON-RPC response, whichever request it answers. */
export function isResponse(value: unknown): value is Record<string, unknown> {
  return isObject(value) && ("result" in value || "error" in value) && !("method" in value);
}

/** True where a response answers the watched request; some servers turn the id of a number into text. */
export function answers(response: Record<string, unknown>, { id }: Pick<Watch, "id">): boolean {
  if (id === null || response.id === id) return id !== null;
  const given = plainId(response.id);
  return given !== null && given === plainId(id);
}

/** Null for what is no id (JSON-RPC 2.0 section 5). */
function plainId(id: unknown): string | null {
  if (isRawNumber(id)) return String(Number(id.rawJSON));
  return typeof id === "string" || typeof id === "number" ? String(id) : null;
}

/** What was found in the JSON of a body or an event. */
export interface Read {
  /** The answer to the watched request; null where it is not among what was read. */
  answer: Record<string, unknown> | null;
  /** The JSON to be sent instead; null where it stays as it came. */
  changed: string | null;
}

/**
 * Looks for responses in JSON, alone or in an array as revision 2025-03-26 has it, and changes those that must be.
 * Throws SyntaxError.
 */
export function readResponses(text: string, watch: Watch): Read {
  // What is written again must not lose digits; what is only looked at may.
  const parsed: unknown = watch.mustRewrite ? parseExactly(text) : parseJson(text);
  let answer: Record<string, unknown> | null = null;
  let changed = false;
  for (const message of Array.isArray(parsed) ? parsed : [parsed]) {
    if (!isResponse(message)) continue;
    if (watch.rewrite(message)) changed = true;
    if (answer === null && answers(message, watch)) answer = message;
  }
  return { answer, changed: changed ? JSON.stringify(parsed) : null };
}

/** JSON that answers another request, or none. */
export class NotTheAnswer extends Error {
  override readonly name = "NotTheAnswer";
}

/** The bytes, or where they are ASCII the text. */
type WholeAnswer = Uint8Array<ArrayBuffer> | string;

/**
 * A whole JSON answer: read, changed where it must be, settled, handed on; at once where there is nothing to record.
 * Throws SyntaxError where it is not JSON and, where `strict`, NotTheAnswer; else what is not the answer passes as it
 * came.
 */
export function wholeAnswer(
  body: WholeAnswer,
  watch: Watch,
  strict: boolean,
): WholeAnswer | Promise<WholeAnswer> {
  if (watch.id === null && !watch.mustRewrite) {
    const settling = watch.settle({ answer: null, bytes: body.length, failure: null, resumable: false });
    return settling ? settling.then(() => body) : body;
  }
  const exact = exactText(body);
  const text = exact ?? (typeof body === "string" ? body : new TextDecoder().decode(body));
  const { answer, changed } = readResponses(text, watch);
  const failure = answer === null && watch.id !== null ? insteadOfAnswer(parseJson(text)) : null;
  if (failure !== null && strict) throw new NotTheAnswer(failure);
  const settling = watch.settle({ answer, bytes: body.length, failure, resumable: false });
  const handedOn = changed ?? exact ?? body;
  return settling ? settling.then(() => handedOn) : handedOn;
}

const exactly = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const byteOrderMark = "\uFEFF";

/** The text that is written as the same bytes again, which the runtime answers faster; null where there is none. */
function exactText(body: WholeAnswer): string | null {
  if (typeof body === "string") return body;
  try {
    const text = exactly.decode(body);
    return text.startsWith(byteOrderMark) ? null : text;
  } catch {
    return null; // no UTF-8, so it is passed as the bytes that it is
  }
}

/** What JSON without the awaited answer says instead. */
export function insteadOfAnswer(parsed: unknown): string {
  const error = isResponse(parsed) ? parsed.error : undefined;
  const message = typeof error === "object" && error !== null && "message" in error ? error.message : null;
  return typeof message === "string" ? message : "it is not the answer to the request";
}

/** What an answer says went wrong; null where it is fine. */
export function reportedFailure({ result, error }: Record<string, unknown>): string | null {
  if (isObject(error)) return typeof error.message === "object" ? "Error" : String(error.message ?? "Error");
  if (!isObject(result) || result.isError !== true) return null;
  return firstText(result.content) ?? "The tool reported an error";
}

function firstText(content: unknown): string | null {
  const first: unknown = Array.isArray(content) ? content[0] : undefined;
  // Twice what the log keeps, which hides secrets before it cuts.
  return isObject(first) && typeof first.text === "string" ? first.text.slice(0, 4096) : null;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The beginning of a body, and whether that is all of it. */
export interface Beginning {
  bytes: Uint8Array<ArrayBuffer>;
  whole: boolean;
}

/** Reads until the end or until there are more than `limit` bytes, telling how many there are. */
export async function readBeginning(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  limit: number,
  holding?: (size: number) => void,
): Promise<Beginning> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return { bytes: joined(chunks), whole: true };
    chunks.push(value);
    size += value.length;
    holding?.(size);
    if (size > limit) return { bytes: joined(chunks), whole: false };
  }
}

/** One array of all bytes. */
export function joined(chunks: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(chunks.reduce((size, chunk) => size + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}
