// The whole way, against an authorization server that is not ours.
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import {
  clientCredentials,
  clientDocument,
  type OauthConfig,
  refresh,
  revoke,
} from "../../server/upstream/oauth_client.ts";
import { greetingStatus } from "../mcp/support.ts";
import { onServices } from "../support/services.ts";
import { startOidcUpstream } from "../support/upstreams/oidc_provider.ts";
import { connect, connectionTo, partsOf, rejectsAs } from "./oauth_client_support.ts";

onServices("a person connects, the access is renewed with rotation, and given back", async (services) => {
  await using upstream = await startOidcUpstream();
  const parts = partsOf(services);
  const connection = connectionTo(upstream.mcpUrl);
  const before = Date.now();
  const { grant, scope, expiresAt, account, url } = await connect(parts, { connection, ...upstream });
  assert.equal(await greetingStatus(upstream.mcpUrl, grant.accessToken), 200);
  assert.equal(grant.issuer, upstream.issuer);
  assert.equal(url.searchParams.get("scope"), "tools offline_access"); // CL10: it lists offline_access
  assert.equal(scope, "tools");
  assert.equal(url.searchParams.get("prompt"), "consent");
  assert.ok(expiresAt && expiresAt >= before + 299_000 && expiresAt <= Date.now() + 301_000);
  assert.equal(account, null);

  const renewed = await refresh(parts, { connection, grant });
  assert.equal(await greetingStatus(upstream.mcpUrl, renewed.grant.accessToken), 200);
  assert.notEqual(renewed.grant.refreshToken, grant.refreshToken);
  assert.deepEqual({ ...upstream.tokenRequests }, { authorization_code: 1, refresh_token: 1 });
  // CL03: in authorize, token and refresh, as published.
  assert.equal(url.searchParams.get("resource"), upstream.mcpUrl);
  assert.deepEqual(upstream.tokenParameters.map(({ resource }) => resource), [
    upstream.mcpUrl,
    upstream.mcpUrl,
  ]);

  await revoke(parts, renewed.grant);
  assert.equal(await greetingStatus(upstream.mcpUrl, renewed.grant.accessToken), 401);
  const error = await rejectsAs(refresh(parts, { connection, grant: renewed.grant }), "invalid_grant"); // CL12
  assert.equal(error.stage, "token");
});

onServices(
  "a second use of a refresh token, consent taken back, and a forgotten client",
  async (services) => { // CL12
    await using upstream = await startOidcUpstream();
    const parts = partsOf(services);
    const connection = connectionTo(upstream.mcpUrl);
    const first = await connect(parts, { connection, ...upstream });
    await refresh(parts, { connection, grant: first.grant });
    await rejectsAs(refresh(parts, { connection, grant: first.grant }), "invalid_grant");

    const second = await connect(parts, { connection, ...upstream });
    assert.equal(upstream.registrations(), 1); // CL09
    upstream.revokeAll();
    assert.equal(await greetingStatus(upstream.mcpUrl, second.grant.accessToken), 401);
    await rejectsAs(refresh(parts, { connection, grant: second.grant }), "invalid_grant");

    const third = await connect(parts, { connection, ...upstream });
    upstream.forgetClients();
    await rejectsAs(refresh(parts, { connection, grant: third.grant }), "invalid_client");
  },
);

onServices("a provider that is down takes nothing away", async (services) => {
  await using upstream = await startOidcUpstream({ rotation: false });
  const parts = partsOf(services);
  const connection = connectionTo(upstream.mcpUrl);
  const { grant } = await connect(parts, { connection, ...upstream });
  for (const down of [true, 500, 503, 429]) {
    upstream.setDown(down);
    await rejectsAs(refresh(parts, { connection, grant }), "transient");
    await rejectsAs(connect(parts, { connection, ...upstream }), "transient");
  }
  upstream.setDown(false);
  const renewed = await refresh(parts, { connection, grant });
  assert.equal(renewed.grant.refreshToken, grant.refreshToken);
  assert.equal(await greetingStatus(upstream.mcpUrl, renewed.grant.accessToken), 200);
});

onServices("a person who refuses is told so", async (services) => {
  await using upstream = await startOidcUpstream();
  const connection = connectionTo(upstream.mcpUrl);
  const follow = (url: string) => upstream.follow(url, { consents: false });
  await rejectsAs(connect(partsOf(services), { connection, follow }), "refused", /'The person said no'$/);
});

