import assert from "node:assert/strict";
import { MessageError, parseMessage, rpcCodes } from "../../server/mcp/message.ts";
import { checkModernHeaders, declaresTasks, isModern } from "../../server/mcp/modern.ts";
import { legacy, modern, type ModernOptions } from "./support.ts";

/** The message of what would be sent, and its headers, with some of them replaced or (null) left out. */
function sent(
  method: string,
  params: Record<string, unknown> = {},
  changes: Record<string, string | null> = {},
  options: ModernOptions = {},
) {
  const { headers, body } = modern(method, params, options);
  const all = Object.entries({ ...headers, ...changes }).filter((entry): entry is [string, string] =>
    entry[1] !== null
  );
  return { message: parseMessage(body), headers: new Headers(all) };
}

function refusal({ message, headers }: ReturnType<typeof sent>): number | null {
  try {
    checkModernHeaders(message, headers);
    return null;
  } catch (error) {
    assert.ok(error instanceof MessageError, String(error));
    assert.equal(error.status, 400);
    assert.equal(error.id, message.id);
    return error.code;
  }
}

const base64 = (text: string) => `=?base64?${btoa(String.fromCharCode(...new TextEncoder().encode(text)))}?=`;

Deno.test("the era shows in how a request opens", () => { // X02
  const plain = parseMessage(legacy("tools/list").body);
  for (const version of ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "", "draft", "9", "zzz"]) {
    assert.equal(isModern(plain, new Headers({ "mcp-protocol-version": version })), false, version);
  }
  assert.equal(isModern(plain, new Headers()), false);
  assert.equal(isModern(parseMessage(legacy("initialize", {}).body), new Headers()), false);
  for (const version of ["2026-07-28", "2026-11-01", "2031-01-01"]) {
    assert.equal(isModern(plain, new Headers({ "mcp-protocol-version": version })), true, version);
  }
  const { message } = sent("tools/list");
  assert.equal(isModern(message, new Headers()), true);
  assert.equal(isModern(message, new Headers({ "mcp-protocol-version": "2025-11-25" })), true);
});

Deno.test("headers that say what the body says are accepted", () => { // M01
  for (
    const each of [
      sent("tools/list"),
      sent("tools/call", { name: "echo" }),
      sent("tools/call", { name: "echo" }, { "mcp-name": "  echo\t" }),
      sent("tools/call", { name: "echo" }, { "mcp-name": base64("echo") }),
      sent("tools/call", { name: "größe 漢" }, { "mcp-name": base64("größe 漢") }),
      sent("prompts/get", { name: "p" }),
      sent("resources/read", { uri: "test://x" }),
      sent("tasks/get", { taskId: "t-1" }),
      sent("tasks/update", { taskId: "t-1" }),
      sent("tasks/cancel", { taskId: "t-1" }),
    ]
  ) assert.equal(refusal(each), null);
});

Deno.test("headers that differ from the body, or are missing, are refused", () => { // M01
  const call = { name: "echo" };
  const mismatches: [string, Record<string, unknown>, Record<string, string | null>][] = [
    ["tools/call", call, { "mcp-name": null }],
    ["tools/call", call, { "mcp-name": "allowed" }],
    ["tools/call", call, { "mcp-name": "Echo" }],
    ["tools/call", call, { "mcp-name": "" }],
    ["tools/call", call, { "mcp-name": base64("allowed") }],
    ["tools/call", call, { "mcp-name": base64("echo").toUpperCase() }],
    ["tools/call", call, { "mcp-name": "=?base64?!!!!?=" }],
    ["tools/call", call, { "mcp-name": "=?base64?/w==?=" }],
    ["tools/call", call, { "mcp-name": `${base64("echo")} ` + "x" }],
    ["tools/call", call, { "mcp-method": null }],
    ["tools/call", call, { "mcp-method": "tools/list" }],
    ["tools/call", call, { "mcp-method": "TOOLS/CALL" }],
    ["tools/call", call, { "mcp-protocol-version": null }],
    ["tools/call", call, { "mcp-protocol-version": "2025-11-25" }],
    ["prompts/get", { name: "p" }, { "mcp-name": "q" }],
    ["resources/read", { uri: "test://x" }, { "mcp-name": "test://y" }],
    ["tasks/get", { taskId: "t-1" }, { "mcp-name": "t-2" }],
    ["tasks/cancel", { taskId: "t-1" }, { "mcp-name": null }],
  ];
  for (const [method, params, changes] of mismatches) {
    assert.equal(
      refusal(sent(method, params, changes)),
      rpcCodes.headerMismatch,
      JSON.stringify([method, changes]),
    );
  }
});

