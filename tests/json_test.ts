import assert from "node:assert/strict";
import { parseExactly, parseJson, TooComplex } from "../server/json.ts";
import { Random } from "./support/random.ts";

const numbers = ["0", "-7", "1.5", "1.0", "-0.50", "1e3", "2E-7", "1e400", "10", "9007199254740993"];
const alike = ["9007199254740992", "9007199254740992.0", "1000", "0.1000000000000000055511", "0.1"];
const texts = ['""', '"1e3"', '"a\\\\"', '"\\",{["', '"\\u0061 1.0"', '"é😀"', "true", "null"];
const names = ['"a"', '"\\u0061"', '"b"', '"__proto__"', '"\\""', '"0"', '"漢"'];

/** A JSON text of any shape, with names that occur twice and blanks anywhere. */
function anyJson(random: Random, depth: number): string {
  const blank = () => random.pick(["", "", " ", "\n\t"]);
  const kind = depth === 0 ? 0 : random.below(4);
  if (kind < 2) return blank() + random.pick(random.pick([numbers, alike, texts])) + blank();
  const parts = Array.from({ length: random.below(5) }, () => {
    const value = anyJson(random, depth - 1);
    return kind === 2 ? value : `${blank()}${random.pick(names)}${blank()}:${value}`;
  });
  return kind === 2 ? `${blank()}[${parts.join(",")}]` : `{${blank()}${parts.join(",")}}${blank()}`;
}

/** The same by the language's own means. */
function revived(text: string): unknown {
  const { rawJSON } = JSON as unknown as { rawJSON(text: string): unknown };
  return JSON.parse(text, (_name: string, value: unknown, context?: { source?: string }) => {
    const source = context?.source;
    return typeof value === "number" && source !== undefined && String(value) !== source
      ? rawJSON(source)
      : value;
  });
}

Deno.test("numbers keep their digits wherever they stand, the last of a name counts", () => {
  const random = new Random(11);
  for (let round = 0; round < 20_000; round++) {
    const text = anyJson(random, 4);
    assert.equal(JSON.stringify(parseExactly(text)), JSON.stringify(revived(text)), text);
  }
});

Deno.test("what holds very many numbers is read as well", () => {
  const many = `[${"0,".repeat(3_000_000)}1e1,${'"",'.repeat(1_000_000)}1.0]`;
  assert.equal(JSON.stringify(parseExactly(many)), many);
});

Deno.test("what holds more objects and arrays than can be read in time is refused", () => {
  for (const part of ["{}", "[]", '{"a":{}}', "[[],[]]"]) {
    const many = `[${`${part},`.repeat(3_000_000)}0]`;
    assert.throws(() => parseJson(many), TooComplex);
    assert.throws(() => parseExactly(many), /too many objects and arrays/);
  }
  const texts = `[${'"{[",'.repeat(1_000_000)}${"{},".repeat(100_000)}[]]`;
  assert.equal(JSON.stringify(parseJson(texts)), texts);
});
