import assert from "node:assert/strict";
import type { Client } from "../../server/oauth/clients.ts";
import { newId } from "../../server/ids.ts";
import * as oauthClients from "../../server/storage/oauth_clients.ts";
import {
  allow,
  ask,
  authorize,
  countIssued,
  goodRequest,
  onScene,
  type Params,
  proofKey,
  register,
  type Scene,
  sendRegistration,
} from "./support.ts";

const nothing = { oauth_consents: 0, oauth_codes: 0, oauth_tokens: 0 };

/** Asserts that the answer is a page for the person, and no redirect. */
async function shown(response: Response, text: RegExp): Promise<void> {
  const body = await response.text();
  assert.equal(response.status, 400, body);
  assert.equal(response.headers.get("location"), null);
  assert.equal(response.headers.get("refresh"), null);
  assert.match(response.headers.get("content-type") ?? "", /^text\/html/);
  assert.match(response.headers.get("content-security-policy") ?? "", /frame-ancestors 'none'/); // AS17
  assert.match(body, text);
}

/** Asserts that the answer takes an error back to the client, with state and issuer, each once. */
async function redirected({ mesh }: Scene, response: Response, error: string): Promise<URL> {
  await response.text();
  assert.equal(response.status, 303); // AS18
  const location = new URL(response.headers.get("location") ?? "");
  assert.equal(location.origin + location.pathname, "https://client.example/callback");
  assert.equal(location.searchParams.get("error"), error);
  assert.deepEqual(location.searchParams.getAll("iss"), [mesh.services.config.baseUrl]); // AS15
  assert.equal(location.searchParams.get("code"), null);
  return location;
}

onScene("an unknown client or address is shown, never redirected", async (scene) => { // AS11, AS12
  const good = goodRequest(scene, proofKey().challenge);
  const cases: [Params, RegExp][] = [
    [{ client_id: undefined }, /client_id/],
    [{ client_id: "" }, /client_id/],
    [{ client_id: newId("client") }, /not registered here/],
    [{ client_id: "<script>alert(1)</script>" }, /not registered here/],
    [{ client_id: [scene.client.id, scene.client.id] }, /more than once/],
    [{ client_id: [scene.client.id, newId("client")] }, /more than once/],
    [{ client_id: "https://client.example/" }, /no path/],
    [{ client_id: "https://client.example/../x" }, /./],
    [{ redirect_uri: "https://evil.example/callback" }, /not an address that it registered/],
    [{ redirect_uri: "https://client.example/callback/" }, /not an address that it registered/],
    [{ redirect_uri: "https://client.example/Callback" }, /not an address that it registered/],
    [{ redirect_uri: "https://client.example/callback?x=1" }, /not an address that it registered/],
    [{ redirect_uri: "http://client.example/callback" }, /not an address that it registered/],
    [{ redirect_uri: "javascript:alert(1)" }, /not an address that it registered/],
    [{ redirect_uri: [scene.client.redirectUri, "https://evil.example/"] }, /more than once/],
    [{ redirect_uri: "x".repeat(9000) }, /longer/],
    [{ state: ["x".repeat(8000), "x".repeat(8000), "x".repeat(8000)] }, /too long/],
  ];
  for (const [change, text] of cases) {
    for (const signedIn of [true, false]) {
      if (!signedIn && String(change.client_id).startsWith("https:")) continue; // asked to sign in first
      await shown(await authorize(scene, { ...good, ...change }, { signedIn }), text);
    }
  }
  assert.deepEqual(await countIssued(scene.mesh), nothing);
  assert.equal((await scene.mesh.services.db.selectFrom("oauth_requests").selectAll().execute()).length, 0);
});