Deno.test("a name in encoded form is compared as what it means", () => {
  // A literal name may look encoded: then the header says it encoded twice.
  const odd = base64("x");
  assert.equal(refusal(sent("tools/call", { name: odd }, { "mcp-name": odd })), rpcCodes.headerMismatch);
  assert.equal(refusal(sent("tools/call", { name: odd }, { "mcp-name": base64(odd) })), null);
});

Deno.test("blanks in the middle of a header are looked at once", () => { // else this takes hours
  const name = `a${" ".repeat(1_000_000)}b`;
  const headers = new Map([["mcp-protocol-version", "2026-07-28"], ["mcp-method", "tools/call"]]);
  const { message } = sent("tools/call", { name });
  const check = (sentName: string) => {
    const all = new Headers([...headers, ["mcp-name", sentName]]);
    return refusal({ message, headers: all });
  };
  assert.equal(check(name), null);
  assert.equal(check(`${name}c`), rpcCodes.headerMismatch);
});

Deno.test("a request without its envelope is refused", () => { // M03
  const version = { "io.modelcontextprotocol/protocolVersion": "2026-07-28" };
  const capabilities = { "io.modelcontextprotocol/clientCapabilities": {} };
  const headers = new Headers({ "mcp-protocol-version": "2026-07-28", "mcp-method": "tools/list" });
  for (
    const params of [
      {},
      { _meta: {} },
      { _meta: null },
      { _meta: version },
      { _meta: capabilities },
      { _meta: { ...version, "io.modelcontextprotocol/clientCapabilities": null } },
      { _meta: { ...capabilities, "io.modelcontextprotocol/protocolVersion": 20260728 } },
    ]
  ) {
    const message = parseMessage(JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list", params }));
    assert.equal(refusal({ message, headers }), rpcCodes.invalidParams, JSON.stringify(params));
  }
  // clientInfo is optional.
  const params = { _meta: { ...version, ...capabilities } };
  const message = parseMessage(JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list", params }));
  assert.equal(refusal({ message, headers }), null);
});

Deno.test("a client of the modern era posts no responses", () => {
  const message = parseMessage(`{"jsonrpc":"2.0","id":1,"result":{}}`);
  const headers = new Headers({ "mcp-protocol-version": "2026-07-28" });
  assert.equal(refusal({ message, headers }), rpcCodes.invalidRequest);
});

Deno.test("a method that is named like a part of every object needs no name", () => {
  for (const method of ["constructor", "toString", "__proto__"]) assert.equal(refusal(sent(method)), null);
});

Deno.test("clients say that they understand tasks among their extensions", () => { // M14
  const extension = { extensions: { "io.modelcontextprotocol/tasks": {} } };
  assert.equal(declaresTasks(sent("tools/call", {}, {}, { capabilities: extension }).message), true);
  for (const capabilities of [{}, { extensions: {} }, { extensions: null }, { tasks: {} }]) {
    assert.equal(declaresTasks(sent("tools/call", {}, {}, { capabilities }).message), false);
  }
  assert.equal(declaresTasks(parseMessage(legacy("tools/call", { name: "x" }).body)), false);
});
