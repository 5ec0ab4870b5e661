import assert from "node:assert/strict";
import { makeApp } from "../../server/app.ts";
import { decide, pendingRequest } from "../../server/oauth/consent.ts";
import { rowsOf } from "../mcp/support.ts";
import { documentOf, Site, TestOutbound } from "./documents.ts";
import { callStatus, encode, onScene, type Params, proofKey, refused, send, tokensOf } from "./support.ts";

const redirectUri = "http://localhost:3118/callback"; // the document names no port

onScene("a client that is described at its id needs no registration", async (scene) => { // AS50, AS51, Q-01, Q-12
  await using site = new Site();
  using outbound = new TestOutbound();
  const services = { ...scene.mesh.services, outbound };
  const app = makeApp({ services });
  const id = site.at("/oauth/client.json");
  site.answer = () => Response.json(documentOf(id, { redirect_uris: ["http://localhost/callback"] }));
  const { verifier, challenge } = proofKey();
  const request: Params = {
    response_type: "code",
    client_id: id,
    redirect_uri: redirectUri,
    code_challenge: challenge,
    code_challenge_method: "S256",
    resource: scene.resource,
  };
  const open = async (change: Params, cookie = scene.browser.cookie) => {
    const url = `${scene.mesh.url}/api/auth/authorize?${encode({ ...request, ...change })}`;
    return await app.fetch(new Request(url, { headers: { cookie } }));
  };
  const stranger = await open({}, "");
  assert.match(stranger.headers.get("location") ?? "", /^\/login\?next=/);
  assert.deepEqual(site.seen, [], "nothing is read for somebody who is not signed in");
  const elsewhere = await open({ redirect_uri: "http://localhost:3118/other" }); // Q-04b
  assert.equal(elsewhere.status, 400);
  const missing = await open({ client_id: site.at("/other.json") });
  assert.equal(missing.status, 400);
  assert.match(await missing.text(), /could not be read|is about another application/);

  const asked = await open({});
  const requestId =
    new URL(asked.headers.get("location") ?? "", scene.mesh.url).searchParams.get("request") ?? "";
  const { session, person } = scene.browser;
  const question = await pendingRequest(services, requestId, session);
  assert.ok(question);
  assert.deepEqual(question.client, {
    id,
    name: "Claude Code",
    source: "document",
    host: new URL(id).host,
    uri: "https://claude.example/",
    registeredAt: null,
    unproven: true, // AS17
  });
  const { organizationId } = person;
  const answer = { requestId, session, organizationId, permissions: question.asks, allow: true };
  const code = new URL(await decide(services, answer)).searchParams.get("code") ?? "";
  const form: Params = {
    grant_type: "authorization_code",
    client_id: id,
    redirect_uri: redirectUri,
    code,
    code_verifier: verifier,
  };
  await refused(await send(scene.mesh, { ...form, client_id: `${id}x` }), "invalid_grant");
  await refused(
    await send(scene.mesh, { ...form, client_id: "https://client.example" }),
    "invalid_client",
    401,
  );
  const { access_token, refresh_token } = await tokensOf(await send(scene.mesh, form));
  assert.ok(refresh_token);
  assert.equal(await callStatus(scene, access_token), 200);
  assert.equal((await services.identities.byBearer(access_token))?.clientId, id);
  const rows = await rowsOf(scene.mesh, { person });
  assert.ok(rows.some(({ clientId }) => clientId === id));
  assert.equal(site.seen.filter((seen) => seen === "GET /oauth/client.json").length, 1, "it was read once");
});