onScene("what is wrong beyond that the client is told, with its state and our name", async (scene) => { // AS10, AS12, AS15, AS16, AS19
  const good = goodRequest(scene, proofKey().challenge);
  const foreign = `${scene.mesh.url}/mcp/${newId("conn")}`;
  const cases: [Params, string][] = [
    [{ response_type: undefined }, "invalid_request"],
    [{ response_type: "token" }, "unsupported_response_type"],
    [{ response_type: "code id_token" }, "unsupported_response_type"],
    [{ response_type: ["code", "code"] }, "invalid_request"],
    [{ response_mode: "form_post" }, "invalid_request"],
    [{ response_mode: "fragment" }, "invalid_request"],
    [{ request: "eyJ" }, "request_not_supported"],
    [{ request_uri: "https://client.example/r" }, "request_not_supported"],
    [{ code_challenge: undefined }, "invalid_request"], // AS10
    [{ code_challenge: "short" }, "invalid_request"],
    [{ code_challenge: "x".repeat(44) }, "invalid_request"],
    [{ code_challenge: `${"x".repeat(42)}=` }, "invalid_request"],
    [{ code_challenge_method: "plain" }, "invalid_request"],
    [{ code_challenge_method: undefined }, "invalid_request"],
    [{ code_challenge_method: "s256" }, "invalid_request"],
    [{ code_challenge: ["x".repeat(43), "y".repeat(43)] }, "invalid_request"],
    [{ resource: "https://evil.example/mcp" }, "invalid_target"], // AS19
    [{ resource: `${scene.resource}#x` }, "invalid_target"],
    [{ resource: `${scene.resource}?x` }, "invalid_target"],
    [{ resource: "mcp" }, "invalid_target"],
    [{ resource: [scene.resource, "https://evil.example/mcp"] }, "invalid_target"],
    [{ resource: [scene.resource, `${scene.mesh.url}/mcp`] }, "invalid_target"],
    [{ resource: foreign }, "invalid_target"],
    [{ scope: ["mcp", "mcp"] }, "invalid_request"],
  ];
  for (const [change, error] of cases) {
    const location = await redirected(scene, await authorize(scene, { ...good, ...change }), error);
    assert.deepEqual(location.searchParams.getAll("state"), ["state-1"], JSON.stringify(change));
  }
  const twice = await redirected(
    scene,
    await authorize(scene, { ...good, state: ["a", "b"] }),
    "invalid_request",
  );
  assert.equal(twice.searchParams.get("state"), null);
  assert.deepEqual(await countIssued(scene.mesh), nothing);
  assert.equal((await scene.mesh.services.db.selectFrom("oauth_requests").selectAll().execute()).length, 0);
});

onScene("a client that was not registered for codes gets none", async (scene) => {
  const { db } = scene.mesh.services;
  const kept = await oauthClients.find(db, scene.client.id, Date.now());
  assert.ok(kept);
  const id = newId("client");
  await oauthClients.insert(db, { ...kept, id, grantTypes: ["client_credentials"] });
  const request = { ...goodRequest(scene, proofKey().challenge), client_id: id };
  await redirected(scene, await authorize(scene, request), "unauthorized_client");
});

onScene("who is not signed in signs in first, and comes back to the same request", async (scene) => {
  const request = { ...goodRequest(scene, proofKey().challenge), state: "a&b=c\\d é%" };
  const response = await authorize(scene, request, { signedIn: false });
  await response.text();
  assert.equal(response.status, 303);
  const location = new URL(response.headers.get("location") ?? "", scene.mesh.url);
  assert.equal(location.pathname, "/login");
  const next = location.searchParams.get("next") ?? "";
  assert.match(next, /^\/api\/auth\/authorize\?/);
  const resumed = new URL(next, scene.mesh.url).searchParams;
  for (const [name, value] of Object.entries(request)) assert.equal(resumed.get(name), value, name);
  // What cannot be answered is refused before anybody signs in for it.
  const bad = await authorize(scene, { ...request, code_challenge_method: "plain" }, { signedIn: false });
  await redirected(scene, bad, "invalid_request");
  const silent = await authorize(scene, { ...request, prompt: "none" }, { signedIn: false });
  await redirected(scene, silent, "login_required");
});

onScene("a document is not read for somebody who is not signed in", async (scene) => {
  const request = {
    ...goodRequest(scene, proofKey().challenge),
    client_id: "https://client.example/client.json",
  };
  const response = await authorize(scene, request, { signedIn: false });
  await response.text();
  assert.match(response.headers.get("location") ?? "", /^\/login\?next=/);
});

