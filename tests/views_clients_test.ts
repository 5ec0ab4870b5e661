import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { promisify } from "node:util";
import { clientConfigs, proxyUrl, serverName } from "../views/client_config.ts";
import { curlText, shellQuote } from "../views/curl.ts";
import { startFixture } from "./support/upstreams/fixture.ts";

const url = "http://localhost:3000/mcp/conn_1";
const key = "the-key";
const targets = [{ name: "linear", url }, { name: "git-hub", url: `${url}2` }];
const run = promisify(execFile);
const hasCurl = spawnSync("curl", ["--version"]).status === 0;

function textOf(id: string, withKey?: string): string {
  return clientConfigs(targets, withKey).find((config) => config.id === id)?.text ?? assert.fail(id);
}

Deno.test("configuration files are JSON with every address and the key", () => {
  const headers = { Authorization: `Bearer ${key}` };
  assert.deepEqual(JSON.parse(textOf("cursor", key)), {
    mcpServers: { linear: { url, headers }, "git-hub": { url: `${url}2`, headers } },
  });
  assert.deepEqual(JSON.parse(textOf("vscode", key)).servers.linear, { type: "http", url, headers });
  assert.deepEqual(JSON.parse(textOf("windsurf", key)).mcpServers.linear, { serverUrl: url, headers });
  const desktop = JSON.parse(textOf("claude-desktop", key)).mcpServers.linear;
  assert.equal(desktop.env.MESH_AUTH, `Bearer ${key}`);
  assert.ok(desktop.args.includes("--allow-http"));
  assert.ok(!JSON.stringify(desktop.args).includes(key), "the key is no argument");
});

Deno.test("commands and TOML name every server", () => {
  assert.equal(
    textOf("claude-code", key).split("\n")[0],
    "claude mcp add --transport http linear http://localhost:3000/mcp/conn_1 \\",
  );
  assert.match(
    textOf("codex", key),
    /^\[mcp_servers\.linear\]\nurl = "http[^"]+"\nhttp_headers = \{ "Authorization" = "Bearer the-key" \}$/m,
  );
  assert.match(textOf("codex", key), /\[mcp_servers\.git-hub\]/);
});

Deno.test("without a key every configuration holds the same placeholder", () => {
  for (const { id, text } of clientConfigs(targets)) assert.match(text, /Bearer YOUR_API_KEY/, id);
});

Deno.test("names and addresses fit where they are written", () => {
  assert.deepEqual(["Linear", "Postgres (reporting)", "Übung 1", "日本", ""].map(serverName), [
    "linear",
    "postgres-reporting",
    "u-bung-1",
    "mesh",
    "mesh",
  ]);
  assert.equal(proxyUrl("https://mesh.example/", "conn_1"), "https://mesh.example/mcp/conn_1");
});

Deno.test("a quoted text reaches the program as it is", async () => {
  for (const text of ["plain", "it's", '$HOME `id` "x"', "a\nb", "", "--flag", "&;|<>"]) {
    const { stdout } = await run("sh", ["-c", `printf %s ${shellQuote(text)}`]);
    assert.equal(stdout, text);
  }
});

for (const protocolVersion of ["2025-11-25", "2026-07-28"]) {
  Deno.test({
    name: `the command for ${protocolVersion} calls a tool of a real server`,
    ignore: !hasCurl,
    fn: async () => {
      await using fixture = await startFixture();
      const text = curlText({
        url: fixture.url,
        method: "tools/call",
        params: { name: "test_simple_text", arguments: {} },
        protocolVersion,
      });
      const { stdout } = await run("sh", ["-c", text], { env: { ...process.env, MESH_API_KEY: key } });
      assert.match(stdout, /This is a simple text response/);
      const last = fixture.seen.at(-1);
      assert.equal(last?.headers.authorization, `Bearer ${key}`);
    },
  });
}
