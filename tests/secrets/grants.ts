// Connections whose servers take tokens of an authorization server.
import assert from "node:assert/strict";
import { exportJWK, exportPKCS8, generateKeyPair } from "jose";
import { type OidcUpstream, startOidcUpstream } from "../support/upstreams/oidc_provider.ts";
import type { LeakyIssuer } from "./leaky.ts";
import { connect, type People } from "./servers.ts";
import type { Person, Site } from "./site.ts";

/** Begins to connect; gives where the browser is sent, or null where it is not. */
async function begin(site: Site, person: Person, id: string): Promise<string | null> {
  await person.browser.get(`/my-connections/${id}`);
  // The state, and the challenge, are for the authorization server, and the browser carries them there.
  const sent = await person.browser.allowing("state").post(`/my-connections/${id}/connect`, { from: "page" });
  const location = sent.headers.get("location");
  if (location === null) return null;
  site.markers.add("state", new URL(location).searchParams.get("state") ?? "");
  return location;
}

/** Comes back from the authorization server. */
async function comeBack(site: Site, person: Person, back: string): Promise<number> {
  const { pathname, search, searchParams } = new URL(back);
  const code = searchParams.get("code");
  if (code !== null) site.markers.add("authorization code", code);
  // Somebody else's browser first, then nobody's, and in the end once more than it may.
  const path = pathname + search;
  await site.browser("nobody").get(path);
  const answer = await person.browser.get(path);
  await person.browser.get(answer.headers.get("location") ?? "/my-connections");
  await person.browser.get(path);
  return answer.status;
}

/** An authorization server that does what it should. */
export async function granted(site: Site, people: People): Promise<void> {
  const { markers } = site;
  const secret = markers.make("OAuth client secret");
  const keys = await generateKeyPair("ES256", { extractable: true });
  const pem = await exportPKCS8(keys.privateKey);
  for (const line of pem.split("\n").filter((line) => line.length > 30 && !line.startsWith("-----"))) {
    markers.add("client private key", line);
  }
  markers.add("client private key", String((await exportJWK(keys.privateKey)).d));
  const common = { redirect_uris: [`${site.url}/oauth/callback`], response_types: ["code"] };
  await using upstream = await startOidcUpstream({
    answer: (body) => noted(site, body),
    clients: [
      {
        ...common,
        client_id: "by_secret",
        client_secret: secret,
        token_endpoint_auth_method: "client_secret_basic",
        grant_types: ["authorization_code", "refresh_token"],
      },
      {
        client_id: "by_key",
        jwks: { keys: [await exportJWK(keys.publicKey)] },
        token_endpoint_auth_method: "private_key_jwt",
        redirect_uris: [],
        response_types: [],
        grant_types: ["client_credentials"],
      },
    ],
  });
  const oauth = {
    connection_url: upstream.mcpUrl,
    credential_type: "oauth",
    options: { identity_token: true },
  };
  const given = { client_id: "by_secret", client_secret: secret, scope: "openid email tools offline_access" };
  const own = await connect(site, people.owner, {
    ...{ title: "Own account", ...oauth, credential_mode: "per_user", oauth_config: given },
  });
  const itself = await connect(site, people.owner, {
    title: "For itself",
    ...oauth,
    oauth_config: {
      ...{ client_id: "by_key", private_key: pem, token_endpoint_auth_method: "private_key_jwt" },
      grant_type: "client_credentials",
    },
  });
  const registered = await connect(site, people.owner, {
    title: "Registered",
    ...oauth,
    credential_mode: "shared",
  });
  await useGrants(site, people, { upstream, own, others: [itself, registered] });
  for (const parameters of upstream.tokenParameters) {
    const { code_verifier: verifier, client_assertion: assertion } = parameters;
    if (verifier) markers.add("PKCE verifier", verifier);
    if (assertion) markers.add("client assertion", assertion);
  }
  for (const { headers } of upstream.fixture.seen) {
    const token = headers["x-mesh-token"];
    if (token) {
      markers.add("identity token", token).split(".").map((part) => markers.add("identity token", part));
    }
  }
  for (const { client_secret: made } of upstream.registered()) {
    if (typeof made === "string") markers.add("registered client's secret", made);
  }
}

