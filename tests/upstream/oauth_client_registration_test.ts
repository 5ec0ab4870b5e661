import assert from "node:assert/strict";
import type { Services } from "../../server/services.ts";
import {
  beginAuthorization,
  clientDocument,
  forgetClient,
  type OauthConnection,
  type OauthParts,
} from "../../server/upstream/oauth_client.ts";
import { onServices } from "../support/services.ts";
import {
  registration,
  resourceMetadata,
  resourcePath,
  serverMetadata,
  serverPath,
  type Site,
  startSite,
  whole,
} from "./oauth_client_site.ts";
import { connectionTo, partsOf, rejectsAs } from "./oauth_client_support.ts";

function begin(parts: OauthParts, connection: OauthConnection, more: { renewClient?: boolean } = {}) {
  return beginAuthorization(parts, { connection, state: "s", ...more });
}

function registered(site: Site): Record<string, unknown>[] {
  return site.seen.filter(({ path }) => path === "/register").map(({ body }) => JSON.parse(body));
}

/** Registers a test with services and a site, closed before them. */
function onSite(
  name: string,
  routes: Parameters<typeof startSite>[0],
  fn: (site: Site, services: Services) => Promise<void>,
): void {
  onServices(name, async (services) => {
    await using site = await startSite(routes);
    await fn(site, services);
  });
}

const both = (origin: string) => whole(origin, { client_id_metadata_document_supported: true });

onSite("given, then document, then dynamic, then a sentence", both, async (site, services) => { // CL07
  const mesh = partsOf(services, "https://mesh.example");
  const given = await begin(
    mesh,
    connectionTo(site.mcpUrl, { client_id: "given", client_secret: "s".repeat(20) }),
  );
  assert.equal(given.flow.client.clientId, "given");
  const document = await begin(mesh, connectionTo(site.mcpUrl));
  assert.deepEqual(document.flow.client, {
    clientId: "https://mesh.example/oauth/client.json",
    authMethod: "none",
    secret: null,
  });
  assert.equal(new URL(document.url).searchParams.get("client_id"), "https://mesh.example/oauth/client.json");
  assert.equal(registered(site).length, 0);

  // A document that the server could not read is none: the mesh has no https, or an admin says so.
  for (
    const [baseUrl, config] of [
      ["http://127.0.0.1:3000", null],
      ["https://mesh.example", { registration: "dynamic" }],
    ] as const
  ) {
    const dynamic = await begin(partsOf(services, baseUrl), connectionTo(site.mcpUrl, config));
    assert.equal(dynamic.flow.client.clientId, "made-for-us");
  }
  assert.equal(registered(site).length, 2);

  site.routes[serverPath] = serverMetadata(site.origin, { registration_endpoint: null });
  await rejectsAs(
    begin(mesh, connectionTo(site.mcpUrl)),
    "registration",
    /with the redirect URI 'https:\/\/mesh\.example\/oauth\/callback' and give the connection that client id$/,
  );
});

onSite("a document needs a server that lets clients go without a secret", (origin) =>
  //
  whole(origin, {
    client_id_metadata_document_supported: true,
    token_endpoint_auth_methods_supported: ["client_secret_basic"],
  }), async (site, services) => {
  site.routes["/register"] = registration({ client_id: "made", client_secret: "made-secret" });
  const { flow } = await begin(partsOf(services, "https://mesh.example"), connectionTo(site.mcpUrl));
  assert.equal(flow.client.clientId, "made");
});

Deno.test("the mesh describes itself at its id", () => { // CL07, CL08
  assert.deepEqual(clientDocument("https://mesh.example"), {
    client_id: "https://mesh.example/oauth/client.json",
    client_name: "MCP Mesh",
    client_uri: "https://mesh.example",
    redirect_uris: ["https://mesh.example/oauth/callback"],
    grant_types: ["authorization_code", "refresh_token"],
    response_types: ["code"],
    token_endpoint_auth_method: "none",
    application_type: "web",
  });
});

onSite("a registration says where the mesh runs and that it renews", whole, async (site, services) => { // CL08
  await begin(partsOf(services, "https://mesh.example"), connectionTo(site.mcpUrl));
  await begin(partsOf(services, "http://localhost:3000"), connectionTo(site.mcpUrl));
  const [web, native] = registered(site);
  assert.equal(web?.application_type, "web");
  assert.deepEqual(web?.redirect_uris, ["https://mesh.example/oauth/callback"]);
  assert.deepEqual(web?.grant_types, ["authorization_code", "refresh_token"]);
  assert.equal(web?.token_endpoint_auth_method, "none");
  assert.equal(native?.application_type, "native");
  assert.deepEqual(native?.redirect_uris, ["http://localhost:3000/oauth/callback"]);
});

