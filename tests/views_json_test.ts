import assert from "node:assert/strict";
import { Json } from "../views/components/code.tsx";
import { ToolResult } from "../views/components/tool_result.tsx";
import { editableJson, indentedBeginning } from "../views/json_text.ts";
import { fieldsOf } from "../views/schema_form.ts";

const values: unknown[] = [
  null,
  true,
  -1.5e300,
  "",
  'ünï "quoted" \\ \n\t 😀',
  [],
  {},
  [[], {}, [null, [1, "a"]]],
  { a: { b: [1, { c: null }], "a b": "x" }, d: [] },
  JSON.parse('{"__proto__":{"a":1},"toString":"x"}'),
];

/** Arrays within each other: indented they are as long as the square of their depth. */
function nested(depth: number): unknown {
  return JSON.parse("[".repeat(depth) + "]".repeat(depth));
}

Deno.test("JSON is indented as usual", () => {
  for (const value of values) {
    assert.equal(indentedBeginning(value, 1000), JSON.stringify(value, null, 2));
    assert.equal(editableJson(value), JSON.stringify(value, null, 2));
  }
  assert.equal(editableJson({ text: "x".repeat(90_000) }).split("\n").length, 3);
});

Deno.test("what would grow beyond measure by being indented is not", () => {
  const deep = nested(100_000);
  assert.equal(editableJson(deep), JSON.stringify(deep));
  const shown = indentedBeginning(deep, 1000);
  assert.ok(shown.startsWith("[\n  [\n    [") && shown.length < 1200, `${shown.length}`);
  for (const value of ["x".repeat(30_000_000), Array(3_000_000).fill(1), { a: Array(3_000_000).fill({}) }]) {
    const text = indentedBeginning(value, 1000);
    assert.ok(text.length > 999 && text.length < 1200, `${text.length}`);
  }
  assert.ok(String(Json({ value: deep })).includes("(cut)"));
});

Deno.test("of an answer with very many parts, each made to grow, the first are shown", () => {
  const text = JSON.stringify(nested(20_000));
  const content = Array(2000).fill({ type: "text", text });
  const page = String(ToolResult({ status: 200, durationMs: 1, bytes: 1, result: { content } }));
  assert.ok(page.includes("And 1,900 more parts"));
  assert.ok(page.length < 50_000_000, `${page.length}`);
});

Deno.test("a schema with more fields than anybody fills in is no form", () => {
  const properties = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, i) => [`a${i}`, { type: "string" }]));
  assert.equal(fieldsOf({ type: "object", properties: properties(200) })?.length, 200);
  assert.equal(fieldsOf({ type: "object", properties: properties(201) }), null);
  const choice = { enum: Array.from({ length: 1001 }, (_, i) => i), type: "integer" };
  const [field] = fieldsOf({ type: "object", properties: { choice, deep: { default: nested(50_000) } } }) ??
    [];
  assert.deepEqual([field?.kind, field?.choices], ["integer", []]);
});
