import assert from "node:assert/strict";
import { bytes, duration, percent, relativeTime } from "../views/format.ts";
import { permissionSummary } from "../views/permissions.ts";
import { withQuery } from "../views/paths.ts";
import { entriesOf, fieldsOf, readArguments } from "../views/schema_form.ts";

const schema = {
  type: "object",
  required: ["team", "count", "deep"],
  $defs: { Level: { type: "integer", minimum: 0, maximum: 4 }, "a/b": { type: "boolean" } },
  properties: {
    team: { type: "string", default: "Platform" },
    body: { type: "string" },
    count: { type: "number", minimum: 1 },
    level: { $ref: "#/$defs/Level", description: "how much" },
    escaped: { $ref: "#/$defs/a~1b" },
    state: { enum: ["a", 1, null] },
    maybe: { anyOf: [{ type: "string" }, { type: "null" }] },
    either: { anyOf: [{ type: "string" }, { type: "number" }] },
    deep: { type: "object", properties: { x: { type: "string" } } },
    many: { type: "array", items: { type: "string" } },
    free: true,
    elsewhere: { $ref: "https://example.com/schema.json" },
  },
};

function fields() {
  return fieldsOf(schema) ?? assert.fail("no form");
}

Deno.test("each property becomes the control that can hold it", () => {
  const kinds = Object.fromEntries(fields().map((field) => [field.property, field.kind]));
  assert.deepEqual(kinds, {
    team: "text",
    body: "long",
    count: "number",
    level: "integer",
    escaped: "boolean",
    state: "choice",
    maybe: "text",
    either: "json",
    deep: "json",
    many: "json",
    free: "json",
    elsewhere: "json", // G11: a reference to the network is not followed
  });
  const level = fields().find((field) => field.property === "level");
  assert.deepEqual([level?.note, level?.min, level?.max, level?.description], ["0–4", 0, 4, "how much"]);
  assert.equal(fields().find((field) => field.property === "team")?.initial, "Platform");
});

Deno.test("the bounds of exact integers, which generators write, are no limits", () => {
  const whole = { type: "integer", minimum: Number.MIN_SAFE_INTEGER, maximum: Number.MAX_SAFE_INTEGER };
  const found = fieldsOf({ type: "object", properties: { any: whole, some: { ...whole, minimum: 0 } } });
  assert.deepEqual(found?.map(({ note }) => note), ["whole number", "at least 0"]);
  assert.deepEqual(found?.map(({ min, max }) => [min, max]), [[undefined, undefined], [0, undefined]]);
});

Deno.test("a schema that no form can show is left to JSON", () => {
  const schemas = [true, null, "x", [], { type: "string" }, { type: "object", oneOf: [{}, {}] }, {
    $ref: "#",
  }];
  for (const one of schemas) assert.equal(fieldsOf(one), null, JSON.stringify(one));
  assert.deepEqual(fieldsOf({ type: "object" }), []);
  assert.deepEqual(fieldsOf({ type: "object", properties: 5, required: 5 }), []);
});

Deno.test("references that go round in circles end", () => {
  const circle = { $defs: { a: { $ref: "#/$defs/b" }, b: { $ref: "#/$defs/a" } } };
  const found = fieldsOf({ ...circle, type: "object", properties: { x: { $ref: "#/$defs/a" } } });
  assert.equal(found?.[0]?.kind, "json");
});

Deno.test("entries become arguments of the schema's types", () => {
  const read = readArguments(fields(), {
    "arg.team": " a b ",
    "arg.body": "",
    "arg.count": "1.5",
    "arg.level": "2",
    "arg.escaped": "false",
    "arg.state": "1",
    "arg.deep": '{"x": "y"}',
    "arg.many": "",
    "arg.free": "null",
    "arg.unknown": "ignored",
  });
  assert.deepEqual(read.errors, {});
  assert.deepEqual(read.arguments, {
    team: " a b ",
    count: 1.5,
    level: 2,
    escaped: false,
    state: 1,
    deep: { x: "y" },
    free: null,
  });
});

