// From a bare URL to a tool call and back to 401, with the clients that people have.
import assert from "node:assert/strict";
import { Client, StreamableHTTPClientTransport, UnauthorizedError } from "@modelcontextprotocol/client";
import { UnauthorizedError as UnauthorizedV1 } from "@modelcontextprotocol/sdk/client/auth.js";
import { Client as ClientV1 } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as TransportV1 } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import * as oauth from "oauth4webapi";
import { answerOf, modern, post } from "../mcp/support.ts";
import { allow, call, expireAccess, type Flow, isGreeting, onFlow, revoke } from "./flow_support.ts";

/** What an application of the SDKs keeps. */
class Provider {
  readonly redirectUrl: string;
  readonly clientMetadataUrl?: string;
  link: URL | undefined;
  // deno-lint-ignore no-explicit-any -- the shapes of two SDKs, handed back as they came
  readonly #kept = new Map<string, any>();

  constructor(redirectUrl: string, clientMetadataUrl?: string) {
    this.redirectUrl = redirectUrl;
    if (clientMetadataUrl !== undefined) this.clientMetadataUrl = clientMetadataUrl;
  }

  get clientMetadata() {
    return { client_name: "SDK Agent", redirect_uris: [this.redirectUrl] };
  }

  state = () => "state-1";
  clientInformation = () => this.#kept.get("client");
  saveClientInformation = (client: unknown) => void this.#kept.set("client", client);
  tokens = () => this.#kept.get("tokens");
  saveTokens = (tokens: unknown) => void this.#kept.set("tokens", tokens);
  codeVerifier = () => this.#kept.get("verifier");
  saveCodeVerifier = (verifier: string) => void this.#kept.set("verifier", verifier);
  discoveryState = () => this.#kept.get("discovery");
  saveDiscoveryState = (state: unknown) => void this.#kept.set("discovery", state);
  redirectToAuthorization = (link: URL) => void (this.link = link);
  invalidateCredentials = (what: string) => {
    for (const name of what === "all" ? [...this.#kept.keys()] : [what]) this.#kept.delete(name);
  };
}

function linkOf({ link }: Provider): URL {
  assert.ok(link);
  return link;
}

async function statusOf(flow: Flow, token: string): Promise<number> {
  const response = await post({ url: flow.url, key: token }, modern("tools/list"));
  await response.body?.cancel();
  return response.status;
}

onFlow("the SDK v1 client: registers, connects, refreshes, is revoked", async (flow) => {
  const provider = new Provider(flow.callback.url);
  const connect = async () => {
    const client = new ClientV1({ name: "test", version: "1" });
    const transport = new TransportV1(new URL(flow.url), { authProvider: provider });
    // The SDK's own types do not agree with themselves under exactOptionalPropertyTypes.
    await client.connect(transport as Parameters<typeof client.connect>[0]);
    return client;
  };
  await assert.rejects(connect(), UnauthorizedV1);
  const answer = await allow(flow, linkOf(provider));
  assert.equal(answer.get("state"), "state-1");
  await new TransportV1(new URL(flow.url), { authProvider: provider }).finishAuth(answer.get("code") ?? "");
  const client = await connect();
  isGreeting(await client.callTool(call));
  const { access_token: first } = provider.tokens();
  await expireAccess(flow);
  isGreeting(await client.callTool(call));
  const { access_token: second } = provider.tokens();
  assert.notEqual(second, first);
  assert.equal(await statusOf(flow, second), 200);
  await revoke(flow, "SDK Agent");
  await assert.rejects(client.callTool(call), UnauthorizedV1);
  assert.equal(await statusOf(flow, second), 401);
  await client.close();
});

for (
  const [how, name] of [["registers", "SDK Agent"], ["is described at its id", "Described Agent"]] as const
) {
  onFlow(`the SDK v2 client: ${how}, connects, refreshes, is revoked`, async (flow) => {
    const described = how === "registers" ? undefined : flow.document.url;
    const provider = new Provider(flow.callback.url, described);
    const transport = () => new StreamableHTTPClientTransport(new URL(flow.url), { authProvider: provider });
    const connect = async () => {
      const client = new Client({ name: "test", version: "1" }, { versionNegotiation: { mode: "auto" } });
      await client.connect(transport());
      return client;
    };
    await assert.rejects(connect(), UnauthorizedError);
    const clientId = linkOf(provider).searchParams.get("client_id");
    if (described === undefined) assert.match(clientId ?? "", /^client_/);
    else assert.equal(clientId, described);
    await transport().finishAuth(await allow(flow, linkOf(provider))); // checks iss, AS15
    const client = await connect();
    isGreeting(await client.callTool(call));
    const { access_token: first } = provider.tokens();
    await expireAccess(flow);
    isGreeting(await client.callTool(call));
    const { access_token: second } = provider.tokens();
    assert.notEqual(second, first);
    await revoke(flow, name);
    await assert.rejects(client.callTool(call), UnauthorizedError);
    assert.equal(await statusOf(flow, second), 401);
    await client.close();
  });
}

const insecure = { [oauth.allowInsecureRequests]: true }; // the mesh of the test is on plain http

async function discover(flow: Flow): Promise<oauth.AuthorizationServer> {
  const challenged = await fetch(flow.url, { method: "POST" });
  await challenged.body?.cancel();
  assert.equal(challenged.status, 401);
  const metadata = /resource_metadata="([^"]+)"/.exec(challenged.headers.get("www-authenticate") ?? "")?.[1];
  assert.ok(metadata);
  const resource = new URL(flow.url);
  const described = await oauth.resourceDiscoveryRequest(resource, insecure);
  assert.equal(described.url, metadata);
  const { authorization_servers: [issuer = ""] = [] } = await oauth.processResourceDiscoveryResponse(
    resource,
    described,
  );
  const found = await oauth.discoveryRequest(new URL(issuer), { algorithm: "oauth2", ...insecure });
  return await oauth.processDiscoveryResponse(new URL(issuer), found);
}

