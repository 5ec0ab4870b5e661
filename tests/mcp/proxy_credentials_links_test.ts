// People without a credential: what their clients get, and how it goes on once they have one.
import assert from "node:assert/strict";
import { startFixture } from "../support/upstreams.ts";
import { connectClient, type Mode, modes } from "./clients.ts";
import { connectPerson, disconnectPerson, linkOf, personalSite } from "./personal_support.ts";
import { answerOf, type Json, legacy, modern, narrowed, post, rowsOf, withMesh } from "./support.ts";

const authorization = "Bearer ann-token";

function isModern(mode: Mode): boolean {
  return mode === "auto" || mode === "pin";
}

for (const mode of modes) {
  Deno.test(`a client '${mode}' lists the tools, gets the link, and goes on once its person has connected`, async () => {
    await using fixture = await startFixture({ authorization });
    await withMesh(async (mesh) => {
      const to = await personalSite(mesh, fixture.url);
      const opened: string[] = [];
      const client = await connectClient(to, mode, async (url) => {
        opened.push(url);
        await connectPerson(mesh, to, "ann-token");
        return "accept";
      });
      try {
        assert.deepEqual(await client.listTools(), ["echo", "whoami", "test_tool_with_progress"]);
        assert.equal(fixture.seen.length, 0, "nothing reaches the server before");
        if (!isModern(mode)) {
          const error: Json = await client.call("echo", { text: "x" }).then(() => null, (error) => error);
          assert.equal(error.code, -32042);
          const [asked, ...others] = error.elicitations ?? error.data.elicitations;
          assert.equal(others.length, 0);
          assert.deepEqual([asked.mode, asked.url], ["url", linkOf(mesh, to)]);
          assert.match(asked.message, /Weather/);
          assert.ok(asked.elicitationId);
          await connectPerson(mesh, to, "ann-token");
        }
        const { content } = await client.call("echo", { text: "hello" });
        assert.equal(content[0].text, "hello");
        assert.deepEqual(opened, isModern(mode) ? [linkOf(mesh, to)] : []);
        const { structuredContent } = await client.call("whoami");
        assert.equal(structuredContent.authorization, authorization);
        assert.ok((await client.listTools()).includes("test_error_handling"), "the server's own list now");
        const bodies = fixture.seen.map(({ body }) => body).join();
        assert.doesNotMatch(bodies, /inputResponses/, "our question is not the server's");
        await client.end();
      } finally {
        await client.close();
      }
      const rows = await rowsOf(mesh, to);
      assert.deepEqual(rows.map(({ toolName, outcome }) => [toolName, outcome]), [
        ["whoami", "ok"],
        ["echo", "ok"],
        ["echo", "denied"],
      ]);
      assert.match(rows[2]?.errorMessage ?? "", /you have not connected your account/);
    });
  });

  Deno.test(`a client '${mode}' that opens no links gets the link as text`, async () => {
    await using fixture = await startFixture({ authorization });
    await withMesh(async (mesh) => {
      const to = await personalSite(mesh, fixture.url);
      const client = await connectClient(to, mode);
      const answer = await client.call("echo", { text: "x" });
      assert.equal(answer.isError, true);
      assert.ok(answer.content[0].text.includes(linkOf(mesh, to)), answer.content[0].text);
      await connectPerson(mesh, to, "ann-token");
      assert.equal((await client.call("echo", { text: "then" })).content[0].text, "then");
      await client.end();
    });
  });

  Deno.test(`a client '${mode}' whose person disconnects keeps its tools and gets the link`, async () => {
    await using fixture = await startFixture({ authorization });
    await withMesh(async (mesh) => {
      const to = await personalSite(mesh, fixture.url);
      await connectPerson(mesh, to, "ann-token");
      const client = await connectClient(to, mode, () => Promise.resolve("decline"));
      assert.equal((await client.call("echo", { text: "before" })).content[0].text, "before");
      await disconnectPerson(mesh, to);
      const seen = fixture.seen.length;
      assert.equal((await client.listTools()).length, 3);
      const refused: Json = await client.call("echo", { text: "without" }).catch((error) => error);
      if (isModern(mode)) assert.equal(refused.isError, true);
      else assert.equal(refused.code, -32042);
      assert.ok(
        JSON.stringify(refused.content ?? refused.elicitations ?? refused.data).includes(linkOf(mesh, to)),
      );
      assert.equal(fixture.seen.length, seen, "nothing is sent without a credential");
      await connectPerson(mesh, to, "ann-token");
      assert.equal((await client.call("echo", { text: "again" })).content[0].text, "again");
      await client.end();
    });
  });
}

