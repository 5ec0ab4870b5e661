import assert from "node:assert/strict";
import { newId } from "../../server/ids.ts";
import * as oauthClients from "../../server/storage/oauth_clients.ts";
import { addConnection } from "../mcp/support.ts";
import {
  callStatus,
  countIssued,
  obtainCode,
  obtainTokens,
  onScene,
  type Params,
  proofKey,
  refused,
  register,
  type Scene,
  send,
  tokensOf,
} from "./support.ts";
import { until } from "../support/until.ts";

function basic(id: string, secret: string): Record<string, string> {
  const encode = (text: string) => encodeURIComponent(text).replaceAll("%20", "+");
  return { authorization: `Basic ${btoa(`${encode(id)}:${encode(secret)}`)}` };
}

/** The refresh of a scene's client. */
function refresh({ client, mesh }: Scene, token: string | undefined, more: Params = {}): Promise<Response> {
  return send(mesh, { grant_type: "refresh_token", client_id: client.id, refresh_token: token, ...more });
}

onScene("tokens come as JSON that nobody stores, for the resource that was allowed", async (scene) => { // AS30, AS34, AS37
  const response = await send(scene.mesh, await obtainCode(scene, { params: { scope: "mcp:echo openid" } }));
  assert.equal(response.headers.get("cache-control"), "no-store");
  assert.match(response.headers.get("content-type") ?? "", /^application\/json/);
  const { access_token, refresh_token, ...rest } = await tokensOf(response);
  assert.deepEqual(rest, { token_type: "Bearer", expires_in: 3600, scope: "mcp mcp:echo" });
  assert.equal(await callStatus(scene, access_token), 200);
  const rows = await scene.mesh.services.db.selectFrom("oauth_tokens").selectAll().execute();
  assert.equal(rows.length, 2);
  const stored = JSON.stringify(rows);
  for (const secret of [access_token, refresh_token ?? ""]) {
    assert.equal(stored.includes(secret.slice(8)), false, "tokens are stored hashed");
  }
});

onScene("the lives of tokens are settings", async (scene) => { // AS37
  const { access_token, expires_in } = await obtainTokens(scene);
  assert.equal(expires_in, 90);
  const rows = await scene.mesh.services.db.selectFrom("oauth_tokens").selectAll().execute();
  const lives = Object.fromEntries(rows.map((row) => [row.kind, row.expires_at - row.created_at]));
  assert.deepEqual(lives, { access: 90_000, refresh: 2 * 24 * 3600_000 });
  const clock = Date.now;
  const later = clock() + 90_000;
  try {
    Date.now = () => later;
    assert.equal(await callStatus(scene, access_token), 401); // RS01
  } finally {
    Date.now = clock;
  }
}, { ACCESS_TOKEN_SECONDS: "90", REFRESH_TOKEN_DAYS: "2" });

