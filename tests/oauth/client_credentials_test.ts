import assert from "node:assert/strict";
import { hashToken } from "../../server/access/identify.ts";
import type { Permissions } from "../../server/access/roles.ts";
import { newId, newSecret } from "../../server/ids.ts";
import * as members from "../../server/storage/members.ts";
import * as oauthClients from "../../server/storage/oauth_clients.ts";
import { addConnection } from "../mcp/support.ts";
import {
  callStatus,
  countIssued,
  onScene,
  type Params,
  refused,
  register,
  type Scene,
  send,
  tokensOf,
} from "./support.ts";

/** A client that an admin registered to act as the scene's person. */
async function manual(scene: Scene, permissions: Permissions | null): Promise<Params> {
  const secret = newSecret("mesh_cs_");
  const id = newId("client");
  const { organizationId, userId } = scene.browser.person;
  await oauthClients.insert(scene.mesh.services.db, {
    id,
    organizationId,
    name: "Nightly job",
    secretHash: hashToken(secret),
    redirectUris: [],
    grantTypes: ["client_credentials"],
    authMethod: "client_secret_basic",
    clientUri: null,
    ownerId: permissions === null ? null : userId,
    permissions,
    createdAt: Date.now(),
    unusedUntil: null,
    lastUsedAt: null,
  });
  return { grant_type: "client_credentials", client_id: id, client_secret: secret };
}

onScene("a client of an admin acts as its owner, on the resources that it was given", async (scene) => { // AS70
  const form = await manual(scene, { [scene.connectionId]: ["*"], self: ["*_LIST"] });
  const { access_token, ...rest } = await tokensOf(
    await send(scene.mesh, { ...form, resource: scene.resource }),
  );
  assert.deepEqual(rest, { token_type: "Bearer", expires_in: 3600, scope: "mcp" }, "no refresh token");
  assert.equal(await callStatus(scene, access_token), 200);
  const management = { resource: `${scene.mesh.url}/mcp` };
  assert.equal(await callStatus(management, access_token), 401); // RS07
  const own = await tokensOf(await send(scene.mesh, form));
  assert.equal(await callStatus(management, own.access_token), 200);
  const actor = await scene.mesh.services.identities.byBearer(access_token);
  assert.equal(actor?.userId, scene.browser.person.userId);
  assert.equal(actor?.clientId, form.client_id);
});

onScene("it gets nothing for what it was not given, or without its secret", async (scene) => { // AS70
  const form = await manual(scene, { [scene.connectionId]: ["*"] });
  const other = await addConnection(scene.mesh, scene.browser.person, { url: scene.fixture.url });
  const cases: [Params, string, number?][] = [
    [{ resource: undefined }, "invalid_target"],
    [{ resource: `${scene.mesh.url}/mcp` }, "invalid_target"],
    [{ resource: `${scene.mesh.url}/mcp/${other}` }, "invalid_target"],
    [{ resource: "https://evil.example/" }, "invalid_target"],
    [{ resource: [scene.resource, "https://evil.example/"] }, "invalid_target"],
    [{ client_secret: undefined }, "invalid_client", 401],
    [{ client_secret: "x" }, "invalid_client", 401],
    [{ client_id: scene.client.id, client_secret: undefined }, "unauthorized_client"],
    [{ grant_type: "authorization_code", code: "x" }, "unauthorized_client"],
  ];
  for (const [change, error, status = 400] of cases) {
    await refused(await send(scene.mesh, { ...form, resource: scene.resource, ...change }), error, status);
  }
  const ownerless = await manual(scene, null);
  await refused(await send(scene.mesh, { ...ownerless, resource: scene.resource }), "unauthorized_client");
  const itself = await register(scene.mesh, { token_endpoint_auth_method: "client_secret_post" });
  const dynamic = { ...form, client_id: itself.id, client_secret: itself.secret, resource: scene.resource };
  await refused(await send(scene.mesh, dynamic), "unauthorized_client");
  assert.deepEqual(await countIssued(scene.mesh), { oauth_consents: 0, oauth_codes: 0, oauth_tokens: 0 });
});

onScene("it ends with its owner's membership, and with itself", async (scene) => {
  const { services } = scene.mesh;
  const form: Params = { ...await manual(scene, { "conn_*": ["*"] }), resource: scene.resource };
  const { access_token } = await tokensOf(await send(scene.mesh, form));
  assert.equal(await callStatus(scene, access_token), 200);
  const [member] = await services.db.selectFrom("members").selectAll().execute();
  await services.db.deleteFrom("members").execute();
  services.identities.forget();
  assert.equal(await callStatus(scene, access_token), 401);
  await refused(await send(scene.mesh, form), "unauthorized_client");
  await services.db.insertInto("members").values(member ?? assert.fail()).execute();
  services.identities.forget();
  assert.equal(await callStatus(scene, access_token), 200);
  await oauthClients.remove(services.db, scene.browser.person.organizationId, String(form.client_id));
  services.identities.forget();
  assert.equal(await callStatus(scene, access_token), 401);
  await refused(await send(scene.mesh, form), "invalid_client", 401);
});

onScene("who is removed and comes back has none that acts as them", async (scene) => {
  const { services } = scene.mesh;
  const { organizationId, userId } = scene.browser.person;
  const form: Params = { ...await manual(scene, { "conn_*": ["*"] }), resource: scene.resource };
  await tokensOf(await send(scene.mesh, form));
  const member = { id: newId("mem"), userId, roles: ["user"], createdAt: Date.now() };
  const [before] = await members.list(services.db, organizationId, { limit: 1, offset: 0 });
  await members.remove(services.db, organizationId, before ?? assert.fail());
  await members.insert(services.db, organizationId, member);
  await refused(await send(scene.mesh, form), "unauthorized_client");
  const [client] = await oauthClients.list(services.db, organizationId);
  assert.deepEqual([client?.ownerId, client?.permissions], [null, null]);
});
