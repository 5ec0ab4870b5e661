// What is connected, and how it ends.
import assert from "node:assert/strict";
import { addConsent } from "../support/accounts.ts";
import type { Mesh } from "../support/app.ts";
import { addConnection } from "../support/connections.ts";
import { callStatus, obtainTokens, onScene as onAsking, refused, send, tokensOf } from "../oauth/support.ts";
import { type Answer, leads, onMesh, signedIn } from "./support.ts";

function rows({ html }: Answer): string[] {
  return html.split('<tr role="row"').slice(1).map((row) =>
    `<${row}`.replace(/<[^>]+>/g, " ").replace(/\s+/g, " ").trim()
  );
}

function revokeLinks({ html }: Answer): string[] {
  return [...html.matchAll(/href="(\/applications\/consent_\w+\/revoke)"/g)].map(([, path = ""]) => path);
}

/** An organization with two people who have each allowed something. */
async function furnish(mesh: Mesh) {
  const ann = await mesh.organization("Northwind");
  const bob = await mesh.member(ann.organizationId, ["user"]);
  const { db } = mesh.services;
  const connection = await addConnection(db, ann.organizationId, {
    url: "http://127.0.0.1:9",
    title: "Linear",
  });
  await addConsent(db, ann.organizationId, { userId: ann.userId, clientName: "Ann's agent" });
  await addConsent(db, ann.organizationId, {
    userId: bob.userId,
    clientId: "https://agent.example/client.json",
    clientName: "Bob's agent",
    resource: connection,
    permissions: { [connection]: ["look", "change", "prompt:*"] },
  });
  return { ann, bob };
}

onMesh("a person sees their own applications, who looks after the organization sees all", async (mesh) => {
  const { ann, bob } = await furnish(mesh);
  const own = await (await signedIn(mesh, bob)).get("/applications");
  assert.equal(revokeLinks(own).length, 1);
  assert.match(
    own.text,
    /Bob&#39;s agent from agent\.example 2 tools, some prompts or resources of Linear .* never Revoke/,
  );
  assert.doesNotMatch(own.text, /Ann&#39;s agent|Registered by administrators|Acts for/);
  assert.match(own.html, /Applications<\/span><span class="nav-count">1</);
  const all = await (await signedIn(mesh, ann)).get("/applications");
  assert.deepEqual(revokeLinks(all).length, 2);
  assert.match(
    all.text,
    /Ann&#39;s agent registered itself, returns to client\.example Manages everything you/,
  );
  assert.match(all.html, /Applications<\/span><span class="nav-count">2</);
  const foreign = await (await signedIn(mesh, await mesh.organization("Elsewhere"))).get("/applications");
  assert.match(foreign.text, /No application is connected/);
});

onMesh("a person revokes what they allowed, an admin what anybody did", async (mesh) => {
  const { ann, bob } = await furnish(mesh);
  const [own, all] = [await signedIn(mesh, bob), await signedIn(mesh, ann)];
  const [mine = ""] = revokeLinks(await own.get("/applications"));
  const [theirs = ""] = revokeLinks(await all.get("/applications")).filter((path) => path !== mine);
  assert.equal((await own.get(theirs)).status, 404);
  assert.equal((await own.post(theirs)).status, 404);
  const asked = await all.get(mine);
  assert.match(
    asked.text,
    /Revoke “Bob&#39;s agent” It acts for Ann: 2 tools, some prompts or resources of Linear\./,
  );
  assert.match(asked.text, /It is refused from its next request on/);
  leads(await all.post(mine), "/applications");
  assert.match((await all.get("/applications")).text, /Bob&#39;s agent is cut off\./);
  assert.equal(revokeLinks(await own.get("/applications")).length, 0);
  assert.equal((await all.post(mine)).status, 404);
});

onAsking(
  "what is revoked in the page is refused at the next request, with its refresh token",
  async (scene) => {
    const { mesh, browser, client } = scene;
    const { access_token, refresh_token } = await obtainTokens(scene);
    assert.equal(await callStatus(scene, access_token), 200);
    await mesh.services.identities.idle();
    const visitor = await signedIn(mesh, browser.person);
    const page = await visitor.get("/applications");
    assert.match(rows(page)[1] ?? "", /Test client .*just now/, "when it was used");
    leads(await visitor.post(revokeLinks(page)[0] ?? ""), "/applications");
    assert.equal(await callStatus(scene, access_token), 401);
    const form = { grant_type: "refresh_token", client_id: client.id, refresh_token };
    await refused(await send(mesh, form), "invalid_grant");
  },
);

onAsking("an admin registers an application that acts without a person, and ends it", async (scene) => {
  const { mesh, browser, connectionId, resource } = scene;
  const visitor = await signedIn(mesh, browser.person);
  await visitor.get("/applications/clients/new");
  const form = { name: "Nightly", redirect_uris: "", secret: "yes", alone: connectionId };
  const wrong = await visitor.post("/applications/clients", {
    ...form,
    redirect_uris: "ftp://x\nhttps://ok",
  });
  assert.equal(wrong.status, 422);
  assert.match(wrong.text, /&#39;ftp:\/\/x&#39; has the scheme/);
  assert.match(wrong.html, /https:\/\/ok<\/textarea>/);
  const made = await visitor.post("/applications/clients", form);
  const [secret = ""] = /mesh_cs_[\w-]{43}/.exec(made.html) ?? [];
  const [id = ""] = /client_\w{26}/.exec(made.html) ?? [];
  const list = await visitor.get("/applications");
  assert.match(list.text, new RegExp(`Nightly ${id} no person is asked All tools of Upstream, as Ann`));
  assert.ok(!list.html.includes(secret), "it is shown once");
  const basic = { authorization: `Basic ${btoa(`${id}:${secret}`)}` };
  const ask = () => send(mesh, { grant_type: "client_credentials", resource }, { headers: basic });
  const { access_token, refresh_token } = await tokensOf(await ask());
  assert.equal(refresh_token, undefined); // AS70
  assert.equal(await callStatus(scene, access_token), 200);
  const consequence = await visitor.get(`/applications/clients/${id}/delete`);
  assert.match(consequence.text, /refused from its next request on, for everybody/);
  leads(await visitor.post(`/applications/clients/${id}/delete`), "/applications");
  assert.equal(await callStatus(scene, access_token), 401);
  await refused(await ask(), "invalid_client", 401); // AS38
});
