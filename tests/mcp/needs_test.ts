import assert from "node:assert/strict";
import type { Actor } from "../../server/access/actor.ts";
import type { Permissions } from "../../server/access/roles.ts";
import { TooLong } from "../../server/upstream/answer.ts";
import { parseMessage } from "../../server/mcp/message.ts";
import {
  anyListFilter,
  isCall,
  listFilter,
  misnamed,
  missingAction,
  neededActions,
} from "../../server/mcp/needs.ts";

const here = "conn_here";

function actor(limits: Permissions | null, roles = ["owner"]): Actor {
  return {
    kind: limits ? "key" : "session",
    userId: "usr_1",
    name: "Ann",
    email: "ann@example.com",
    organizationId: "org_1",
    roles,
    limits,
    keyId: limits ? "key_1" : null,
    clientId: null,
    resource: null,
  };
}

function message(method: string, params: Record<string, unknown> = {}, id: number | undefined = 1) {
  return parseMessage(JSON.stringify({ jsonrpc: "2.0", id, method, params }));
}

const notification = (method: string, params: Record<string, unknown> = {}) =>
  parseMessage(JSON.stringify({ jsonrpc: "2.0", method, params }));

Deno.test("each method needs the action of what it touches", () => {
  const needs: [string, Record<string, unknown>, string[]][] = [
    ["tools/call", { name: "echo" }, ["echo"]],
    ["tools/call", { name: "*" }, ["*"]],
    ["tools/call", { name: "prompt:greeting" }, ["*"]],
    ["tools/call", { name: "resource:file" }, ["*"]],
    ["prompts/get", { name: "greeting" }, ["prompt:greeting"]],
    ["resources/read", { uri: "file:///a" }, ["resource:file:///a"]],
    ["resources/subscribe", { uri: "file:///a" }, ["resource:file:///a"]],
    ["resources/unsubscribe", { uri: "file:///a" }, ["resource:file:///a"]],
    ["completion/complete", { ref: { type: "ref/prompt", name: "greeting" } }, ["prompt:greeting"]],
    ["completion/complete", { ref: { type: "ref/resource", uri: "a:{b}" } }, ["resource:a:{b}"]],
    ["completion/complete", { ref: { type: "ref/other" } }, ["*"]],
    ["completion/complete", {}, ["*"]],
    ["subscriptions/listen", { notifications: { toolsListChanged: true } }, []],
    ["subscriptions/listen", { notifications: { resourceSubscriptions: ["a:1", "a:2"] } }, [
      "resource:a:1",
      "resource:a:2",
    ]],
    ["something/new", {}, ["*"]],
    ["constructor", {}, ["*"]],
  ];
  for (const [method, params, expected] of needs) {
    assert.deepEqual(neededActions(message(method, params)), expected, method);
  }
  const open = ["initialize", "ping", "server/discover", "logging/setLevel", "tools/list", "prompts/list"];
  for (const method of [...open, "resources/list", "resources/templates/list", "tasks/get", "tasks/list"]) {
    assert.deepEqual(neededActions(message(method)), [], method);
  }
});

Deno.test("a call without an id needs what one with an id needs", () => {
  assert.deepEqual(neededActions(notification("tools/call", { name: "secret" })), ["secret"]);
  assert.deepEqual(neededActions(notification("something/new")), ["*"]);
  assert.deepEqual(neededActions(notification("notifications/cancelled", { requestId: 1 })), []);
  assert.deepEqual(
    neededActions(message("notifications/cancelled")),
    ["*"],
    "with an id it is no notification",
  );
  assert.deepEqual(neededActions(parseMessage(`{"jsonrpc":"2.0","id":1,"result":{}}`)), []);
});

Deno.test("what is a call has a row in the log", () => {
  for (const method of ["tools/call", "prompts/get", "resources/read", "something/new"]) {
    assert.equal(isCall(message(method)), true, method);
  }
  for (const method of ["initialize", "ping", "tools/list", "completion/complete", "tasks/get"]) {
    assert.equal(isCall(message(method, { ref: { type: "ref/prompt", name: "p" } })), false, method);
  }
  assert.equal(isCall(notification("tools/call", { name: "x" })), true);
  assert.equal(isCall(notification("notifications/initialized")), false);
});

Deno.test("a name that is no string is told before anybody reads it his own way", () => {
  assert.equal(misnamed(message("tools/call", { name: ["echo"] })), "name");
  assert.equal(misnamed(message("tools/call")), "name");
  assert.equal(misnamed(message("prompts/get", { name: 1 })), "name");
  assert.equal(misnamed(message("resources/read", { uri: null })), "uri");
  assert.equal(misnamed(message("resources/subscribe", { uri: {} })), "uri");
  assert.equal(misnamed(message("tools/call", { name: "echo" })), null);
  assert.equal(misnamed(message("tools/list")), null);
  assert.equal(misnamed(message("constructor")), null);
});