onSite(
  "a registration serves the organization at that issuer and redirect URI",
  whole,
  async (site, services) => { // CL09
    const parts = partsOf(services);
    let made = 0;
    site.routes["/register"] = () =>
      Response.json({ client_id: `client-${++made}`, client_secret: `secret-of-${made}` }, { status: 201 });
    site.routes[serverPath] = serverMetadata(site.origin, {
      token_endpoint_auth_methods_supported: ["client_secret_post"],
    });
    const connection = connectionTo(site.mcpUrl);
    const first = await begin(parts, connection);
    assert.equal(first.flow.client.secret, "secret-of-1");
    const again = await begin(parts, connectionTo(site.mcpUrl));
    assert.deepEqual(again.flow.client, first.flow.client);
    const elsewhere = await begin(parts, { ...connection, organizationId: "org_other" });
    assert.equal(elsewhere.flow.client.clientId, "client-2");
    const moved = await begin({ ...parts, baseUrl: "https://mesh.example" }, connection);
    assert.equal(moved.flow.client.clientId, "client-3");

    // CL17: what lies in the database does not show the secret.
    const rows = await services.db.selectFrom("upstream_clients").selectAll().execute();
    assert.equal(rows.length, 3);
    assert.doesNotMatch(JSON.stringify(rows), /secret-of/);

    const renewed = await begin(parts, connection, { renewClient: true });
    assert.equal(renewed.flow.client.clientId, "client-4");
    await forgetClient(parts, connection.organizationId, renewed.flow.client);
    assert.equal((await begin(parts, connection)).flow.client.clientId, "client-5");
  },
);

onServices("another issuer never sees the client of the first", async (services) => { // CL09
  await using second = await startSite((origin) => ({
    [serverPath]: serverMetadata(origin),
    "/register": registration({ client_id: "second-client" }),
  }));
  await using site = await startSite(whole);
  const parts = partsOf(services);
  const connection = connectionTo(site.mcpUrl);
  assert.equal((await begin(parts, connection)).flow.client.clientId, "made-for-us");
  site.routes[`${resourcePath}/mcp`] = resourceMetadata(site.origin, second.origin);
  const { flow, url } = await begin(parts, connection);
  assert.equal(flow.issuer, second.origin);
  assert.equal(flow.client.clientId, "second-client");
  assert.ok(url.startsWith(`${second.origin}/authorize?`));
  assert.doesNotMatch(JSON.stringify(second.seen), /made-for-us/);
});

onServices("a given client stays with the issuer that it was first used with", async (services) => { // CL09
  await using second = await startSite((origin) => ({ [serverPath]: serverMetadata(origin) }));
  await using site = await startSite(whole);
  const parts = partsOf(services);
  const connection = connectionTo(site.mcpUrl, { client_id: "given", client_secret: "given-secret" });
  await begin(parts, connection);
  await begin(parts, connection);
  site.routes[`${resourcePath}/mcp`] = resourceMetadata(site.origin, second.origin);
  await rejectsAs(begin(parts, connection), "registration", /belongs to 'http.*', and the server now names/);
  const config = { ...connection.config, authorization_server: second.origin };
  const { flow } = await begin(parts, { ...connection, config });
  assert.equal(flow.issuer, second.origin);
});

onSite("a secret that has ended is not used again", whole, async (site, services) => { // CL09
  const parts = partsOf(services);
  const connection = connectionTo(site.mcpUrl);
  const ends = [Math.floor(Date.now() / 1000) + 30, Math.floor(Date.now() / 1000) + 3600, 0];
  site.routes[serverPath] = serverMetadata(site.origin, {
    token_endpoint_auth_methods_supported: ["client_secret_basic"],
  });
  const answer = (index: number) =>
    registration({ client_id: `c${index}`, client_secret: "x", client_secret_expires_at: ends[index] });
  site.routes["/register"] = answer(0);
  assert.equal((await begin(parts, connection)).flow.client.clientId, "c0");
  site.routes["/register"] = answer(1);
  assert.equal((await begin(parts, connection)).flow.client.clientId, "c1");
  site.routes["/register"] = answer(2);
  assert.equal((await begin(parts, connection)).flow.client.clientId, "c1");
  assert.equal((await begin(parts, connection, { renewClient: true })).flow.client.clientId, "c2");
  const row = await services.db.selectFrom("upstream_clients").select("secret_expires_at").executeTakeFirst();
  assert.equal(row?.secret_expires_at, null);
});

