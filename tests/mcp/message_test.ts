import assert from "node:assert/strict";
import { AppError } from "../../server/errors.ts";
import { isJson, maxBodyBytes, readBody } from "../../server/body.ts";
import { errorResponse, MessageError, parseMessage, rpcCodes } from "../../server/mcp/message.ts";

/** The answer that a text which is no acceptable message gets. */
function refusal(text: string): { status: number; code: number; id: unknown } {
  try {
    parseMessage(text);
  } catch (error) {
    assert.ok(error instanceof MessageError, String(error));
    return { status: error.status, code: error.code, id: error.id };
  }
  throw new Error(`It was accepted: ${text}`);
}

Deno.test("the three kinds of messages are told apart", () => {
  const request = parseMessage(`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"x"}}`);
  assert.deepEqual([request.kind, request.id, request.method], ["request", 7, "tools/call"]);
  assert.deepEqual(request.params, { name: "x" });
  const notification = parseMessage(`{"jsonrpc":"2.0","method":"notifications/initialized"}`);
  assert.deepEqual([notification.kind, notification.id], ["notification", null]);
  assert.deepEqual(notification.params, {});
  const result = parseMessage(`{"jsonrpc":"2.0","id":"a","result":{}}`);
  assert.deepEqual([result.kind, result.id, result.method], ["response", "a", ""]);
  assert.equal(parseMessage(`{"jsonrpc":"2.0","id":"a","error":{}}`).kind, "response");
});

Deno.test("what is not JSON is a parse error", () => { // G10
  for (const text of ["", "{", "not json", "{'a':1}", `{"jsonrpc":"2.0",}`, "\u0000", "[".repeat(100_000)]) {
    assert.deepEqual(refusal(text), { status: 400, code: rpcCodes.parse, id: null }, text.slice(0, 20));
  }
});

Deno.test("a batch is refused, empty or of one", () => { // G09: for every revision, 2025-03-26 included
  const one = `{"jsonrpc":"2.0","id":1,"method":"ping"}`;
  for (const text of ["[]", `[${one}]`, `[${one},${one}]`]) {
    assert.deepEqual(refusal(text), { status: 400, code: rpcCodes.invalidRequest, id: null });
  }
});

Deno.test("what is no JSON-RPC 2.0 message is refused, with its id where it has one", () => {
  const refused: [text: string, id: unknown][] = [
    ["null", null],
    ["3", null],
    [`"text"`, null],
    ["{}", null],
    [`{"id":1,"method":"ping"}`, null],
    [`{"jsonrpc":"1.0","id":1,"method":"ping"}`, null],
    [`{"jsonrpc":"2.0","id":1}`, 1],
    [`{"jsonrpc":"2.0","result":{}}`, null],
    [`{"jsonrpc":"2.0","id":1,"method":7}`, 1],
    [`{"jsonrpc":"2.0","id":1,"method":""}`, 1],
    [`{"jsonrpc":"2.0","id":"b","method":"ping","params":[1]}`, "b"],
    [`{"jsonrpc":"2.0","id":1,"method":"ping","params":null}`, 1],
    [`{"jsonrpc":"2.0","id":null,"method":"ping"}`, null],
    [`{"jsonrpc":"2.0","id":{},"method":"ping"}`, null],
    [`{"jsonrpc":"2.0","id":true,"method":"ping"}`, null],
  ];
  for (const [text, id] of refused) {
    assert.deepEqual(refusal(text), { status: 400, code: rpcCodes.invalidRequest, id }, text);
  }
});

Deno.test("of a member that is there twice the last one counts, here and upstream", () => {
  const message = parseMessage(
    `{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call","params":{"name":"allowed","name":"secret"}}`,
  );
  assert.equal(message.method, "tools/call");
  assert.equal(message.params.name, "secret");
  assert.equal(JSON.stringify(message.body).match(/"name"/g)?.length, 1);
});