Deno.test("the first missing action is named; tools alone give no prompts and no resources", () => {
  const tools = actor({ [here]: ["echo", "add"] });
  assert.equal(missingAction(tools, here, message("tools/call", { name: "echo" })), null);
  assert.equal(missingAction(tools, here, message("tools/list")), null);
  assert.equal(missingAction(tools, here, notification("notifications/initialized")), null);
  assert.equal(missingAction(tools, here, message("tools/call", { name: "rm" })), "rm");
  assert.equal(missingAction(tools, here, message("prompts/get", { name: "echo" })), "prompt:echo");
  assert.equal(missingAction(tools, here, message("resources/read", { uri: "echo" })), "resource:echo");
  assert.equal(missingAction(tools, here, message("something/new")), "*");
  assert.equal(missingAction(tools, "conn_other", message("tools/list")), "*");
  assert.equal(missingAction(tools, "conn_other", notification("notifications/initialized")), "*");

  const mixed = actor({ [here]: ["prompt:*", "resource:file:///pub/*"] });
  assert.equal(missingAction(mixed, here, message("prompts/get", { name: "any" })), null);
  assert.equal(missingAction(mixed, here, message("resources/read", { uri: "file:///pub/a" })), null);
  assert.equal(missingAction(mixed, here, message("tools/call", { name: "prompt:x" })), "*");
  const listen = { notifications: { resourceSubscriptions: ["file:///pub/a", "file:///etc/b"] } };
  assert.equal(missingAction(mixed, here, message("subscriptions/listen", listen)), "resource:file:///etc/b");
});

Deno.test("more resources than can be looked at one by one take everything", () => {
  const some = actor({ [here]: ["resource:*"] });
  const listen = (count: number) => ({
    notifications: { resourceSubscriptions: Array.from({ length: count }, (_, i) => `file:///${i}`) },
  });
  assert.equal(missingAction(some, here, message("subscriptions/listen", listen(1000))), null);
  assert.equal(missingAction(some, here, message("subscriptions/listen", listen(1001))), "*");
  const all = actor({ [here]: ["*"] });
  assert.equal(missingAction(all, here, message("subscriptions/listen", listen(1001))), null);
});

Deno.test("a list longer than any page is refused, not cut, for those who may not use everything", () => {
  const filter = listFilter(actor({ [here]: ["echo"] }), here, message("tools/list"));
  const result = list("tools", "name", Array<string>(10_000).fill("echo"));
  filter?.(result);
  assert.equal(result.tools?.length, 10_000);
  assert.throws(() => filter?.(list("tools", "name", Array<string>(10_001).fill("echo"))), TooLong);
});

Deno.test("a role and a key are both needed", () => {
  const everything = { "*": ["*"] };
  assert.equal(missingAction(actor(everything, []), here, message("tools/list")), "*");
  assert.equal(missingAction(actor(everything, ["user"]), here, message("tools/call", { name: "x" })), null);
  assert.equal(missingAction(actor(null, ["user"]), here, message("tools/call", { name: "x" })), null);
});

const list = (member: string, key: string, values: string[]) => ({
  [member]: values.map((value) => ({ [key]: value })),
});

Deno.test("lists keep what the caller may use, and become private", () => { // M07
  const some = actor({ [here]: ["echo", "prompt:hi", "resource:a:*"] });
  const lists: [string, Record<string, unknown>, Record<string, unknown>][] = [
    ["tools/list", list("tools", "name", ["echo", "rm", "prompt:hi"]), list("tools", "name", ["echo"])],
    ["prompts/list", list("prompts", "name", ["hi", "echo"]), list("prompts", "name", ["hi"])],
    ["resources/list", list("resources", "uri", ["a:1", "b:1"]), list("resources", "uri", ["a:1"])],
    [
      "resources/templates/list",
      list("resourceTemplates", "uriTemplate", ["a:{x}", "b:{x}"]),
      list("resourceTemplates", "uriTemplate", ["a:{x}"]),
    ],
  ];
  for (const [method, given, kept] of lists) {
    for (const filter of [listFilter(some, here, message(method)), anyListFilter(some, here)]) {
      assert.ok(filter);
      const result = structuredClone({ ...given, nextCursor: "n", ttlMs: 5, cacheScope: "public" });
      assert.equal(filter(result), true);
      assert.deepEqual(result, { ...kept, nextCursor: "n", ttlMs: 5, cacheScope: "private" });
    }
  }
});

Deno.test("a list without a cache scope gets none, and what is no list stays", () => {
  const filter = listFilter(actor({ [here]: ["echo"] }), here, message("tools/list"));
  assert.ok(filter);
  const legacy = list("tools", "name", ["rm"]);
  assert.equal(filter(legacy), true);
  assert.deepEqual(legacy, { tools: [] });
  for (const result of [{}, { tools: "none" }, { content: [] }]) {
    const before = structuredClone(result);
    assert.equal(filter(result), false);
    assert.deepEqual(result, before);
  }
  const odd = { tools: [null, "echo", { name: "echo" }, { title: "x" }] };
  filter(odd);
  assert.deepEqual(odd, { tools: [{ name: "echo" }] });
});

Deno.test("nothing is filtered for those who may use everything, nor in what is no list", () => {
  assert.equal(listFilter(actor({ [here]: ["*"] }), here, message("tools/list")), null);
  assert.equal(anyListFilter(actor(null), here), null);
  assert.equal(listFilter(actor({ [here]: ["echo"] }), here, message("tools/call", { name: "echo" })), null);
  assert.equal(listFilter(actor({ [here]: ["echo"] }), here, message("constructor")), null);
});
