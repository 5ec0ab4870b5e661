// OAuth credentials on the way through the proxy, with an authorization server that is none of ours.
import assert from "node:assert/strict";
import * as connections from "../../server/storage/connections.ts";
import * as credentials from "../../server/storage/upstream_credentials.ts";
import type { OauthConfig } from "../../server/upstream/oauth_client/types.ts";
import {
  type OidcUpstream,
  type OidcUpstreamOptions,
  startOidcUpstream,
} from "../support/upstreams/oidc_provider.ts";
import { authorize, endsIn, type Holder, rowOf } from "../upstream/authorized.ts";
import { linkOf, personalSite } from "./personal_support.ts";
import {
  answerOf,
  type Json,
  legacy,
  type Mesh,
  modern,
  openSession,
  post,
  rowsOf,
  type Site,
  withMesh,
} from "./support.ts";
import { until } from "../support/until.ts";

interface Scene {
  readonly mesh: Mesh;
  readonly oidc: OidcUpstream;
  readonly to: Site;
  readonly holder: Holder;
}

type SceneOptions = OidcUpstreamOptions & { oauthConfig?: OauthConfig | null };

async function onScene(
  fn: (scene: Scene) => Promise<void>,
  { oauthConfig = null, ...options }: SceneOptions = {},
): Promise<void> {
  await using oidc = await startOidcUpstream(options);
  await withMesh(async (mesh) => {
    const to = await personalSite(mesh, oidc.mcpUrl, {
      credential_type: "oauth",
      oauth_config: oauthConfig && JSON.stringify(oauthConfig),
    });
    const { organizationId, userId: owner } = to.person;
    await fn({ mesh, oidc, to, holder: { organizationId, connectionId: to.connectionId, owner } });
  });
}

/** A scene whose person has authorized. */
function onAuthorized(
  fn: (scene: Scene) => Promise<void>,
  options: SceneOptions = {},
): Promise<void> {
  return onScene(async (scene) => {
    await authorize(scene.mesh.services, scene.oidc, scene.holder);
    await fn(scene);
  }, options);
}

function refreshes({ oidc }: Scene): number {
  return oidc.tokenRequests.refresh_token ?? 0;
}

/** Calls the tool that gives back what it is given. */
async function echo({ to }: Scene, text: string): Promise<Json> {
  return await answerOf(await post(to, modern("tools/call", { name: "echo", arguments: { text } })));
}

async function works(scene: Scene, text = "hello"): Promise<void> {
  const answer = await echo(scene, text);
  assert.equal(answer.result?.content?.[0]?.text, text, JSON.stringify(answer));
}

/** How often the tool itself was reached. */
function reached({ oidc }: Scene, text: string): number {
  return oidc.fixture.seen.filter(({ body }) => body.includes(`"${text}"`)).length;
}

function forget({ mesh, to }: Scene): void {
  mesh.services.upstream.forget(to.connectionId);
}

Deno.test("a person's own grant goes with their calls, and others get the link", () =>
  onAuthorized(async (scene) => {
    const { mesh, to, oidc } = scene;
    await works(scene);
    assert.equal(refreshes(scene), 0);
    const person = await mesh.member(to.person.organizationId);
    const other = { ...to, person, key: await mesh.key(person) };
    const seen = oidc.fixture.seen.length;
    const answer = await answerOf(await post(other, modern("tools/call", { name: "echo", arguments: {} })));
    assert.ok(answer.result.isError && answer.result.content[0].text.includes(linkOf(mesh, to)));
    assert.equal(oidc.fixture.seen.length, seen);
  }));

Deno.test("what the organization shares goes with everybody's calls, once somebody has authorized it", () =>
  onScene(async (scene) => {
    const { mesh, oidc, to, holder: { organizationId, connectionId } } = scene;
    const changes = { credential_mode: "shared" };
    await connections.update(mesh.services.db, organizationId, { id: connectionId, changes });
    forget(scene);
    const { result } = await echo(scene, "early");
    assert.match(result.content[0].text, /nobody has authorized it for the organization/);
    await authorize(mesh.services, oidc, { organizationId, connectionId });
    forget(scene);
    const person = await mesh.member(organizationId);
    await works(scene);
    await works({ ...scene, to: { ...to, person, key: await mesh.key(person) } });
  }));

Deno.test("a token is renewed before its end, and calls do not wait for it", () =>
  onAuthorized(async (scene) => {
    const { mesh, holder } = scene;
    await works(scene);
    await endsIn(mesh.services, { ...holder, milliseconds: 40_000 });
    forget(scene);
    const before = (await rowOf(mesh.services, holder)).version;
    await works(scene);
    await until(() => refreshes(scene) === 1);
    await until(async () => (await rowOf(mesh.services, holder)).version > before);
    const row = await rowOf(mesh.services, holder);
    assert.deepEqual([row.state, row.claimed_by, row.claimed_until], ["ok", null, null]);
    assert.ok((row.expires_at ?? 0) > Date.now() + 200_000);
    assert.ok((row.refreshed_at ?? 0) > Date.now() - 60_000);
    await works(scene);
    assert.equal(refreshes(scene), 1);
  }));