// G01: what is sent on says the same, to the last digit.
const exact = [
  `{"jsonrpc":"2.0","id":1,"method":"m","params":{"n":9223372036854775807,"m":-9223372036854775808}}`,
  `{"jsonrpc":"2.0","id":9007199254740993,"method":"m"}`,
  `{"jsonrpc":"2.0","id":1,"method":"m","params":{"f":1.0,"g":0.10,"e":1e3,"E":1.5E-400,"big":1e400}}`,
  `{"jsonrpc":"2.0","id":1,"method":"m","params":{"pi":3.141592653589793238462643383279}}`,
  `{"jsonrpc":"2.0","id":1,"method":"m","params":{"__proto__":{"x":1},"constructor":2,"toString":null}}`,
  `{"jsonrpc":"2.0","id":1,"method":"m","params":{"é":"漢字 😀","nul":"\\u0000","lone":"\\ud800"},"unknown":[true]}`,
  `{"jsonrpc":"2.0","id":"2.0","method":"m","params":{"version":"1.10","long":"12345678901234567890"}}`,
];

const sentOn = (text: string) => JSON.stringify(parseMessage(text).body);

Deno.test("a message is sent on as it came", () => {
  for (const text of exact) assert.equal(sentOn(text), text);
});

Deno.test("an id that a double cannot hold comes back in errors as it was", async () => {
  const { id } = parseMessage(`{"jsonrpc":"2.0","id":9007199254740993,"method":"m"}`);
  const response = errorResponse(id, { status: 400, code: -32600, message: "No" });
  assert.match(await response.text(), /"id":9007199254740993[,}]/);
});

Deno.test("nesting too deep to be worked with is refused before it is read", () => {
  const nested = (open: string, close: string, depth: number) =>
    `{"jsonrpc":"2.0","id":1,"method":"m","params":{"a":${open.repeat(depth)}1${close.repeat(depth)}}}`;
  for (const [open, close] of [["[", "]"], ['{"a":', "}"], [' [ "]]" , ', " ] "]] as const) {
    assert.deepEqual(refusal(nested(open, close, 1_000_000)), {
      status: 400,
      code: rpcCodes.parse,
      id: null,
    });
    const text = nested(open, close, 500);
    assert.equal(sentOn(text), JSON.stringify(JSON.parse(text)));
  }
  const wide = `{"jsonrpc":"2.0","id":1,"method":"m","params":{"a":[${'[["[{\\""]],'.repeat(20_000)}0]}}`;
  assert.equal(sentOn(wide), wide);
});

Deno.test("an error answer has the id, the code and the data", async () => { // G03
  const response = errorResponse("r-1", { status: 502, code: -32603, message: "No", data: { stage: "dns" } });
  assert.equal(response.status, 502);
  assert.match(response.headers.get("content-type") ?? "", /^application\/json/);
  assert.deepEqual(await response.json(), {
    jsonrpc: "2.0",
    id: "r-1",
    error: { code: -32603, message: "No", data: { stage: "dns" } },
  });
});

Deno.test("JSON is told by its media type alone", () => {
  for (const type of ["application/json", "Application/JSON; charset=utf-8", "application/json ;x=y"]) {
    assert.equal(isJson(type), true, type);
  }
  for (const type of [null, "", "text/json", "application/jsonp", "application/json-rpc", "text/plain"]) {
    assert.equal(isJson(type), false, String(type));
  }
});

function request(body: BodyInit | null, headers: Record<string, string> = {}): Request {
  return new Request("http://localhost/mcp/x", { method: "POST", body, headers });
}

const stream = (...parts: string[]) =>
  ReadableStream.from(parts.map((part) => new TextEncoder().encode(part)));

Deno.test("a body is read with and without its length, and none is an empty one", async () => {
  assert.equal(await readBody(request("hällo", { "content-length": "6" })), "hällo");
  assert.equal(await readBody(request(stream("h\u00e4", "llo"))), "hällo");
  assert.equal(await readBody(request(null)), "");
});

Deno.test("a body over the limit is refused by its length, and by what arrives of it", async () => {
  const tooLarge = (error: unknown) => error instanceof AppError && error.code === "too_large";
  await assert.rejects(readBody(request("x", { "content-length": `${maxBodyBytes + 1}` })), tooLarge);
  await assert.rejects(readBody(request(stream("12345", "67890", "1")), 10), tooLarge);
  assert.equal(await readBody(request(stream("12345", "67890")), 10), "1234567890");
});

Deno.test("a body that breaks off is the client's failure, not ours", async () => {
  const broken = new ReadableStream({ pull: (controller) => controller.error(new Error("reset")) });
  await assert.rejects(
    readBody(request(broken)),
    (error) => error instanceof AppError && error.code === "malformed",
  );
});
