// A long answer has the outcome that it would have were it short enough to be parsed.
import assert from "node:assert/strict";
import {
  insteadOfAnswer,
  NotTheAnswer,
  readResponses,
  reportedFailure,
  type Watch,
} from "../../server/upstream/answer.ts";
import { OutcomeScan } from "../../server/upstream/outcome_scan.ts";
import { Random } from "../support/random.ts";
import { watchFor } from "./support.ts";

type Id = NonNullable<Watch["id"]>;

const encoder = new TextEncoder();
const notJson = "not JSON";

/** What is found in chunks. */
function scanned(chunks: Iterable<Uint8Array>, id: Id = 1): string | null {
  const scan = new OutcomeScan({ id });
  for (const chunk of chunks) scan.push(chunk);
  const outcome = scan.end();
  if (!("instead" in outcome)) return outcome.failure;
  if (outcome.instead instanceof SyntaxError) return notJson;
  assert.ok(outcome.instead instanceof NotTheAnswer);
  return `instead: ${outcome.instead.message}`;
}

/** What parsing the whole finds. */
function parsed(bytes: Uint8Array, id: Id = 1): string | null {
  const text = new TextDecoder().decode(bytes);
  try {
    const { answer } = readResponses(text, watchFor({ id }));
    if (answer === null) return `instead: ${insteadOfAnswer(JSON.parse(text)).slice(0, 4096)}`;
    return reportedFailure(answer)?.slice(0, 4096) ?? null;
  } catch (error) {
    assert.ok(error instanceof SyntaxError);
    return notJson;
  }
}

function* pieces(bytes: Uint8Array, size: number): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

/** Asserts that it is found however the text is cut. */
function holds(text: string | Uint8Array, id: Id = 1): string | null {
  const bytes = typeof text === "string" ? encoder.encode(text) : text;
  const expected = parsed(bytes, id);
  const shown = typeof text === "string" ? text : new TextDecoder().decode(text);
  for (let cut = 0; cut <= bytes.length; cut++) {
    const found = scanned([bytes.subarray(0, cut), bytes.subarray(cut)], id);
    assert.equal(found, expected, `cut at ${cut}: ${shown}`);
  }
  for (const size of [1, 2, 3]) assert.equal(scanned(pieces(bytes, size), id), expected, shown);
  return expected;
}

const fine =
  `{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"é😀\\n"}],"isError":false}}`;
const bad = (text: string) => `{"id":1,"result":{"content":[{"text":${text}}],"isError":true}}`;

const known: [text: string, outcome: string | null][] = [
  [fine, null],
  [bad('"no"'), "no"],
  [bad('"\\u00e9\\ud83d\\ude00\\"\\\\\\/\\b\\f\\n\\r\\t é😀\ufeff"'), 'é😀"\\/\b\f\n\r\t é😀\ufeff'],
  [bad("1"), "The tool reported an error"],
  [`{"id":1,"r\\u0065sult":{"is\\u0045rror":true,"content":[{"te\\u0078t":"no"}]}}`, "no"],
  [`{"id":1,"result":{"isErrorr":true,"isErro":true,"Xis\\u0045rror":true}}`, null],
  // Of members with the same name the last one counts, whatever the earlier ones were.
  [`{"id":1,"result":{"isError":true,"isError":false}}`, null],
  [`{"id":1,"result":{"isError":false,"isError":true,"content":[{"text":"a","text":"b"}]}}`, "b"],
  [`{"id":1,"result":{"isError":true,"isError":{"a":true}}}`, null],
  [`{"id":1,"result":{"isError":true},"result":[true]}`, null],
  [`{"id":1,"result":{"isError":true},"result":{"content":[]}}`, null],
  [`{"id":2,"error":{"message":"a"},"result":1,"error":null,"id":1}`, null],
  [`{"id":1,"method":"m","error":{"message":"a"}}`, "instead: it is not the answer to the request"],
  // The same names elsewhere mean nothing.
  [`{"id":1,"result":{"x":{"isError":true},"y":[{"isError":true}],"z":"\\"isError\\":true"}}`, null],
  [
    `{"id":1,"result":{"content":[[{"text":"a"}],{"text":"b"}],"isError":true}}`,
    "The tool reported an error",
  ],
  [`{"id":1,"result":{"content":[{"text":"a"},{"text":"b"}],"isError":true}}`, "a"],
  [`{"id":1,"result":{"error":{"message":"a"},"result":{"isError":true}}}`, null],
  [`{"result":{"id":1}}`, "instead: it is not the answer to the request"],
  [`{"id":1,"result":{"__proto__":{"isError":true},"constructor":1,"toString":2}}`, null],
  [`{"id":1,"result":{"isError":"true"}}`, null],
  [`{"id":1,"result":{"isError":1}}`, null],
  // JSON-RPC errors.
  [`{"id":1,"error":{"code":-32602,"message":"No such tool","data":{"message":"x"}}}`, "No such tool"],
  [`{"id":1,"error":{"code":-32602}}`, "Error"],
  [`{"id":1,"error":{"message":42}}`, "42"],
  [`{"id":1,"error":{"message":{"toString":1,"valueOf":1}}}`, "Error"],
  [`{"id":1,"error":["message"],"result":{}}`, null],
  [`{"id":null,"error":{"message":"No session"}}`, "instead: No session"],
  // Ids in another spelling, and what is no message.
  [`{"id":"1","result":{}}`, null],
  [`{"id":1.0e0,"result":{}}`, null],
  [`{"id":10,"result":{}}`, "instead: it is not the answer to the request"],
  [`[{"method":"m"},{"id":2,"error":{"message":"x"}},${bad('"no"')},${fine}]`, "no"],
  [`[[${bad('"no"')}]]`, "instead: it is not the answer to the request"],
  ["[]", "instead: it is not the answer to the request"],
  [' "text" ', "instead: it is not the answer to the request"],
  ["-0.5e+7", "instead: it is not the answer to the request"],
  [" \ufeff{}", notJson],
  ["\ufeff" + bad('"no"'), "no"],
  ["", notJson],
  [`{"id":1,"result":{}},`, notJson],
  [`{"id":1,"result":{}`, notJson],
  [`{"id":1,"result":"\u0001"}`, notJson],
  [`{"id":1,"result":[1}}`, notJson],
];

