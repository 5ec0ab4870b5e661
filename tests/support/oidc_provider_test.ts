import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { greetingStatus } from "../mcp/support.ts";
import { type OidcUpstream, startOidcUpstream } from "./upstreams/oidc_provider.ts";

const back = "http://127.0.0.1:9/callback";
const verifier = "a-verifier-that-is-long-enough-for-the-rule-of-43-characters";

async function register({ issuer }: OidcUpstream): Promise<string> {
  const response = await fetch(`${issuer}/reg`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      redirect_uris: [back],
      application_type: "native",
      token_endpoint_auth_method: "none",
      grant_types: ["authorization_code", "refresh_token"],
    }),
  });
  const { client_id: id } = await response.json();
  assert.equal(response.status, 201);
  return id;
}

function authorizeUrl({ issuer, mcpUrl }: OidcUpstream, clientId: string): string {
  return `${issuer}/auth?` + new URLSearchParams({
    client_id: clientId,
    response_type: "code",
    redirect_uri: back,
    scope: "tools",
    state: "s",
    resource: mcpUrl,
    code_challenge_method: "S256",
    code_challenge: createHash("sha256").update(verifier).digest("base64url"),
  });
}

async function token({ issuer }: OidcUpstream, parameters: Record<string, string>): Promise<Response> {
  return await fetch(`${issuer}/token`, { method: "POST", body: new URLSearchParams(parameters) });
}

async function login(upstream: OidcUpstream): Promise<{ clientId: string; access: string; refresh: string }> {
  const clientId = await register(upstream);
  const answer = new URL(await upstream.follow(authorizeUrl(upstream, clientId)));
  const code = answer.searchParams.get("code");
  assert.ok(code, answer.href);
  const response = await token(upstream, {
    grant_type: "authorization_code",
    client_id: clientId,
    code,
    redirect_uri: back,
    code_verifier: verifier,
    resource: upstream.mcpUrl,
  });
  const body = await response.json();
  assert.equal(response.status, 200, JSON.stringify(body));
  return { clientId, access: body.access_token, refresh: body.refresh_token };
}

Deno.test("the provider signs a person in, and the server behind it takes its tokens alone", async () => {
  await using upstream = await startOidcUpstream();
  assert.equal(await greetingStatus(upstream.mcpUrl, null), 401);
  const { access, clientId, refresh } = await login(upstream);
  assert.equal(await greetingStatus(upstream.mcpUrl, access), 200);
  assert.equal(await greetingStatus(upstream.mcpUrl, `${access}x`), 401);
  assert.equal(upstream.registrations(), 1);

  upstream.setClock(301);
  assert.equal(await greetingStatus(upstream.mcpUrl, access), 401);
  upstream.setClock(0);
  upstream.expireAccess();
  assert.equal(await greetingStatus(upstream.mcpUrl, access), 401);

  const parameters = {
    grant_type: "refresh_token",
    client_id: clientId,
    refresh_token: refresh,
    resource: upstream.mcpUrl,
  };
  const renewed = await (await token(upstream, parameters)).json();
  assert.equal(await greetingStatus(upstream.mcpUrl, renewed.access_token), 200);
  assert.notEqual(renewed.refresh_token, refresh);
  const replayed = await token(upstream, parameters);
  assert.equal((await replayed.json()).error, "invalid_grant");
  assert.equal(
    await greetingStatus(upstream.mcpUrl, renewed.access_token),
    401,
    "a second use ends the grant",
  );
  assert.deepEqual({ ...upstream.tokenRequests }, { authorization_code: 1, refresh_token: 2 });
});

Deno.test("the provider can be taken down, and consent taken back", async () => {
  await using upstream = await startOidcUpstream({ scopeFor: ({ method }) => method && "admin" });
  const { access, refresh, clientId } = await login(upstream);
  assert.equal(await greetingStatus(upstream.mcpUrl, access), 403);
  upstream.setDown(true);
  await assert.rejects(fetch(`${upstream.issuer}/.well-known/openid-configuration`));
  upstream.setDown(503);
  assert.equal((await token(upstream, {})).status, 503);
  upstream.setDown(false);
  upstream.revokeAll();
  assert.equal(await greetingStatus(upstream.mcpUrl, access), 401);
  const parameters = { grant_type: "refresh_token", client_id: clientId, refresh_token: refresh };
  assert.equal((await (await token(upstream, parameters)).json()).error, "invalid_grant");
  upstream.forgetClients();
  assert.equal((await (await token(upstream, parameters)).json()).error, "invalid_client");
});

Deno.test("a person may refuse", async () => {
  await using upstream = await startOidcUpstream();
  const url = authorizeUrl(upstream, await register(upstream));
  const answer = new URL(await upstream.follow(url, { consents: false }));
  assert.equal(answer.searchParams.get("error"), "access_denied");
  assert.equal(answer.searchParams.get("iss"), upstream.issuer);
});