onScene("a code is exchanged for what was asked, and otherwise for nothing", async (scene) => { // AS14, AS32, AS33, AS34
  const { mesh, client } = scene;
  const other = await register(mesh);
  const otherConnection = await addConnection(mesh, scene.browser.person, { url: scene.fixture.url });
  const form = await obtainCode(scene);
  const cases: [Params, string, number?][] = [
    [{ code: undefined }, "invalid_request"],
    [{ code: [form.code, form.code] }, "invalid_request"],
    [{ code: `${form.code}x` }, "invalid_grant"],
    [{ code: "mesh_ac_" }, "invalid_grant"],
    [{ client_id: other.id }, "invalid_grant"],
    [{ client_id: undefined }, "invalid_client", 401],
    [{ client_id: newId("client") }, "invalid_client", 401],
    [{ client_id: "https://client.example/client.json" }, "invalid_grant"],
    [{ client_id: [client.id, client.id] }, "invalid_request"],
    [{ client_secret: "guess" }, "invalid_client", 401],
    [{ redirect_uri: undefined }, "invalid_grant"], // AS33
    [{ redirect_uri: `${form.redirect_uri}/` }, "invalid_grant"],
    [{ redirect_uri: "https://evil.example/" }, "invalid_grant"],
    [{ code_verifier: undefined }, "invalid_grant"], // AS32
    [{ code_verifier: proofKey().verifier }, "invalid_grant"],
    [{ code_verifier: form.code_verifier.slice(1) }, "invalid_grant"],
    [{ code_verifier: proofKey().challenge }, "invalid_grant"],
    [{ code_verifier: "x".repeat(129) }, "invalid_grant"],
    [{ resource: `${mesh.url}/mcp` }, "invalid_target"], // AS34
    [{ resource: `${mesh.url}/mcp/${otherConnection}` }, "invalid_target"],
    [{ resource: [scene.resource, "https://evil.example/"] }, "invalid_target"],
    [{ grant_type: undefined }, "invalid_request"],
    [{ grant_type: "password" }, "unsupported_grant_type"],
    [{ grant_type: "constructor" }, "unsupported_grant_type"],
    [{ grant_type: "urn:ietf:params:oauth:grant-type:jwt-bearer" }, "unsupported_grant_type"],
    [{ grant_type: "client_credentials" }, "unauthorized_client"],
    [{ client_assertion: "x" }, "invalid_client", 401],
  ];
  const before = await countIssued(mesh);
  for (const [change, error, status = 400] of cases) {
    await refused(await send(mesh, { ...form, ...change }), error, status);
  }
  assert.deepEqual(await countIssued(mesh), before, "nothing was issued");
  assert.equal(before.oauth_tokens, 0);
  const { access_token } = await tokensOf(await send(mesh, { ...form, resource: `${scene.resource}/` }));
  assert.equal(await callStatus(scene, access_token), 200, "the code was still good");
});

onScene("a code ends after a minute", async (scene) => { // AS14
  const form = await obtainCode(scene);
  const clock = Date.now;
  const later = clock() + 60_000;
  try {
    Date.now = () => later;
    await refused(await send(scene.mesh, form), "invalid_grant");
  } finally {
    Date.now = clock;
  }
  assert.equal((await countIssued(scene.mesh)).oauth_tokens, 0);
});

onScene("a code that comes again ends what came of it", async (scene) => { // AS14
  const form = await obtainCode(scene);
  const first = await tokensOf(await send(scene.mesh, form));
  const others = await obtainTokens(scene, { params: { prompt: "consent" } });
  assert.equal(await callStatus(scene, first.access_token), 200);
  // Whoever shows it, with whatever proof: the code itself was seen twice.
  await refused(await send(scene.mesh, { ...form, code_verifier: proofKey().verifier }), "invalid_grant");
  assert.equal(await callStatus(scene, first.access_token), 401, "also in this process, at once");
  await refused(await refresh(scene, first.refresh_token), "invalid_grant");
  assert.equal(await callStatus(scene, others.access_token), 200, "other families stay");
});

onScene("an address that the question left out, the exchange may leave out", async (scene) => { // AS33
  const form = await obtainCode(scene, { params: { redirect_uri: undefined } });
  await tokensOf(await send(scene.mesh, { ...form, redirect_uri: undefined }));
});

