import assert from "node:assert/strict";
import { listLogs } from "../../server/actions/audit_log.ts";
import { importConnections } from "../../server/actions/connection_import.ts";
import {
  callConnectionTool,
  configureConnection,
  testConnection,
} from "../../server/actions/connection_use.ts";
import { getConnection, listConnections, updateConnection } from "../../server/actions/connections.ts";
import { withDatabase } from "../support/databases.ts";
import { onServices, withServices } from "../support/services.ts";
import { behaviours, closedPort, startFixture, startHostile } from "../support/upstreams.ts";
import { connect, refused, run, someone, withKey } from "./connection_support.ts";

onServices("CONNECTION_TEST says what works, where it fails, and keeps what it learns", async (services) => {
  await using upstream = startHostile(behaviours.good);
  const ann = await someone(services);
  const { id, tools } = await connect(services, ann, { title: "Linear", connection_url: upstream.url });
  const good = await run(services, ann, [testConnection, { id }]);
  assert.ok(good.latencyMs > 0);
  const { stages, ...rest } = good;
  assert.deepEqual({ ...rest, latencyMs: 0 }, {
    id,
    healthy: true,
    latencyMs: 0,
    stage: null,
    code: null,
    message: null,
    advice: null,
    protocolVersion: "2025-11-25",
    tools: tools?.map(({ name }) => name),
  });
  assert.deepEqual(stages.map(({ stage, ok, skipped }) => [stage, ok, skipped ?? false]), [
    ["dns", true, true],
    ["tcp", true, false],
    ["tls", true, true],
    ["http", true, false],
    ["auth_discovery", true, true],
    ["token", true, true],
    ["handshake", true, false],
    ["list", true, false],
  ]);
  const before = await run(services, ann, [getConnection, { id }]);
  assert.equal(before.item?.status, "active");

  upstream.behave(behaviours.unauthorized);
  const bad = await run(services, ann, [testConnection, { id }]);
  assert.deepEqual([bad.healthy, bad.stage, bad.code, bad.tools], [false, "token", "http_401", null]);
  assert.match(bad.message ?? "", /^Linear .*\(401\)$/);
  assert.equal(bad.advice, "Add a token");
  const { item: failing } = await run(services, ann, [getConnection, { id }]);
  assert.deepEqual([failing?.status, failing?.status_reason], ["error", `${bad.message}. Add a token`]);
  assert.deepEqual(failing?.tools, tools, "what it listed before stays");

  upstream.behave(behaviours.good);
  await run(services, ann, [testConnection, { id }]);
  const { item: again } = await run(services, ann, [getConnection, { id }]);
  assert.deepEqual([again?.status, again?.status_reason], ["active", null]);
  await run(services, ann, [testConnection, { id }]);
  const { item: unchanged } = await run(services, ann, [getConnection, { id }]);
  assert.equal(unchanged?.updated_at, again?.updated_at, "a test that finds nothing new changes nothing");

  const eve = await someone(services);
  await refused(run(services, eve, [testConnection, { id }]), "not_found", /none with the id/);
});

onServices("CONNECTION_TEST does not overwrite a change that was made meanwhile", async (services) => {
  await using upstream = startHostile(behaviours.good);
  const ann = await someone(services);
  const { id } = await connect(services, ann, { connection_url: upstream.url });
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  const asked = Promise.withResolvers<void>();
  upstream.behave(async () => {
    asked.resolve();
    await released; // then the connection closes without an answer
  });
  const testing = run(services, ann, [testConnection, { id }]);
  await asked.promise;
  await run(services, ann, [updateConnection, { id, data: { title: "Renamed" } }]);
  release();
  assert.equal((await testing).healthy, false);
  const { item } = await run(services, ann, [getConnection, { id }]);
  assert.deepEqual([item?.title, item?.status], ["Renamed", "active"]);
});