const initialize = (capabilities: Record<string, unknown> = {}, protocolVersion = "2025-11-25") =>
  legacy("initialize", { protocolVersion, capabilities, clientInfo: { name: "test", version: "1.0.0" } });

Deno.test("what the mesh answers for a server of the handshake era", async () => {
  await using fixture = await startFixture({ era: "legacy", authorization });
  await withMesh(async (mesh) => {
    const to = await personalSite(mesh, fixture.url);
    const opened = await post(to, initialize({ elicitation: { url: {} } }));
    const session = opened.headers.get("mcp-session-id");
    assert.ok(session);
    const { result } = await answerOf(opened);
    assert.equal(result.protocolVersion, "2025-11-25");
    assert.deepEqual(result.capabilities, { tools: {} });
    const send = (method: string, params?: Record<string, unknown>, id: number | null = 7) =>
      post(to, legacy(method, params, { id, session }));
    assert.equal((await send("notifications/initialized", undefined, null)).status, 202);
    assert.deepEqual((await answerOf(await send("ping"))).result, {});
    assert.equal((await answerOf(await send("tools/list"))).result.tools.length, 3);
    for (const [method, params] of [["prompts/list", {}], ["resources/read", { uri: "x:y" }]] as const) {
      const { id, error } = await answerOf(await send(method, params)); // G03
      assert.deepEqual([id, error.code], [7, -32042]);
    }
    const get = await fetch(to.url, {
      headers: { authorization: `Bearer ${to.key}`, "mcp-session-id": session },
    });
    assert.equal(get.status, 405); // L05
    await get.text();
    const older = await answerOf(await post(to, initialize({}, "2025-06-18")));
    assert.equal(older.result.protocolVersion, "2025-06-18");
    const unknown = await answerOf(await post(to, initialize({}, "1999-01-01")));
    assert.equal(unknown.result.protocolVersion, "2025-11-25");
    const end = await fetch(to.url, {
      method: "DELETE",
      headers: { authorization: `Bearer ${to.key}`, "mcp-session-id": session },
    });
    assert.equal(end.status, 204); // L03
    const after = await send("tools/list");
    assert.equal(after.status, 404); // L02
    await after.text();
    assert.equal(fixture.seen.length, 0);
  });
});

Deno.test("a session of the mesh is opened at the server once, with what the client had said", async () => {
  await using fixture = await startFixture({ era: "legacy", authorization });
  await withMesh(async (mesh) => {
    const to = await personalSite(mesh, fixture.url);
    const session = (await post(to, initialize({ roots: { listChanged: true } }))).headers.get(
      "mcp-session-id",
    );
    await connectPerson(mesh, to, "ann-token");
    const calls = await Promise.all([1, 2, 3, 4, 5].map(async (id) => {
      const params = { name: "echo", arguments: { text: `${id}` } };
      const answer = await post(to, legacy("tools/call", params, { id, session }));
      assert.equal(answer.headers.get("mcp-session-id"), null);
      return (await answerOf(answer)).result.content[0].text;
    }));
    assert.deepEqual(calls, ["1", "2", "3", "4", "5"]);
    const methods = fixture.seen.map(({ body }) => JSON.parse(body).method);
    assert.deepEqual(methods.slice(0, 2), ["initialize", "notifications/initialized"]);
    assert.equal(methods.filter((method) => method === "initialize").length, 1);
    assert.deepEqual(JSON.parse(fixture.seen[0]?.body ?? "").params.capabilities, {
      roots: { listChanged: true },
    });
    assert.equal(fixture.sessions().length, 1);
    const stream = await fetch(to.url, {
      headers: {
        "authorization": `Bearer ${to.key}`,
        "accept": "text/event-stream",
        "mcp-session-id": session ?? "",
      },
    });
    assert.equal(stream.status, 200, "the session has the server's stream");
    await stream.body?.cancel();
    await fixture.forgetSessions();
    const lost = await post(to, legacy("tools/list", {}, { session }));
    assert.equal(lost.status, 404, "the client begins anew"); // L04
    await lost.text();
    const end = await fetch(to.url, {
      method: "DELETE",
      headers: { authorization: `Bearer ${to.key}`, "mcp-session-id": session ?? "" },
    });
    await end.text();
  });
});