Deno.test("entries that do not fit are named by their control", () => {
  const read = readArguments(fields(), {
    "arg.count": "many",
    "arg.level": "1.5",
    "arg.escaped": "maybe",
    "arg.state": '"b"',
    "arg.deep": "{",
  });
  assert.deepEqual(read.errors, {
    "arg.team": "team is required",
    "arg.count": "count must be a number",
    "arg.level": "level must be a whole number",
    "arg.escaped": "escaped must be yes or no",
    "arg.state": "state must be one of the choices",
    "arg.deep": "deep must be valid JSON",
  });
});

Deno.test("arguments survive the way into the form and back", () => {
  const values = {
    team: "a\nb",
    count: 2,
    state: null,
    deep: { x: ["y"] },
    many: [],
    maybe: "true",
    extra: 1,
  };
  const back = readArguments(fields(), entriesOf(fields(), values));
  const { extra: _, ...kept } = values;
  assert.deepEqual(back, { arguments: kept, errors: {} });
});

Deno.test("a property cannot reach the prototype", () => {
  const evil = JSON.parse('{"type":"object","properties":{"__proto__":{"type":"object"}}}');
  const found = fieldsOf(evil) ?? assert.fail("no form");
  const read = readArguments(found, { "arg.__proto__": '{"polluted":true}' });
  assert.ok(Object.hasOwn(read.arguments, "__proto__"));
  assert.equal(Reflect.get(read.arguments, "polluted"), undefined);
  assert.equal(JSON.stringify(read.arguments), '{"__proto__":{"polluted":true}}');
});

Deno.test("durations, sizes and shares are written for people", () => {
  assert.deepEqual([0.4, 38, 999, 999.6, 1900, 59_940, 125_000, null, NaN].map(duration), [
    "<1 ms",
    "38 ms",
    "999 ms",
    "1.0 s",
    "1.9 s",
    "59.9 s",
    "2 min 5 s",
    "–",
    "–",
  ]);
  assert.deepEqual([0, 999, 1204, 999_949, 3_400_000, undefined].map(bytes), [
    "0 B",
    "999 B",
    "1.2 kB",
    "999.9 kB",
    "3.4 MB",
    "–",
  ]);
  assert.deepEqual([percent(0, 0), percent(183, 26172)], ["–", "0.7 %"]);
});

Deno.test("times are written as their distance from now", () => {
  const now = Date.UTC(2026, 7, 22, 12);
  const minute = 60_000;
  const said = [
    2000,
    12_000,
    5 * minute,
    3 * 60 * minute,
    25 * 60 * minute,
    40 * 24 * 60 * minute,
    -90 * minute,
  ];
  assert.deepEqual(said.map((distance) => relativeTime(now - distance, now)), [
    "just now",
    "12 s ago",
    "5 min ago",
    "3 h ago",
    "1 day ago",
    "2026-07-13",
    "in 1 h",
  ]);
});

Deno.test("permissions are said in a few words", () => {
  const titles = { conn_1: "Linear", conn_2: "GitHub" };
  const say = (permissions: Record<string, string[]>) => permissionSummary(permissions, titles);
  assert.equal(say({}), "Nothing");
  assert.equal(say({ "*": ["*"] }), "Everything its owner may do");
  assert.equal(say({ conn_1: ["*"], conn_2: ["a"] }), "All tools of Linear, 1 tool of GitHub");
  assert.equal(say({ conn_9: ["a", "b"] }), "2 tools of a deleted connection");
  assert.equal(say({ self: ["API_KEY_LIST", "ORGANIZATION_GET"] }), "Reads management");
  assert.equal(say({ self: ["*"] }), "Manages everything");
  assert.equal(say({ conn_1: ["*"], self: ["API_KEY_CREATE"] }), "All tools of Linear, manages with 1 tool");
});

Deno.test("an address carries only the parameters that have a value", () => {
  assert.equal(
    withQuery("/connections", { q: "a b&c", status: "", page: undefined, at: 2 }),
    "/connections?q=a+b%26c&at=2",
  );
  assert.equal(withQuery("/connections", { q: "" }), "/connections");
});
