import { conceal, mayHold } from "./concealment.ts";
import { publicUrl } from "./public_url.ts";
import {
  holdsSecrets,
  isHarmless,
  mask,
  namesSecret,
  redactText,
  suspicious,
  withoutOauthSecrets,
} from "./secrets.ts";

export { redactText };

/** The most bytes of a stored text. */
const maxBytes = 16 * 1024;
/** The most characters of one value. */
const maxString = 2048;
/** Read beyond the cut, so that a secret through which it goes is known as one. */
const overlap = 512;
const maxDepth = 16;
const maxKeys = 200;
const maxItems = 200;
const maxName = 200;
/** Longer runs of base64 than this are data, of which the log keeps the length. */
const maxBlob = 256;
/** Room for the notes and brackets that end a text which is cut. */
const reserve = 1024;

/**
 * JSON text of a value for the log: secrets masked, those that are given and those that look like it, and long parts
 * cut; null for undefined.
 */
export function redactForLog(value: unknown, known: readonly string[] = []): string | null {
  if (value === undefined) return null;
  if (isSmall(value, { nodes: 100, characters: 2000, depth: maxDepth })) {
    const text = JSON.stringify(value);
    if (!suspicious.test(text) && !mayHold(text, known)) return text;
  }
  return new Writer(known).write(value);
}

interface Budget {
  nodes: number;
  characters: number;
  depth: number;
}

/** True for plain data that is stored whole: JSON.stringify gives what `Writer` would, without secrets. */
function isSmall(value: unknown, budget: Budget): boolean {
  if (--budget.nodes < 0) return false;
  if (typeof value === "string") return fits(value, budget);
  if (value === null || typeof value === "number" || typeof value === "boolean") return true;
  if (typeof value !== "object" || --budget.depth < 0) return false;
  const small = Array.isArray(value) ? smallArray(value, budget) : smallObject(value, budget);
  budget.depth++;
  return small;
}

function fits(text: string, budget: Budget): boolean {
  budget.characters -= text.length;
  return budget.characters >= 0 && text.length <= maxBlob;
}

function smallArray(items: unknown[], budget: Budget): boolean {
  for (const item of items) if (!isSmall(item, budget)) return false;
  return true;
}

function smallObject(value: object, budget: Budget): boolean {
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return false;
  for (const name in value) {
    if (!fits(name, budget) || !isSmall((value as Record<string, unknown>)[name], budget)) return false;
  }
  return true;
}

/** Writes JSON text of bounded size, whatever the value is. */
class Writer {
  readonly #known: readonly string[];
  /** Characters of a text to look for secrets in: one that begins before the cut ends in there. */
  readonly #reach: number;
  #text = "";
  #left = maxBytes - reserve;
  #depth = 0;

  constructor(known: readonly string[]) {
    this.#known = known;
    this.#reach = maxString + overlap + Math.max(0, ...known.map(({ length }) => length));
  }

  write(value: unknown): string {
    this.#value(value, false);
    return this.#text;
  }

