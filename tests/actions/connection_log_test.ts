// What the log keeps of connections that somebody makes: which they are, and no secret, under whatever name.
import assert from "node:assert/strict";
import { type Mesh, type Person, startMesh } from "../support/app.ts";
import { startFixture } from "../support/upstreams.ts";

async function withOwner(fn: (mesh: Mesh, owner: { person: Person; key: string }) => Promise<void>) {
  const mesh = await startMesh();
  try {
    const person = await mesh.organization();
    await fn(mesh, { person, key: await mesh.key(person) });
  } finally {
    await mesh.stop();
  }
}

/** Input and output of the rows of an action. */
async function rowsOf(mesh: Mesh, action: string): Promise<{ input: string; output: string }[]> {
  await mesh.services.audit.flush();
  const rows = await mesh.services.db.selectFrom("audit_log").select(["input", "output"])
    .where("tool_name", "=", action).execute();
  return rows.map(({ input, output }) => ({ input: input ?? "null", output: output ?? "null" }));
}

Deno.test("the log of an import names the servers, without arguments, queries and values", async () => {
  await using server = await startFixture();
  await withOwner(async (mesh, { key }) => {
    const quiet = "quiet-heron";
    const { port, host } = new URL(server.url);
    const mcpServers = {
      local: { command: "npx", args: ["server", "--conn", quiet], env: { PLACE: quiet } },
      line: { command: `PLACE=${quiet} npx server` },
      remote: { url: `${server.url}?k=${quiet}`, headers: { "X-Place": quiet } },
      personal: { url: `http://${quiet}@127.0.0.1:${port}/mcp` },
      later: { url: server.url, headers: { "X-Place": "${PLACE:-" + quiet + "}" } },
    };
    const names = Object.keys(mcpServers);
    const json = JSON.stringify({ mcpServers });
    const shown = await mesh.run<{ items: { address: string }[] }>(key, "CONNECTION_IMPORT", { json, names });
    assert.equal(shown.items[0]?.address, `npx server --conn ${quiet}`, "who imports sees it whole");

    const [row] = await rowsOf(mesh, "CONNECTION_IMPORT");
    assert.ok(row && !JSON.stringify(row).includes(quiet), JSON.stringify(row));
    assert.deepEqual(JSON.parse(row.input), { json: "***", names, preview: false });
    const { items, created } = JSON.parse(row.output);
    assert.equal(created, 1);
    assert.deepEqual(
      items.map(({ name, address, outcome }: Record<string, string>) => [name, address, outcome]),
      [
        ["local", "npx ***", "unsupported"],
        ["line", "PLACE=***", "unsupported"],
        ["remote", `${server.url}?***`, "created"],
        ["personal", `http://***@${host}/mcp`, "failed"],
        ["later", server.url, "unsupported"],
      ],
    );
    assert.equal(items[2].item.connection_url, `${server.url}?***`);
    assert.match(items[4].message, /placeholder '\$\{PLACE\}'/);
  });
});

Deno.test("the log of a refused connection holds no header and no misspelt secret of an OAuth client", async () => {
  await withOwner(async (mesh, { key }) => {
    const quiet = "quiet-heron";
    const data = { title: "Linear", connection_url: "https://linear.example.com/mcp" };
    const wrong = [
      { connection_headers: { "X-Place": quiet } },
      { connection_headers: `X-Place: ${quiet}` },
      { personal_headers: { "X-Place": quiet } },
      { oauth_config: { client_id: "mesh", klient: quiet } },
      { oauth_config: quiet },
      { client_certificate: quiet },
    ];
    for (const fields of wrong) {
      await assert.rejects(
        mesh.run(key, "COLLECTION_CONNECTIONS_CREATE", { data: { ...data, ...fields } }),
        /answered 422/,
      );
    }
    const rows = await rowsOf(mesh, "COLLECTION_CONNECTIONS_CREATE");
    assert.equal(rows.length, wrong.length);
    for (const { input } of rows) {
      assert.ok(!input.includes(quiet), input);
      assert.equal(JSON.parse(input).data.connection_url, data.connection_url);
    }
    assert.ok(rows.some(({ input }) => input.includes('"client_id":"mesh"')), "what is no secret is shown");
  });
});