onFlow("oauth4webapi: each step by hand, strictly checked", async (flow) => {
  const server = await discover(flow);
  const registered = await oauth.dynamicClientRegistrationRequest(server, {
    client_name: "Strict Agent",
    redirect_uris: [flow.callback.url],
    token_endpoint_auth_method: "client_secret_basic",
  }, insecure);
  const client = await oauth.processDynamicClientRegistrationResponse(registered);
  const secret = oauth.ClientSecretBasic(String(client.client_secret));
  const verifier = oauth.generateRandomCodeVerifier();
  const state = oauth.generateRandomState();
  const link = new URL(server.authorization_endpoint ?? "");
  link.search = new URLSearchParams({
    response_type: "code",
    client_id: client.client_id,
    redirect_uri: flow.callback.url,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
    state,
    resource: flow.url,
  }).toString();
  const answer = oauth.validateAuthResponse(server, client, await allow(flow, link), state);
  const asked = await oauth.authorizationCodeGrantRequest(
    ...[server, client, secret, answer, flow.callback.url, verifier] as const,
    { ...insecure, additionalParameters: { resource: flow.url } },
  );
  const first = await oauth.processAuthorizationCodeResponse(server, client, asked);
  const called = await post({ url: flow.url, key: first.access_token }, modern("tools/call", call));
  isGreeting(await answerOf(called));
  const refreshed = await oauth.refreshTokenGrantRequest(
    ...[server, client, secret, first.refresh_token ?? "", insecure] as const,
  );
  const second = await oauth.processRefreshTokenResponse(server, client, refreshed);
  const described = await oauth.introspectionRequest(server, client, secret, second.access_token, insecure);
  const { active, aud } = await oauth.processIntrospectionResponse(server, client, described);
  assert.deepEqual([active, aud], [true, flow.url]);
  assert.equal(await statusOf(flow, second.access_token), 200);
  await revoke(flow, "Strict Agent");
  assert.equal(await statusOf(flow, second.access_token), 401);
  const refused = await oauth.refreshTokenGrantRequest(
    ...[server, client, secret, second.refresh_token ?? "", insecure] as const,
  );
  await assert.rejects(oauth.processRefreshTokenResponse(server, client, refused), {
    error: "invalid_grant",
  });
});
