// What token endpoints answer.
import assert from "node:assert/strict";
import type { Services } from "../../server/services.ts";
import {
  beginAuthorization,
  finishAuthorization,
  type Grant,
  type Granted,
  type OauthClient,
  type OauthKind,
  refresh,
  revoke,
} from "../../server/upstream/oauth_client.ts";
import { onServices } from "../support/services.ts";
import { serverMetadata, serverPath, type Site, startSite, token, whole } from "./oauth_client_site.ts";
import { connectionTo, partsOf, rejectsAs } from "./oauth_client_support.ts";

const client: OauthClient = { clientId: "c", authMethod: "none", secret: null };

function grantAt(site: Site, more: Partial<Grant> = {}): Grant {
  return {
    accessToken: "old-access-token",
    refreshToken: "old-refresh-token",
    tokenType: "Bearer",
    resource: `${site.origin}/mcp`,
    issuer: site.origin,
    tokenEndpoint: `${site.origin}/token`,
    revocationEndpoint: `${site.origin}/revoke`,
    client,
    grantType: "authorization_code",
    ...more,
  };
}

/** Registers a test in which a grant can be renewed at a site. */
function onRefresh(
  name: string,
  fn: (site: Site, renew: (grant?: Partial<Grant>) => Promise<Granted>, services: Services) => Promise<void>,
): void {
  onServices(name, async (services) => {
    await using site = await startSite(whole);
    const connection = connectionTo(site.mcpUrl);
    await fn(
      site,
      (grant) => refresh(partsOf(services), { connection, grant: grantAt(site, grant) }),
      services,
    );
  });
}

onRefresh("a renewal sends what the grant holds, and keeps what it does not get", async (site, renew) => { // CL03, CL12
  site.routes["/token"] = token({ access_token: "new-access-token" });
  const { grant, scope, expiresAt, account } = await renew();
  assert.deepEqual(site.forms("/token"), [{
    grant_type: "refresh_token",
    refresh_token: "old-refresh-token",
    resource: site.mcpUrl,
    client_id: "c",
  }]);
  assert.deepEqual(grant, grantAt(site, { accessToken: "new-access-token" }));
  assert.deepEqual([scope, expiresAt, account], [null, null, null]);
  site.routes["/token"] = token({ refresh_token: "next", scope: "read", expires_in: 60 });
  const next = await renew();
  assert.equal(next.grant.refreshToken, "next");
  assert.equal(next.scope, "read");
  // Only the token endpoint was asked, nothing was looked up again.
  assert.deepEqual(site.read(), []);
});

onRefresh(
  "how long access lasts is counted by our own clock, and only where it is believable",
  async (site, renew) => {
    const cases: [unknown, number | null][] = [
      [300, 300],
      ["300", 300],
      [" 300 ", 300],
      [59.9, 59.9],
      [1, 1],
      [31_536_000, 31_536_000],
      ...[0, -5, null, undefined, "", "soon", "0", {}, [], true, 0.2, 1e300, 1_900_000_000, "NaN", "Infinity"]
        .map((said): [unknown, null] => [said, null]),
    ];
    for (const [said, seconds] of cases) {
      const body = { access_token: "a", token_type: "Bearer", expires_in: said };
      const skewed = { date: "Thu, 01 Jan 2009 00:00:00 GMT" }; // their clock is of no interest
      site.routes["/token"] = () => Response.json(body, { headers: skewed });
      const before = Date.now();
      const { expiresAt } = await renew();
      if (seconds === null) {
        assert.equal(expiresAt, null, String(said));
      } else {
        const exact = expiresAt !== null && expiresAt >= before + seconds * 1000 &&
          expiresAt <= Date.now() + seconds * 1000;
        assert.ok(exact, String(said));
      }
    }
  },
);

