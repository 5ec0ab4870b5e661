import { withDigits } from "./json_digits.ts";

export { isRawNumber, type RawNumber } from "./json_digits.ts";

/** Long numbers, exponents, and fractions that end in zero: what parsing and writing again may change. */
const inexact = /\d{16}|\d[eE]|\.\d*0(?!["\d])/;

/** Shorter texts can be neither nested so deeply nor hold so many parts that it matters. */
const harmlessLength = 64 * 1024;
/** The most objects and arrays within each other. */
export const maxDepth = 1000;
/** The most objects and arrays in all. */
export const maxParts = 500_000;

/** JSON that would keep everything up: the time to read it grows with the square of its depth, or of its parts. */
export class TooComplex extends SyntaxError {
  override readonly name = "TooComplex";
}

/** Parses JSON from outside. Throws SyntaxError, TooComplex among them. */
export function parseJson(text: string): unknown {
  if (text.length > harmlessLength) checkParts(text);
  return JSON.parse(text);
}

/** The same; a number that would not be written again as it came becomes a RawNumber (G01). */
export function parseExactly(text: string): unknown {
  const parsed = parseJson(text);
  return inexact.test(text) ? withDigits(text, parsed) : parsed;
}

/** How many objects and arrays a piece of JSON may begin, those in its texts included. */
export function partsIn(bytes: Uint8Array): number {
  let parts = 0;
  for (let at = 0; at < bytes.length; at++) if ((bytes[at]! | 0x20) === 0x7b) parts++;
  return parts;
}

function checkParts(text: string): void {
  let depth = 0;
  let parts = 0;
  let inString = false;
  for (let at = 0; at < text.length; at++) {
    const char = text.charCodeAt(at);
    if (inString) {
      if (char === 0x5c) at++; // what follows a backslash ends no string
      else if (char === 0x22) inString = false;
    } else if (char === 0x22) inString = true;
    else if (char === 0x5b || char === 0x7b) {
      if (++depth > maxDepth) throw new TooComplex("it is nested too deeply");
      if (++parts > maxParts) throw new TooComplex("it holds too many objects and arrays");
    } else if (char === 0x5d || char === 0x7d) depth--;
  }
}
