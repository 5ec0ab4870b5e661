// The whole way, against an authorization server that is not ours.
import assert from "node:assert/strict";
import { refresh, revoke } from "../../server/upstream/oauth_client.ts";
import { onServices } from "../support/services.ts";
import { type OidcUpstream, startOidcUpstream } from "../support/upstreams/oidc_provider.ts";
import { connect, connectionTo, partsOf, rejectsAs } from "./oauth_client_support.ts";

async function statusWith({ mcpUrl }: OidcUpstream, token: string): Promise<number> {
  const response = await fetch(mcpUrl, {
    method: "POST",
    headers: {
      authorization: `Bearer ${token}`,
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
    },
    body: JSON.stringify({
      jsonrpc: "2.0",
      id: 1,
      method: "initialize",
      params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "t", version: "1" } },
    }),
  });
  await response.text();
  return response.status;
}

onServices("a person connects, the access is renewed with rotation, and given back", async (services) => {
  await using upstream = await startOidcUpstream();
  const parts = partsOf(services);
  const connection = connectionTo(upstream.mcpUrl);
  const before = Date.now();
  const { grant, scope, expiresAt, account, url } = await connect(parts, { connection, ...upstream });
  assert.equal(await statusWith(upstream, grant.accessToken), 200);
  assert.equal(grant.issuer, upstream.issuer);
  assert.equal(url.searchParams.get("scope"), "tools offline_access"); // CL10: it lists offline_access
  assert.equal(scope, "tools");
  assert.equal(url.searchParams.get("prompt"), "consent");
  assert.ok(expiresAt && expiresAt >= before + 299_000 && expiresAt <= Date.now() + 301_000);
  assert.equal(account, null);

  const renewed = await refresh(parts, { connection, grant });
  assert.equal(await statusWith(upstream, renewed.grant.accessToken), 200);
  assert.notEqual(renewed.grant.refreshToken, grant.refreshToken);
  assert.deepEqual({ ...upstream.tokenRequests }, { authorization_code: 1, refresh_token: 1 });
  // CL03: in authorize, token and refresh, as published.
  assert.equal(url.searchParams.get("resource"), upstream.mcpUrl);
  assert.deepEqual(upstream.tokenParameters.map(({ resource }) => resource), [
    upstream.mcpUrl,
    upstream.mcpUrl,
  ]);

  await revoke(parts, renewed.grant);
  assert.equal(await statusWith(upstream, renewed.grant.accessToken), 401);
  const error = await rejectsAs(refresh(parts, { connection, grant: renewed.grant }), "invalid_grant"); // CL12
  assert.equal(error.stage, "token");
});
