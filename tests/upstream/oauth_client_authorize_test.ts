// The URL that people are led to.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import {
  beginAuthorization,
  finishAuthorization,
  type OauthConfig,
} from "../../server/upstream/oauth_client.ts";
import { onServices } from "../support/services.ts";
import {
  resourceMetadata,
  resourcePath,
  serverMetadata,
  serverPath,
  startSite,
  whole,
} from "./oauth_client_site.ts";
import { connectionTo, partsOf, rejectsAs } from "./oauth_client_support.ts";

onServices("the request says what is asked for, and keeps what the endpoint has", async (services) => {
  await using site = await startSite((origin) => ({
    ...whole(origin, { authorization_endpoint: `${origin}/authorize?tenant=a%20b&scope=all#x` }),
    [`${resourcePath}/mcp`]: resourceMetadata(origin, origin, {
      resource: origin,
      scopes_supported: ["r", "w"],
    }),
  }));
  const parts = partsOf(services, "https://mesh.example");
  const connection = connectionTo(site.mcpUrl);
  const { url, flow } = await beginAuthorization(parts, { connection, state: "state-1" });
  const { origin, pathname, searchParams, hash } = new URL(url);
  assert.equal(`${origin}${pathname}${hash}`, `${site.origin}/authorize`); // CL14
  const challenge = createHash("sha256").update(flow.verifier).digest("base64url");
  assert.deepEqual(Object.fromEntries(searchParams), {
    tenant: "a b",
    scope: "r w",
    response_type: "code",
    client_id: "made-for-us",
    redirect_uri: "https://mesh.example/oauth/callback",
    state: "state-1",
    code_challenge: challenge,
    code_challenge_method: "S256",
    resource: site.origin, // CL03: nothing is added to it
  });
  assert.match(flow.verifier, /^[A-Za-z0-9_-]{43}$/); // RFC 7636 section 4.1
  assert.equal(flow.issuer, site.origin); // CL06
  const again = await beginAuthorization(parts, { connection, state: "state-1" });
  assert.notEqual(again.flow.verifier, flow.verifier);

  await finishAuthorization(parts, {
    connection,
    flow: JSON.parse(JSON.stringify(flow)),
    answer: { code: "c" },
  });
  assert.deepEqual(site.forms("/token"), [{
    grant_type: "authorization_code",
    code: "c",
    redirect_uri: "https://mesh.example/oauth/callback",
    code_verifier: flow.verifier,
    resource: site.origin, // CL03
    client_id: "made-for-us",
  }]);
});

onServices("without PKCE nobody is led anywhere", async (services) => { // CL05
  await using site = await startSite(whole);
  for (const methods of [undefined, null, [], ["plain"], "S256", ["s256"]]) {
    site.routes[serverPath] = serverMetadata(site.origin, { code_challenge_methods_supported: methods });
    await rejectsAs(
      beginAuthorization(partsOf(services), { connection: connectionTo(site.mcpUrl), state: "s" }),
      "discovery",
      /does not support PKCE with S256$/,
    );
  }
  site.routes[serverPath] = serverMetadata(site.origin, { authorization_endpoint: undefined });
  await rejectsAs(
    beginAuthorization(partsOf(services), { connection: connectionTo(site.mcpUrl), state: "s" }),
    "discovery",
    /names no authorization endpoint$/,
  );
  assert.deepEqual(site.forms("/register"), []);
});

onServices("the scope that is asked for", async (services) => { // CL10, CL11
  await using site = await startSite(whole);
  interface Case {
    resource?: string[];
    server?: string[];
    challenge?: string;
    scopes?: string;
    config?: OauthConfig;
    asked: string | null;
  }
  const stepUp = `Bearer error="insufficient_scope", scope="write"`;
  const cases: Case[] = [
    { asked: null },
    { server: ["offline_access", "read"], asked: null },
    { resource: ["read", "write"], asked: "read write" },
    { resource: ["read"], challenge: `Bearer scope="admin"`, asked: "admin" },
    { resource: ["read"], server: ["offline_access"], asked: "read offline_access" },
    { resource: ["read", "offline_access"], asked: "read" },
    { resource: ["read", "offline_access"], server: ["read"], asked: "read" },
    { challenge: `Bearer scope="offline_access"`, server: ["read"], asked: null },
    // CL11: what was granted and what is missing, together.
    { challenge: stepUp, scopes: "read offline_access", asked: "write read" },
    {
      challenge: stepUp,
      scopes: "read write",
      server: ["offline_access"],
      asked: "write read offline_access",
    },
    { challenge: stepUp, config: { scope: "read" }, asked: "read write" },
    { challenge: `Bearer scope="write"`, config: { scope: "read" }, asked: "read" },
    { config: { scope: "read  read" }, resource: ["write"], asked: "read" },
    { config: { scope: "read offline_access" }, asked: "read offline_access" },
    { config: { scope: "offline_access" }, asked: "offline_access" },
  ];
  for (const { resource, server, config, asked, ...rest } of cases) {
    site.routes[`${resourcePath}/mcp`] = resourceMetadata(site.origin, site.origin, {
      scopes_supported: resource,
    });
    site.routes[serverPath] = serverMetadata(site.origin, { scopes_supported: server });
    const connection = connectionTo(site.mcpUrl, config ?? null);
    const { url, flow } = await beginAuthorization(partsOf(services), { connection, state: "s", ...rest });
    const { searchParams } = new URL(url);
    assert.equal(searchParams.get("scope"), asked, JSON.stringify({ resource, server, config, ...rest }));
    assert.equal(flow.scope, asked);
    assert.equal(searchParams.get("prompt"), asked?.includes("offline_access") ? "consent" : null);
  }
});