onScene("the sign-in page leads on by a page, as browsers hold its form to this site", async (scene) => {
  const request = { ...goodRequest(scene, proofKey().challenge), resource: "https://evil.example/" };
  const origins: Record<string, string>[] = [{ "sec-fetch-site": "same-origin" }, {
    referer: `${scene.mesh.url}/login`,
  }];
  for (const headers of origins) {
    const response = await authorize(scene, request, { headers });
    const body = await response.text();
    assert.equal(response.status, 200);
    assert.match(
      response.headers.get("refresh") ?? "",
      /^0; url=https:\/\/client\.example\/callback\?error=/,
    );
    assert.match(body, /href="https:\/\/client\.example\/callback\?error=invalid_target&amp;/);
  }
  for (const headers of [{ "sec-fetch-site": "cross-site" }, { referer: "https://evil.example/login" }]) {
    await redirected(
      scene,
      await authorize(scene, request, { headers: headers as Record<string, string> }),
      "invalid_target",
    );
  }
});

onScene("a good request becomes a question to the person, and their answer a code", async (scene) => { // AS15, AS16
  const { challenge } = proofKey();
  const state = "s-._~!$&'()*+,;=:@/?%20 é\u0001<\"";
  const answer = await allow(scene, { ...goodRequest(scene, challenge), state });
  assert.match(answer.get("code") ?? "", /^mesh_ac_[\w-]{43}$/);
  for (const name of ["code", "state", "iss"]) assert.equal(answer.getAll(name).length, 1);
  assert.equal(answer.get("state"), state);
  assert.equal(answer.get("iss"), scene.mesh.services.config.baseUrl);
  const [row] = await scene.mesh.services.db.selectFrom("oauth_codes").selectAll().execute();
  assert.equal(JSON.stringify(row).includes(answer.get("code") ?? "?"), false, "a code is stored hashed");
  assert.ok(row && row.expires_at - row.created_at <= 60_000); // AS14
  const { state: _, ...stateless } = goodRequest(scene, challenge);
  assert.equal((await allow(scene, { ...stateless, prompt: "consent" })).get("state"), null);
});

onScene("without scope and without resource there is a default", async (scene) => { // AS19, AS20
  const { resource: _, ...request } = goodRequest(scene, proofKey().challenge);
  const question = await ask(scene, request);
  assert.equal(question.resource.id, "self");
  assert.deepEqual(question.asks, { self: ["*"] });
  for (const resource of [scene.mesh.url, `${scene.mesh.url}/`, `${scene.mesh.url}/mcp/`]) {
    assert.equal((await ask(scene, { ...request, resource })).resource.id, "self");
  }
  const { resource } = scene;
  assert.equal(
    (await ask(scene, { ...request, resource: [resource, `${resource}/`] })).resource.id,
    scene.connectionId,
  );
});

onScene("scopes that are not known count for nothing; those of actions are passed on", async (scene) => { // AS20, Q-12, Q-13
  const request = goodRequest(scene, proofKey().challenge);
  for (const scope of ["openid profile email offline_access claudeai", "mcp", "", 'x"y \\', "mcp:%zz"]) {
    assert.deepEqual((await ask(scene, { ...request, scope })).actions, [], scope);
  }
  const question = await ask(scene, {
    ...request,
    scope: "mcp mcp:delete_all mcp:prompt%3Aa%20b mcp:delete_all",
  });
  assert.deepEqual(question.actions, ["delete_all", "prompt:a b"]);
});

onScene("an address that was left out is the only one there is", async (scene) => {
  const { redirect_uri: _, ...request } = goodRequest(scene, proofKey().challenge);
  assert.equal((await ask(scene, request)).redirect.uri, scene.client.redirectUri);
  const two = await register(scene.mesh, { redirect_uris: ["https://a.example/", "https://b.example/"] });
  await shown(await authorize(scene, { ...request, client_id: two.id }), /redirect_uri.*is missing/);
});

onScene("an application of this machine returns to whatever port was free", async (scene) => { // AS11, Q-01
  const client = await register(scene.mesh, {
    redirect_uris: ["http://localhost/callback", "http://127.0.0.1/callback"],
  });
  const request = { ...goodRequest({ ...scene, client }, proofKey().challenge) };
  const question = await ask(scene, { ...request, redirect_uri: "http://localhost:3118/callback" });
  assert.equal(question.redirect.uri, "http://localhost:3118/callback");
  assert.equal(question.redirect.kind, "loopback");
  assert.equal(question.client.unproven, true); // AS17
  await shown(
    await authorize(scene, { ...request, redirect_uri: "http://localhost:3118/mcp/oauth/callback" }), // Q-04b
    /not an address that it registered/,
  );
});

onScene("a name of markup is shown as text", async (scene) => { // AS12
  const client_name = "<img src=x onerror=alert(1)>";
  const body: { client_id: string } = await (await sendRegistration(scene.mesh, { client_name })).json();
  const request = { ...goodRequest(scene, proofKey().challenge), client_id: body.client_id };
  const response = await authorize(scene, { ...request, redirect_uri: 'https://evil.example/"><script>' });
  const text = await response.text();
  assert.equal(response.status, 400);
  assert.doesNotMatch(text, /<img src=x|"><script>/);
  assert.match(text, /&lt;img src=x/);
});

onScene("the addresses that old clients guess answer too", async ({ mesh, browser, ...scene }) => {
  const request = goodRequest({ ...scene, mesh, browser }, proofKey().challenge);
  const query = new URLSearchParams(request as Record<string, string>);
  const response = await fetch(`${mesh.url}/authorize?${query}`, {
    redirect: "manual",
    headers: { cookie: browser.cookie },
  });
  await response.text();
  assert.match(response.headers.get("location") ?? "", /^\/consent\?request=ask_/);
  const registered = await fetch(`${mesh.url}/register`, {
    method: "POST",
    body: JSON.stringify({ redirect_uris: ["https://a.example/cb"], token_endpoint_auth_method: "none" }),
  });
  assert.equal(registered.status, 201);
  assert.ok((await registered.json() as Client & { client_id: string }).client_id);
});
