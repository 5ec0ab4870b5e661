import assert from "node:assert/strict";
import { decide, pendingRequest } from "../../server/oauth/consent.ts";
import * as oauthConsents from "../../server/storage/oauth_consents.ts";
import { addConnection, rowsOf } from "../mcp/support.ts";
import { addMember, addOrganization } from "../support/accounts.ts";
import { refusal } from "../support/people.ts";
import {
  allow,
  ask,
  authorize,
  callStatus,
  countIssued,
  goodRequest,
  obtainTokens,
  onScene,
  proofKey,
  register,
  type Scene,
  signIn,
  webRedirect,
} from "./support.ts";

/** The code that a request leads to without a question, or null where the person is asked. */
async function silently(scene: Scene, more: Record<string, string> = {}): Promise<string | null> {
  const request = { ...goodRequest(scene, proofKey().challenge), ...more };
  const response = await authorize(scene, request);
  await response.text();
  const location = new URL(response.headers.get("location") ?? "", scene.mesh.url);
  if (location.pathname !== "/consent") assert.ok(location.href.startsWith(`${webRedirect}?`), location.href);
  return location.searchParams.get("code");
}

onScene("a question says who asks, from where, for what, and where they return to", async (scene) => { // AS17
  const question = await ask(scene, goodRequest(scene, proofKey().challenge));
  const { requestId, expiresAt, client, ...rest } = question;
  assert.match(requestId, /^ask_/);
  assert.ok(expiresAt <= Date.now() + 10 * 60_000);
  const { registeredAt, ...known } = client;
  assert.ok(registeredAt !== null && registeredAt <= Date.now());
  assert.deepEqual(known, {
    id: scene.client.id,
    name: "Test client",
    source: "dynamic",
    host: null,
    uri: null,
    unproven: false,
  });
  const organization = await scene.mesh.services.db.selectFrom("organizations").selectAll()
    .where("id", "=", scene.browser.person.organizationId).executeTakeFirstOrThrow();
  const resource = {
    id: scene.connectionId,
    url: `${scene.mesh.services.config.baseUrl}/mcp/${scene.connectionId}`,
  };
  assert.deepEqual(rest, {
    redirect: { uri: webRedirect, host: "client.example", kind: "web", source: "https://client.example" },
    resource,
    organizations: [{ id: organization.id, name: organization.name, title: "Upstream" }],
    tools: null,
    asks: { [scene.connectionId]: ["*"] },
    actions: [],
    remembered: [],
  });
});

onScene("a question names the tools to choose from, whatever the server said of them", async (scene) => {
  const tools = [
    { name: "read", title: "Read", description: "Reads", annotations: { readOnlyHint: true } },
    { name: "write", title: 7, annotations: "none" },
    { title: "nameless" },
    null,
  ];
  await scene.mesh.services.db.updateTable("connections").set({ tools: JSON.stringify(tools) }).execute();
  const question = await ask(scene, goodRequest(scene, proofKey().challenge));
  assert.deepEqual(question.tools, [
    { name: "read", title: "Read", description: "Reads", readOnly: true },
    { name: "write", title: null, description: null, readOnly: false },
  ]);
});

onScene("a question waits for the browser that asked, and for its person", async (scene) => { // CD04
  const { services } = scene.mesh;
  const question = await ask(scene, goodRequest(scene, proofKey().challenge));
  const sameElsewhere = await signIn(scene.mesh, scene.browser.person);
  const colleague = await signIn(scene.mesh, await scene.mesh.member(scene.browser.person.organizationId));
  for (const { session } of [sameElsewhere, colleague]) {
    assert.equal(await pendingRequest(services, question.requestId, session), null);
    const decision = {
      requestId: question.requestId,
      session,
      organizationId: scene.browser.person.organizationId,
      permissions: question.asks,
    };
    for (const allow of [true, false]) {
      assert.equal((await refusal(decide(services, { ...decision, allow }))).code, "not_found");
    }
  }
  for (const id of ["", "ask_x", `${question.requestId}x`, "' or 1=1 --", "\0"]) {
    assert.equal(await pendingRequest(services, id, scene.browser.session), null);
  }
  assert.ok(await pendingRequest(services, question.requestId, scene.browser.session), "it still waits");
  assert.deepEqual(await countIssued(scene.mesh), { oauth_consents: 0, oauth_codes: 0, oauth_tokens: 0 });
});

