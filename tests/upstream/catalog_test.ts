import assert from "node:assert/strict";
import { Outbound } from "../../server/outbound.ts";
import { type CatalogResult, readCatalog } from "../../server/upstream/catalog.ts";
import type { Header } from "../../server/upstream/credentials.ts";
import {
  type Behaviour,
  behaviours,
  closedPort,
  startEverything,
  startFixture,
  startHostile,
} from "../support/upstreams.ts";

const small = { totalMs: 60_000, maxBytes: 1_000_000 };
/** For servers that fall silent, which take as long as they may. */
const quick = { ...small, totalMs: 700 };

/** Reads a catalog through a client of its own, which must be left without a connection in use. */
async function read(
  url: string,
  options: { headers?: Header[]; limits?: typeof quick } = {},
): Promise<CatalogResult> {
  const outbound = new Outbound({ allow: [], loopbackAllowed: true });
  try {
    const peer = { title: "Linear", url, headers: options.headers ?? [] };
    return await readCatalog(outbound, peer, options.limits);
  } finally {
    const { open, idle } = outbound.sockets;
    assert.equal(open - idle, 0, "a connection is still in use");
    outbound.close();
  }
}

function failed(result: CatalogResult) {
  assert.ok(!result.ok, "the upstream was expected to be of no use");
  return result;
}

function served(result: CatalogResult) {
  assert.ok(result.ok, JSON.stringify(result));
  return result;
}

