// Clients that know nothing but a URL get to a tool call; a person signs in and allows it in a real browser.
import assert from "node:assert/strict";
import {
  Client,
  type OAuthClientProvider,
  StreamableHTTPClientTransport,
  UnauthorizedError,
} from "@modelcontextprotocol/client";
import {
  type OAuthClientProvider as LegacyProvider,
  UnauthorizedError as LegacyUnauthorized,
} from "@modelcontextprotocol/sdk/client/auth.js";
import { Client as LegacyClient } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as LegacyTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import * as oauth from "oauth4webapi";
import { answerOf, modern, post } from "../mcp/support.ts";
import { owner } from "../pages/support.ts";
import { type Callback, startCallback } from "../support/callback.ts";
import { connect, enter, onScene, type Scene } from "./support.ts";

/** The URL of a connection of a mesh that is set up, in front of which nobody is signed in. */
async function furnish(scene: Scene): Promise<URL> {
  const path = await connect(scene, await enter(scene));
  await scene.page.context().clearCookies();
  return new URL(`${scene.mesh.services.config.baseUrl}/mcp/${path.split("/").at(-1)}`);
}

/** Opens the address, signs in, allows it, and gives what the application hears. */
async function approve({ page }: Scene, address: URL, callback: Callback): Promise<URLSearchParams> {
  await page.goto(address.href);
  await page.getByLabel("E-mail").fill(owner.email);
  await page.getByLabel("Password").fill(owner.password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("button", { name: "Allow" }).click();
  await page.getByText("Back in the application").waitFor();
  return await callback.next();
}

/** What an SDK keeps for one server, and where it sends the browser. */
class Keeper {
  readonly redirectUrl: string;
  readonly kept = new Map<string, unknown>();
  /** Where the browser was sent to. */
  address: URL | null = null;

  constructor(redirectUrl: string) {
    this.redirectUrl = redirectUrl;
  }

  get clientMetadata() {
    return { client_name: "SDK", redirect_uris: [this.redirectUrl], token_endpoint_auth_method: "none" };
  }

  provider<T>(): T {
    const get = (name: string) => () => this.kept.get(name);
    const save = (name: string) => (value: unknown) => void this.kept.set(name, value);
    return {
      redirectUrl: this.redirectUrl,
      clientMetadata: this.clientMetadata,
      clientInformation: get("client"),
      saveClientInformation: save("client"),
      tokens: get("tokens"),
      saveTokens: save("tokens"),
      codeVerifier: get("verifier"),
      saveCodeVerifier: save("verifier"),
      discoveryState: get("discovery"),
      saveDiscoveryState: save("discovery"),
      redirectToAuthorization: (url: URL) => void (this.address = url),
    } as T;
  }

  /** Makes the access token a bad one, as if it had ended. */
  spoil(): void {
    const tokens = this.kept.get("tokens") as Record<string, unknown>;
    this.kept.set("tokens", { ...tokens, access_token: "mesh_at_" + "x".repeat(43) });
  }
}

onScene("the official client of both eras gets from a URL to a tool call", async (scene) => {
  await using callback = startCallback();
  const url = await furnish(scene);
  const keeper = new Keeper(callback.url);
  const open = () => {
    const authProvider = keeper.provider<OAuthClientProvider>();
    return new StreamableHTTPClientTransport(url, { authProvider });
  };
  const first = open();
  await assert.rejects(
    new Client({ name: "test", version: "1" }).connect(first),
    (error) => error instanceof UnauthorizedError,
  );
  assert.ok(keeper.address);
  assert.equal(keeper.address.searchParams.get("resource"), url.href);
  assert.equal(keeper.address.searchParams.get("scope"), "mcp");
  await first.finishAuth(await approve(scene, keeper.address, callback));
  for (const again of [false, true]) {
    if (again) keeper.spoil(); // it refreshes by itself
    const client = new Client({ name: "test", version: "1" });
    await client.connect(open());
    const answer = await client.callTool({ name: "test_simple_text", arguments: {} });
    assert.equal(answer.isError ?? false, false);
    await client.close();
  }
});

onScene("the older official client gets from a URL to a tool call", async (scene) => {
  await using callback = startCallback();
  const url = await furnish(scene);
  const keeper = new Keeper(callback.url);
  const open = () => {
    const authProvider = keeper.provider<LegacyProvider>();
    return new LegacyTransport(url, { authProvider });
  };
  type Transport = Parameters<LegacyClient["connect"]>[0];
  const first = open();
  await assert.rejects(
    new LegacyClient({ name: "test", version: "1" }).connect(first as Transport),
    (error) => error instanceof LegacyUnauthorized,
  );
  assert.ok(keeper.address);
  const code = (await approve(scene, keeper.address, callback)).get("code");
  await first.finishAuth(code ?? "");
  for (const again of [false, true]) {
    if (again) keeper.spoil();
    const client = new LegacyClient({ name: "test", version: "1" });
    await client.connect(open() as Transport);
    const answer = await client.callTool({ name: "test_simple_text", arguments: {} });
    assert.equal(answer.isError ?? false, false);
    await client.close();
  }
});

onScene("a strict OAuth client gets from a URL to a tool call, refreshes and revokes", async (scene) => { // AS01-AS03, AS15, RS02
  await using callback = startCallback();
  const url = await furnish(scene);
  const loose = { [oauth.allowInsecureRequests]: true };
  const resource = await oauth.processResourceDiscoveryResponse(
    url,
    await oauth.resourceDiscoveryRequest(url, loose),
  );
  const issuer = new URL(resource.authorization_servers?.[0] ?? "");
  for (const algorithm of ["oauth2", "oidc"] as const) {
    const found = await oauth.discoveryRequest(issuer, { algorithm, ...loose });
    assert.equal(
      (await oauth.processDiscoveryResponse(issuer, found)).issuer,
      resource.authorization_servers?.[0],
    );
  }
  const server = await oauth.processDiscoveryResponse(
    issuer,
    await oauth.discoveryRequest(issuer, { algorithm: "oauth2", ...loose }),
  );
  const client = await oauth.processDynamicClientRegistrationResponse(
    await oauth.dynamicClientRegistrationRequest(server, {
      client_name: "Strict",
      redirect_uris: [callback.url],
      token_endpoint_auth_method: "none",
    }, loose),
  );
  const verifier = oauth.generateRandomCodeVerifier();
  const state = oauth.generateRandomState();
  const address = new URL(server.authorization_endpoint ?? "");
  const parameters = {
    client_id: client.client_id,
    redirect_uri: callback.url,
    response_type: "code",
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
    state,
    resource: url.href,
    scope: resource.scopes_supported?.join(" ") ?? "",
  };
  for (const [name, value] of Object.entries(parameters)) address.searchParams.set(name, value);
  const heard = oauth.validateAuthResponse(server, client, await approve(scene, address, callback), state);
  const none = oauth.None();
  const tokens = await oauth.processAuthorizationCodeResponse(
    server,
    client,
    await oauth.authorizationCodeGrantRequest(server, client, none, heard, callback.url, verifier, loose),
  );
  const call = modern("tools/call", { name: "test_simple_text", arguments: {} });
  const answer = await answerOf(await post({ url: url.href, key: tokens.access_token }, call));
  assert.equal(answer.result.isError ?? false, false);
  const refreshed = await oauth.processRefreshTokenResponse(
    server,
    client,
    await oauth.refreshTokenGrantRequest(server, client, none, tokens.refresh_token ?? "", loose),
  );
  const last = refreshed.refresh_token ?? "";
  await oauth.processRevocationResponse(await oauth.revocationRequest(server, client, none, last, loose));
  const refused = await post({ url: url.href, key: refreshed.access_token }, call);
  await refused.text();
  assert.equal(refused.status, 401);
});