onScene("a question is answered once, and for ten minutes", async (scene) => {
  const { services } = scene.mesh;
  const { session, person } = scene.browser;
  const request = goodRequest(scene, proofKey().challenge);
  const first = await ask(scene, request);
  const decision = { session, organizationId: person.organizationId, permissions: first.asks, allow: true };
  const both = await Promise.allSettled([
    decide(services, { ...decision, requestId: first.requestId }),
    decide(services, { ...decision, requestId: first.requestId }),
  ]);
  assert.deepEqual(both.map(({ status }) => status).sort(), ["fulfilled", "rejected"]);
  assert.equal((await countIssued(scene.mesh)).oauth_codes, 1);
  const second = await ask(scene, { ...request, prompt: "consent" });
  const clock = Date.now;
  const later = clock() + 10 * 60_000;
  try {
    Date.now = () => later;
    assert.equal(await pendingRequest(services, second.requestId, session), null);
    assert.equal(
      (await refusal(decide(services, { ...decision, requestId: second.requestId }))).code,
      "not_found",
    );
  } finally {
    Date.now = clock;
  }
});

onScene(
  "an answer that does not fit the question is told by its field, and the question still waits",
  async (scene) => {
    const { services } = scene.mesh;
    const { session, person } = scene.browser;
    const question = await ask(scene, goodRequest(scene, proofKey().challenge));
    const other = await scene.mesh.organization();
    const base = { requestId: question.requestId, session, allow: true };
    const own = person.organizationId;
    const cases = [
      { organizationId: other.organizationId, permissions: question.asks, field: "organizationId" },
      { organizationId: "", permissions: question.asks, field: "organizationId" },
      { organizationId: own, permissions: {}, field: "permissions" },
      { organizationId: own, permissions: { [scene.connectionId]: [] }, field: "permissions" },
      { organizationId: own, permissions: { [scene.connectionId]: [""] }, field: "permissions" },
      { organizationId: own, permissions: { ...question.asks, self: ["*"] }, field: "permissions" },
      { organizationId: own, permissions: { "*": ["*"] }, field: "permissions" },
      { organizationId: own, permissions: { self: ["*"] }, field: "permissions" },
    ];
    for (const { field, ...decision } of cases) {
      const error = await refusal(decide(services, { ...base, ...decision }));
      assert.equal(error.code, "invalid");
      assert.deepEqual(Object.keys(error.fields ?? {}), [field]);
    }
    assert.deepEqual(await countIssued(scene.mesh), { oauth_consents: 0, oauth_codes: 0, oauth_tokens: 0 });
    assert.ok(await pendingRequest(services, question.requestId, session));
  },
);

onScene("a refusal takes the person back with an error, and both answers are in the log", async (scene) => { // AS12, AS15
  const { services } = scene.mesh;
  const { session, person } = scene.browser;
  const question = await ask(scene, goodRequest(scene, proofKey().challenge));
  const url = new URL(
    await decide(services, {
      requestId: question.requestId,
      session,
      organizationId: "",
      permissions: {},
      allow: false,
    }),
  );
  assert.equal(url.searchParams.get("error"), "access_denied");
  assert.equal(url.searchParams.get("state"), "state-1");
  assert.equal(url.searchParams.get("iss"), services.config.baseUrl);
  assert.deepEqual(await countIssued(scene.mesh), { oauth_consents: 0, oauth_codes: 0, oauth_tokens: 0 });
  await allow(scene, goodRequest(scene, proofKey().challenge));
  const rows = (await rowsOf(scene.mesh, { person })).filter((row) => row.method === "oauth/consent");
  assert.deepEqual(rows.map((row) => [row.outcome, row.clientId, row.connectionId]), [
    ["ok", scene.client.id, scene.connectionId],
    ["denied", scene.client.id, scene.connectionId],
  ]);
});