onServices("a server without refresh tokens, and one whose clock is ahead", async (services) => {
  await using upstream = await startOidcUpstream({ refreshTokens: "never", accessTokenSeconds: 60 });
  const parts = partsOf(services);
  const connection = connectionTo(upstream.mcpUrl);
  const { grant, expiresAt } = await connect(parts, { connection, ...upstream });
  assert.equal(grant.refreshToken, null);
  upstream.setClock(61);
  assert.equal(await greetingStatus(upstream.mcpUrl, grant.accessToken), 401);
  assert.ok(expiresAt && expiresAt > Date.now());
  await rejectsAs(refresh(parts, { connection, grant }), "invalid_grant", /gave no way to renew it$/);
});

onServices("more scope is asked for together with what was granted", async (services) => { // CL11
  await using upstream = await startOidcUpstream({
    scopes: ["read", "write"],
    scopeFor: ({ method }) => method === "initialize" ? "write" : undefined,
  });
  const parts = partsOf(services);
  const connection = connectionTo(upstream.mcpUrl);
  const first = await connect(parts, { connection, ...upstream, challenge: `Bearer scope="read"` });
  assert.equal(first.scope, "read");
  assert.equal(await greetingStatus(upstream.mcpUrl, first.grant.accessToken), 403);
  const challenge = `Bearer error="insufficient_scope", scope="write"`;
  const second = await connect(parts, { connection, ...upstream, challenge, scopes: "read" });
  assert.deepEqual(second.scope?.split(" ").toSorted(), ["read", "write"]);
  assert.equal(await greetingStatus(upstream.mcpUrl, second.grant.accessToken), 200);
});

onServices("a server that publishes its origin gets tokens for its origin", async (services) => { // CL02, CL03, Q-07
  const options = { resource: "http://127.0.0.1" };
  await using upstream = await startOidcUpstream(options);
  options.resource = new URL(upstream.mcpUrl).origin;
  const { grant } = await connect(partsOf(services), {
    connection: connectionTo(upstream.mcpUrl),
    ...upstream,
  });
  assert.equal(grant.resource, options.resource);
  assert.equal(await greetingStatus(upstream.mcpUrl, grant.accessToken), 200);
});

onServices("the person is known by name where the server says it", async (services) => {
  await using upstream = await startOidcUpstream();
  const connection = connectionTo(upstream.mcpUrl, { scope: "openid email tools" });
  const follow = (url: string) => upstream.follow(url, { account: "bob" });
  const { account } = await connect(partsOf(services), { connection, follow });
  assert.equal(account, "bob@upstream.example");
});

const redirect = "http://127.0.0.1:3000/oauth/callback";

onServices("given clients prove themselves in each way", async (services) => { // CL07, CL16
  const methods = ["client_secret_basic", "client_secret_post", "none"] as const;
  await using upstream = await startOidcUpstream({
    registration: false,
    clients: methods.map((method) => ({
      client_id: `given-${method}`,
      ...(method === "none" ? {} : { client_secret: "a secret: with %+& in it" }),
      token_endpoint_auth_method: method,
      application_type: "native",
      redirect_uris: [redirect],
    })),
  });
  const parts = partsOf(services);
  for (const method of methods) {
    const config: OauthConfig = {
      client_id: `given-${method}`,
      client_secret: method === "none" ? null : "a secret: with %+& in it",
      token_endpoint_auth_method: method === "client_secret_basic" ? null : method,
    };
    const connection = connectionTo(upstream.mcpUrl, config);
    const { grant } = await connect(parts, { connection, ...upstream });
    assert.equal(grant.client.authMethod, method);
    const renewed = await refresh(parts, { connection, grant });
    await revoke(parts, renewed.grant);
    assert.equal(await greetingStatus(upstream.mcpUrl, renewed.grant.accessToken), 401);
  }
  const wrong = connectionTo(upstream.mcpUrl, {
    client_id: "given-client_secret_post",
    client_secret: "wrong",
  });
  await rejectsAs(connect(parts, { connection: wrong, ...upstream }), "invalid_client");
  await rejectsAs(connect(parts, { connection: connectionTo(upstream.mcpUrl), ...upstream }), "registration");
});