onRefresh("answers in other shapes are understood", async (site, renew) => {
  const form = (text: string, type = "application/x-www-form-urlencoded; charset=utf-8", status = 200) =>
    new Response(text, { status, headers: { "content-type": type } });
  const good = [
    form("access_token=gho_x&expires_in=28800&refresh_token=ghr_y&scope=repo%2Cuser&token_type=bearer"),
    form(
      "access_token=gho_x&refresh_token=ghr_y&token_type=bearer&expires_in=28800&scope=repo%2Cuser",
      "text/plain",
    ),
    Response.json({ access_token: "gho_x", token_type: "BEARER", expires_in: 28800, refresh_token: "ghr_y" }),
    Response.json({
      ok: true,
      access_token: "gho_x",
      token_type: "user",
      expires_in: "28800",
      refresh_token: "ghr_y",
    }),
    new Response(`{"access_token":"gho_x","refresh_token":"ghr_y","expires_in":28800}`, {
      headers: { "content-type": "text/html" },
    }),
    Response.json({ access_token: "gho_x", refresh_token: "ghr_y", expires_in: 1, scope: ["a", "b"] }, {
      status: 201,
    }),
  ];
  for (const response of good) {
    site.routes["/token"] = () => response;
    const { grant, expiresAt } = await renew();
    assert.deepEqual([grant.accessToken, grant.refreshToken, grant.tokenType], ["gho_x", "ghr_y", "Bearer"]);
    assert.ok(expiresAt);
  }
  assert.equal(site.seen.at(-1)?.headers.get("accept"), "application/json");
});

onRefresh("failures are told apart: what ends the grant, the client, or passes", async (site, renew) => { // CL12
  const form = (text: string) =>
    new Response(text, { headers: { "content-type": "application/x-www-form-urlencoded" } });
  const json = (status: number, body: unknown, headers = {}) => Response.json(body, { status, headers });
  const page = (status: number) =>
    new Response("<!doctype html>access_token=x", { status, headers: { "content-type": "text/html" } });
  const cases: [Response, OauthKind, RegExp][] = [
    [
      json(400, { error: "invalid_grant" }),
      "invalid_grant",
      /no longer accepts the grant: 'invalid_grant'$/,
    ],
    [
      json(400, { error: "invalid_grant", error_description: "gone" }),
      "invalid_grant",
      /no longer accepts the grant: 'gone'$/,
    ],
    [json(401, { error: "invalid_client" }), "invalid_client", /no longer knows the client/],
    [json(400, { error: "invalid_client" }), "invalid_client", /./],
    [json(401, { error: "something" }), "invalid_client", /./],
    [json(400, { error: "invalid_target" }), "refused", /refused: 'invalid_target'$/],
    [json(400, { error: "unsupported_grant_type" }), "refused", /./],
    [json(403, { error: "insufficient_scope" }), "insufficient", /./],
    [
      form("error=bad_refresh_token&error_description=The+refresh+token+is+bad"),
      "invalid_grant",
      /'The refresh/,
    ],
    [form("error=incorrect_client_credentials"), "invalid_client", /./],
    [json(200, { ok: false, error: "invalid_refresh_token" }), "invalid_grant", /./],
    [json(200, { ok: false }), "refused", /./],
    [json(200, { error: { code: "invalid_grant" } }), "invalid_grant", /./],
    [json(200, {}), "refused", /answered without an access token$/],
    [json(200, { access_token: 7 }), "refused", /without an access token$/],
    [json(200, { access_token: "a\r\nb" }), "refused", /without an access token$/],
    [json(200, { access_token: "x".repeat(40_000) }), "refused", /without an access token$/],
    [
      json(200, { access_token: "a", token_type: "DPoP" }),
      "refused",
      /the type 'DPoP', and the mesh knows Bearer$/,
    ],
    [json(200, { access_token: "a", token_type: 5 }), "refused", /./],
    [page(200), "transient", /did not answer as it should \(200\)$/],
    [page(403), "transient", /\(403\)$/],
    [page(404), "transient", /\(404\)$/],
    [page(502), "transient", /\(502\)$/],
    [json(200, [1]), "transient", /./],
    [new Response(""), "transient", /./],
    [json(500, { error: "invalid_grant" }), "transient", /./],
    [json(503, { error: "temporarily_unavailable" }), "transient", /./],
    [json(400, { error: "temporarily_unavailable" }), "transient", /./],
    [json(429, { error: "slow_down" }), "transient", /./],
    [
      new Response(null, { status: 302, headers: { location: "http://127.0.0.1:9/" } }),
      "transient",
      /\(302\)$/,
    ],
    [json(200, { filler: "x".repeat(300_000) }), "refused", /is too large$/],
  ];
  for (const [response, kind, message] of cases) {
    site.routes["/token"] = () => response;
    const error = await rejectsAs(renew(), kind, message);
    assert.equal(error.stage, "token");
    assert.match(error.message, /^Cannot get access to Tracker: 127\.0\.0\.1:\d+ |^Cannot .* the answer of /);
  }
  await rejectsAs(renew({ refreshToken: null }), "invalid_grant", /gave no way to renew it$/);
});