onServices("CONNECTION_CONFIGURE seals the configuration and shows its shape alone", async (services) => {
  await using upstream = startHostile(behaviours.good);
  const ann = await someone(services);
  const { id } = await connect(services, ann, { connection_url: upstream.url });
  const state = { key: "quiet-heron", nested: { deep: [1, "two", true, null] } };
  const input = { id, configuration_state: state, configuration_scopes: ["a", "b"] };
  const { item } = await run(services, ann, [configureConnection, input]);
  assert.deepEqual(item.configuration_state, { key: "***", nested: { deep: ["***", "***", true, null] } });
  assert.deepEqual(item.configuration_scopes, ["a", "b"]);
  const row = await services.db.selectFrom("connections").selectAll().where("id", "=", id)
    .executeTakeFirstOrThrow();
  const place = {
    organizationId: ann.organizationId,
    table: "connections",
    column: "sealed_configuration",
    rowId: id,
  };
  const stored = async (sealed: string | null) => JSON.parse(await services.vault.open(place, sealed ?? ""));
  assert.deepEqual(await stored(row.sealed_configuration), state);

  const kept = { key: "***", nested: { deep: [2, "***"] } };
  const again = await run(services, ann, [configureConnection, { id, configuration_state: kept }]);
  assert.deepEqual(again.item.configuration_scopes, ["a", "b"]);
  const next = await services.db.selectFrom("connections").select("sealed_configuration").where("id", "=", id)
    .executeTakeFirstOrThrow();
  assert.deepEqual(await stored(next.sealed_configuration), {
    key: "quiet-heron",
    nested: { deep: [2, "two"] },
  });
});

onServices(
  "CONNECTION_CALL_TOOL calls with the connection's credential, as the person may",
  async (services) => {
    await using upstream = await startFixture({ authorization: "Bearer quiet-heron" });
    const ann = await someone(services);
    const { id } = await connect(services, ann, {
      connection_url: upstream.url,
      connection_token: "quiet-heron",
    });
    const call = (toolName: string, args: Record<string, unknown> = {}) => ({
      id,
      toolName,
      arguments: args,
    });
    const answer = await run(services, ann, [callConnectionTool, call("echo", { text: "hello" })]);
    assert.deepEqual(answer.content, [{ type: "text", text: "hello" }]);
    assert.equal(answer.isError, false);
    assert.ok(answer.durationMs > 0);
    assert.match(answer.requestId, /^req_/);
    assert.equal(upstream.seen.at(-1)?.headers.authorization, "Bearer quiet-heron");

    const failing = await run(services, ann, [callConnectionTool, call("test_error_handling")]);
    assert.equal(failing.isError, true);
    const structured = await run(services, ann, [callConnectionTool, call("whoami")]);
    assert.ok(structured.structuredContent);
    await refused(
      run(services, ann, [callConnectionTool, call("no_such_tool")]),
      "upstream_failed",
      /Upstream answered/,
    );

    const bob = await someone(services, ["user"], ann.organizationId);
    assert.equal(
      (await run(services, bob, [callConnectionTool, call("echo", { text: "b" })])).isError,
      false,
    );
    const key = withKey(ann, { self: ["CONNECTION_CALL_TOOL"], [id]: ["whoami"] });
    await refused(
      run(services, key, [callConnectionTool, call("echo")]),
      "forbidden",
      new RegExp(`'echo' on '${id}'`),
    );
    const eve = await someone(services);
    await refused(run(services, eve, [callConnectionTool, call("echo")]), "not_found", /no connection/);

    const { logs } = await run(services, ann, [listLogs, { connectionId: id }]);
    assert.deepEqual(
      logs.filter(({ userId }) => userId === ann.userId).map(({ toolName, outcome }) => [toolName, outcome]),
      [
        ["echo", "denied"],
        ["no_such_tool", "failed"],
        ["whoami", "ok"],
        ["test_error_handling", "failed"],
        ["echo", "ok"],
      ],
    );

    await run(services, ann, [updateConnection, { id, data: { status: "inactive" } }]);
    await refused(run(services, ann, [callConnectionTool, call("echo")]), "conflict", /switched off/);
  },
);