onSite("those who begin at once share one registration", whole, async (site, services) => { // CL09
  let made = 0;
  site.routes["/register"] = () => Response.json({ client_id: `client-${++made}` }, { status: 201 });
  const begun = await Promise.all(
    Array.from({ length: 5 }, () => begin(partsOf(services), connectionTo(site.mcpUrl))),
  );
  assert.equal(new Set(begun.map(({ flow }) => flow.client.clientId)).size, 1);
  assert.equal((await services.db.selectFrom("upstream_clients").selectAll().execute()).length, 1);
});

onSite("a refused registration says what an admin can do", whole, async (site, services) => {
  const parts = partsOf(services);
  const refusals: [Response, RegExp][] = [
    [
      Response.json({ error: "invalid_redirect_uri", error_description: "no\u0007 way" }, { status: 400 }),
      /did not register the mesh \(400, 'no way'\); register it there with the redirect URI/,
    ],
    [new Response("<h1>Forbidden</h1>", { status: 403 }), /did not register the mesh \(403\)/],
    [Response.json({ client_name: "x" }, { status: 201 }), /did not register the mesh \(201\)/],
    [
      Response.json({ client_id: "x", token_endpoint_auth_method: "tls_client_auth" }, { status: 201 }),
      /in a way that it cannot use/,
    ],
    [
      Response.json({ client_id: "x", token_endpoint_auth_method: "client_secret_basic" }, { status: 201 }),
      /in a way that it cannot use/,
    ],
    [new Response(null, { status: 307, headers: { location: "https://evil.example/" } }), /\(307\)/],
  ];
  for (const [response, message] of refusals) {
    site.routes["/register"] = () => response;
    await rejectsAs(begin(parts, connectionTo(site.mcpUrl)), "registration", message);
  }
  site.routes["/register"] = () => new Response(null, { status: 429, headers: { "retry-after": "5" } });
  const busy = await rejectsAs(begin(parts, connectionTo(site.mcpUrl)), "transient");
  assert.equal(busy.retryAfterSeconds, 5);
});

onSite("the way to authenticate follows the server", whole, async (site, services) => { // CL16
  const parts = partsOf(services);
  const cases: [string[] | undefined, Record<string, unknown>, string, string][] = [
    [undefined, { client_secret: "x" }, "client_secret_basic", "client_secret_basic"],
    [["client_secret_post", "none"], { client_secret: "x" }, "client_secret_post", "client_secret_post"],
    [
      ["private_key_jwt", "client_secret_basic"],
      { client_secret: "x" },
      "client_secret_basic",
      "client_secret_basic",
    ],
    [["none"], { client_secret: "x", token_endpoint_auth_method: undefined }, "none", "none"],
    [["none"], {}, "none", "none"],
    // What the server registered counts, not what it was asked for.
    [undefined, { token_endpoint_auth_method: "none" }, "client_secret_basic", "none"],
    [
      ["none"],
      { client_secret: "x", token_endpoint_auth_method: "client_secret_post" },
      "none",
      "client_secret_post",
    ],
  ];
  for (const [supported, answer, wanted, method] of cases) {
    site.routes[serverPath] = serverMetadata(site.origin, {
      token_endpoint_auth_methods_supported: supported,
    });
    site.routes["/register"] = () => Response.json({ client_id: "c", ...answer }, { status: 201 });
    const { flow } = await begin(parts, connectionTo(site.mcpUrl), { renewClient: true });
    assert.equal(registered(site).at(-1)?.token_endpoint_auth_method, wanted, `${supported}`);
    assert.equal(flow.client.authMethod, method, `${supported}`);
    assert.equal(flow.client.secret, method === "none" ? null : "x");
  }
});

onSite("a given client that is not whole is named", whole, async (site, services) => { // CL16
  const parts = partsOf(services);
  const cases: [Record<string, string>, RegExp][] = [
    [{ token_endpoint_auth_method: "client_secret_basic" }, /has no client secret for client_secret_basic$/],
    [{ token_endpoint_auth_method: "private_key_jwt" }, /has no private key for private_key_jwt$/],
    [{ token_endpoint_auth_method: "tls_client_auth" }, /cannot authenticate itself by 'tls_client_auth'$/],
  ];
  for (const [config, message] of cases) {
    const connection = connectionTo(site.mcpUrl, { client_id: "given", ...config });
    await rejectsAs(begin(parts, connection), "registration", message);
  }
});
