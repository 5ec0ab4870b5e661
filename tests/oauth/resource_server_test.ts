import assert from "node:assert/strict";
import { newSecret } from "../../server/ids.ts";
import * as members from "../../server/storage/members.ts";
import { addConnection, answerOf, modern, openSession, post, rowsOf } from "../mcp/support.ts";
import { onEachDatabase } from "../support/databases.ts";
import {
  callStatus,
  obtainTokens,
  onScene,
  type Params,
  type Scene,
  send,
  signIn,
  tokensOf,
  withScene,
} from "./support.ts";

/** The status of a request with a token, and its challenge. */
async function knock(url: string, init: RequestInit = {}): Promise<{ status: number; challenge: string }> {
  const response = await fetch(url, init);
  await response.body?.cancel();
  return { status: response.status, challenge: response.headers.get("www-authenticate") ?? "" };
}

function bearer(token: string): Record<string, string> {
  return { authorization: `Bearer ${token}` };
}

function toolCall(name: string) {
  return modern("tools/call", { name, arguments: {} });
}

onScene("a token is for its resource and no other", async (scene) => { // RS07
  const { mesh, browser } = scene;
  const other = await addConnection(mesh, browser.person, { url: scene.fixture.url });
  const urls: Record<string, string> = {
    self: `${mesh.url}/mcp`,
    one: scene.resource,
    two: `${mesh.url}/mcp/${other}`,
  };
  for (const [minted, resource] of Object.entries(urls)) {
    const { access_token } = await obtainTokens(scene, { params: { resource } });
    for (const [used, url] of Object.entries(urls)) {
      const sent = modern("tools/list");
      const response = await post({ url, key: access_token }, sent);
      await response.body?.cancel();
      assert.equal(response.status, minted === used ? 200 : 401, `${minted} at ${used}`);
      if (minted === used) continue;
      assert.match(response.headers.get("www-authenticate") ?? "", /error="invalid_token"/);
    }
    const api = await knock(`${mesh.url}/api/tools`, { headers: bearer(access_token) });
    assert.equal(api.status, minted === "self" ? 200 : 401, `${minted} at the JSON API`);
  }
});

onScene("a token of a resource of the issuer's own URL opens the management server only", async (scene) => { // RS07, Q-06
  const { access_token } = await obtainTokens(scene, { params: { resource: scene.mesh.url } });
  assert.equal(await callStatus(scene, access_token), 401);
  assert.equal(await callStatus({ resource: `${scene.mesh.url}/mcp` }, access_token), 200);
});

