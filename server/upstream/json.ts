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

/** Parses JSON; a number that would not be written again as it came becomes a RawNumber (G01). Throws SyntaxError. */
export function parseExactly(text: string): unknown {
  if (!inexact.test(text)) return JSON.parse(text);
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