Deno.test("a session that no server can keep as it was promised begins anew", async () => {
  await using fixture = await startFixture({ era: "modern", authorization });
  await withMesh(async (mesh) => {
    const to = await personalSite(mesh, fixture.url);
    const session = (await post(to, initialize())).headers.get("mcp-session-id");
    await connectPerson(mesh, to, "ann-token");
    for (let round = 0; round < 2; round++) {
      const answer = await post(to, legacy("tools/list", {}, { session }));
      assert.equal(answer.status, 404); // L02
      await answer.text();
    }
  });
});

Deno.test("sessions of the mesh belong to their person, and lists show what they may use", async () => { // L01, M07
  await using fixture = await startFixture({ authorization });
  await withMesh(async (mesh) => {
    const to = await personalSite(mesh, fixture.url);
    const few = await narrowed(mesh, to, ["echo"]);
    const session = (await post(few, initialize())).headers.get("mcp-session-id");
    const list = await answerOf(await post(few, legacy("tools/list", {}, { session })));
    assert.deepEqual(list.result.tools.map(({ name }: Json) => name), ["echo"]);
    const modernList = await answerOf(await post(few, modern("tools/list")));
    assert.deepEqual(modernList.result.tools.map(({ name }: Json) => name), ["echo"]);
    assert.deepEqual([modernList.result.cacheScope, modernList.result.ttlMs], ["private", 0]);
    const person = await mesh.member(to.person.organizationId);
    const other = { ...to, person, key: await mesh.key(person) };
    for (const method of ["tools/list", "ping"]) {
      const answer = await post(other, legacy(method, {}, { session }));
      assert.equal(answer.status, 404);
      await answer.text();
    }
  });
});

Deno.test("what the mesh answers in the modern era", async () => {
  await using fixture = await startFixture({ era: "modern", authorization });
  await withMesh(async (mesh) => {
    const to = await personalSite(mesh, fixture.url);
    const capabilities = { elicitation: { url: {} } };
    const { result } = await answerOf(await post(to, modern("server/discover")));
    assert.deepEqual(result.supportedVersions, ["2026-07-28"]);
    assert.deepEqual([result.resultType, result.cacheScope], ["complete", "private"]);
    assert.deepEqual(result.capabilities, { tools: {} }); // M06
    const call = { name: "echo", arguments: { text: "x" } };
    const asked = await answerOf(await post(to, modern("tools/call", call, { capabilities })));
    assert.equal(asked.result.resultType, "input_required");
    const [[key, request]] = Object.entries<Json>(asked.result.inputRequests) as [[string, Json]];
    assert.equal(request.method, "elicitation/create");
    assert.deepEqual([request.params.mode, request.params.url], ["url", linkOf(mesh, to)]);
    const declined = { ...call, inputResponses: { [key]: { action: "decline" } } };
    const told = await answerOf(await post(to, modern("tools/call", declined, { capabilities, id: 2 })));
    assert.deepEqual([told.result.resultType, told.result.isError], ["complete", true]);
    const formOnly = await answerOf(
      await post(to, modern("tools/call", call, { capabilities: { elicitation: {} } })),
    );
    assert.equal(formOnly.result.isError, true);
    const other = await answerOf(await post(to, modern("prompts/list", {}, { capabilities, id: 3 })));
    assert.equal(other.id, 3);
    assert.ok(other.error.message.includes(linkOf(mesh, to)));
    await connectPerson(mesh, to, "ann-token");
    const both = { ...call, inputResponses: { [key]: { action: "accept" }, theirs: { action: "accept" } } };
    await answerOf(await post(to, modern("tools/call", both, { capabilities, id: 4 })));
    const sent = JSON.parse(fixture.seen.at(-1)?.body ?? "");
    assert.deepEqual(sent.params.inputResponses, { theirs: { action: "accept" } });
  });
});

