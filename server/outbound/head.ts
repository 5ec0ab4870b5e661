/** An answer that is not the HTTP/1.1 that RFC 9112 describes; the message is the reason alone. */
export class Malformed extends Error {}

/** A response head: names in lower case, in the order received, and how the body after it is framed. */
export interface ResponseHead {
  readonly status: number;
  readonly headers: [string, string][];
  /** Body length in bytes; null when there is no Content-Length. */
  readonly contentLength: number | null;
  readonly chunked: boolean;
  /** False when the connection ends with this answer. */
  readonly keepAlive: boolean;
  /** Seconds of the Keep-Alive header; null when the server names none. */
  readonly keepAliveSeconds: number | null;
}

const maxHeaders = 256;
const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/; // RFC 9110 section 5.6.2
const statusLine = /^HTTP\/1\.([01]) ([1-5]\d\d)(?: [^\r]*)?\r\n/; // RFC 9112 section 4
const usualLine = statusLine.exec("HTTP/1.1 200 OK\r\n")!;
const sendable = /^[\t\x20-\x7e\x80-\xff]*$/; // RFC 9110 section 5.5, with obs-text

/** The client writes these itself, so a caller that sets one could break the framing. */
export const ownHeaders: ReadonlySet<string> = new Set([
  "host",
  "content-length",
  "transfer-encoding",
  "connection",
  "keep-alive",
  "proxy-connection",
  "upgrade",
  "te",
  "trailer",
  "expect",
]);

// Header names repeat from message to message; this saves their check and their lower-casing.
const maxNames = 1000;
const maxKnownName = 64;
const responseNames = new Map<string, string>();
const requestNames = new Set<string>();

/** Writes header lines; throws Malformed for a name or value that may not be sent (RFC 9110 section 5.5). */
export function headerLines(headers: readonly (readonly [string, string])[]): string {
  let lines = "";
  let values = "";
  for (let i = 0; i < headers.length; i++) {
    const [name, value] = headers[i]!;
    if (!requestNames.has(name)) checkRequestName(name);
    values += value;
    lines += name + ": " + value + "\r\n";
  }
  // All at once, as each test costs a little.
  if (!sendable.test(values)) {
    const [name] = headers.find(([, value]) => !sendable.test(value))!;
    throw new Malformed(`the value of header "${name}" holds a character that may not be sent`);
  }
  return lines;
}

function checkRequestName(name: string): void {
  if (!token.test(name)) throw new Malformed("a header name holds a character that may not be sent");
  if (ownHeaders.has(name.toLowerCase())) throw new Malformed(`header "${name}" is set by the client itself`);
  if (requestNames.size < maxNames && name.length <= maxKnownName) requestNames.add(name);
}

/** Whether text is a method or another RFC 9110 token. */
export function isToken(text: string): boolean {
  return token.test(text);
}

/**
 * The length of a response head with its empty line, 0 while that has not arrived; `from` is where to look on.
 * Throws Malformed for what no head may hold (RFC 9112 sections 2.2 and 5.2).
 */
export function headLength(bytes: Uint8Array, from: number): number {
  for (let i = from; i < bytes.length; i++) {
    const byte = bytes[i]!;
    if (byte >= 0x20 && byte !== 0x7f) continue;
    if (byte === 0x0a) {
      if (bytes[i - 1] !== 0x0d) throw new Malformed("its headers hold a bare line break");
      if (bytes[i - 2] === 0x0a) return i + 1;
      if (isBlank(bytes[i + 1])) throw new Malformed("its headers hold a folded line");
    } else if (byte === 0x0d) {
      if (i + 1 < bytes.length && bytes[i + 1] !== 0x0a) {
        throw new Malformed("its headers hold a bare line break");
      }
    } else if (byte !== 0x09) throw new Malformed("its headers hold a control character");
  }
  return 0;
}

/** Reads a response head that headLength found; throws Malformed with the reason. */
export function parseHead(text: string): ResponseHead {
  const line = text.startsWith(usualLine[0]) ? usualLine : statusLine.exec(text);
  if (line === null) throw new Malformed("its status line is malformed");
  const headers: [string, string][] = [];
  const end = text.length - 2;
  for (let at = line[0].length; at < end;) {
    const next = text.indexOf("\r\n", at);
    const colon = text.indexOf(":", at);
    if (colon < 0 || colon > next) throw new Malformed("a header line has no colon");
    if (headers.length === maxHeaders) throw new Malformed(`it has more than ${maxHeaders} headers`);
    headers.push([headerName(text.slice(at, colon)), headerValue(text, colon + 1, next)]);
    at = next + 2;
  }
  return framed(Number(line[2]), line[1] === "1", headers);
}

function headerName(raw: string): string {
  const known = responseNames.get(raw);
  if (known !== undefined) return known;
  // No whitespace before the colon (RFC 9112 section 5.1).
  if (!token.test(raw)) throw new Malformed("a header name is malformed");
  const name = raw.toLowerCase();
  if (responseNames.size < maxNames && raw.length <= maxKnownName) {
    // A copy, because a slice would keep the whole head in memory.
    responseNames.set([...raw].join(""), [...name].join(""));
  }
  return name;
}

function headerValue(text: string, from: number, to: number): string {
  while (from < to && isBlank(text.charCodeAt(from))) from++;
  while (to > from && isBlank(text.charCodeAt(to - 1))) to--;
  return text.slice(from, to);
}

function isBlank(code: number | undefined): boolean {
  return code === 0x20 || code === 0x09;
}

// RFC 9112 sections 6.1 to 6.3 and 9.3
function framed(status: number, http11: boolean, headers: [string, string][]): ResponseHead {
  let contentLength: number | null = null;
  let chunked = false;
  let keepAlive = http11;
  let keepAliveSeconds: number | null = null;
  for (const [name, value] of headers) {
    switch (name) {
      case "content-length":
        if (contentLength !== null) throw new Malformed("it has more than one Content-Length");
        if (!/^\d{1,15}$/.test(value)) throw new Malformed("its Content-Length is malformed");
        contentLength = Number(value);
        break;
      case "transfer-encoding":
        if (chunked || !http11 || value.toLowerCase() !== "chunked") {
          throw new Malformed("its Transfer-Encoding is not chunked alone");
        }
        chunked = true;
        break;
      case "connection":
        if (/(^|,)[ \t]*close[ \t]*(,|$)/i.test(value)) keepAlive = false;
        break;
      case "keep-alive": {
        const seconds = /(?:^|[,\s])timeout=(\d{1,6})/i.exec(value)?.[1];
        if (seconds !== undefined) keepAliveSeconds = Number(seconds);
      }
    }
  }
  if (chunked && contentLength !== null) {
    throw new Malformed("it has both Content-Length and Transfer-Encoding");
  }
  return { status, headers, contentLength, chunked, keepAlive, keepAliveSeconds };
}
