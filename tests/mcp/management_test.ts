import assert from "node:assert/strict";
import { Client, ProtocolError, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { Client as LegacyClient } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as LegacyTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import type { Actor } from "../../server/access/actor.ts";
import type { Permissions } from "../../server/access/roles.ts";
import { actions } from "../../server/actions/mod.ts";
import { newId } from "../../server/ids.ts";
import { bearerActor, unauthorized } from "../../server/access/bearer.ts";
import { managementHandler } from "../../server/mcp/management.ts";
import type { Services } from "../../server/services.ts";
import { someone } from "../actions/connection_support.ts";
import { addKey } from "../support/accounts.ts";
import { onServices } from "../support/services.ts";
import { behaviours, startHostile } from "../support/upstreams.ts";

/** The endpoint on a loopback port, for bearers as the application identifies them. */
function serve(services: Services) {
  const handle = managementHandler(services);
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    const actor = await bearerActor(request.headers, { identities: services.identities, resource: "self" });
    if (!actor) return unauthorized(request.headers);
    return await handle(request, actor, { id: newId("req"), userAgent: request.headers.get("user-agent") });
  });
  return {
    url: new URL(`http://127.0.0.1:${server.addr.port}/mcp`),
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

async function keyOf({ db }: Services, actor: Actor & { organizationId: string }, permissions?: Permissions) {
  return (await addKey(db, actor.organizationId, {
    userId: actor.userId,
    permissions: permissions ?? { "*": ["*"] },
  })).secret;
}

async function modernClient(url: URL, key: string, mode: "auto" | "legacy" = "auto"): Promise<Client> {
  const client = new Client({ name: "test", version: "1" }, { versionNegotiation: { mode } });
  const requestInit = { headers: { authorization: `Bearer ${key}` } };
  await client.connect(new StreamableHTTPClientTransport(url, { requestInit }));
  return client;
}

async function legacyClient(url: URL, key: string): Promise<LegacyClient> {
  const client = new LegacyClient({ name: "test", version: "1" });
  const requestInit = { headers: { authorization: `Bearer ${key}` } };
  await client.connect(new LegacyTransport(url, { requestInit }) as Parameters<typeof client.connect>[0]);
  return client;
}

/** Sends bytes as they are, with the headers that a client of the modern era sends for a message. */
async function post(url: URL, key: string, body: string, headers: Record<string, string> = {}) {
  const response = await fetch(url, {
    method: "POST",
    headers: {
      authorization: `Bearer ${key}`,
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      ...headers,
    },
    body,
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text === "" ? null : JSON.parse(text) };
}

const version = "2026-07-28";
const meta = {
  "io.modelcontextprotocol/protocolVersion": version,
  "io.modelcontextprotocol/clientCapabilities": {},
};
const modern = (method: string, params: Record<string, unknown> = {}) =>
  JSON.stringify({ jsonrpc: "2.0", id: 7, method, params: { _meta: meta, ...params } });
const routing = (method: string, name?: string) => ({
  "mcp-protocol-version": version,
  "mcp-method": method,
  ...(name === undefined ? {} : { "mcp-name": name }),
});

onServices("management: each official client, in each era, lists and runs the actions", async (services) => {
  await using endpoint = serve(services);
  await using upstream = startHostile(behaviours.good);
  const ann = await someone(services);
  const key = await keyOf(services, ann);
  const input = { data: { title: "Made by a client", connection_url: upstream.url } };
  // X02: both eras at one URL, at once
  const clients = await Promise.all([
    modernClient(endpoint.url, key),
    modernClient(endpoint.url, key, "legacy"),
    legacyClient(endpoint.url, key),
  ]);
  assert.equal(clients[0]?.getNegotiatedProtocolVersion(), version);
  assert.equal(clients[1]?.getNegotiatedProtocolVersion(), "2025-11-25");
  for (const client of clients) {
    assert.deepEqual(client.getServerCapabilities(), { tools: {} }); // M06
    const { tools } = await client.listTools();
    const offered = actions.filter(({ internal }) => !internal).map(({ name }) => name);
    assert.deepEqual(tools.map((tool: { name: string }) => tool.name), offered);
    const made = await client.callTool({ name: "COLLECTION_CONNECTIONS_CREATE", arguments: input });
    const { item } = made.structuredContent as { item: { id: string; title: string; status: string } };
    assert.deepEqual([item.title, item.status], ["Made by a client", "active"]);
    assert.deepEqual(JSON.parse((made.content as { text: string }[])[0]?.text ?? ""), made.structuredContent);
    const read = await client.callTool({ name: "COLLECTION_CONNECTIONS_GET", arguments: { id: item.id } });
    assert.deepEqual(read.structuredContent, made.structuredContent);
    const list = await client.callTool({ name: "COLLECTION_CONNECTIONS_LIST", arguments: { limit: 1 } });
    assert.equal((list.structuredContent as { items: unknown[] }).items.length, 1);
    await client.close();
  }
});

onServices("management: every tool has a title, annotations and schemas of both sides", async (services) => {
  await using endpoint = serve(services);
  const ann = await someone(services);
  const client = await modernClient(endpoint.url, await keyOf(services, ann));
  const { tools } = await client.listTools();
  for (const { name, title, description, annotations, inputSchema, outputSchema } of tools) {
    const action = actions.find((one) => one.name === name);
    assert.ok(title && description && description.length > 20, name);
    assert.deepEqual([inputSchema.type, outputSchema?.type], ["object", "object"], name);
    assert.deepEqual(annotations, {
      title,
      readOnlyHint: action?.readOnly,
      destructiveHint: action?.destructive,
      idempotentHint: action?.idempotent,
    });
    // G11: a reference to another document would have to be fetched
    assert.doesNotMatch(JSON.stringify([inputSchema, outputSchema]), /"\$ref":"[^#]/, name);
  }
  const create = tools.find(({ name }) => name === "COLLECTION_CONNECTIONS_CREATE");
  assert.deepEqual(create?.inputSchema.required, ["data"]);
  await client.close();
});

onServices("management: the list shows, and a call runs, what the caller may", async (services) => {
  await using endpoint = serve(services);
  const ann = await someone(services);
  const bob = await someone(services, ["user"], ann.organizationId);
  const names = async (key: string) => {
    const client = await modernClient(endpoint.url, key);
    const { tools } = await client.listTools();
    await client.close();
    return tools.map(({ name }) => name);
  };
  const lists = await names(await keyOf(services, ann, { self: ["*_LIST"] }));
  assert.ok(lists.length > 0 && lists.every((name) => name.endsWith("_LIST")), lists.join());
  assert.ok(!(await names(await keyOf(services, bob))).includes("COLLECTION_CONNECTIONS_CREATE"));
  assert.deepEqual(await names(await keyOf(services, ann, { conn_x: ["*"] })), []);

  const client = await modernClient(endpoint.url, await keyOf(services, bob));
  const input = { data: { title: "T", connection_url: "http://127.0.0.1:1/" } };
  const denied = await client.callTool({ name: "COLLECTION_CONNECTIONS_CREATE", arguments: input });
  assert.equal(denied.isError, true);
  assert.match(
    JSON.stringify(denied.content),
    /permission 'COLLECTION_CONNECTIONS_CREATE' on 'self' is missing/,
  );
  const invalid = await client.callTool({ name: "COLLECTION_CONNECTIONS_GET", arguments: { id: 5 } });
  assert.equal(invalid.isError, true);
  assert.match(JSON.stringify(invalid.content), /Cannot run COLLECTION_CONNECTIONS_GET: id/);
  await client.close();
});

onServices("management: an unknown tool is an error of the protocol, in both eras", async (services) => {
  await using endpoint = serve(services);
  const key = await keyOf(services, await someone(services));
  for (const mode of ["auto", "legacy"] as const) {
    const client = await modernClient(endpoint.url, key, mode);
    await assert.rejects(client.callTool({ name: "NO_SUCH_TOOL" }), (error) => {
      assert.ok(error instanceof ProtocolError);
      assert.equal(error.code, -32602);
      return true;
    });
    await client.close();
  }
});

onServices("management: an error that nobody expected says nothing of itself", async (services) => {
  await using endpoint = serve(services);
  const client = await modernClient(endpoint.url, await keyOf(services, await someone(services)));
  await services.db.schema.dropTable("connection_tools").execute();
  const input = { name: "COLLECTION_CONNECTIONS_LIST", arguments: { binding: "search" } };
  const result = await client.callTool(input);
  assert.equal(result.isError, true);
  assert.match(JSON.stringify(result.content), /Internal error.*req_/);
  assert.doesNotMatch(JSON.stringify(result), /connection_tools|table/);
  await client.close();
});

onServices("management: a POST holds one JSON message of the right type and size", async (services) => {
  await using endpoint = serve(services);
  const { url } = endpoint;
  const key = await keyOf(services, await someone(services));
  const list = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list" });
  const batch = await post(url, key, `[${list}]`); // G09
  assert.deepEqual([batch.status, batch.body.error.code], [400, -32600]);
  const malformed = await post(url, key, "{"); // G10
  assert.deepEqual([malformed.status, malformed.body.error.code], [400, -32700]);
  assert.equal((await post(url, key, list, { "content-type": "text/plain" })).status, 415); // G10
  assert.equal((await post(url, key, JSON.stringify({ pad: "x".repeat(11_000_000) }))).status, 413); // G10
  assert.equal((await post(url, "wrong", list)).status, 401);
  const answer = await post(url, key, list);
  assert.deepEqual([answer.status, answer.body.id], [200, 1]);
  assert.match(answer.headers.get("content-type") ?? "", /^application\/json/);
});

onServices("management: there are no sessions to open, resume or end", async (services) => {
  await using endpoint = serve(services);
  const key = await keyOf(services, await someone(services));
  for (const method of ["GET", "DELETE", "PUT"]) { // L05
    const response = await fetch(endpoint.url, { method, headers: { authorization: `Bearer ${key}` } });
    await response.body?.cancel();
    assert.deepEqual([response.status, response.headers.get("allow")], [405, "POST"], method);
  }
  const params = {
    protocolVersion: "2025-11-25",
    capabilities: {},
    clientInfo: { name: "test", version: "1" },
  };
  const initialize = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "initialize", params });
  const answer = await post(endpoint.url, key, initialize);
  assert.equal(answer.status, 200);
  assert.equal(answer.headers.get("mcp-session-id"), null);
  const initialized = await post(endpoint.url, key, '{"jsonrpc":"2.0","method":"notifications/initialized"}');
  assert.deepEqual([initialized.status, initialized.body], [202, null]);
});

onServices("management: a modern message says the same in its headers and its body", async (services) => {
  await using endpoint = serve(services);
  const { url } = endpoint;
  const key = await keyOf(services, await someone(services));
  const ask = (body: string, headers: Record<string, string>) => post(url, key, body, headers);
  const name = "COLLECTION_CONNECTIONS_LIST";
  const call = modern("tools/call", { name, arguments: {} });
  const code = async (body: string, headers: Record<string, string>) => {
    const answer = await ask(body, headers);
    return [answer.status, answer.body.error?.code];
  };
  assert.equal((await ask(call, routing("tools/call", name))).status, 200);
  assert.equal((await ask(call, routing("tools/call", `=?base64?${btoa(name)}?=`))).status, 200); // M01
  for (
    const headers of [
      routing("tools/list", name),
      routing("tools/call", "COLLECTION_CONNECTIONS_GET"),
      routing("tools/call"),
      { ...routing("tools/call", name), "mcp-method": "" },
      { "mcp-method": "tools/call", "mcp-name": name },
      { ...routing("tools/call", name), "mcp-protocol-version": "2025-11-25" },
    ]
  ) {
    assert.deepEqual(await code(call, headers), [400, -32020], JSON.stringify(headers)); // M01
  }
  // M03
  const bare = JSON.stringify({ jsonrpc: "2.0", id: 7, method: "tools/list", params: {} });
  assert.deepEqual(await code(bare, routing("tools/list")), [400, -32602]);
  const half = { "io.modelcontextprotocol/protocolVersion": version };
  assert.deepEqual(await code(modern("tools/list", { _meta: half }), routing("tools/list")), [400, -32602]);
  // M04
  const future = { ...meta, "io.modelcontextprotocol/protocolVersion": "2099-01-01" };
  const unsupported = await ask(modern("tools/list", { _meta: future }), {
    ...routing("tools/list"),
    "mcp-protocol-version": "2099-01-01",
  });
  assert.deepEqual([unsupported.status, unsupported.body.error.code], [400, -32022]);
  assert.ok(unsupported.body.error.data.supported.includes(version));
});

onServices("management: what a modern server says that it serves is what it serves", async (services) => {
  await using endpoint = serve(services);
  const { url } = endpoint;
  const ann = await someone(services);
  const key = await keyOf(services, ann);
  const discover = await post(url, key, modern("server/discover"), routing("server/discover"));
  assert.deepEqual(discover.body.result.capabilities, { tools: {} }); // M06
  assert.ok(discover.body.result.supportedVersions.includes(version));
  const list = await post(url, key, modern("tools/list"), routing("tools/list"));
  assert.equal(list.body.result.cacheScope, "private"); // M07
  assert.equal(list.body.result.ttlMs, 0);
  for (
    const method of [
      "initialize",
      "ping",
      "logging/setLevel",
      "resources/subscribe",
      "resources/list",
      "prompts/list",
      "subscriptions/listen",
      "no/such/method",
    ]
  ) {
    const answer = await post(url, key, modern(method), routing(method));
    assert.deepEqual([answer.status, answer.body.error.code, answer.body.id], [404, -32601, 7], method); // M04, M06
  }
});