onServices("CONNECTION_CALL_TOOL sends the arguments that a tool wants as headers", async (services) => {
  await using upstream = await startFixture({ era: "modern" });
  const ann = await someone(services);
  const { id } = await connect(services, ann, { connection_url: upstream.url });
  const { item } = await run(services, ann, [getConnection, { id }]);
  const tool = item?.tools?.find(({ name }) => name === "test_header_parameter");
  const properties =
    (tool?.inputSchema as { properties: Record<string, Record<string, unknown>> }).properties;
  const [name, property] = Object.entries(properties).find(([, schema]) => "x-mcp-header" in schema) ?? [];
  assert.ok(name && property);
  const input = { id, toolName: "test_header_parameter", arguments: { [name]: "north" } };
  await run(services, ann, [callConnectionTool, input]);
  // M02
  assert.equal(
    upstream.seen.at(-1)?.headers[`mcp-param-${String(property["x-mcp-header"]).toLowerCase()}`],
    "north",
  );
});

onServices(
  "CONNECTION_IMPORT reads the mcp.json of each client and reports on each server",
  async (services) => {
    await using upstream = startHostile(behaviours.good);
    const ann = await someone(services);
    const { url } = upstream;
    const forms: [unknown, string][] = [
      [{ mcpServers: { one: { url } } }, "one"],
      [{
        servers: { two: { type: "http", url, headers: { Authorization: "Bearer quiet-heron", "X-A": "a" } } },
      }, "two"],
      [{ mcp: { servers: { three: { type: "streamable-http", url } } } }, "three"],
      [{ four: { serverUrl: url } }, "four"],
      [{ mcpServers: { five: { httpUrl: url } } }, "five"],
      [{ name: "six", url }, "six"],
    ];
    for (const [document, name] of forms) {
      const report = await run(services, ann, [importConnections, { json: JSON.stringify(document) }]);
      assert.deepEqual([report.created, report.items.length], [1, 1], name);
      assert.deepEqual([report.items[0]?.name, report.items[0]?.item?.status], [name, "active"]);
    }
    const where = { field: ["title"], operator: "eq", value: "two" };
    const { items: [two] } = await run(services, ann, [listConnections, { where }]);
    assert.deepEqual([two?.has_token, two?.connection_headers], [true, { headers: { "X-A": "***" } }]);

    const mixed = {
      good: { url },
      local: { command: "npx", args: ["server"] },
      older: { type: "sse", url },
      later: { url, headers: { Authorization: "Bearer ${input:key}" } },
      inner: { url: "http://10.1.2.3/mcp" },
      down: { url: closedPort() },
      wrong: { url: "nonsense" },
    };
    const report = await run(services, ann, [importConnections, {
      json: JSON.stringify({ mcpServers: mixed }),
    }]);
    assert.deepEqual(report.items.map(({ name, outcome }) => [name, outcome]), [
      ["good", "created"],
      ["local", "unsupported"],
      ["older", "unsupported"],
      ["later", "unsupported"],
      ["inner", "failed"],
      ["down", "created"],
      ["wrong", "failed"],
    ]);
    const messages = report.items.map(({ message }) => message ?? "");
    [/^$/, /STDIO/, /SSE/, /\$\{input:key\}/, /OUTBOUND_ALLOW/, /cannot be reached/, /not a URL/]
      .forEach((expected, i) => assert.match(messages[i] ?? "", expected));
    assert.equal(report.created, 2);

    const commented = `// of the team
      { "servers": { /* "old": {}, */ "as written": { "url": "${url}", "type": "http", }, }, }`;
    const read = await run(services, ann, [importConnections, { json: commented, preview: true }]);
    assert.deepEqual(read.items.map(({ name, address }) => [name, address]), [["as written", url]]);

    const many = Object.fromEntries(Array.from({ length: 21 }, (_, i) => [`s${i}`, { url }]));
    for (
      const [json, reason] of [
        ['{"a":', /not JSON: its end is missing/],
        [
          '{\n  "quiet-heron" 1',
          /not JSON: look at line 2, column \d+$/,
        ],
        ["[]", /no servers/],
        ['{"mcpServers":{}}', /no servers/],
        [
          '{"mcpServers":{"a":{"url":1}, "b":{"url":"http://x"}}}',
          /server 'a'/,
        ],
        [JSON.stringify(many), /more than 20/],
      ] as const
    ) {
      await refused(run(services, ann, [importConnections, { json }]), "invalid", reason);
    }
  },
);

