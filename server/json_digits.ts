/** A number that a double cannot hold; JSON.stringify writes its digits as they came. */
export interface RawNumber {
  readonly rawJSON: string;
}

interface RawJson {
  rawJSON(text: string): RawNumber;
  isRawJSON(value: unknown): value is RawNumber;
}

const json = JSON as typeof JSON & RawJson;

/** True for a number that was kept with its digits. */
export function isRawNumber(value: unknown): value is RawNumber {
  return json.isRawJSON(value);
}

/** An object or array, null where the parsed value has none there, and the element or the name's text under way. */
interface Place {
  readonly within: Record<string | number, unknown> | null;
  at: number | string;
}

/**
 * Gives the numbers in a parsed value that would be written differently their digits back, and returns the value. It
 * goes through the text beside the value, as a reviver takes a hundred times as long as parsing.
 */
export function withDigits(text: string, parsed: unknown): unknown {
  const root: Record<number, unknown> = [parsed];
  const outer: Place[] = [];
  let place: Place = { within: root, at: 0 };
  let kept = 0;
  for (let at = 0; at < text.length; at++) {
    const char = text.charCodeAt(at);
    if (char === 0x22) {
      const end = endOfString(text, at);
      // A value is taken for a name as well: the next name comes before one is asked for.
      if (typeof place.at === "string") place.at = text.slice(at, end + 1);
      at = end;
    } else if (char === 0x2c) {
      if (typeof place.at === "number") place.at++;
    } else if (char === 0x2d || char >= 0x30 && char <= 0x39) {
      const end = endOfNumber(text, at);
      const source = isDoubtful(text, at, end) ? text.slice(at, end) : null;
      if (source !== null && String(Number(source)) !== source) {
        kept++;
        put(place, json.rawJSON(source));
      } else if (kept > 0) put(place, Number(text.slice(at, end)));
      at = end - 1;
    } else if (char === 0x5b || char === 0x7b) {
      outer.push(place);
      place = char === 0x5b
        ? { within: inside(place, true), at: 0 }
        : { within: inside(place, false), at: "" };
    } else if (char === 0x5d || char === 0x7d) place = outer.pop()!;
  }
  return root[0];
}

function endOfString(text: string, from: number): number {
  for (let end = text.indexOf('"', from + 1);; end = text.indexOf('"', end + 1)) {
    let before = end;
    while (text.charCodeAt(before - 1) === 0x5c) before--;
    if ((end - before) % 2 === 0) return end;
  }
}

function endOfNumber(text: string, from: number): number {
  let end = from + 1;
  for (;; end++) {
    const char = text.charCodeAt(end) | 0x20;
    // Digits, points, signs and exponents; a comma is none of them.
    if (!(char >= 0x30 && char <= 0x39 || char === 0x2e || char === 0x65 || char === 0x2b || char === 0x2d)) {
      return end;
    }
  }
}

/** False for most numbers that are written again as they came. */
function isDoubtful(text: string, from: number, end: number): boolean {
  if (end - from >= 16) return true;
  let point = false;
  for (let at = from; at < end; at++) {
    const char = text.charCodeAt(at);
    if (char === 0x2e) point = true;
    else if (char === 0x65 || char === 0x45) return true;
  }
  return point && text.charCodeAt(end - 1) === 0x30;
}

/** What a place holds; where a name occurs twice that is the last, whichever the text is at. */
function valueAt({ within, at }: Place): unknown {
  const name = typeof at === "string" ? JSON.parse(at) : at;
  return within !== null && Object.hasOwn(within, name) ? within[name] : undefined;
}

function inside(place: Place, list: boolean): Place["within"] {
  const value = valueAt(place);
  const isFitting = typeof value === "object" && value !== null && Array.isArray(value) === list;
  return isFitting ? value as Place["within"] : null;
}

/** Puts a number where the same one is, in other digits perhaps. */
function put(place: Place, number: number | RawNumber): void {
  const now = valueAt(place);
  const isSame = typeof now === "number" || isRawNumber(now);
  if (!isSame || place.within === null || plain(now) !== plain(number)) return;
  place.within[typeof place.at === "string" ? JSON.parse(place.at) : place.at] = number;
}

function plain(number: number | RawNumber): number {
  return typeof number === "number" ? number : Number(number.rawJSON);
}
