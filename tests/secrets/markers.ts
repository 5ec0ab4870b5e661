// Secrets that can be found again wherever they end up, as they are and in the forms that programs give them.
import { Buffer } from "node:buffer";

/** Something that was said, stored or shown. `allowed` are the secrets that may stand in it. */
export interface Said {
  readonly where: string;
  readonly text: string;
  readonly allowed?: readonly string[];
}

export class Markers {
  /** By value: the name. */
  readonly #names = new Map<string, string>();

  /** A new secret: nothing in it tells a program that it is one. */
  make(name: string): string {
    const value = Buffer.from(crypto.getRandomValues(new Uint8Array(18))).toString("hex");
    return this.add(name, value);
  }

  /** Takes note of a secret that somebody else has made. */
  add(name: string, value: string): string {
    if (value.length < 16) throw new Error(`'${name}' is too short to be told from other text`);
    this.#names.set(value, name);
    return value;
  }

  get names(): string[] {
    return [...new Set(this.#names.values())].sort();
  }

  /** Which secrets stand in which texts, and in what form: `NAME (FORM) in WHERE`. */
  find(all: Iterable<Said>): string[] {
    const wanted = [...this.#names].flatMap(([value, name]) =>
      formsOf(value).map(([form, text]) => ({ name, form, text }))
    );
    const found = new Set<string>();
    for (const { where, text, allowed = [] } of all) {
      for (const { name, form, text: secret } of wanted) {
        if (!allowed.includes(name) && text.includes(secret)) found.add(`${name} (${form}) in ${where}`);
      }
    }
    return [...found].sort();
  }
}

function formsOf(value: string): [form: string, text: string][] {
  const forms: [string, string][] = [
    ["as it is", value],
    ["JSON", JSON.stringify(value).slice(1, -1)],
    ["URL", encodeURIComponent(value)],
    ["form", new URLSearchParams({ "": value }).toString().slice(1)],
    ["hex", Buffer.from(value).toString("hex")],
    ...[0, 1, 2].flatMap((offset): [string, string][] => [
      [`base64 at ${offset}`, base64At(value, offset)],
      [`base64url at ${offset}`, base64At(value, offset).replaceAll("+", "-").replaceAll("/", "_")],
    ]),
  ];
  return [...new Map(forms.reverse().map(([form, text]) => [text, form]))].map((
    [text, form],
  ) => [form, text]);
}

/** The part of the base64 of a longer text that the value alone decides, where so many bytes stand before it. */
function base64At(value: string, offset: number): string {
  const before = Buffer.alloc(offset);
  const all = Buffer.concat([before, Buffer.from(value)]);
  return all.toString("base64").slice(Math.ceil(offset * 8 / 6), Math.floor(all.length * 8 / 6));
}
