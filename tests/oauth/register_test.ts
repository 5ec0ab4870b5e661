import assert from "node:assert/strict";
import { maxUnused, unusedMs } from "../../server/oauth/register.ts";
import * as oauthClients from "../../server/storage/oauth_clients.ts";
import {
  allow,
  authorize,
  goodRequest,
  obtainTokens,
  onScene,
  proofKey,
  refused,
  register,
  send,
  sendRegistration,
} from "./support.ts";

onScene("a client registers itself and is told what it became", async ({ mesh }) => { // AS40, AS42
  const began = Math.floor(Date.now() / 1000);
  const response = await sendRegistration(mesh, {
    client_name: "  Claude \u202e\u0000Code ",
    client_uri: "https://claude.example",
    software_id: "unknown members are ignored",
    scope: "claudeai openid",
    application_type: "native",
    contacts: null,
    logo_uri: null,
  });
  assert.equal(response.status, 201);
  assert.equal(response.headers.get("cache-control"), "no-store");
  assert.equal(response.headers.get("access-control-allow-origin"), "*"); // AS05
  const { client_id, client_id_issued_at, ...rest } = await response.json();
  assert.match(client_id, /^client_[0-9a-z]{26}$/); // AS42
  assert.ok(client_id_issued_at >= began);
  assert.deepEqual(rest, {
    client_name: "Claude Code",
    client_uri: "https://claude.example/",
    redirect_uris: ["https://client.example/callback"],
    grant_types: ["authorization_code", "refresh_token"],
    response_types: ["code"],
    token_endpoint_auth_method: "none",
    application_type: "native",
  }); // no null, no member that means nothing
});

onScene("a client with a secret is given it once, and it is stored hashed", async ({ mesh }) => {
  for (const method of ["client_secret_basic", "client_secret_post", undefined]) {
    const response = await sendRegistration(mesh, { token_endpoint_auth_method: method });
    const body = await response.json();
    assert.match(body.client_secret, /^mesh_cs_[\w-]{43}$/);
    assert.equal(body.client_secret_expires_at, 0);
    assert.equal(body.token_endpoint_auth_method, method ?? "client_secret_basic"); // RFC 7591 section 2
    const kept = await oauthClients.find(mesh.services.db, body.client_id, Date.now());
    assert.equal(JSON.stringify(kept).includes(body.client_secret), false);
    assert.equal(kept?.secretHash?.length, 43);
  }
});

onScene("the lists that real clients send are taken, without what is not acceptable", async ({ mesh }) => {
  const cursor = [
    "cursor://anysphere.cursor-mcp/oauth/callback",
    "https://www.cursor.com/agents/mcp/oauth/callback",
    "http://localhost:8787/callback",
  ];
  const code = [
    "https://vscode.dev/redirect",
    "https://insiders.vscode.dev/redirect",
    "http://127.0.0.1/",
    "http://127.0.0.1:33418/",
  ];
  for (const uris of [cursor, code]) {
    const body = await (await sendRegistration(mesh, { redirect_uris: uris })).json();
    assert.deepEqual(body.redirect_uris, uris);
  }
  const mixed = ["http://lan.example/cb", "https://good.example/cb", "javascript:alert(1)"];
  const body = await (await sendRegistration(mesh, { redirect_uris: mixed })).json();
  assert.deepEqual(body.redirect_uris, ["https://good.example/cb"]);
});

