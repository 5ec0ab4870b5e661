/** Where in a JSON text its reader is; `broken` is what no text comes back from. */
export const place = {
  broken: 0,
  begin: 1,
  mark1: 2,
  mark2: 3,
  value: 4,
  firstValue: 5,
  name: 6,
  firstName: 7,
  colon: 8,
  after: 9,
  done: 10,
  number: 11,
  sign: 12,
  zero: 13,
  whole: 14,
  point: 15,
  fraction: 16,
  exponent: 17,
  exponentSign: 18,
  power: 19,
  /** The plain characters of a text; then, after a backslash, five more places. */
  text: 20,
  /** The same of a member's name. */
  nameText: 30,
  /** The first of the places within `true`, `false` and `null`. */
  words: 40,
} as const;

/** What the reader has to do before it goes on; all are higher than any place. */
export const act = {
  comma: 128,
  openObject: 129,
  closeObject: 130,
  openArray: 131,
  closeArray: 132,
  openName: 133,
  closeName: 134,
  openText: 135,
  closeText: 136,
  openNumber: 137,
  /** Found at the byte behind the number, which is read again. */
  closeNumber: 138,
  isTrue: 139,
  isFalse: 140,
  isNull: 141,
} as const;

/** The lowest of the acts. */
export const firstAct = 128;

const blanks = " \t\n\r";
const digits = "0123456789";

/** Steps from place to place. */
export interface Steps {
  /** For a place and a byte, at `place << 8 | byte`: the place behind it, or an act. RFC 8259 */
  readonly full: Uint8Array<ArrayBuffer>;
  /** The same within what is only passed over: there is nothing to do but to tell objects from arrays. */
  readonly short: Uint8Array<ArrayBuffer>;
}

let made: Steps | undefined;

/** The steps, made for the first answer that needs them. */
export function jsonSteps(): Steps {
  return made ??= { full: table(act), short: table(null) };
}

type Acts = typeof act | null;
/** Sets the step from these places at these bytes. */
type On = (places: readonly number[], bytes: string, next: number) => void;

function table(acts: Acts): Uint8Array<ArrayBuffer> {
  const made = new Uint8Array(firstAct << 8);
  const on: On = (places, bytes, next) => {
    for (const from of places) for (const char of bytes) made[from << 8 | char.charCodeAt(0)] = next;
  };
  structure(on);
  values(on, acts);
  text(on, place.text, acts?.closeText ?? place.after);
  text(on, place.nameText, acts?.closeName ?? place.colon);
  numbers(on, acts);
  return made;
}

function structure(on: On): void {
  on([place.begin], blanks, place.value);
  const between = [place.value, place.firstValue, place.name, place.firstName, place.colon, place.after];
  for (const from of [...between, place.done]) on([from], blanks, from);
  // A byte order mark, as decoders drop it.
  on([place.begin], "\xef", place.mark1);
  on([place.mark1], "\xbb", place.mark2);
  on([place.mark2], "\xbf", place.value);
  on([place.colon], ":", place.value);
  on([place.after], ",", act.comma);
  on([place.firstName, place.after], "}", act.closeObject);
  on([place.firstValue, place.after], "]", act.closeArray);
}

function values(on: On, acts: Acts): void {
  const from = [place.begin, place.value, place.firstValue];
  on(from, "{", act.openObject);
  on(from, "[", act.openArray);
  on(from, '"', acts?.openText ?? place.text);
  on([place.name, place.firstName], '"', acts?.openName ?? place.nameText);
  let within: number = place.words;
  for (const [word, found] of [["true", "isTrue"], ["false", "isFalse"], ["null", "isNull"]] as const) {
    on(from, word.slice(0, 1), within);
    for (const char of word.slice(1, -1)) on([within], char, ++within);
    on([within++], word.slice(-1), acts?.[found] ?? place.after);
  }
}

function text(on: On, plain: number, close: number): void {
  for (let byte = 0x20; byte < 0x100; byte++) on([plain], String.fromCharCode(byte), plain);
  on([plain], '"', close);
  const escape = plain + 1;
  on([plain], "\\", escape);
  on([escape], '"\\/bfnrt', plain);
  on([escape], "u", escape + 1);
  for (let digit = 1; digit <= 4; digit++) {
    on([escape + digit], digits + "abcdefABCDEF", digit < 4 ? escape + digit + 1 : plain);
  }
}

function numbers(on: On, acts: Acts): void {
  const ends = [place.zero, place.whole, place.fraction, place.power];
  on(ends, blanks, acts?.closeNumber ?? place.after);
  on(ends, ",", acts?.closeNumber ?? act.comma);
  on(ends, "]", acts?.closeNumber ?? act.closeArray);
  on(ends, "}", acts?.closeNumber ?? act.closeObject);
  on([place.number], "-", place.sign);
  on([place.number, place.sign], "0", place.zero);
  on([place.number, place.sign], digits.slice(1), place.whole);
  on([place.whole], digits, place.whole);
  on([place.zero, place.whole], ".", place.point);
  on([place.point, place.fraction], digits, place.fraction);
  on([place.zero, place.whole, place.fraction], "eE", place.exponent);
  on([place.exponent], "+-", place.exponentSign);
  on([place.exponent, place.exponentSign, place.power], digits, place.power);
  const first = [place.begin, place.value, place.firstValue];
  if (acts) return on(first, "-" + digits, acts.openNumber);
  on(first, "-", place.sign);
  on(first, "0", place.zero);
  on(first, digits.slice(1), place.whole);
}
