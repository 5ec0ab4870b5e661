// What a connection says of its server: its kind, its era, and how long it may be silent.
import assert from "node:assert/strict";
import * as connections from "../../server/storage/connections.ts";
import { behaviours, startFixture, startHostile } from "../support/upstreams.ts";
import { connectClient } from "./clients.ts";
import { connectPerson, personalSite } from "./personal_support.ts";
import { addConnection, answerOf, legacy, modern, post, site, withMesh } from "./support.ts";

Deno.test("what is no HTTP server is not spoken to as one", async () => {
  await using server = startHostile(behaviours.good);
  await withMesh(async (mesh) => {
    const to = await site(mesh, server.url, { title: "Files" });
    const { organizationId } = to.person;
    for (const type of ["STDIO", "SSE", "Websocket"]) {
      const changes = { connection_type: type, ...type === "STDIO" ? { connection_url: null } : {} };
      await connections.update(mesh.services.db, organizationId, { id: to.connectionId, changes });
      mesh.services.upstream.forget(to.connectionId);
      const answer = await post(to, legacy("tools/list", {}, { id: 5 }));
      assert.equal(answer.status, 422);
      const { id, error } = await answerOf(answer);
      assert.equal(id, 5); // G03
      assert.equal(error.message, `Cannot reach 'Files': connections of the type '${type}' are not served`);
      await connections.update(mesh.services.db, organizationId, {
        id: to.connectionId,
        changes: { connection_url: server.url },
      });
    }
    assert.equal(server.requests.length, 0);
  });
});

Deno.test("a connection's own time-out counts in place of the one for all", async () => {
  await using server = startHostile(behaviours.hang);
  await withMesh(async (mesh) => {
    const person = await mesh.organization();
    const key = await mesh.key(person);
    const answers = await Promise.all(
      [1, 3600].map(async (timeout_seconds) => {
        const id = await addConnection(mesh, person, { url: server.url });
        const changes = { options: JSON.stringify({ timeout_seconds }) };
        await connections.update(mesh.services.db, person.organizationId, { id, changes });
        return { timeout_seconds, url: `${mesh.url}/mcp/${id}` };
      }).map(async (made) => {
        const { timeout_seconds, url } = await made;
        const call = post({ url, key }, legacy("tools/call", { name: "echo", arguments: {} }));
        return { timeout_seconds, call };
      }),
    );
    const [short, long] = answers;
    const late = await short!.call;
    assert.equal(late.status, 504);
    await late.text();
    const first = await Promise.race([long!.call, server.received(2).then(() => "still waiting")]);
    assert.equal(first, "still waiting");
    await server.stop();
    const broken = await long!.call;
    assert.equal(broken.status, 502);
    await broken.text();
  });
});

Deno.test("a person's header stays behind once the connection says itself what it holds", async () => {
  await using fixture = await startFixture();
  await withMesh(async (mesh) => {
    const asked = { credential_mode: "per_user", personal_headers: ["X-Api-Key", "X-User"] };
    const { connectionId: id, key, person } = await mesh.connect(fixture.url, asked);
    const ann = await mesh.member(person.organizationId);
    const to = { url: `${mesh.url}/mcp/${id}`, key: await mesh.key(ann) };
    const given = { "X-Api-Key": "ann-key-of-her-own", "X-User": "admin@northwind" };
    await mesh.run(to.key, "CREDENTIAL_SET", { connectionId: id, headers: given });
    const sent = async () => {
      const { result } = await answerOf(
        await post(to, modern("tools/call", { name: "echo", arguments: {} })),
      );
      assert.ok(result, "it is answered");
      const { headers } = fixture.seen.at(-1)!;
      return [headers["x-api-key"], headers["x-user"]];
    };
    assert.deepEqual(await sent(), Object.values(given));
    await mesh.run(key, "COLLECTION_CONNECTIONS_UPDATE", {
      id,
      data: {
        personal_headers: ["X-Api-Key"],
        connection_headers: { headers: { "X-User": "{user.email}" } },
      },
    });
    assert.deepEqual(await sent(), [given["X-Api-Key"], ann.email]);
  });
});

// X01, X03
Deno.test("a client finds the era of a server whose person has not connected yet", async () => {
  for (const era of ["legacy", "modern"] as const) {
    await using fixture = await startFixture({ era, authorization: "Bearer ann-token" });
    await withMesh(async (mesh) => {
      const version = era === "legacy" ? "2025-11-25" : "2026-07-28";
      const to = await personalSite(mesh, fixture.url, { protocol_version: version });
      const discovered = await post(to, modern("server/discover"));
      assert.equal(discovered.status, era === "legacy" ? 400 : 200);
      await discovered.text();
      const client = await connectClient(to, "auto");
      assert.equal(client.version, version);
      assert.equal((await client.listTools()).length, 3);
      await connectPerson(mesh, to, "ann-token");
      const { content } = await client.call("echo", { text: "in its own era" });
      assert.equal(content[0].text, "in its own era");
      await client.end();
    });
  }
});

Deno.test("the era that a server speaks is kept with its lists", async () => {
  for (const [era, version] of [["legacy", "2025-11-25"], ["both", "2026-07-28"]] as const) {
    await using fixture = await startFixture({ era });
    await withMesh(async (mesh) => {
      const { connectionId, person: { organizationId } } = await mesh.connect(fixture.url);
      const row = await connections.find(mesh.services.db, organizationId, connectionId);
      assert.equal(row?.protocol_version, version);
      const target = await mesh.services.upstream.target(organizationId, connectionId);
      assert.equal(target?.era, era === "legacy" ? "legacy" : null);
    });
  }
});

Deno.test("a token that was replaced twice while a call was under way is taken as it is in the end", async () => {
  for (const [last, works] of [[3, true], [9, false]] as const) {
    const seen: string[] = [];
    let replaced = () => Promise.resolve();
    await using fixture = await startFixture({
      guard: async (request) => {
        const token = request.headers.get("authorization") ?? "";
        seen.push(token);
        if (token === `Bearer token-${last}`) return undefined;
        await replaced();
        return new Response("Not this one", { status: 401 });
      },
    });
    await withMesh(async (mesh) => {
      const to = await personalSite(mesh, fixture.url);
      replaced = () => connectPerson(mesh, to, `token-${seen.length + 1}`);
      await connectPerson(mesh, to, "token-1");
      const answer = await post(to, modern("tools/call", { name: "echo", arguments: { text: "x" } }));
      assert.equal(answer.status, works ? 200 : 502);
      assert.equal((await answerOf(answer)).result?.content[0].text, works ? "x" : undefined);
      assert.deepEqual(seen, [1, 2, 3].map((number) => `Bearer token-${number}`));
    });
  }
});