Deno.test("many calls at the end of a token renew it once, and each time it rotates", () =>
  // CL12
  onAuthorized(async (scene) => {
    const { mesh, holder } = scene;
    for (let round = 1; round <= 3; round++) {
      await endsIn(mesh.services, { ...holder, milliseconds: -1 });
      forget(scene);
      await Promise.all(Array.from({ length: 20 }, (_, i) => works(scene, `${round}-${i}`)));
      assert.equal(refreshes(scene), round);
    }
    const used = scene.oidc.tokenParameters.map(({ refresh_token }) => refresh_token).filter(Boolean);
    assert.equal(new Set(used).size, 3, "each refresh token is used once");
    assert.ok(scene.oidc.tokenParameters.every(({ resource }) => resource === scene.oidc.mcpUrl)); // CL03
  }));

Deno.test("a token that is refused in the middle is renewed once, and the message sent once more", () =>
  onAuthorized(async (scene) => {
    await works(scene, "before");
    scene.oidc.expireAccess();
    await works(scene, "after");
    assert.equal(refreshes(scene), 1);
    assert.equal(reached(scene, "after"), 2, "once refused, once run");
    const [row] = await rowsOf(scene.mesh, scene.to);
    assert.deepEqual([row?.outcome, row?.upstreamStatus], ["ok", 200]);
    await Promise.all(Array.from({ length: 10 }, (_, i) => works(scene, `p${i}`)));
    assert.equal(refreshes(scene), 1);
  }));

Deno.test("calls of a session, its streams and its end go on with a renewed token", () =>
  onAuthorized(async (scene) => {
    const { to, oidc } = scene;
    const session = await openSession(to);
    const headers = { "authorization": `Bearer ${to.key}`, "mcp-session-id": session };
    oidc.expireAccess();
    const get = await fetch(to.url, { headers: { ...headers, accept: "text/event-stream" } });
    assert.deepEqual([get.status, refreshes(scene)], [200, 1]);
    await get.body?.cancel();
    // Younger tokens are not renewed again; this one has been in use for a while.
    await ageBy(scene, 20_000);
    oidc.expireAccess();
    const params = { name: "echo", arguments: { text: "in a session" } };
    const answer = await answerOf(await post(to, legacy("tools/call", params, { session })));
    assert.equal(answer.result.content[0].text, "in a session");
    assert.equal(refreshes(scene), 2);
    await ageBy(scene, 20_000);
    oidc.expireAccess();
    const end = await fetch(to.url, { method: "DELETE", headers });
    await end.text();
    assert.ok(end.ok);
    assert.equal(refreshes(scene), 3);
    assert.deepEqual(oidc.fixture.sessions(), []); // L03
  }, { era: "legacy" }));

/** Lets the token be older than it is. */
async function ageBy(
  { mesh: { services: { db } }, holder }: Scene,
  milliseconds: number,
): Promise<void> {
  const { id, version, refreshed_at } = await rowOf({ db }, holder);
  const changes = { refreshed_at: (refreshed_at ?? Date.now()) - milliseconds };
  assert.ok(await credentials.settle(db, holder.organizationId, { id, version, changes, now: Date.now() }));
}

Deno.test("the tool tester renews a token that is refused in the middle, too", () =>
  onAuthorized(async (scene) => {
    const { mesh, oidc, to } = scene;
    const input = { id: to.connectionId, toolName: "echo", arguments: { text: "tried" } };
    for (const renewed of [0, 1]) {
      const { content } = await mesh.run<Json>(to.key, "CONNECTION_CALL_TOOL", input);
      assert.equal(content[0].text, "tried");
      assert.equal(refreshes(scene), renewed);
      oidc.expireAccess();
    }
    oidc.revokeAll();
    await ageBy(scene, 20_000);
    await assert.rejects(mesh.run(to.key, "CONNECTION_CALL_TOOL", input), /answered 403.*taken back/);
    assert.equal((await rowsOf(mesh, to))[0]?.outcome, "denied");
  }));

Deno.test("a grant that is taken back needs attention; it is never deleted, and the tools stay", () =>
  onAuthorized(async (scene) => {
    const { mesh, oidc, holder, to } = scene;
    await works(scene);
    oidc.revokeAll();
    const answer = await echo(scene, "revoked");
    assert.equal(answer.result.isError, true);
    assert.match(answer.result.content[0].text, /ended the authorization, or it was taken back/);
    assert.ok(answer.result.content[0].text.includes(linkOf(mesh, to)));
    const row = await rowOf(mesh.services, holder);
    assert.equal(row.state, "attention");
    assert.match(row.reason ?? "", /taken back/);
    assert.equal((await answerOf(await post(to, modern("tools/list")))).result.tools.length, 3);
    const asked = refreshes(scene);
    await echo(scene, "again");
    assert.equal(refreshes(scene), asked, "nobody asks once more with what is worth nothing");
    const [newest] = await rowsOf(mesh, to);
    assert.equal(newest?.outcome, "denied");
    await authorize(mesh.services, oidc, holder);
    forget(scene);
    await works(scene, "connected anew");
  }));