onRefresh("a server says when to come again", async (site, renew) => {
  const cases: [string, number | undefined][] = [
    ["30", 30],
    ["0", 0],
    ["999999999", 3600],
    ["soon", undefined],
    ["-5", undefined],
    [new Date(Date.now() - 60_000).toUTCString(), 0],
    [new Date(Date.now() + 7200_000).toUTCString(), 3600],
  ];
  for (const [said, seconds] of cases) {
    site.routes["/token"] = () => new Response(null, { status: 503, headers: { "retry-after": said } });
    const error = await rejectsAs(renew(), "transient");
    assert.equal(error.retryAfterSeconds, seconds, said);
  }
});

onRefresh("what was sent in confidence does not come back in a message", async (site, renew) => { // CL17
  const secret = "the-client-secret";
  const confidential: OauthClient = { clientId: "c", authMethod: "client_secret_post", secret };
  site.routes["/token"] = ({ body }) =>
    Response.json({ error: "invalid_grant", error_description: `You sent ${decodeURIComponent(body)}` }, {
      status: 400,
    });
  const error = await rejectsAs(renew({ client: confidential }), "invalid_grant");
  assert.doesNotMatch(error.message, /old-refresh-token|the-client-secret/);
  assert.doesNotMatch(JSON.stringify(error), /old-refresh-token|the-client-secret/);
});

onRefresh("a client proves itself as it is registered", async (site, renew) => { // CL16
  const secret = "p:ä ss%&=";
  await renew({ client: { clientId: "id:1", authMethod: "client_secret_basic", secret } });
  await renew({ client: { clientId: "id:1", authMethod: "client_secret_post", secret } });
  await renew({ client: { clientId: "id:1", authMethod: "none", secret: null } });
  const [basic, post, none] = site.seen.map(({ headers }) => headers.get("authorization"));
  const decoded = atob(basic?.replace("Basic ", "") ?? "").split(":").map((part) =>
    new URLSearchParams(`x=${part}`).get("x")
  );
  assert.deepEqual(decoded, ["id:1", secret]); // RFC 6749 section 2.3.1
  assert.deepEqual([post, none], [null, null]);
  const forms = site.forms("/token");
  assert.deepEqual(forms.map(({ client_id }) => client_id), [undefined, "id:1", "id:1"]);
  assert.deepEqual(forms.map(({ client_secret }) => client_secret), [undefined, secret, undefined]);
});

onServices("a secret that an admin has changed holds for the grants of the same client", async (services) => {
  await using site = await startSite(whole);
  const given: OauthClient = { clientId: "given", authMethod: "client_secret_post", secret: "before" };
  const connection = connectionTo(site.mcpUrl, { client_id: "given", client_secret: "after" });
  const parts = partsOf(services);
  const { grant } = await refresh(parts, { connection, grant: grantAt(site, { client: given }) });
  assert.equal(grant.client.secret, "after");
  const others: OauthClient[] = [{ ...given, clientId: "other" }, { ...given, registrationId: "ucl_1" }];
  for (const other of others) await refresh(parts, { connection, grant: grantAt(site, { client: other }) });
  assert.deepEqual(site.forms("/token").map(({ client_secret }) => client_secret), [
    "after",
    "before",
    "before",
  ]);
});