/** Takes note of what a token endpoint has answered. */
function noted({ markers }: Site, body: Record<string, unknown>): Record<string, unknown> {
  for (const name of ["access_token", "refresh_token", "id_token"]) {
    const value = body[name];
    if (typeof value === "string") markers.add(name.replace("_", " "), value);
  }
  return body;
}

interface Grants {
  readonly upstream: OidcUpstream;
  /** The connection for which each person authorizes. */
  readonly own: string;
  readonly others: readonly string[];
}

async function useGrants(
  site: Site,
  { owner, member }: People,
  { upstream, own, others }: Grants,
): Promise<void> {
  const authorize = async (person: Person, id: string, account: string) => {
    const location = await begin(site, person, id);
    assert.ok(location);
    assert.equal(await comeBack(site, person, await upstream.follow(location, { account })), 303);
  };
  const callAll = async () => {
    for (const id of [own, ...others]) {
      for (const person of [owner, member]) await site.call(person, id, "echo");
      await site.run(owner, "CONNECTION_TEST", { id });
      await owner.browser.post(`/connections/${id}/test`);
    }
  };
  for (const person of [owner, member]) await authorize(person, own, person.name);
  await authorize(owner, others.at(-1) ?? "", "everybody");
  const [answer] = await site.call(member, own, "echo");
  assert.equal(answer?.status, 200);
  await callAll();
  upstream.expireAccess();
  await callAll(); // renewed after a refusal
  upstream.setDown(500);
  upstream.expireAccess();
  await callAll();
  upstream.setDown(true);
  await callAll();
  upstream.setDown(false);
  await callAll();
  upstream.revokeAll();
  await callAll(); // nobody may call any more
  const refusing = await begin(site, owner, own);
  if (refusing !== null) await comeBack(site, owner, await upstream.follow(refusing, { consents: false }));
  await authorize(owner, own, "owner");
  await site.run(owner, "CREDENTIAL_HOLDERS_LIST", { connectionId: own });
  await site.run(member, "CREDENTIAL_DELETE", { connectionId: own });
}

/** An authorization server that repeats what it was sent. */
export async function refused(site: Site, { owner, member }: People, issuer: LeakyIssuer): Promise<void> {
  const { markers } = site;
  const client_secret = markers.make("OAuth client secret that is repeated");
  const url = { connection_url: `${issuer.issuer}/mcp`, credential_type: "oauth" };
  const config = { client_id: "leaked", client_secret, scope: "openid" };
  const own = await connect(site, owner, {
    title: "Repeats",
    ...url,
    credential_mode: "per_user",
    oauth_config: config,
  });
  const posted = { ...config, token_endpoint_auth_method: "client_secret_post" };
  const itself = await connect(site, owner, {
    ...{ title: "Repeats to itself", ...url },
    oauth_config: { ...posted, grant_type: "client_credentials" },
  });
  const unknown = await connect(site, owner, {
    title: "Repeats what registers",
    ...url,
    credential_mode: "per_user",
  });
  const go = async (id: string) => {
    const location = await begin(site, member, id);
    if (location === null) return;
    const response = await fetch(location, { redirect: "manual" });
    await response.body?.cancel();
    await comeBack(site, member, response.headers.get("location") ?? "");
  };
  const useAll = async () => {
    for (const id of [own, itself, unknown]) {
      await go(id);
      await site.call(member, id, "anything");
      await site.run(owner, "CONNECTION_TEST", { id });
      await site.run(member, "CONNECTION_CALL_TOOL", { id, toolName: "anything" });
      await owner.browser.post(`/connections/${id}/test`);
      await member.browser.get(`/my-connections/${id}`);
    }
  };
  for (const refusing of ["authorize", "register", "token"] as const) {
    issuer.refusing = refusing;
    await useAll();
  }
  const made = (name: string) => markers.make(`${name} of the repeating server`);
  for (const expires_in of [3600, 1]) {
    issuer.refusing = "nothing";
    const tokens = { access_token: made("access token"), refresh_token: made("refresh token") };
    issuer.grant = {
      ...tokens,
      token_type: "Bearer",
      expires_in,
      id_token: made("id token"),
    };
    await useAll();
    issuer.refusing = "scope";
    await useAll();
    issuer.refusing = "token";
    await useAll();
  }
}