onScene("only a whole and living token in its header lets anybody in, on every verb", async (scene) => { // RS01, RS06, RS11, RS13
  const { access_token, refresh_token } = await obtainTokens(scene);
  const session = await openSession({
    url: scene.resource,
    key: access_token,
    connectionId: scene.connectionId,
    person: scene.browser.person,
  });
  const attempts: [Record<string, string>, string, boolean][] = [
    [{}, "", false],
    [{ cookie: scene.browser.cookie }, "", false], // RS13
    [{}, `?access_token=${access_token}`, false], // RS01
    [{ "mcp-session-id": session }, "", false], // RS11
    [bearer(newSecret("mesh_at_")), "", true],
    [bearer(`${access_token}x`), "", true],
    [bearer(access_token.slice(0, -1)), "", true],
    [bearer(access_token.toUpperCase()), "", true],
    [bearer(refresh_token ?? ""), "", true],
  ];
  for (const [headers, query, shown] of attempts) {
    for (const method of ["POST", "GET", "DELETE"]) {
      const { status, challenge } = await knock(scene.resource + query, { method, headers });
      assert.equal(status, 401, `${method} ${JSON.stringify(headers)}`);
      assert.equal(/error="invalid_token"/.test(challenge), shown, challenge); // RS06
      assert.match(challenge, /resource_metadata="http/); // RS04
    }
  }
});

onScene("a token never goes on to the server behind", async (scene) => { // RS10
  const { access_token } = await obtainTokens(scene);
  assert.equal(await callStatus(scene, access_token), 200);
  assert.ok(scene.fixture.seen.length > 0);
  assert.equal(JSON.stringify(scene.fixture.seen).includes(access_token), false);
});

onScene("a call is logged with the person and the client", async (scene) => {
  const { access_token } = await obtainTokens(scene);
  const response = await post({ url: scene.resource, key: access_token }, toolCall("test_simple_text"));
  await response.text();
  const row = (await rowsOf(scene.mesh, { person: scene.browser.person })).find(({ method }) =>
    method === "tools/call"
  );
  assert.equal(row?.clientId, scene.client.id);
  assert.equal(row?.userId, scene.browser.person.userId);
  assert.equal(row?.keyId, null);
  assert.equal(JSON.stringify(row).includes(access_token), false);
});

onScene("a client may do what was allowed, and is told what to ask for to do more", async (scene) => { // RS08, Q-14
  const permissions = { [scene.connectionId]: ["test_simple_text"] };
  const { access_token } = await obtainTokens(scene, { permissions });
  const to = { url: scene.resource, key: access_token };
  const listed = await answerOf(await post(to, modern("tools/list")));
  assert.deepEqual(listed.result.tools.map((tool: { name: string }) => tool.name), ["test_simple_text"]);
  assert.equal((await post(to, toolCall("test_simple_text")).then(answerOf)).result.isError, undefined);
  const response = await post(to, toolCall("test_image_content"));
  assert.equal(response.status, 403);
  const challenge = response.headers.get("www-authenticate") ?? "";
  assert.match(challenge, /error="insufficient_scope"/);
  assert.match(challenge, /scope="mcp mcp:test_simple_text mcp:test_image_content"/);
  assert.match(challenge, /resource_metadata="http[^"]+"/);
  assert.match((await response.json()).error.message, /permission 'test_image_content'/);
  const rows = await rowsOf(scene.mesh, { person: scene.browser.person });
  const denied = rows.find(({ toolName }) => toolName === "test_image_content");
  assert.equal(denied?.outcome, "denied");
  // The person is asked for more, as what was remembered does not hold it.
  const scope = /scope="([^"]+)"/.exec(challenge)?.[1] ?? "";
  const more = await obtainTokens(scene, {
    params: { scope },
    permissions: { [scene.connectionId]: ["test_simple_text", "test_image_content"] },
  });
  assert.equal(more.scope, scope);
  const again = await post({ ...to, key: more.access_token }, toolCall("test_image_content"));
  await again.body?.cancel();
  assert.equal(again.status, 200);
});

onScene("everything implies each thing", async (scene) => { // RS09
  const { access_token } = await obtainTokens(scene, { params: { scope: "mcp" } });
  for (const name of ["test_simple_text", "test_image_content"]) {
    const response = await post({ url: scene.resource, key: access_token }, toolCall(name));
    await response.body?.cancel();
    assert.equal(response.status, 200);
  }
});

onScene("on the management server too a client may do what was allowed", async (scene) => { // RS08
  const url = `${scene.mesh.url}/mcp`;
  const params = { resource: url };
  const { access_token } = await obtainTokens(scene, { params, permissions: { self: ["*_LIST"] } });
  const to = { url, key: access_token };
  const listed = await post(to, toolCall("COLLECTION_CONNECTIONS_LIST"));
  assert.equal((await answerOf(listed)).result.isError, undefined);
  const sent = modern("tools/call", { name: "ORGANIZATION_CREATE", arguments: { name: "X", slug: "x" } });
  const response = await post(to, sent);
  await response.text();
  assert.equal(response.status, 403);
  assert.match(
    response.headers.get("www-authenticate") ?? "",
    /error="insufficient_scope".*scope="mcp mcp:\*_LIST mcp:ORGANIZATION_CREATE"/,
  );
  const rows = await rowsOf(scene.mesh, { person: scene.browser.person });
  assert.ok(rows.some(({ toolName, outcome }) => toolName === "ORGANIZATION_CREATE" && outcome === "denied"));
});

onScene("a client is told of no scope that its person could not give", async (scene) => { // RS08
  const person = await scene.mesh.member(scene.browser.person.organizationId, ["user"]);
  const own = { ...scene, browser: await signIn(scene.mesh, person) };
  const url = `${scene.mesh.url}/mcp`;
  const { access_token } = await obtainTokens(own, { params: { resource: url } });
  const sent = modern("tools/call", {
    name: "COLLECTION_CONNECTIONS_DELETE",
    arguments: { id: scene.connectionId },
  });
  const response = await post({ url, key: access_token }, sent);
  assert.equal(response.status, 200);
  assert.equal((await answerOf(response)).result.isError, true);
});

