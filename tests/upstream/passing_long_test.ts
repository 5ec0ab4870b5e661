// What is too long to be held passes as it comes, and is settled by what it says.
import assert from "node:assert/strict";
import type { Watch } from "../../server/upstream/answer.ts";
import { passJson, type PassOptions, passSse } from "../../server/upstream/passing.ts";
import { answer, event, source, textOf, type Watched, watchFor } from "./support.ts";

const encoder = new TextEncoder();
const failure = (error: unknown) => new Error(`failed: ${(error as Error).message}`);
const text = "é😀\\n".repeat(400_000);
const notAnswer = "it is not the answer to the request";

function result(members: string, id = 1): string {
  return `{"jsonrpc":"2.0","id":${id},"result":{"structuredContent":"${text}"${members}}}`;
}

interface Passed {
  text: string;
  watch: Watched;
}

/** Passes a text in chunks that end anywhere. */
async function passed(
  body: string,
  pass: (
    from: ReturnType<typeof source>,
    first: Uint8Array,
    options: PassOptions,
  ) => ReadableStream<Uint8Array>,
  overrides: Partial<Watch> = {},
): Promise<Passed> {
  const watch = watchFor(overrides);
  const bytes = encoder.encode(body);
  const from = source();
  const size = 65_521;
  const stream = pass(from, bytes.subarray(0, size), { watch, done: () => {}, failure });
  for (let at = size; at < bytes.length; at += size) from.send(bytes.subarray(at, at + size));
  from.end();
  return { text: await textOf(stream), watch };
}

const json = (body: string, overrides?: Partial<Watch>) =>
  passed(body, ({ reader }, first, options) => passJson(reader, first, options).stream(), overrides);

const sse = (body: string, overrides?: Partial<Watch>) =>
  passed(body, (from, first, options) => {
    from.send(first);
    return passSse(from.reader, options).stream();
  }, overrides);

const failures = ({ watch }: Passed) => watch.settlements.map(({ failure }) => failure);

Deno.test("a long JSON answer passes as it is and is settled with what it says", async () => {
  const outcomes: [body: string, failure: string | null][] = [
    [result(""), null],
    [result(',"isError":false'), null],
    [result(',"isError":true,"content":[{"type":"text","text":"no luck"}]'), "no luck"],
    [`{"id":1,"error":{"message":"No such tool","data":"${text}"}}`, "No such tool"],
    [result("", 2), `failed: ${notAnswer}`],
    [result("").slice(0, -1), "failed: The text is not JSON, or not all of it"],
  ];
  for (const [body, expected] of outcomes) {
    const found = await json(body);
    assert.ok(found.text === body, "it passes byte for byte");
    const bytes = encoder.encode(body).length;
    assert.deepEqual(found.watch.settlements, [{ answer: null, bytes, failure: expected, resumable: false }]);
  }
});

Deno.test("what answers no request is not looked into, however long it is", async () => {
  assert.deepEqual(failures(await json(text, { id: null })), [null]);
  const stream = event(result(',"isError":true'));
  const found = await sse(stream, { id: null });
  assert.deepEqual(failures(found), [null]);
  assert.ok(found.text === stream);
});

Deno.test("an answer in a long event passes as it is and is settled with what it says", async () => {
  const bad = result(',"isError":true,"content":[{"type":"text","text":"no luck"}]');
  const lines = bad.replace('"result"', '\r\ndata: "result"').replace('"content"', '\r\ndata:"content"');
  const outcomes: [body: string, failure: string | null][] = [
    [event(result("")), null],
    [event(bad), "no luck"],
    [`event: message\r\ndata: ${lines}\r\n\r\n`, "no luck"],
    [`data: ${bad}\r\r`, "no luck"],
    // Event ids are for those whose answer has not come (SEP-1699).
    [`id: 1\n${event(bad)}`, "no luck"],
    [`id: 1\n${event(result(""))}`, null],
    // What passes before it, be it ever so long, is not it.
    [
      event(`{"method":"m","params":{"result":"${text}","error":1}}`) + event(result("", 2)) + event(bad),
      "no luck",
    ],
    [event(text) + event(answer({ isError: false })), null],
    [event(result("")) + event(bad), null],
  ];
  for (const [body, expected] of outcomes) {
    const found = await sse(body);
    assert.ok(found.text === body, "it passes byte for byte");
    assert.deepEqual(failures(found), [expected]);
    if (expected !== null) assert.equal(found.watch.settlements[0]?.resumable, false);
  }
});

Deno.test("a stream that holds long events but no answer ends with an error", async () => {
  for (const body of [event(result("", 2)), event(text), event(result("").slice(0, -1))]) {
    const found = await sse(body);
    const error = found.watch.errorText("The stream ended before the answer");
    assert.ok(found.text === `${body}data: ${error}\n\n`);
    assert.deepEqual(failures(found), ["The stream ended before the answer"]);
  }
});