Deno.test("a call waits for the person who has just opened the link", async () => {
  await using fixture = await startFixture({ era: "modern", authorization });
  await withMesh(async (mesh) => {
    const to = await personalSite(mesh, fixture.url);
    const capabilities = { elicitation: { url: {} } };
    const call = { name: "echo", arguments: { text: "patience" } };
    const asked = await answerOf(await post(to, modern("tools/call", call, { capabilities })));
    const inputResponses = { [Object.keys(asked.result.inputRequests)[0] ?? ""]: { action: "accept" } };
    const waiting = post(to, modern("tools/call", { ...call, inputResponses }, { capabilities, id: 2 }));
    await connectPerson(mesh, to, "ann-token");
    const { result } = await answerOf(await waiting);
    assert.equal(result.content[0].text, "patience");
  });
});

Deno.test("who has connected with what the server refuses is asked again, and once for each reason", async () => {
  await using fixture = await startFixture({ era: "modern", authorization });
  await withMesh(async (mesh) => {
    const to = await personalSite(mesh, fixture.url);
    const capabilities = { elicitation: { url: {} } };
    const call = { name: "echo", arguments: { text: "x" } };
    const ask = async (inputResponses: Json) => {
      const answer = await answerOf(
        await post(to, modern("tools/call", { ...call, inputResponses }, { capabilities })),
      );
      return answer.result;
    };
    const [first = ""] = Object.keys((await ask({})).inputRequests);
    await connectPerson(mesh, to, "stale-token");
    const [second = ""] = Object.keys((await ask({ [first]: { action: "accept" } })).inputRequests);
    assert.notEqual(second, first);
    const told = await ask({ [second]: { action: "decline" } });
    assert.deepEqual([told.resultType, told.isError], ["complete", true]);
    await connectPerson(mesh, to, "ann-token");
    const { content } = await ask({ [second]: { action: "accept" } });
    assert.equal(content[0].text, "x");
  });
});

Deno.test("a secret that the server refuses needs attention, and nobody sees the refusal itself", async () => {
  await using fixture = await startFixture({ authorization });
  await withMesh(async (mesh) => {
    const to = await personalSite(mesh, fixture.url);
    await connectPerson(mesh, to, "stale-token");
    const call = modern("tools/call", { name: "echo", arguments: { text: "x" } });
    for (const seen of [1, 1]) {
      const answer = await post(to, call);
      assert.equal(answer.status, 200); // RS10
      assert.equal(answer.headers.get("www-authenticate"), null);
      const { result } = await answerOf(answer);
      assert.match(result.content[0].text, /did not accept the credential/);
      assert.ok(result.content[0].text.includes(linkOf(mesh, to)));
      assert.equal(fixture.seen.length, seen, "what was refused is not sent again");
    }
    const [row] = await rowsOf(mesh, to);
    assert.equal(row?.outcome, "denied");
    assert.doesNotMatch(JSON.stringify(await rowsOf(mesh, to)), /stale-token/);
    await connectPerson(mesh, to, "stale-token");
    const list = await answerOf(await post(to, modern("tools/list")));
    assert.equal(list.result.tools.length, 3, "they stay listed");
    await connectPerson(mesh, to, "ann-token");
    assert.equal((await answerOf(await post(to, call))).result.content[0].text, "x");
  });
});

Deno.test("a session of the mesh whose person gave a secret that is refused stays open", async () => {
  await using fixture = await startFixture({ era: "legacy", authorization });
  await withMesh(async (mesh) => {
    const to = await personalSite(mesh, fixture.url);
    const session = (await post(to, initialize())).headers.get("mcp-session-id");
    await connectPerson(mesh, to, "stale-token");
    const params = { name: "echo", arguments: { text: "patience" } };
    const refused = await answerOf(await post(to, legacy("tools/call", params, { session })));
    assert.ok(refused.result.content[0].text.includes(linkOf(mesh, to)));
    await connectPerson(mesh, to, "ann-token");
    const { result } = await answerOf(await post(to, legacy("tools/call", params, { session })));
    assert.equal(result.content[0].text, "patience");
  });
});

Deno.test("a client that says too much of itself gets no session", async () => {
  await using fixture = await startFixture({ authorization });
  await withMesh(async (mesh) => {
    const to = await personalSite(mesh, fixture.url);
    const answer = await post(to, initialize({ experimental: { long: "x".repeat(40_000) } }));
    assert.equal(answer.status, 413);
    await answer.text();
  });
});