onScene("a client makes no key that would outlive what it was allowed", async (scene) => {
  const url = `${scene.mesh.url}/mcp`;
  const { access_token } = await obtainTokens(scene, { params: { resource: url } });
  const params = { name: "API_KEY_CREATE", arguments: { name: "A key" } };
  const answer = await answerOf(await post({ url, key: access_token }, modern("tools/call", params)));
  assert.equal(answer.result.isError, true);
  assert.match(answer.result.content[0].text, /would outlive/);
  assert.equal((await scene.mesh.services.db.selectFrom("api_keys").selectAll().execute()).length, 0);
});

onEachDatabase("what a person may not do any more, their clients may not either", async (_t, url) => {
  await withScene(async (scene) => {
    const { services } = scene.mesh;
    const person = await scene.mesh.member(scene.browser.person.organizationId, ["user"]);
    const own: Scene = { ...scene, browser: await signIn(scene.mesh, person) };
    const { access_token, refresh_token } = await obtainTokens(own);
    assert.equal(await callStatus(scene, access_token), 200);
    const [member] = (await members.list(services.db, person.organizationId, { limit: 9, offset: 0 }))
      .filter(({ userId }) => userId === person.userId);
    assert.ok(member);
    const roles = { id: member.id, roles: ["nobody"] };
    await members.updateRoles(services.db, person.organizationId, roles);
    services.identities.forget();
    assert.equal(await callStatus(scene, access_token), 403);
    await services.db.transaction().execute((db) => members.remove(db, person.organizationId, member));
    services.identities.forget();
    assert.equal(await callStatus(scene, access_token), 401);
    assert.equal((await services.db.selectFrom("oauth_tokens").selectAll().execute()).length, 0);
    await members.insert(services.db, person.organizationId, member);
    services.identities.forget();
    assert.equal(await callStatus(scene, access_token), 401, "nothing comes back with the member");
    const form: Params = { grant_type: "refresh_token", client_id: scene.client.id, refresh_token };
    assert.equal((await send(scene.mesh, form)).status, 400);
  }, { DATABASE_URL: url });
});

onScene("a token stays in its organization", async (scene) => {
  const { access_token } = await obtainTokens(scene, { params: { resource: `${scene.mesh.url}/mcp` } });
  const actor = await scene.mesh.services.identities.byBearer(access_token);
  assert.ok(actor);
  assert.equal(actor.kind, "token");
  assert.equal(actor.resource, "self");
  const other = await scene.mesh.organization();
  assert.equal(await scene.mesh.services.identities.actorIn(actor, other.organizationId), null);
  assert.equal(await scene.mesh.services.identities.actorIn(actor, actor.organizationId ?? ""), actor);
});

onScene("a known token is answered without asking the database", async (scene) => {
  const { identities } = scene.mesh.services;
  const { access_token } = await obtainTokens(scene);
  const actor = await identities.byBearer(access_token);
  assert.ok(actor);
  assert.equal(identities.byBearer(access_token), actor);
  const clock = Date.now;
  const end = clock() + 3600_000;
  try {
    Date.now = () => end;
    assert.equal(
      identities.byBearer(access_token),
      null,
      "it ends exactly then, also while it is remembered",
    );
  } finally {
    Date.now = clock;
  }
});

onScene(
  "a client that asks for its token's address with a slash gets to the same resource",
  async (scene) => {
    const { access_token } = await obtainTokens(scene, { params: { resource: `${scene.resource}/` } });
    for (const resource of [scene.resource, `${scene.resource}/`]) {
      assert.equal(await callStatus({ resource }, access_token), 200);
    }
    const { access_token: again } = await tokensOf(
      await send(scene.mesh, {
        grant_type: "refresh_token",
        client_id: scene.client.id,
        refresh_token: (await obtainTokens(scene, { params: { prompt: "consent" } })).refresh_token,
        resource: `${scene.resource}/`,
      }),
    );
    assert.equal(await callStatus(scene, again), 200);
  },
);
