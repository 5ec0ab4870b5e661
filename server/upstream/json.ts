/** A number that a double cannot hold; JSON.stringify writes its digits as they came. */
export interface RawNumber {
  readonly rawJSON: string;
}

interface RawJson {
  rawJSON(text: string): RawNumber;
  isRawJSON(value: unknown): value is RawNumber;
}

const json = JSON as typeof JSON & RawJson;

/** Long numbers, exponents, and fractions that end in zero: what parsing and writing again may change. */
const inexact = /\d{16}|\d[eE]|\.\d*0(?!["\d])/;

/** Shorter texts cannot be nested so deeply that it matters. */
const harmlessLength = 64 * 1024;
/** The most objects and arrays within each other. */
export const maxDepth = 1000;

/** JSON that is nested more deeply than is read: the time that takes grows with the square of the depth. */
export class TooDeep extends SyntaxError {
  override readonly name = "TooDeep";
}

/** Parses JSON from outside. Throws SyntaxError, TooDeep among them. */
export function parseJson(text: string): unknown {
  if (text.length > harmlessLength) checkDepth(text);
  return JSON.parse(text);
}

/** The same; a number that would not be written again as it came becomes a RawNumber (G01). */
export function parseExactly(text: string): unknown {
  if (!inexact.test(text)) return parseJson(text);
  if (text.length > harmlessLength) checkDepth(text);
  return JSON.parse(text, (_key: string, value: unknown, context?: { source?: string }) => {
    const source = context?.source;
    return typeof value === "number" && source !== undefined && String(value) !== source
      ? json.rawJSON(source)
      : value;
  });
}

/** True for a number that was kept with its digits. */
export function isRawNumber(value: unknown): value is RawNumber {
  return json.isRawJSON(value);
}

function checkDepth(text: string): void {
  let depth = 0;
  let inString = false;
  for (let at = 0; at < text.length; at++) {
    const char = text.charCodeAt(at);
    if (inString) {
      if (char === 0x5c) at++; // what follows a backslash ends no string
      else if (char === 0x22) inString = false;
    } else if (char === 0x22) inString = true;
    else if (char === 0x5b || char === 0x7b) {
      if (++depth > maxDepth) throw new TooDeep(`The JSON is nested more than ${maxDepth} deep`);
    } else if (char === 0x5d || char === 0x7d) depth--;
  }
}