Deno.test("the outcome is found in whatever form it has", () => {
  for (const [text, outcome] of known) assert.equal(holds(text), outcome, text);
});

Deno.test("an answer that was cut off anywhere is no answer", () => {
  const bytes = encoder.encode(bad('"\\u00e9😀"'));
  for (let end = 0; end < bytes.length; end++) {
    assert.equal(scanned([bytes.subarray(0, end)]), notJson);
  }
});

Deno.test("every byte is read as parsing reads it, wherever it stands", () => {
  const bytes = encoder.encode(
    `{"id":1,"error":{"m\\u0065ssage":"\\né"},"x":[{"y":null},-1.5e+3,0,true,""] }`,
  );
  for (let at = 0; at < bytes.length; at++) {
    const [before, after] = [bytes.subarray(0, at), bytes.subarray(at + 1)];
    for (let byte = 0; byte < 256; byte++) {
      const text = Uint8Array.of(...before, byte, ...after);
      assert.equal(scanned([text]), parsed(text), `${byte} at ${at}`);
    }
  }
});

Deno.test("ids of every kind are told from others", () => {
  for (const id of [1, "1", "a\nb", "é😀", "", "x".repeat(5000), 1.5] as const) {
    const text = `{"result":{},"id":${JSON.stringify(id)}}`;
    const escaped = text.replaceAll(/[é😀x]/gu, (char) => JSON.stringify(char).slice(1, -1)).replaceAll(
      "x",
      "\\u0078",
    );
    for (const spelt of [text, escaped]) {
      assert.equal(scanned([encoder.encode(spelt)], id), null);
      assert.notEqual(scanned([encoder.encode(spelt)], `${id}y`), null);
      assert.notEqual(scanned([encoder.encode(spelt)], `${id}`.slice(0, -1) + "y"), null);
    }
  }
});

Deno.test("of a long text the beginning is kept", () => {
  for (const char of ["x", "é", "漢", "\\u6f22", "\\n", "\\\\"]) {
    for (let before = 0; before < 8; before++) {
      const text = `"${"y".repeat(before)}${char.repeat(10_000)}"`;
      const start = (JSON.parse(text) as string).slice(0, 4096);
      assert.equal(scanned([encoder.encode(bad(text))]), start);
      const error = encoder.encode(`{"error":{"message":${text}},"id":1}`);
      assert.equal(scanned(pieces(error, 1000)), start);
    }
  }
});

Deno.test("what is nested more deeply than is read is not JSON", () => {
  const nested = (depth: number) =>
    encoder.encode(`{"id":1,"result":${"[".repeat(depth)}${"]".repeat(depth)}}`);
  assert.equal(scanned([nested(999)]), null);
  assert.equal(scanned([nested(1000)]), notJson);
});