onServices("the document is read by a server that takes documents", async (services) => { // CL07
  const baseUrl = "https://mesh.example";
  const read: string[] = [];
  await using upstream = await startOidcUpstream({
    documents: (url) => {
      read.push(url);
      return Promise.resolve(Response.json(clientDocument(baseUrl)));
    },
  });
  const parts = partsOf(services, baseUrl);
  const connection = connectionTo(upstream.mcpUrl);
  const { grant } = await connect(parts, { connection, ...upstream });
  assert.equal(grant.client.clientId, "https://mesh.example/oauth/client.json");
  assert.ok(grant.refreshToken);
  assert.equal(await greetingStatus(upstream.mcpUrl, grant.accessToken), 200);
  await refresh(parts, { connection, grant });
  assert.deepEqual([...new Set(read)], ["https://mesh.example/oauth/client.json"]);
  assert.equal(upstream.registrations(), 0);
});

onServices("the mesh gets access for itself, by a secret or by a key", async (services) => { // CL16, AS70
  const keys = {
    rsa: generateKeyPairSync("rsa", { modulusLength: 2048 }),
    ec: generateKeyPairSync("ec", { namedCurve: "P-256" }),
    ed: generateKeyPairSync("ed25519"),
  };
  const machine = { grant_types: ["client_credentials"], redirect_uris: [], response_types: [] };
  await using upstream = await startOidcUpstream({
    registration: false,
    clients: [
      { client_id: "by-secret", client_secret: "machine-secret", ...machine },
      ...Object.entries(keys).map(([name, { publicKey }]) => ({
        client_id: `by-${name}`,
        token_endpoint_auth_method: "private_key_jwt",
        jwks: { keys: [{ ...publicKey.export({ format: "jwk" }), kid: name }] },
        ...machine,
      })),
    ],
  });
  const parts = partsOf(services);
  const configs: OauthConfig[] = [
    { client_id: "by-secret", client_secret: "machine-secret" },
    {
      client_id: "by-rsa",
      private_key: keys.rsa.privateKey.export({ format: "pem", type: "pkcs8" }).toString(),
    },
    {
      client_id: "by-rsa",
      private_key: keys.rsa.privateKey.export({ format: "pem", type: "pkcs1" }).toString(),
    },
    {
      client_id: "by-ec",
      private_key: keys.ec.privateKey.export({ format: "pem", type: "sec1" }).toString(),
    },
    {
      client_id: "by-ec",
      private_key: JSON.stringify({ ...keys.ec.privateKey.export({ format: "jwk" }), kid: "ec" }),
      assertion_audience: "token_endpoint",
    },
    {
      client_id: "by-ed",
      private_key: keys.ed.privateKey.export({ format: "pem", type: "pkcs8" }).toString(),
    },
  ];
  for (const config of configs) {
    const connection = connectionTo(upstream.mcpUrl, { ...config, grant_type: "client_credentials" });
    const { grant, scope, account } = await clientCredentials(parts, { connection });
    assert.equal(await greetingStatus(upstream.mcpUrl, grant.accessToken), 200, config.client_id ?? "");
    assert.deepEqual([scope, account, grant.refreshToken], ["tools", null, null]);
    const renewed = await refresh(parts, { connection, grant });
    assert.notEqual(renewed.grant.accessToken, grant.accessToken);
    await revoke(parts, renewed.grant);
    assert.equal(await greetingStatus(upstream.mcpUrl, renewed.grant.accessToken), 401);
  }
  assert.ok(upstream.tokenParameters.every(({ resource }) => resource === upstream.mcpUrl)); // CL03

  const broken = connectionTo(upstream.mcpUrl, { client_id: "by-ec", private_key: "not a key" });
  await rejectsAs(
    clientCredentials(parts, { connection: broken }),
    "registration",
    /private key .* is unusable$/,
  );
  const foreign = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
  const other = connectionTo(upstream.mcpUrl, {
    client_id: "by-ec",
    private_key: foreign.export({ format: "pem", type: "pkcs8" }).toString(),
  });
  await rejectsAs(clientCredentials(parts, { connection: other }), "invalid_client");
  const none = connectionTo(upstream.mcpUrl);
  await rejectsAs(clientCredentials(parts, { connection: none }), "registration", /has no client id$/);
});