/** A server of the handshake era whose lists are made by a function. */
function listing(pages: (method: string, cursor: string | undefined) => Record<string, unknown>): Behaviour {
  return async ({ request, send }) => {
    const { id, method = "", params } = request.message;
    if (id === undefined) {
      return void await send("HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    }
    const initialize = {
      protocolVersion: "2025-06-18",
      capabilities: { tools: {}, resources: {}, prompts: {} },
      serverInfo: { name: "listing", version: "1" },
    };
    const known = method === "initialize" || method.endsWith("/list");
    const answer = known
      ? { result: method === "initialize" ? initialize : pages(method, params?.cursor as string | undefined) }
      : { error: { code: -32601, message: "Method not found" } };
    const body = new TextEncoder().encode(JSON.stringify({ jsonrpc: "2.0", id, ...answer }));
    await send(
      `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n`,
    );
    await send(body);
  };
}

const empty: Record<string, Record<string, unknown>> = {
  "tools/list": { tools: [] },
  "resources/list": { resources: [] },
  "resources/templates/list": { resourceTemplates: [] },
  "prompts/list": { prompts: [] },
};

for (const era of ["both", "legacy", "modern"] as const) {
  Deno.test(`catalog: a server of the era '${era}' is read whole, and left without a session`, async () => {
    await using upstream = await startFixture({ era });
    const catalog = served(await read(upstream.url));
    assert.equal(catalog.protocolVersion, era === "legacy" ? "2025-11-25" : "2026-07-28"); // X03
    assert.ok(catalog.tools.length > 10);
    const echo = catalog.tools.find(({ name }) => name === "echo");
    assert.deepEqual([echo?.title, echo?.annotations], ["Echo", { readOnlyHint: true }]);
    assert.ok(catalog.resources?.length && catalog.resourceTemplates?.length && catalog.prompts?.length);
    assert.deepEqual(catalog.notes, []);
    assert.deepEqual(upstream.sessions(), []);
    assert.ok(upstream.seen.every(({ method }) => method !== "GET"), "no idle stream is opened");
    // G01: schemas survive with keywords that we do not know
    const schema = catalog.tools.find(({ name }) => name === "json_schema_2020_12_tool")?.inputSchema;
    for (const keyword of ["$defs", "$anchor", "allOf", "if"]) {
      assert.ok(JSON.stringify(schema).includes(`"${keyword}"`), keyword);
    }
  });
}

Deno.test("catalog: the reference server is read", async () => {
  await using upstream = await startEverything();
  const catalog = served(await read(upstream.url));
  assert.equal(catalog.protocolVersion, "2025-11-25");
  assert.ok(catalog.tools.some(({ name }) => name === "echo"));
});

Deno.test("catalog: reading again and again leaves no socket behind", async () => {
  await using upstream = await startEverything();
  const outbound = new Outbound({ allow: [], loopbackAllowed: true });
  try {
    for (let i = 0; i < 15; i++) {
      served(await readCatalog(outbound, { title: "Everything", url: upstream.url, headers: [] }));
      const { open, idle } = outbound.sockets;
      assert.equal(open, idle, `after ${i + 1} cycles a stream is still open`);
      assert.ok(open <= 3, `after ${i + 1} cycles ${open} sockets are open`);
    }
  } finally {
    outbound.close();
  }
});

Deno.test("catalog: every page is followed, in the order sent", async () => {
  const pages = (method: string, cursor: string | undefined) => {
    if (method !== "tools/list") return empty[method] ?? {};
    const start = Number(cursor ?? 0);
    const tools = [start, start + 1].map((n) => ({
      name: `tool_${n}`,
      inputSchema: { type: "object" },
      extra: n,
    }));
    return { tools, ...(start < 198 ? { nextCursor: String(start + 2) } : {}) };
  };
  await using upstream = startHostile(listing(pages));
  const { tools } = served(await read(upstream.url, { limits: { totalMs: 20_000, maxBytes: 1_000_000 } }));
  assert.deepEqual(tools.map(({ name }) => name), Array.from({ length: 200 }, (_, n) => `tool_${n}`));
  assert.equal(tools[7]?.extra, 7, "members that we do not know survive");
});

Deno.test("catalog: lists without an end or bound are given up", async () => {
  const endless: [(cursor: string | undefined) => Record<string, unknown>, string][] = [
    [() => ({ tools: [], nextCursor: "again" }), "endless"],
    [(cursor) => ({ tools: Array(6000).fill({ name: "t" }), nextCursor: `${cursor ?? ""}x` }), "too_many"],
    [() => ({ tools: [{ title: "no name" }] }), "not_mcp"],
    [() => ({ tools: "none" }), "not_mcp"],
    [() => ({}), "not_mcp"],
    [
      () => ({ tools: [{ name: "big", description: "x".repeat(999_000) }], nextCursor: crypto.randomUUID() }),
      "too_large",
    ],
  ];
  for (const [tools, code] of endless) {
    const pages = (method: string, cursor: string | undefined) =>
      method === "tools/list" ? tools(cursor) : empty[method] ?? {};
    await using upstream = startHostile(listing(pages));
    const result = failed(await read(upstream.url, { limits: { totalMs: 10_000, maxBytes: 3_000_000 } }));
    assert.equal(result.code, code, result.message);
    assert.match(result.message, /^Linear /);
  }
});

Deno.test("catalog: an answer of more parts than can be read in time is given up", async () => {
  await using upstream = startHostile(async ({ send }) => {
    const body = `{"jsonrpc":"2.0","id":0,"result":{"tools":[${"{},".repeat(6_000_000)}{}]}}`;
    await send(
      `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );
  });
  const limits = { totalMs: 60_000, maxBytes: 20_000_000 };
  assert.equal(failed(await read(upstream.url, { limits })).code, "too_large");
});

Deno.test("catalog: what cannot be kept in one row is given up", async () => {
  const text = "日".repeat(300_000);
  const tools = Array.from({ length: 10 }, (_, n) => ({ name: `t${n}`, description: text }));
  const pages = (method: string) => method === "tools/list" ? { tools } : empty[method] ?? {};
  await using upstream = startHostile(listing(pages));
  const limits = { totalMs: 10_000, maxBytes: 20_000_000 };
  assert.equal(failed(await read(upstream.url, { limits })).code, "too_large");
});

Deno.test("catalog: without its resources or prompts a server is of use, with a note", async () => {
  const pages = (method: string) => method === "tools/list" ? { tools: [{ name: "t" }] } : { odd: true };
  await using upstream = startHostile(listing(pages));
  const catalog = served(await read(upstream.url));
  assert.deepEqual(catalog.tools.map(({ name }) => name), ["t"]);
  assert.deepEqual([catalog.resources, catalog.resourceTemplates, catalog.prompts], [null, null, null]);
  assert.equal(catalog.notes.length, 3);
  assert.match(catalog.notes[1] ?? "", /^resources\/templates\/list failed: /);
});

Deno.test("catalog: a legacy server that fails at the modern question is asked in its own way", async () => {
  const inner = listing((method) => empty[method] ?? {});
  await using upstream = startHostile(async (exchange) =>
    await (exchange.request.message.method === "server/discover" ? behaviours.serverError : inner)(exchange)
  );
  assert.equal(served(await read(upstream.url)).protocolVersion, "2025-06-18");
});

Deno.test("catalog: a failure names the connection, the stage and what to do", async (t) => {
  const b = behaviours;
  const cases: [string, Behaviour, [string, string], RegExp][] = [
    ["garbage", b.garbage, ["handshake", "protocol"], /does not speak MCP/],
    ["html", b.html, ["handshake", "not_mcp"], /no MCP server at this URL/],
    ["500", b.serverError, ["http", "http_500"], /failed \(500\)/],
    ["401", b.unauthorized, ["token", "http_401"], /asks for a credential \(401\)/],
    [
      "redirect",
      b.redirectTo("http://169.254.169.254/x?key=1"),
      ["http", "http_307"],
      /to 'http:\/\/169.254.169.254\/x'/,
    ],
    ["hang", b.hang, ["http", "timeout"], /did not answer in time/],
    ["hang in the body", b.hangMidBody, ["http", "timeout"], /did not answer in time/],
    ["hang in the stream", b.hangMidStream, ["handshake", "timeout"], /did not answer in time/],
    ["endless body", b.endlessBody, ["http", "too_large"], /too large/],
    ["endless event", b.endlessEvent, ["http", "too_large"], /too large/],
    ["500 MB", b.largeBody(500_000_000), ["http", "too_large"], /too large/],
    ["dropped", b.dropBeforeHeaders, ["http", "headers"], /did not answer in HTTP/],
    ["dropped in the body", b.dropMidBody, ["http", "body"], /broke off/],
    ["not HTTP", b.notHttp, ["http", "headers"], /did not answer in HTTP/],
  ];
  for (const [name, behaviour, [stage, code], message] of cases) {
    await t.step(name, async () => {
      await using upstream = startHostile(behaviour);
      const result = failed(await read(upstream.url, { limits: code === "timeout" ? quick : small }));
      assert.deepEqual([result.stage, result.code], [stage, code], result.message);
      assert.match(result.message, /^Linear /);
      assert.match(result.message, message);
      await upstream.idle();
    });
  }
});

Deno.test("catalog: an address that cannot be reached fails at its stage", async () => {
  await using plain = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    () => new Response(),
  );
  const cases: [string, string, string][] = [
    [closedPort(), "tcp", "tcp"],
    ["http://nobody.invalid/mcp", "dns", "dns"],
    [`https://127.0.0.1:${plain.addr.port}/mcp`, "tls", "tls_not_spoken"],
    ["http://10.0.0.1/mcp", "tcp", "outbound_refused"],
  ];
  for (const [url, stage, code] of cases) {
    const result = failed(await read(url));
    assert.deepEqual([result.stage, result.code], [stage, code], result.message);
  }
});

Deno.test("catalog: the credential goes to the upstream alone, and never into a message", async () => {
  await using upstream = await startFixture({ authorization: "Bearer quiet-heron" });
  const headers: Header[] = [["authorization", "Bearer quiet-heron"], ["x-team", "blue-otter"]];
  served(await read(upstream.url, { headers }));
  assert.ok(upstream.seen.every((request) => request.headers["x-team"] === "blue-otter"));
  const wrong = failed(await read(upstream.url, { headers: [["authorization", "Bearer grey-lynx"]] }));
  assert.match(wrong.message, /did not accept the token \(401\)/);
  await using echo = startHostile(async ({ request, send }) => {
    const error = { code: -32000, message: `who is ${request.headers.authorization}?\n\u001b[31m` };
    const body = JSON.stringify({ jsonrpc: "2.0", id: request.message.id, error });
    const head = `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n`;
    await send(`${head}connection: close\r\n\r\n${body}`);
  });
  const repeated = failed(await read(echo.url, { headers }));
  assert.equal(repeated.code, "mcp_-32000");
  assert.equal(repeated.message, "Linear answered with an error (handshake): 'who is ***? [31m'");
});