/** Makes documents that are mostly answers, spelt in every way that JSON has. */
class Documents extends Random {
  document(): string {
    if (this.below(10) > 0) return this.pick(["", "", "\ufeff", " "]) + this.#message() + this.#blank();
    return `[${Array.from({ length: this.below(4) }, () => this.#message()).join(",")}]`;
  }

  /** The same with a byte lost, doubled or changed. */
  damaged(bytes: Uint8Array): Uint8Array {
    const at = this.below(bytes.length);
    const instead = [[], [bytes[at]!, bytes[at]!], [this.below(256)], [
      this.pick([...encoder.encode('{}[]",:\\tf0-.e')]),
    ]];
    return Uint8Array.from([...bytes.subarray(0, at), ...this.pick([...instead]), ...bytes.subarray(at + 1)]);
  }

  #message(): string {
    const names = this.below(5) > 0 ? ["id", this.pick(["result", "result", "error"])] : [];
    return this.#object([...names, ...this.#names(4)], (name) => {
      if (name === "id") return this.pick(["1", "1", '"1"', '"\\u0031"', "1.0", "2", "null", "{}", "true"]);
      if (name === "error") return this.#object(this.#names(3, "message"), () => this.#value(2));
      if (name !== "result") return this.#value(2);
      return this.#object(this.#names(4, "isError", "content", "content"), (inner) => {
        if (inner !== "content") return this.pick(["true", "true", "false", this.#value(2)]);
        const first = this.#object(this.#names(3, "text"), () => this.#value(1));
        return `[${this.#blank()}${this.pick([first, this.#value(1)])}]`;
      });
    });
  }

  #names(limit: number, ...more: string[]): string[] {
    const all = [
      "id",
      "result",
      "error",
      "isError",
      "content",
      "message",
      "text",
      "x",
      "x",
      ...more,
      ...more,
    ];
    return Array.from({ length: this.below(limit + 1) }, () => this.pick([...all]));
  }

  #object(names: string[], value: (name: string) => string): string {
    const all = names.map((name) =>
      `${this.#blank()}${this.#spelt(name)}${this.#blank()}:${this.#blank()}${value(name)}${this.#blank()}`
    );
    return `{${all.join(",") || this.#blank()}}`;
  }

  #value(depth: number): string {
    const kind = this.below(depth > 0 ? 8 : 6);
    if (kind === 6) return this.#object(this.#names(3), () => this.#value(depth - 1));
    if (kind === 7) {
      return `[${Array.from({ length: this.below(4) }, () => this.#value(depth - 1)).join(" , ")}]`;
    }
    if (kind > 3) {
      return this.#spelt(this.pick(["", "text", "é😀漢", '"\\', "\n\t\b\f\r/", "]}", "\ud800", "isError"]));
    }
    return this.pick([
      "true",
      "false",
      "null",
      "0",
      "-0",
      "1e5",
      "1.50E-3",
      "-12.25",
      "123456789012345678901",
    ]);
  }

  /** A text with some of its characters as escapes. */
  #spelt(text: string): string {
    let spelt = "";
    for (const unit of text.split("")) {
      const code = unit.charCodeAt(0).toString(16).padStart(4, "0");
      const surrogate = unit >= "\ud800" && unit <= "\udfff";
      spelt += this.below(5) === 0 || surrogate
        ? `\\u${this.pick([code, code.toUpperCase()])}`
        : JSON.stringify(unit).slice(1, -1);
    }
    return `"${spelt}"`;
  }

  #blank(): string {
    return this.pick(["", "", "", " ", "\n", "\t \r\n"]);
  }
}

Deno.test("documents of every kind, whole and damaged, are read as parsing reads them", () => {
  const make = new Documents(4_711);
  const seen = new Map<string, number>();
  for (let round = 0; round < 200; round++) {
    const bytes = encoder.encode(make.document());
    for (const text of [bytes, make.damaged(bytes)]) {
      const outcome = holds(text) ?? "fine";
      const kind = outcome === "fine" || outcome === notJson || outcome.startsWith("instead")
        ? outcome
        : "failed";
      seen.set(kind, (seen.get(kind) ?? 0) + 1);
    }
  }
  for (const kind of ["fine", "failed", notJson, "instead: it is not the answer to the request"]) {
    assert.ok((seen.get(kind) ?? 0) > 20, `${kind}: ${seen.get(kind)}`);
  }
});