  #put(text: string): void {
    this.#text += text;
    this.#left -= text.length;
  }

  /** Puts a string, of which a piece has to do where the room is short. Bytes are counted, as stored. */
  #string(text: string): void {
    const json = JSON.stringify(text);
    const bytes = byteLength(json);
    if (bytes <= this.#left) {
      this.#text += json;
      this.#left -= bytes;
    } else if (text.length > 64) {
      this.#string(`${text.slice(0, text.length >> 1)}… [cut]`);
    } else {
      this.#left = 0;
      this.#text += '"[cut]"';
    }
  }

  #value(value: unknown, secret: boolean): void {
    if (value === null || !isData(value)) return this.#put("null");
    switch (typeof value) {
      case "boolean":
        return this.#put(secret ? `"${mask}"` : String(value));
      case "number":
        return this.#put(secret ? `"${mask}"` : Number.isFinite(value) ? String(value) : "null");
      case "string":
        return this.#string(secret ? mask : this.#plain(value));
      case "object":
        return this.#object(value, secret);
      default:
        return this.#string(secret ? mask : textForLog(String(value)));
    }
  }

  #plain(text: string): string {
    if (this.#known.length === 0) return textForLog(text);
    const near = conceal(text.slice(0, this.#reach), this.#known);
    return text.length <= this.#reach ? textForLog(near) : textForLog(near, text.length);
  }

  /** No connection has a longer one than is read, and its cut could go through a secret. */
  #url(url: string): string {
    return url.length > maxString ? `[${url.length} characters]` : this.#plain(publicUrl(url));
  }

  #object(value: object, secret: boolean): void {
    if (ArrayBuffer.isView(value)) return this.#string(`[${value.byteLength} bytes]`);
    if (value instanceof Date) return this.#string(secret ? mask : String(value));
    if (this.#depth >= maxDepth) return this.#string("[too deep]");
    this.#depth++;
    if (Array.isArray(value)) this.#array(value, secret);
    else this.#members(value as Record<string, unknown>, secret);
    this.#depth--;
  }

  #array(items: unknown[], secret: boolean): void {
    this.#put("[");
    let count = 0;
    for (const item of items) {
      if (count > 0) this.#put(",");
      if (count === maxItems || this.#left <= 0) {
        this.#string(`[${items.length - count} more]`);
        break;
      }
      this.#value(item, secret);
      count++;
    }
    this.#put("]");
  }

  #members(object: Record<string, unknown>, secret: boolean): void {
    this.#put("{");
    const names = Object.keys(object);
    const spoken = namedSecret(object);
    let count = 0;
    for (const [at, name] of names.entries()) {
      if (!isData(object[name])) continue;
      if (count > 0) this.#put(",");
      if (count === maxKeys || this.#left <= 0) {
        this.#put(`"…":"[${names.length - at} more]"`);
        break;
      }
      count++;
      this.#string(this.#plain(name).slice(0, maxName));
      this.#put(":");
      this.#member(name, object[name], secret || (spoken && name === "value"));
    }
    this.#put("}");
  }

  #member(name: string, value: unknown, secret: boolean): void {
    if (secret || holdsSecrets(name, value)) return this.#value(value, true);
    if (name === "connection_url" && typeof value === "string") return this.#string(this.#url(value));
    if (name === "oauth_config" && value) return this.#value(withoutOauthSecrets(value, maxKeys + 1), false);
    this.#value(value, namesSecret(name) && !isHarmless(name, value));
  }
}

/** True for what JSON would keep. */
function isData(value: unknown): boolean {
  return value !== undefined && typeof value !== "function" && typeof value !== "symbol";
}

/** True for `{name: "Authorization", value: ...}`, as lists of headers and variables are written. */
function namedSecret(object: Record<string, unknown>): boolean {
  const name = object.name ?? object.key;
  return typeof name === "string" && "value" in object && namesSecret(name);
}

/** One text value as the log keeps it; `length` is that of the whole, where the text is but its beginning. */
function textForLog(text: string, length = text.length): string {
  if (text.length > maxBlob) {
    const uri = /^data:[\w.+\/-]{0,100}(?:;[\w=.-]{1,50}){0,5};base64,/.exec(text.slice(0, 512))?.[0] ?? "";
    if (/^[A-Za-z0-9+\/_=\r\n-]+$/.test(text.slice(uri.length, uri.length + maxBlob))) {
      return `${uri}[${length - uri.length} characters of base64]`;
    }
  }
  if (text.length <= maxString) return redactText(text);
  // What stands at the end may be the half of a secret that nobody can know as one.
  const redacted = redactText(text.slice(0, maxString + overlap)).slice(0, -overlap / 2);
  return `${redacted.slice(0, maxString)}… [${length} characters]`;
}

const encoder = new TextEncoder();
const scratch = new Uint8Array(64 * 1024);

function byteLength(text: string): number {
  return encoder.encodeInto(text, scratch).written;
}