onScene("a person chooses among their organizations; a connection lies in one", async (scene) => {
  const { services } = scene.mesh;
  const second = await addOrganization(services.db, "Second");
  await addMember(services.db, second.id, { userId: scene.browser.person.userId, roles: ["user"] });
  const { resource: _, ...request } = goodRequest(scene, proofKey().challenge);
  const names = (await ask(scene, request)).organizations.map(({ name }) => name);
  assert.deepEqual(names, ["Northwind", "Second"]);
  assert.equal((await ask(scene, goodRequest(scene, proofKey().challenge))).organizations.length, 1);
});

onScene("who can reach nothing of it is not asked", async (scene) => { // AS19
  const stranger = await scene.mesh.organization();
  const powerless = await scene.mesh.member(scene.browser.person.organizationId, ["nobody"]);
  for (const person of [stranger, powerless]) {
    const browser = await signIn(scene.mesh, person);
    const response = await authorize({ ...scene, browser }, goodRequest(scene, proofKey().challenge));
    await response.text();
    const location = new URL(response.headers.get("location") ?? "");
    assert.equal(location.searchParams.get("error"), "invalid_target");
    assert.match(location.searchParams.get("error_description") ?? "", /cannot reach this resource/);
    assert.equal(location.href.includes(encodeURIComponent(person.email)), false);
  }
});

onScene("a client of an organization's admin is for that organization", async (scene) => {
  const { services } = scene.mesh;
  const second = await addOrganization(services.db, "Second");
  await addMember(services.db, second.id, { userId: scene.browser.person.userId, roles: ["user"] });
  await services.db.updateTable("oauth_clients").set({ organization_id: second.id }).execute();
  const { resource: _, ...request } = goodRequest(scene, proofKey().challenge);
  const question = await ask(scene, request);
  assert.deepEqual(question.organizations.map(({ id }) => id), [second.id]);
  assert.equal(question.client.source, "manual");
  const response = await authorize(scene, goodRequest(scene, proofKey().challenge));
  await response.text();
  assert.match(response.headers.get("location") ?? "", /error=invalid_target/);
});

onScene("another client is asked for, whatever this person has allowed before", async (scene) => { // CD01, CD03
  await allow(scene, goodRequest(scene, proofKey().challenge));
  assert.ok(await silently(scene));
  const attacker = await register(scene.mesh, { client_name: "Test client", redirect_uris: [webRedirect] });
  assert.equal(await silently({ ...scene, client: attacker }), null);
  const colleague = await signIn(scene.mesh, await scene.mesh.member(scene.browser.person.organizationId));
  assert.equal(await silently({ ...scene, browser: colleague }), null, "and another person");
});

onScene("nothing is kept in the browser before the answer", async (scene) => { // CD02, CD05
  const response = await authorize(scene, goodRequest(scene, proofKey().challenge));
  await response.text();
  assert.deepEqual(response.headers.getSetCookie(), []);
  assert.match(response.headers.get("cache-control") ?? "", /no-store/);
  assert.equal(response.headers.get("x-frame-options"), "DENY"); // AS17
});

onScene("a consent is remembered for the very same question only", async (scene) => { // AS17, AS56
  const { db } = scene.mesh.services;
  await allow(scene, goodRequest(scene, proofKey().challenge));
  assert.ok(await silently(scene));
  assert.ok(await silently(scene, { resource: `${scene.resource}/` }));
  assert.equal(await silently(scene, { resource: `${scene.mesh.url}/mcp` }), null, "another resource");
  assert.equal(await silently(scene, { prompt: "consent" }), null, "the client wants it asked");
  await db.updateTable("oauth_clients").set({ name: "Renamed" }).where("id", "=", scene.client.id).execute();
  assert.equal(await silently(scene), null, "the client says something else of itself");
  await allow(scene, goodRequest(scene, proofKey().challenge));
  assert.ok(await silently(scene));
  const more = JSON.stringify([webRedirect, "https://evil.example/"]);
  await db.updateTable("oauth_clients").set({ redirect_uris: more }).where("id", "=", scene.client.id)
    .execute();
  assert.equal(await silently(scene), null, "the client returns elsewhere too");
});