onScene("a client with a secret shows it, in the header or in the form", async (scene) => { // AS31
  for (const method of ["client_secret_basic", "client_secret_post"]) {
    const client = await register(scene.mesh, { token_endpoint_auth_method: method });
    const secret = client.secret ?? assert.fail();
    const own = { ...scene, client };
    const form = await obtainCode(own);
    const { client_id: id, ...anonymous } = form;
    const before = await countIssued(scene.mesh);
    const wrong = `${secret.slice(0, -1)}${secret.endsWith("A") ? "B" : "A"}`;
    const cases: [Params, Record<string, string>][] = [
      [form, {}],
      [{ ...form, client_secret: wrong }, {}],
      [{ ...form, client_secret: "" }, {}],
      [anonymous, basic(client.id, wrong)],
      [anonymous, basic(client.id, "")],
      [anonymous, basic(newId("client"), secret)],
      [anonymous, { authorization: `Basic ${btoa(client.id)}` }],
      [anonymous, { authorization: "Basic %%%" }],
      [anonymous, { authorization: "Basic " }],
      [anonymous, { authorization: `Basic ${btoa("%zz:x")}` }],
      [anonymous, { authorization: `Bearer ${secret}` }],
    ];
    for (const [body, headers] of cases) {
      const response = await send(scene.mesh, body, { headers });
      const basicUsed = headers.authorization?.startsWith("Basic") === true;
      assert.equal(response.headers.has("www-authenticate"), basicUsed); // AS30
      await refused(response, "invalid_client", 401);
    }
    const both = await send(scene.mesh, { ...form, client_secret: secret }, {
      headers: basic(client.id, secret),
    });
    await refused(both, "invalid_request"); // RFC 6749 section 2.3
    const two = await send(scene.mesh, { ...form, client_id: scene.client.id }, {
      headers: basic(client.id, secret),
    });
    await refused(two, "invalid_request");
    assert.deepEqual(await countIssued(scene.mesh), before);
    const good = method === "client_secret_basic"
      ? await send(scene.mesh, { ...anonymous, client_id: id }, { headers: basic(client.id, secret) })
      : await send(scene.mesh, { ...form, client_secret: secret });
    await tokensOf(good);
  }
});

onScene("the parts of a Basic header are form-encoded", async (scene) => { // AS31
  const { db } = scene.mesh.services;
  const { hashToken } = await import("../../server/access/identify.ts");
  const kept = await oauthClients.find(db, scene.client.id, Date.now());
  const secret = "a:b c%+é&=";
  const id = newId("client");
  await oauthClients.insert(db, { ...kept ?? assert.fail(), id, secretHash: hashToken(secret) });
  const own = { ...scene, client: { ...scene.client, id } };
  const { client_id: _, ...form } = await obtainCode(own);
  await tokensOf(await send(scene.mesh, form, { headers: basic(id, secret) }));
});

onScene("a refresh token is exchanged for the next, and bound to its client", async (scene) => { // AS35, AS38
  const other = await register(scene.mesh);
  const first = await obtainTokens(scene);
  const before = await countIssued(scene.mesh);
  await refused(await refresh(scene, undefined), "invalid_request");
  await refused(await refresh(scene, `${first.refresh_token}x`), "invalid_grant");
  await refused(await refresh(scene, first.access_token), "invalid_grant");
  await refused(await refresh({ ...scene, client: other }, first.refresh_token), "invalid_grant");
  await refused(
    await refresh(scene, first.refresh_token, { resource: `${scene.mesh.url}/mcp` }),
    "invalid_target",
  );
  assert.deepEqual(await countIssued(scene.mesh), before, "nothing was issued");
  const second = await tokensOf(await refresh(scene, first.refresh_token, { resource: scene.resource }));
  assert.equal(await callStatus(scene, second.access_token), 200);
  assert.equal(await callStatus(scene, first.access_token), 200, "until it ends by itself");
});

onScene("a refresh slides the end", async (scene) => {
  const first = await obtainTokens(scene);
  const clock = Date.now;
  const day = 24 * 3600_000;
  const [soon, late] = [clock() + 29 * day, clock() + 58 * day];
  try {
    Date.now = () => soon;
    const second = await tokensOf(await refresh(scene, first.refresh_token));
    Date.now = () => late;
    const third = await tokensOf(await refresh(scene, second.refresh_token));
    Date.now = () => late + 31 * day;
    await refused(await refresh(scene, third.refresh_token), "invalid_grant");
  } finally {
    Date.now = clock;
  }
});

