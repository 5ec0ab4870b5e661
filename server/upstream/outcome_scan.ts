import { answers, insteadOfAnswer, isResponse, NotTheAnswer, reportedFailure, type Watch } from "./answer.ts";
import { maxDepth } from "../json.ts";
import { act, firstAct, jsonSteps, place } from "./json_steps.ts";

/** How a call ended whose answer is too long to be parsed. */
export type Outcome =
  /** What the answer says went wrong; null where it is fine. */
  | { readonly failure: string | null }
  /** Why the text is not the answer: a SyntaxError, or NotTheAnswer. */
  | { readonly instead: Error };

/** What is kept of a value: a text, number or word where it has neither; else what is in the object or array. */
interface Kept {
  readonly members?: Readonly<Record<string, Kept>>;
  readonly first?: Kept;
}

const word: Kept = {};
const message: Kept = {
  members: {
    id: word,
    method: word,
    error: { members: { message: word } },
    result: { members: { isError: word, content: { first: { members: { text: word } } } } },
  },
};
/** A message, or an array of them as revision 2025-03-26 has it. */
const root: Kept = { ...message, first: message };

/** More bytes than the longest of the names that are looked for has, were it written in escapes. */
const maxNameBytes = 6 * 8;
/** The most UTF-16 units of a text that are kept: as many as the audit log looks at. */
const maxText = 4096;

/** An object or array that something is kept of. */
interface Frame {
  readonly kept: Kept;
  readonly value: Record<string, unknown> | unknown[];
  /** The member under way, and what is kept of it. */
  name: string;
  slot: Kept | null;
}

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * Reads a JSON answer as it passes, as strictly as if it were parsed, and keeps only what its row needs: each message
 * with its id and how it ended, all else null. Its time grows with the bytes, its memory does not.
 */
export class OutcomeScan {
  readonly #steps = jsonSteps();
  readonly #watch: Pick<Watch, "id">;
  readonly #maxText: number;
  #place: number = place.begin;
  /** For each open object 1, for each open array 0. */
  readonly #objects = new Uint8Array(maxDepth);
  #depth = 0;
  /** What is kept, the whole text first; one more than `#depth` where that holds for what is under way. */
  readonly #frames: Frame[];
  readonly #whole: Record<"root", unknown> = { root: null };
  /** Where in the chunk the text or number under way begins; -1 where it is not kept. */
  #from = -1;
  /** The bytes of the one under way, at most as many as `#maxText` units may take. */
  readonly #bytes: Uint8Array<ArrayBuffer>;
  #length = 0;
  #cut = false;
  #answer: Record<string, unknown> | null = null;

  constructor(watch: Pick<Watch, "id">) {
    this.#watch = watch;
    this.#frames = [{ kept: root, value: this.#whole, name: "root", slot: root }];
    // One unit more than the id has, so that an id is never taken for what it only begins with.
    this.#maxText = Math.max(maxText, typeof watch.id === "string" ? watch.id.length + 1 : 0);
    this.#bytes = new Uint8Array(this.#maxText * "\\u0000".length);
  }