Deno.test("while the authorization server is down the old token is used as long as it is good", () =>
  onAuthorized(async (scene) => {
    const { mesh, oidc, holder } = scene;
    oidc.setDown(503);
    await endsIn(mesh.services, { ...holder, milliseconds: 30_000 });
    forget(scene);
    for (const text of ["one", "two", "three"]) await works(scene, text);
    const row = await rowOf(mesh.services, holder);
    assert.equal(row.state, "ok");
    oidc.setDown(false);
    await until(async () => {
      await works(scene);
      return refreshes(scene) === 1;
    });
  }));

Deno.test("after its end there is a clear error while the server is down, and all works when it is back", () =>
  onAuthorized(async (scene) => {
    const { mesh, oidc, holder, to } = scene;
    oidc.setDown(true);
    await endsIn(mesh.services, { ...holder, milliseconds: -1 });
    forget(scene);
    const response = await post(to, modern("tools/call", { name: "echo", arguments: { text: "down" } }));
    assert.equal(response.status, 502);
    const { error } = await answerOf(response);
    assert.match(error.message, /^Cannot get access to Weather: /);
    assert.equal(error.data.stage, "token");
    assert.equal((await answerOf(await post(to, modern("tools/list")))).result.tools.length, 3);
    const row = await rowOf(mesh.services, holder);
    assert.deepEqual([row.state, row.claimed_by], ["ok", null]);
    const [newest] = await rowsOf(mesh, to);
    assert.equal(newest?.outcome, "failed");
    oidc.setDown(false);
    await until(async () => (await echo(scene, "back")).result?.content?.[0]?.text === "back");
    assert.equal(refreshes(scene), 1);
  }));

Deno.test("a server whose clock is ahead refuses early, and gets a new token once", () =>
  onAuthorized(async (scene) => {
    scene.oidc.setClock(200);
    scene.oidc.setAccessTokenSeconds(1000);
    await works(scene, "skewed");
    assert.equal(refreshes(scene), 1);
    await works(scene);
    assert.equal(refreshes(scene), 1);
  }, { accessTokenSeconds: 100 }));

Deno.test("a server that refuses every token is not asked again and again", () =>
  onAuthorized(async (scene) => {
    scene.oidc.setClock(4000);
    for (let call = 0; call < 3; call++) {
      const answer = await echo(scene, "never");
      assert.match(answer.result.content[0].text, /not even a new one/);
    }
    assert.equal(refreshes(scene), 1);
    assert.equal(
      (await rowOf(scene.mesh.services, scene.holder)).state,
      "ok",
      "it may be the server's fault",
    );
    assert.equal(reached(scene, "never"), 2 + 1 + 1);
    scene.oidc.setClock(0);
    await works(scene, "well again");
  }));

Deno.test("a client that the authorization server has forgotten is registered anew with the next authorization", () =>
  onAuthorized(async (scene) => {
    const { mesh, oidc, holder } = scene;
    assert.equal(oidc.registrations(), 1);
    oidc.forgetClients();
    await endsIn(mesh.services, { ...holder, milliseconds: -1 });
    forget(scene);
    const answer = await echo(scene, "unknown client");
    assert.match(answer.result.content[0].text, /no longer knows the mesh as its client/);
    assert.equal((await rowOf(mesh.services, holder)).state, "attention");
    await authorize(mesh.services, oidc, holder);
    assert.equal(oidc.registrations(), 1);
    forget(scene);
    await works(scene);
  }));

// CL11
Deno.test("a token that allows too little leads to one that allows both, and asking has an end", () =>
  onScene(async (scene) => {
    const { mesh, oidc, holder, to } = scene;
    const authorizeFor = async (scopes: string | null) => {
      await authorize(mesh.services, oidc, { ...holder, scopes });
      forget(scene);
    };
    await authorizeFor(null);
    await works(scene);
    const call = () => post(to, modern("tools/call", { name: "whoami", arguments: {} }));
    const refused = await call();
    assert.equal(refused.status, 200, "the client does not take it for a refusal of its own token");
    assert.equal(refused.headers.get("www-authenticate"), null);
    const { result } = await answerOf(refused);
    assert.match(result.content[0].text, /asks for more than was allowed: admin/);
    await works(scene, "what was allowed goes on");
    const { scope, state } = await rowOf(mesh.services, holder);
    assert.deepEqual([new Set(scope?.split(" ")), state], [new Set(["tools", "admin"]), "ok"]);
    await answerOf(await call());
    for (let round = 2; round <= 3; round++) {
      await authorizeFor(null);
      assert.match((await answerOf(await call())).result.content[0].text, /asks for more/);
    }
    await authorizeFor(null);
    const last = await call();
    assert.equal(last.status, 502);
    assert.match((await answerOf(last)).error.message, /403/);
    await authorizeFor("tools admin");
    assert.ok((await answerOf(await call())).result.structuredContent);
  }, {
    oauthConfig: { scope: "tools" },
    scopes: ["tools", "admin"],
    scopeFor: ({ params }) => params?.name === "whoami" ? "admin" : undefined,
  }));