onScene("scope can be narrowed by a refresh, never widened", async (scene) => { // AS36
  const first = await obtainTokens(scene, { params: { scope: "mcp mcp:echo mcp:add" } });
  await refused(await refresh(scene, first.refresh_token, { scope: "mcp mcp:delete" }), "invalid_scope");
  const second = await tokensOf(await refresh(scene, first.refresh_token, { scope: "openid mcp:echo" }));
  assert.equal(second.scope, "mcp mcp:echo");
  await refused(await refresh(scene, second.refresh_token, { scope: "mcp:add" }), "invalid_scope");
  assert.equal((await tokensOf(await refresh(scene, second.refresh_token))).scope, "mcp mcp:echo");
});

onScene("a client gets refresh tokens where it can use them", async (scene) => { // AS21, Q-12
  const client = await register(scene.mesh, { grant_types: ["authorization_code"] });
  const { refresh_token } = await obtainTokens({ ...scene, client });
  assert.equal(refresh_token, undefined);
  const silent = await register(scene.mesh, { grant_types: undefined });
  assert.ok((await obtainTokens({ ...scene, client: silent })).refresh_token);
});

onScene("who left the organization, or took the consent back, is refreshed no more", async (scene) => {
  const { db } = scene.mesh.services;
  const first = await obtainTokens(scene);
  const form = await obtainCode(scene, { params: { prompt: "consent" } });
  await db.deleteFrom("members").where("user_id", "=", scene.browser.person.userId).execute();
  await refused(await refresh(scene, first.refresh_token), "invalid_grant");
  await refused(await send(scene.mesh, form), "invalid_grant");
  scene.mesh.services.identities.forget();
  assert.equal(await callStatus(scene, first.access_token), 401);
});

onScene("a client that was removed is told so, and its tokens are gone", async (scene) => { // AS38, Q-15
  const { services } = scene.mesh;
  const { organizationId } = scene.browser.person;
  const { access_token, refresh_token } = await obtainTokens(scene);
  await services.db.updateTable("oauth_clients").set({ organization_id: organizationId }).execute();
  assert.equal((await oauthClients.list(services.db, organizationId)).length, 1);
  assert.equal(await oauthClients.remove(services.db, "org_other", scene.client.id), false);
  assert.equal(await oauthClients.remove(services.db, organizationId, scene.client.id), true);
  services.identities.forget();
  await refused(await refresh(scene, refresh_token), "invalid_client", 401);
  assert.equal(await callStatus(scene, access_token), 401);
  assert.deepEqual(await countIssued(scene.mesh), { oauth_consents: 0, oauth_codes: 0, oauth_tokens: 0 });
});

onScene("the endpoint takes forms of a bounded size and nothing else", async (scene) => { // AS30
  const form = await obtainCode(scene);
  const url = `${scene.mesh.url}/api/auth/token`;
  const json = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(form),
  });
  await refused(json, "invalid_request");
  const query = new URLSearchParams(form as Record<string, string>);
  await refused(await fetch(`${url}?${query}`, { method: "POST" }), "invalid_request");
  await refused(await send(scene.mesh, { ...form, padding: "x".repeat(70_000) }), "invalid_request", 413);
  await refused(await send(scene.mesh, { ...form, code: "x".repeat(9_000) }), "invalid_request");
  await tokensOf(await send(scene.mesh, form, { path: "/token" })); // Q-09
});

onScene("what has expired is cleaned up when there is traffic", async (scene) => {
  const { services: { db } } = scene.mesh;
  await obtainTokens(scene);
  await db.updateTable("oauth_tokens").set({ expires_at: 1 }).execute();
  const clock = Date.now;
  const later = clock() + 11 * 60_000; // the first request of the mesh began the first round
  try {
    Date.now = () => later;
    await (await send(scene.mesh, {})).text();
  } finally {
    Date.now = clock;
  }
  await until(async () => (await countIssued(scene.mesh)).oauth_tokens === 0);
});