  /** Takes the next bytes, cut wherever they are. */
  push(bytes: Uint8Array): void {
    let now = this.#place;
    if (now === place.broken) return;
    const { full, short } = this.#steps;
    let table = this.#top() ? full : short;
    for (let at = 0; at < bytes.length; at++) {
      if (now === place.text && (at = endOfRun(bytes, at)) === bytes.length) break;
      const next = table[now << 8 | bytes[at]!]!;
      if (next < firstAct) now = next;
      else {
        now = this.#act(next, bytes, at);
        table = this.#frames.length === this.#depth + 1 ? full : short;
        if (next === act.closeNumber) at--;
      }
    }
    this.#place = now;
    if (this.#from < 0) return;
    this.#take(bytes, bytes.length);
    this.#from = 0;
  }

  /** Takes the end. */
  end(): Outcome {
    const now = this.#place;
    const isNumber = this.#steps.full[now << 8 | 0x20] === act.closeNumber;
    if (now !== place.done && !(isNumber && this.#depth === 0)) {
      return { instead: new SyntaxError("The text is not JSON, or not all of it") };
    }
    if (this.#answer) return { failure: reportedFailure(this.#answer) };
    return { instead: new NotTheAnswer(insteadOfAnswer(this.#whole.root)) };
  }

  #act(what: number, bytes: Uint8Array, at: number): number {
    switch (what) {
      case act.comma:
        return this.#next();
      case act.openObject:
        return this.#open(1);
      case act.closeObject:
        return this.#close(1);
      case act.openArray:
        return this.#open(0);
      case act.closeArray:
        return this.#close(0);
      case act.openName:
        this.#from = at + 1;
        return place.nameText;
      case act.closeName:
        this.#take(bytes, at);
        return this.#closeName();
      case act.openText:
        if (isWord(this.#begun()?.slot)) this.#from = at + 1;
        return place.text;
      case act.openNumber:
        if (isWord(this.#begun()?.slot)) this.#from = at;
        return this.#steps.full[place.number << 8 | bytes[at]!]!;
      case act.closeText:
      case act.closeNumber:
        if (this.#from < 0) return this.#after();
        this.#take(bytes, at);
        return this.#closeWord(what);
      default:
        return this.#said(what === act.isNull ? null : what === act.isTrue);
    }
  }

  /** What is kept of the object or array that the reader is in; null where nothing is. */
  #top(): Frame | null {
    return this.#frames.length === this.#depth + 1 ? this.#frames[this.#depth]! : null;
  }

  /** Notes that there is a value, which outdoes an earlier one of the same name. */
  #begun(): Frame | null {
    const top = this.#top();
    if (top?.slot) put(top, null);
    return top;
  }

  #open(isObject: 0 | 1): number {
    const top = this.#begun();
    if (this.#depth === maxDepth) return place.broken;
    const slot = top?.slot;
    const inside = isObject ? slot?.members : slot?.first;
    if (top && slot && inside) {
      const value = isObject ? {} : [];
      put(top, value);
      this.#frames.push({ kept: slot, value, name: "", slot: isObject ? null : slot.first ?? null });
    }
    this.#objects[this.#depth++] = isObject;
    return isObject ? place.firstName : place.firstValue;
  }

  #close(isObject: 0 | 1): number {
    if (this.#objects[this.#depth - 1] !== isObject) return place.broken;
    if (this.#top()) {
      const { kept, value } = this.#frames.pop()!;
      if (kept.members === message.members && !Array.isArray(value)) this.#look(value);
    }
    this.#depth--;
    return this.#after();
  }

  #look(found: Record<string, unknown>): void {
    if (this.#answer === null && isResponse(found) && answers(found, this.#watch)) this.#answer = found;
  }

  #next(): number {
    if (this.#objects[this.#depth - 1] === 1) return place.name;
    const top = this.#top();
    if (top && top.kept !== root) top.slot = null; // of other arrays than that of messages the first is enough
    return place.value;
  }

  #closeName(): number {
    const top = this.#frames[this.#depth]!;
    const { members = {} } = top.kept;
    top.name = this.#length > maxNameBytes ? "" : this.#name();
    top.slot = Object.hasOwn(members, top.name) ? members[top.name]! : null;
    this.#drop();
    return place.colon;
  }

  #closeWord(what: number): number {
    const top = this.#frames[this.#depth]!;
    put(top, what === act.closeText ? this.#text() : this.#cut ? null : Number(this.#raw()));
    this.#drop();
    return this.#after();
  }

  #said(value: boolean | null): number {
    const top = this.#begun();
    if (top && isWord(top.slot)) put(top, value);
    return this.#after();
  }

  #after(): number {
    return this.#depth === 0 ? place.done : place.after;
  }

  /** Keeps what the chunk has of the text or number under way, which goes on to `end`. */
  #take(bytes: Uint8Array, end: number): void {
    const room = this.#bytes.length - this.#length;
    const stop = Math.min(end, this.#from + room);
    this.#cut ||= stop < end;
    if (stop - this.#from > maxNameBytes) {
      this.#bytes.set(bytes.subarray(this.#from, stop), this.#length);
      this.#length += stop - this.#from;
    } else for (let at = this.#from; at < stop; at++) this.#bytes[this.#length++] = bytes[at]!;
  }

  #drop(): void {
    this.#from = -1;
    this.#length = 0;
    this.#cut = false;
  }

  #raw(): string {
    return decoder.decode(this.#bytes.subarray(0, this.#length));
  }

  /** The member's name, right where it is one that is looked for: these are ASCII. */
  #name(): string {
    let raw = "";
    for (let at = 0; at < this.#length; at++) raw += String.fromCharCode(this.#bytes[at]!);
    return raw.includes("\\") ? String(JSON.parse(`"${raw}"`)) : raw;
  }

  #text(): string {
    const raw = this.#raw();
    if (!raw.includes("\\")) return raw.slice(0, this.#maxText);
    // An escape that was cut off says nothing.
    const whole = this.#cut ? /^(?:[^\\]|\\u[\da-f]{4}|\\[^u])*/i.exec(raw)?.[0] : raw;
    return String(JSON.parse(`"${whole}"`)).slice(0, this.#maxText);
  }
}

/** Where the plain characters of a text end; the same as the steps find, but most bytes of most answers are these. */
function endOfRun(bytes: Uint8Array, from: number): number {
  let at = from;
  for (; at < bytes.length; at++) {
    const byte = bytes[at]!;
    if (byte === 0x22 || byte === 0x5c || byte < 0x20) break;
  }
  return at;
}

function isWord(kept: Kept | null | undefined): boolean {
  return kept === word;
}

function put({ value, name }: Frame, kept: unknown): void {
  if (Array.isArray(value)) value[0] = kept;
  else value[name] = kept;
}