onScene("what cannot be registered is refused in JSON, and nothing is kept", async ({ mesh }) => { // AS40
  const { db } = mesh.services;
  const count = async () => (await db.selectFrom("oauth_clients").selectAll().execute()).length;
  const before = await count();
  const cases: [Record<string, unknown>, string][] = [
    [{ redirect_uris: undefined }, "invalid_redirect_uri"],
    [{ redirect_uris: [] }, "invalid_redirect_uri"],
    [{ redirect_uris: "https://client.example/cb" }, "invalid_redirect_uri"],
    [{ redirect_uris: [1] }, "invalid_redirect_uri"],
    [{ redirect_uris: ["http://client.example/cb"] }, "invalid_redirect_uri"],
    [{ redirect_uris: ["javascript:alert(1)", "data:text/html,x"] }, "invalid_redirect_uri"],
    [{ redirect_uris: ["http://localhost/cb"], application_type: "web" }, "invalid_redirect_uri"],
    [
      { redirect_uris: Array.from({ length: 21 }, (_, i) => `https://c${i}.example/`) },
      "invalid_redirect_uri",
    ],
    [{ token_endpoint_auth_method: "private_key_jwt" }, "invalid_client_metadata"],
    [{ token_endpoint_auth_method: 7 }, "invalid_client_metadata"],
    [{ grant_types: ["client_credentials"] }, "invalid_client_metadata"], // AS70: admins alone register those
    [{ grant_types: ["refresh_token"] }, "invalid_client_metadata"],
    [{ grant_types: "authorization_code" }, "invalid_client_metadata"],
    [{ response_types: ["token"] }, "invalid_client_metadata"],
  ];
  for (const [metadata, error] of cases) {
    const description = await refused(await sendRegistration(mesh, metadata), error);
    assert.doesNotMatch(description, /["\\<]/);
  }
  for (const body of ["", "[]", "null", "{", '"x"', "x".repeat(70_000)]) {
    const response = await fetch(`${mesh.url}/api/auth/register`, { method: "POST", body });
    assert.ok([400, 413].includes(response.status));
    assert.equal(typeof (await response.json()).error, "string");
  }
  assert.equal(await count(), before);
});

onScene("grants that are not for clients of this kind are left out", async ({ mesh }) => {
  const body = await (await sendRegistration(mesh, {
    grant_types: ["authorization_code", "implicit", "urn:ietf:params:oauth:grant-type:device_code"],
  })).json();
  assert.deepEqual(body.grant_types, ["authorization_code"]);
  const silent = await (await sendRegistration(mesh, { grant_types: undefined })).json();
  assert.deepEqual(silent.grant_types, ["authorization_code", "refresh_token"]);
});

onScene("one network registers so often and no oftener", async ({ mesh }) => { // AS41
  let refusedAt = 0;
  for (let i = 1; i <= 110 && refusedAt === 0; i++) {
    const response = await sendRegistration(mesh, {});
    if (response.status === 429) {
      refusedAt = i;
      assert.ok(Number(response.headers.get("retry-after")) > 0);
      assert.equal((await response.json()).error, "temporarily_unavailable");
    } else await response.text();
  }
  assert.ok(refusedAt > 50 && refusedAt <= 101, String(refusedAt)); // services register from few addresses
});

onScene("a client that nobody allows anything goes away; one that was used stays", async (scene) => { // AS41, Q-15
  const { mesh: { services: { db } }, client } = scene;
  const used = await register(scene.mesh);
  const { challenge } = proofKey();
  await allow({ ...scene, client: used }, goodRequest({ ...scene, client: used }, challenge));
  const clock = Date.now;
  const later = clock() + unusedMs + 1000;
  try {
    Date.now = () => later;
    assert.equal(await oauthClients.find(db, client.id, later), null);
    assert.ok(await oauthClients.find(db, used.id, later));
    const page = await authorize(scene, goodRequest(scene, challenge));
    assert.equal(page.status, 400);
    assert.match(await page.text(), /registration has expired.*add it again/);
    const answer = await send(scene.mesh, {
      grant_type: "refresh_token",
      client_id: client.id,
      refresh_token: "mesh_rt_x",
    });
    await refused(answer, "invalid_client", 401); // AS38
    await oauthClients.removeOld(db, { now: later, idleSince: 0 });
  } finally {
    Date.now = clock;
  }
  const rows = await db.selectFrom("oauth_clients").select("id").execute();
  assert.deepEqual(rows.map((row) => row.id), [used.id]);
});

onScene("when there are too many that nobody used, the oldest make room", async (scene) => { // AS41
  const { mesh: { services: { db } }, client } = scene;
  await obtainTokens(scene);
  const now = Date.now();
  const template = await oauthClients.find(db, client.id, now);
  assert.ok(template);
  await db.transaction().execute(async (transaction) => {
    for (let i = 0; i < maxUnused; i++) {
      const id = `client_${String(i).padStart(26, "0")}`;
      await oauthClients.insert(transaction, {
        ...template,
        id,
        unusedUntil: now + unusedMs - 1_000_000 + i,
      });
    }
  });
  const { id } = await register(scene.mesh);
  const rows = await db.selectFrom("oauth_clients").select("id").where("unused_until", "is not", null)
    .execute();
  const ids = new Set(rows.map((row) => row.id));
  assert.equal(ids.size, maxUnused);
  assert.ok(ids.has(id));
  assert.ok(!ids.has(`client_${"0".repeat(26)}`));
  assert.ok(await oauthClients.find(db, client.id, now), "one that is used is none of them");
});
