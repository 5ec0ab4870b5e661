import assert from "node:assert/strict";
import { newSecret } from "../../server/ids.ts";
import {
  callStatus,
  countIssued,
  obtainCode,
  obtainTokens,
  onScene,
  type Params,
  refused,
  register,
  type Scene,
  send,
  tokensOf,
} from "./support.ts";

async function revoke({ mesh, client }: Scene, form: Params): Promise<Response> {
  const response = await send(mesh, { client_id: client.id, ...form }, { path: "/api/auth/revoke" });
  return response;
}

async function introspect({ mesh }: Scene, form: Params): Promise<Record<string, unknown>> {
  const response = await send(mesh, form, { path: "/api/auth/introspect" });
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("cache-control"), "no-store");
  return await response.json();
}

onScene("a refresh token is revoked with its family, an access token alone", async (scene) => { // AS60
  const first = await obtainTokens(scene);
  const second = await obtainTokens(scene, { params: { prompt: "consent" } });
  assert.equal(await callStatus(scene, first.access_token), 200);
  const response = await revoke(scene, { token: first.access_token, token_type_hint: "refresh_token" });
  assert.equal(response.status, 200);
  assert.equal(await response.text(), "");
  assert.equal(await callStatus(scene, first.access_token), 401, "at once");
  const refreshed = await send(scene.mesh, {
    grant_type: "refresh_token",
    client_id: scene.client.id,
    refresh_token: first.refresh_token,
  });
  const third = await refreshed.json();
  assert.equal(refreshed.status, 200);
  assert.equal((await revoke(scene, { token: third.refresh_token })).status, 200);
  assert.equal(await callStatus(scene, third.access_token), 401);
  assert.equal(await callStatus(scene, second.access_token), 200, "other families stay");
  assert.equal(
    (await countIssued(scene.mesh)).oauth_consents,
    1,
    "the person's consent is theirs to take back",
  );
});

onScene("of another's or an unknown token nothing is said and nothing happens", async (scene) => { // AS60
  const tokens = await obtainTokens(scene);
  const other = { ...scene, client: await register(scene.mesh) };
  for (const token of [tokens.access_token, tokens.refresh_token, newSecret("mesh_rt_"), "x", "\0é"]) {
    const response = await revoke(other, { token });
    assert.equal(response.status, 200);
    assert.equal(await response.text(), "");
  }
  assert.equal(await callStatus(scene, tokens.access_token), 200);
  await refused(await revoke(scene, { token: undefined }), "invalid_request");
  await refused(
    await revoke(scene, { client_id: undefined, token: tokens.access_token }),
    "invalid_client",
    401,
  );
  await refused(await revoke(scene, { token: newSecret("mesh_key_") }), "unsupported_token_type");
});

onScene(
  "a client with a secret is told of its own tokens, and of others that they are not active",
  async (scene) => { // AS61
    const client = await register(scene.mesh, { token_endpoint_auth_method: "client_secret_post" });
    const secret = { client_id: client.id, client_secret: client.secret };
    const own = { ...scene, client };
    const code = await obtainTokensWith(own, secret);
    const foreign = await obtainTokens(scene);
    const told = await introspect(own, { ...secret, token: code.access_token });
    const { iat, exp, ...rest } = told;
    assert.deepEqual(rest, {
      active: true,
      client_id: client.id,
      sub: scene.browser.person.userId,
      scope: "mcp",
      aud: `${scene.mesh.services.config.baseUrl}/mcp/${scene.connectionId}`,
      iss: scene.mesh.services.config.baseUrl,
      token_type: "Bearer",
    });
    assert.equal(Number(exp) - Number(iat), 3600);
    assert.equal((await introspect(own, { ...secret, token: code.refresh_token })).active, true);
    for (const token of [foreign.access_token, foreign.refresh_token, newSecret("mesh_at_"), "x"]) {
      assert.deepEqual(await introspect(own, { ...secret, token }), { active: false });
    }
    await scene.mesh.services.db.deleteFrom("members").where("user_id", "=", scene.browser.person.userId)
      .execute();
    assert.deepEqual(await introspect(own, { ...secret, token: code.access_token }), { active: false });
  },
);

onScene("nobody else may ask about tokens", async (scene) => { // AS61
  const { access_token } = await obtainTokens(scene);
  const path = "/api/auth/introspect";
  const forms: Params[] = [
    { token: access_token },
    { token: access_token, client_id: scene.client.id },
    { token: access_token, client_id: "https://client.example/client.json" },
    { token: access_token, client_id: scene.client.id, client_secret: "x" },
  ];
  for (const form of forms) await refused(await send(scene.mesh, form, { path }), "invalid_client", 401);
  const headers = { authorization: `Bearer ${access_token}` };
  await refused(await send(scene.mesh, { token: access_token }, { path, headers }), "invalid_client", 401);
});

async function obtainTokensWith(scene: Scene, secret: Params) {
  return await tokensOf(await send(scene.mesh, { ...await obtainCode(scene), ...secret }));
}