onScene("of two consents of different power none is chosen for the person", async (scene) => {
  const request = goodRequest(scene, proofKey().challenge);
  await allow(scene, request, { [scene.connectionId]: ["echo", "add"] });
  assert.ok(await silently(scene));
  assert.ok(await silently(scene, { scope: "mcp mcp:add" }));
  assert.equal(await silently(scene, { scope: "mcp mcp:delete" }), null, "more is asked than was allowed");
  await allow(scene, { ...request, prompt: "consent" }, { [scene.connectionId]: ["*"] });
  assert.equal(await silently(scene), null);
  const question = await ask(scene, request);
  assert.deepEqual(question.remembered.map(({ permissions }) => permissions), [
    { [scene.connectionId]: ["*"] },
    { [scene.connectionId]: ["add", "echo"] },
  ]);
});

onScene(
  "where any program of the machine may be the one that asks, the person is always asked",
  async (scene) => { // AS17
    const client = await register(scene.mesh, {
      redirect_uris: ["http://127.0.0.1/callback", "app:/callback"],
    });
    for (const redirectUri of ["http://127.0.0.1:5000/callback", "app:/callback"]) {
      const native = { ...scene, client: { ...client, redirectUri } };
      const request = goodRequest(native, proofKey().challenge);
      await allow(native, request);
      assert.equal((await ask(native, request)).remembered.length, 1);
    }
  },
);

onScene("without a page a client is told that the person has to be asked", async (scene) => {
  const request = { ...goodRequest(scene, proofKey().challenge), prompt: "none" };
  const response = await authorize(scene, request);
  await response.text();
  const location = new URL(response.headers.get("location") ?? "");
  assert.equal(location.searchParams.get("error"), "consent_required");
});

onScene("a consent that is taken back ends its tokens at once, and is asked for again", async (scene) => {
  const { services } = scene.mesh;
  const { userId, organizationId } = scene.browser.person;
  const { access_token } = await obtainTokens(scene);
  assert.equal(await callStatus(scene, access_token), 200);
  await services.identities.idle();
  const [consent, ...others] = await oauthConsents.list(services.db, organizationId, userId);
  assert.ok(consent);
  assert.equal(others.length, 0);
  assert.equal(consent.clientName, "Test client");
  assert.equal(consent.resourceTitle, "Upstream");
  assert.ok(consent.lastUsedAt !== null, "its last use is known");
  assert.deepEqual((await oauthConsents.list(services.db, organizationId)).map(({ id }) => id), [consent.id]);
  assert.deepEqual(await oauthConsents.list(services.db, organizationId, "usr_other"), []);
  assert.equal(await oauthConsents.revoke(services.db, "org_other", consent.id), false);
  assert.equal(await oauthConsents.revoke(services.db, organizationId, consent.id), true);
  services.identities.forget();
  assert.equal(await callStatus(scene, access_token), 401);
  assert.deepEqual(await countIssued(scene.mesh), { oauth_consents: 0, oauth_codes: 0, oauth_tokens: 0 });
  assert.equal(await silently(scene), null);
});

onScene("two connections of one server are two resources", async (scene) => {
  await allow(scene, goodRequest(scene, proofKey().challenge));
  const other = await addConnection(scene.mesh, scene.browser.person, { url: scene.fixture.url });
  assert.equal(await silently(scene, { resource: `${scene.mesh.url}/mcp/${other}` }), null);
});

onScene("nobody allows applications more than a list can hold", async (scene) => {
  const { services } = scene.mesh;
  const { organizationId, userId } = scene.browser.person;
  const permissions = {
    [scene.connectionId]: Array.from({ length: 1000 }, (_, i) => `${i}`.padEnd(2000, "x")),
  };
  const about = { userId, clientId: "client_x", clientName: "X", clientPrint: "", redirectUri: null };
  const consent = { ...about, id: "consent_x", resource: scene.connectionId, permissions, now: Date.now() };
  await oauthConsents.remember(services.db, organizationId, consent);
  const error = await refusal(allow(scene, goodRequest(scene, proofKey().challenge)));
  assert.match(error.fields?.permissions ?? "", /revoke some/);
});
