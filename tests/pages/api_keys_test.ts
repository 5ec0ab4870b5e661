import assert from "node:assert/strict";
import { startFixture } from "../support/upstreams.ts";
import { type Answer, leads, onMesh, setUp, signedIn } from "./support.ts";

function secretIn({ html }: Answer): string {
  return /id="new-key"[^>]*>(mesh_key_[\w-]{43})</.exec(html)?.[1] ?? "";
}

onMesh("API keys: what is chosen is what the key may do, and its secret is shown once", async (mesh, t) => {
  await using fixture = await startFixture();
  const visitor = await setUp(mesh);
  const add = async (title: string) =>
    leads(await visitor.post("/connections", { url: fixture.url, title }), /conn_/).split("/").at(-1) ?? "";
  const [one, two] = [await add("One"), await add("Two")];
  const call = async (key: string, id: string, tool: string) => {
    const answer = await fetch(`${mesh.url}/mcp/${id}`, {
      method: "POST",
      headers: {
        "authorization": `Bearer ${key}`,
        "content-type": "application/json",
        "accept": "application/json, text/event-stream",
        "mcp-protocol-version": "2026-07-28",
        "mcp-method": "tools/call",
        "mcp-name": tool,
      },
      body: JSON.stringify({
        jsonrpc: "2.0",
        id: 1,
        method: "tools/call",
        params: {
          name: tool,
          arguments: {},
          _meta: {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": { name: "test", version: "1" },
            "io.modelcontextprotocol/clientCapabilities": {},
          },
        },
      }),
    });
    const text = await answer.text();
    return /the permission .* is missing/.test(text) ? "denied" : answer.status;
  };
  const manage = async (key: string, action: string) => {
    const headers = { "authorization": `Bearer ${key}`, "content-type": "application/json" };
    const answer = await fetch(`${mesh.url}/api/tools/${action}`, { method: "POST", headers, body: "{}" });
    await answer.body?.cancel();
    return answer.status;
  };
  const make = async (form: Record<string, string | string[]>) => {
    const answer = await visitor.post("/api-keys", { name: "K", management: "none", ...form });
    assert.equal(answer.status, 200, answer.text.slice(-500));
    const secret = secretIn(answer);
    assert.notEqual(secret, "");
    assert.ok(!(await visitor.get("/api-keys")).html.includes(secret));
    return secret;
  };

  await t.step("some tools of one connection", async () => {
    const key = await make({ scope: "selected", connection: one, [`tool.${one}`]: ["whoami", "echo"] });
    assert.equal(await call(key, one, "whoami"), 200);
    assert.equal(await call(key, one, "test_simple_text"), "denied");
    assert.equal(await call(key, two, "whoami"), "denied");
    assert.equal(await manage(key, "API_KEY_LIST"), 403);
    assert.match((await visitor.get("/api-keys")).text, /2 tools of One/);
  });
  await t.step("every connection, reading", async () => {
    const key = await make({ scope: "all", management: "read" });
    assert.equal(await call(key, two, "whoami"), 200);
    assert.equal(await manage(key, "API_KEY_LIST"), 200);
    assert.equal(await manage(key, "COLLECTION_CONNECTIONS_CREATE"), 403);
    assert.match((await visitor.get("/api-keys")).text, /All tools of every connection, reads management/);
  });
  await t.step("managing only", async () => {
    const key = await make({ scope: "none", management: "all", connection: one });
    assert.equal(await call(key, one, "whoami"), "denied");
    assert.equal(await manage(key, "COLLECTION_CONNECTIONS_CREATE"), 422, "it may, were there any input");
  });
  await t.step("everything, for a week", async () => {
    const answer = await visitor.post("/api-keys", {
      name: "All",
      scope: "all",
      management: "all",
      expires_days: "7",
    });
    assert.match(answer.text, /It expires in 6 days/);
    assert.match((await visitor.get("/api-keys")).text, /All Everything its owner may do/);
    assert.match((await visitor.get("/")).text, /The API key “All” expires on/);
  });
  await t.step("searched by name and by owner", async () => {
    const found = await visitor.get("/api-keys?q=ALL", { "hx-request": "true" });
    assert.match(found.html, /^<div id="api-key-rows"/);
    assert.match(found.text, /All Everything its owner may do/);
    assert.match((await visitor.get("/api-keys?q=larsen")).text, /All Everything its owner may do/);
    assert.match((await visitor.get("/api-keys?q=zebra")).text, /No API key matches/);
  });
  await t.step("of a connection of another organization", async () => {
    const { connectionId } = await mesh.connect(fixture.url);
    const answer = await visitor.post("/api-keys", {
      name: "K",
      scope: "selected",
      connection: connectionId,
    });
    assert.equal(answer.status, 422);
    assert.match(answer.text, /the organization has no connection/i);
  });
  await t.step("made at the connection, and deleted", async () => {
    const answer = await visitor.post(`/connections/${two}/connect`, { name: "Client of Two" });
    const key = secretIn(answer);
    assert.match(answer.html, new RegExp(`Bearer ${key}`));
    assert.equal(await call(key, two, "test_simple_text"), 200);
    const list = await visitor.get("/api-keys");
    const path = /href="(\/api-keys\/key_\w+\/delete)">(?:(?!href).)*Client of Two/s.exec(list.html)?.[1] ??
      "";
    assert.match((await visitor.get(path)).text, /Delete API key “Client of Two” .*It has been used/);
    leads(await visitor.post(path), "/api-keys");
    assert.equal(await call(key, two, "test_simple_text"), 401);
    assert.equal((await visitor.post(path)).status, 404);
  });
});

onMesh("API keys: people see their own, managers all", async (mesh) => {
  await setUp(mesh);
  const owner = await mesh.organization();
  const member = await mesh.member(owner.organizationId, ["user"]);
  const boss = await signedIn(mesh, owner);
  const user = await signedIn(mesh, member);
  await boss.post("/api-keys", { name: "Of the boss", scope: "all" });
  await user.post("/api-keys", { name: "Of the user", scope: "all" });
  const [all, own] = [await boss.get("/api-keys"), await user.get("/api-keys")];
  assert.match(all.text, /API keys 2 .*Of the user .*Of the boss/);
  assert.match(own.text, /API keys 1 .*Of the user/);
  assert.doesNotMatch(own.text, /Of the boss/);
});