Deno.test("connections: no secret is in any result, row, journal or line of the log", async () => {
  const marks = ["quiet-heron", "blue-otter", "slow-badger", "grey-lynx"];
  const [token, header, configured, imported] = marks;
  const lines: string[] = [];
  const write = console.error;
  console.error = (...parts: unknown[]) => void lines.push(parts.join(" "));
  const results: unknown[] = [];
  try {
    // Repeats in its error what it was sent, as careless servers do.
    await using upstream = startHostile(async ({ request, send }) => {
      if (request.message.method === "tools/call") {
        const error = {
          code: -32000,
          message: `refused ${request.headers.authorization} ${request.headers["x-a"]}`,
        };
        const body = JSON.stringify({ jsonrpc: "2.0", id: request.message.id, error });
        const head =
          `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n`;
        await send(`${head}connection: close\r\n\r\n${body}`);
      } else await behaviours.good({ request, send, closed: Promise.resolve() });
    });
    await withDatabase("sqlite", async (url) => {
      await withServices(url, async (services) => {
        const ann = await someone(services);
        const made = await connect(services, ann, {
          connection_url: upstream.url,
          connection_token: token,
          connection_headers: { headers: { "X-A": header } },
          configuration_state: { value: configured },
        });
        const servers = {
          other: { url: upstream.url, headers: { "X-B": imported, Authorization: `Bearer ${imported}` } },
        };
        const { id } = made;
        results.push(
          made,
          await run(services, ann, [importConnections, { json: JSON.stringify({ servers }) }]),
          await run(services, ann, [updateConnection, { id, data: { connection_token: `${token}-2` } }]),
          await run(services, ann, [testConnection, { id }]),
          await run(services, ann, [configureConnection, { id, configuration_state: { value: configured } }]),
          await run(services, ann, [listConnections, {}]),
        );
        const call = run(services, ann, [callConnectionTool, { id, toolName: "echo", arguments: {} }]);
        results.push(
          (await refused(call, "upstream_failed", /refused '?\*\*\*|refused Bearer \*\*\*/)).message,
        );
        results.push(await run(services, ann, [listLogs, {}]));
        await services.audit.flush();
        const file = url.replace("file:", "");
        const disk = [file, `${file}-wal`, ...await journal(services.config.dataDir)].map(readText);
        assert.ok(disk.some((text) => text.includes(id)), "what is searched holds the connection");
        for (const mark of marks) {
          assert.ok(!JSON.stringify(results).includes(mark ?? ""), `a result holds '${mark}'`);
          assert.ok(!lines.join("\n").includes(mark ?? ""), `the log holds '${mark}'`);
          assert.ok(disk.every((text) => !text.includes(mark ?? "")), `the disk holds '${mark}'`);
        }
      }, { env: { LOG_LEVEL: "debug" } });
    });
  } finally {
    console.error = write;
  }
});

async function journal(folder: string): Promise<string[]> {
  const paths: string[] = [];
  for await (const entry of Deno.readDir(`${folder}/journal`)) {
    if (entry.isFile) paths.push(`${folder}/journal/${entry.name}`);
  }
  return paths;
}

function readText(path: string): string {
  return new TextDecoder("latin1").decode(Deno.readFileSync(path));
}
