import assert from "node:assert/strict";
import { NotTheAnswer, readBeginning, readResponses, wholeAnswer } from "../../server/upstream/answer.ts";
import { parseExactly } from "../../server/json.ts";
import { answer, source, watchFor } from "./support.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const textFrom = (body: Uint8Array | string) =>
  typeof body === "string" ? body : new TextDecoder().decode(body);

Deno.test("a whole answer passes as it came, and is settled with what it says", async () => {
  const watch = watchFor();
  const body = bytes(`{ "jsonrpc":"2.0", "id":1, "result":{"n":12345678901234567890, "é":"\\u00e9"} }`);
  assert.equal(textFrom(await wholeAnswer(body, watch, true)), textFrom(body));
  const [settled] = watch.settlements;
  assert.equal(settled?.failure, null);
  assert.equal(settled?.bytes, body.length);
  assert.deepEqual(Object.keys(settled?.answer ?? {}), ["jsonrpc", "id", "result"]);
});

Deno.test("bytes that are no text pass as the bytes that they are", async () => {
  const mark = Uint8Array.of(0xef, 0xbb, 0xbf, ...bytes(answer()));
  const latin = Uint8Array.from(answer({ text: "?" }), (char) => char === "?" ? 0xe9 : char.charCodeAt(0));
  for (const body of [mark, latin]) {
    const watch = watchFor();
    assert.equal(await wholeAnswer(body, watch, true), body);
    assert.equal(watch.settlements[0]?.failure, null);
  }
});

Deno.test("the answer waits for its row", async () => {
  const row = Promise.withResolvers<void>();
  const given = Promise.resolve(wholeAnswer(bytes(answer()), watchFor({ settle: () => row.promise }), true));
  const first = await Promise.race([
    given.then(() => "answer"),
    new Promise((ready) => setTimeout(ready, 0)),
  ]);
  assert.equal(first, undefined);
  row.resolve();
  assert.equal(textFrom(await given), answer());
});

Deno.test("a changed answer keeps its numbers and unknown members", async () => {
  const watch = watchFor({
    mustRewrite: true,
    rewrite: (response) => {
      response.result = { ...response.result as object, changed: true };
      return true;
    },
  });
  const body =
    `{"jsonrpc":"2.0","id":1,"result":{"max":9223372036854775807,"min":-1e400,"f":1.0},"extra":[null]}`;
  const expected =
    `{"jsonrpc":"2.0","id":1,"result":{"max":9223372036854775807,"min":-1e400,"f":1.0,"changed":true},"extra":[null]}`;
  assert.equal(textFrom(await wholeAnswer(bytes(body), watch, true)), expected); // G01
});

Deno.test("ids are the same in another spelling, and too large for a double", () => {
  const raw = parseExactly("9007199254740993") as { rawJSON: string };
  for (const [id, sent] of [[1, '"1"'], ["1", "1"], [raw, "9007199254740993"], ["a", '"a"']] as const) {
    const text = `{"jsonrpc":"2.0","id":${sent},"result":{}}`;
    assert.ok(readResponses(text, watchFor({ id })).answer, text);
  }
  assert.equal(readResponses(answer({}, 2), watchFor()).answer, null);
  assert.equal(readResponses(answer({}, null), watchFor()).answer, null);
});

Deno.test("requests and notifications of the server are no answers", () => {
  const watch = watchFor({ mustRewrite: true, rewrite: () => true });
  for (
    const message of [
      { jsonrpc: "2.0", id: 1, method: "sampling/createMessage", params: { result: 1 } },
      { jsonrpc: "2.0", method: "notifications/progress", params: { error: 1 } },
      "result",
      null,
    ]
  ) {
    assert.deepEqual(readResponses(JSON.stringify(message), watch), { answer: null, changed: null });
  }
});

Deno.test("an answer in an array is found and changed", () => {
  const rewrite = (response: Record<string, unknown>) => {
    response.result = "changed";
    return true;
  };
  const text = `[{"jsonrpc":"2.0","method":"notifications/message"},${answer("old")}]`;
  const { answer: found, changed } = readResponses(text, watchFor({ mustRewrite: true, rewrite }));
  assert.equal(found?.id, 1);
  assert.equal(changed, `[{"jsonrpc":"2.0","method":"notifications/message"},${answer("changed")}]`);
});

const strayError = `{"jsonrpc":"2.0","error":{"code":-32000,"message":"Bad Request: no session"},"id":null}`;

Deno.test("an error that names no request passes untouched and counts as failed", async () => {
  // As servers answer a 400 or 404; a filter that waits for a list changes nothing in it.
  const watch = watchFor({ mustRewrite: true, rewrite: () => false });
  const body = bytes(strayError);
  assert.equal(await wholeAnswer(body, watch, false), strayError);
  assert.deepEqual(watch.settlements, [
    { answer: null, bytes: body.length, failure: "Bad Request: no session", resumable: false },
  ]);
});

Deno.test("where an answer is due, anything else is an error that says what came", () => {
  const watch = watchFor();
  assert.throws(() => wholeAnswer(bytes(strayError), watch, true), (error) => {
    assert.ok(error instanceof NotTheAnswer);
    assert.equal(error.message, "Bad Request: no session");
    return true;
  });
  for (const text of [answer({}, "not yours"), "[]", "3", "{}"]) {
    assert.throws(() => wholeAnswer(bytes(text), watch, true), NotTheAnswer);
  }
  assert.throws(() => wholeAnswer(bytes("\u0000{{not json"), watch, true), SyntaxError);
  assert.deepEqual(watch.settlements, []);
});

Deno.test("what answers no request is not looked into", async () => {
  const watch = watchFor({ id: null });
  const body = bytes("OK, thanks");
  assert.equal(await wholeAnswer(body, watch, true), body);
  assert.deepEqual(watch.settlements, [{ answer: null, bytes: 10, failure: null, resumable: false }]);
});

Deno.test("the beginning of a body is all of a short one", async () => {
  const from = source();
  for (const part of ["ab", "c", "def"]) from.send(part);
  from.end();
  const { bytes: read, whole } = await readBeginning(from.reader, 6);
  assert.deepEqual([textFrom(read), whole], ["abcdef", true]);
});

Deno.test("of a long body the beginning ends soon after the limit, and the rest stays to be read", async () => {
  const from = source();
  for (const part of ["abc", "def", "ghi"]) from.send(part);
  from.end();
  const { bytes: read, whole } = await readBeginning(from.reader, 5);
  assert.deepEqual([textFrom(read), whole], ["abcdef", false]);
  assert.equal(textFrom((await from.reader.read()).value ?? bytes("")), "ghi");
});