onServices("an ID token says as whom the server knows the person, when it is for us", async (services) => {
  const parts = partsOf(services);
  await using site = await startSite((origin) => whole(origin, { userinfo_endpoint: `${origin}/userinfo` }));
  site.routes["/userinfo"] = () => Response.json({ sub: "u1", email: "info@upstream.example" });
  const claims = { iss: site.origin, aud: "made-for-us", sub: "u1" };
  const cases: [Record<string, unknown> | string | null, string | undefined, string | null][] = [
    [{ ...claims, email: "ann@upstream.example", name: "Ann" }, undefined, "ann@upstream.example"],
    [{ ...claims, aud: ["x", "made-for-us"], preferred_username: " an\nn " }, undefined, "an n"],
    [{ ...claims, name: "Ann" }, undefined, "Ann"],
    [claims, undefined, "u1"],
    [{ ...claims, iss: "https://evil.example", name: "Eve" }, undefined, null],
    [{ ...claims, aud: "another", name: "Eve" }, undefined, null],
    ["no.jwt", undefined, null],
    ["", undefined, null],
    [null, undefined, null],
    [null, "openid", "info@upstream.example"],
    [{ ...claims, iss: "https://evil.example", name: "Eve" }, "openid email", "info@upstream.example"],
  ];
  for (const [said, scope, account] of cases) {
    const idToken = typeof said === "object" && said !== null
      ? `e30.${btoa(JSON.stringify(said)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "")}.c2ln`
      : said;
    site.routes["/token"] = token({ id_token: idToken, scope });
    const connection = connectionTo(site.mcpUrl);
    const { flow } = await beginAuthorization(parts, { connection, state: "s" });
    const granted = await finishAuthorization(parts, { connection, flow, answer: { code: "c" } });
    assert.equal(granted.account, account, JSON.stringify(said));
  }
  site.routes["/userinfo"] = () => new Response("<h1>", { status: 500 });
  site.routes["/token"] = token({ scope: "openid" });
  const connection = connectionTo(site.mcpUrl);
  const { flow } = await beginAuthorization(parts, { connection, state: "s" });
  const granted = await finishAuthorization(parts, { connection, flow, answer: { code: "c" } });
  assert.equal(granted.account, null);
});

onServices("tokens are given back, and nothing is lost when that fails", async (services) => {
  await using site = await startSite();
  const parts = partsOf(services);
  site.routes["/revoke"] = () => new Response(null);
  await revoke(parts, grantAt(site));
  assert.deepEqual(site.forms("/revoke"), [
    { token: "old-refresh-token", token_type_hint: "refresh_token", client_id: "c" },
    { token: "old-access-token", token_type_hint: "access_token", client_id: "c" },
  ]);
  site.routes["/revoke"] = () => new Response(null, { status: 500 });
  await revoke(parts, grantAt(site, { refreshToken: null }));
  await revoke(parts, grantAt(site, { revocationEndpoint: null }));
  await revoke(parts, grantAt(site, { revocationEndpoint: "http://127.0.0.1:1/" }));
  assert.equal(site.forms("/revoke").length, 3);
});

onRefresh("an endpoint that the outbound policy refuses gets nothing", async (_site, renew) => { // CL13
  for (const host of ["10.0.0.1", "169.254.169.254", "[fd00::1]"]) {
    const error = await rejectsAs(renew({ tokenEndpoint: `https://${host}/token` }), "refused");
    assert.equal(error.code, "outbound_refused");
  }
});

onServices("a server that does not answer, or not to its end, is given up", async (services) => {
  const stopped = Promise.withResolvers<void>();
  const endless = new ReadableStream<Uint8Array>({
    start: (body) => body.enqueue(new TextEncoder().encode("{")),
  });
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async ({ url }) => {
    if (url.endsWith("/endless")) return new Response(endless);
    await stopped.promise;
    return new Response();
  });
  await using site = await startSite();
  const parts = { ...partsOf(services), timeoutMs: 100 };
  for (const path of ["token", "endless"]) {
    const grant = grantAt(site, { tokenEndpoint: `http://127.0.0.1:${server.addr.port}/${path}` });
    const promise = refresh(parts, { connection: connectionTo(site.mcpUrl), grant });
    await rejectsAs(promise, "transient", /did not answer in time$/);
  }
  stopped.resolve();
  await server.shutdown();
});

onServices("metadata is read again for every authorization", async (services) => {
  await using site = await startSite(whole);
  const parts = partsOf(services);
  const connection = connectionTo(site.mcpUrl);
  await beginAuthorization(parts, { connection, state: "s" });
  site.routes[serverPath] = serverMetadata(site.origin, { token_endpoint: `${site.origin}/token2` });
  const { flow } = await beginAuthorization(parts, { connection, state: "s" });
  assert.equal(flow.tokenEndpoint, `${site.origin}/token2`);
});
