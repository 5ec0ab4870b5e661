import assert from "node:assert/strict";
import { covers } from "../../server/upstream/oauth_client/resource.ts";
import { metadataUrls } from "../../server/upstream/oauth_client/server_metadata.ts";
import {
  challenge,
  resourceMetadata,
  resourcePath,
  serverMetadata,
  serverPath,
  startSite,
  whole,
} from "./oauth_client_site.ts";
import { discover, lookUp, onSite, rejectsAs } from "./oauth_client_support.ts";

onSite("the metadata is where the challenge says", (origin) => ({ // CL01
  ...whole(origin),
  "/mcp": () => challenge(`Basic realm="a, b", Bearer resource_metadata="${origin}/custom.json?a=1,2"`),
  "/custom.json?a=1,2": resourceMetadata(origin, origin, { scopes_supported: ["read", "write"] }),
}), async (site) => {
  const found = await discover(site.mcpUrl);
  assert.deepEqual(site.read(), ["/custom.json?a=1,2", serverPath]);
  assert.equal(found.issuer, site.origin);
  assert.equal(found.resource, site.mcpUrl);
  assert.equal(found.scope, "read write"); // CL10
  assert.equal(found.source, "resource_metadata");
  const [probe] = site.seen;
  assert.equal(probe?.headers.get("authorization"), null);
});

onSite("a given challenge is believed, and may be relative", (origin) => ({ // CL01, Q-17
  ...whole(origin),
  "/custom.json": resourceMetadata(origin, origin, { scopes_supported: ["read"] }),
}), async (site) => {
  const header = `Bearer resource_metadata="/custom.json", scope="read:one write:one"`;
  const found = await discover(site.mcpUrl, { challenge: header });
  assert.equal(site.seen.filter(({ method }) => method === "POST").length, 0);
  assert.equal(found.scope, "read:one write:one"); // CL10: the challenge comes first
});

onSite("else at the path's well-known, and then nowhere else", whole, async (site) => { // CL01
  const found = await discover(site.mcpUrl);
  assert.deepEqual(site.read(), [`${resourcePath}/mcp`, serverPath]);
  assert.equal(found.scope, null); // CL10: nothing is published
  assert.equal(found.registration, "dynamic");
});

onSite("else at the root's, when it is about the server", (origin) => ({ // CL01
  [resourcePath]: resourceMetadata(origin, origin, { resource: `${origin}/mcp/x?t=1` }),
  "/mcp/x?t=1": () => challenge("Bearer"),
  [serverPath]: serverMetadata(origin),
}), async (site) => {
  await discover(`${site.mcpUrl}/x?t=1`);
  assert.deepEqual(site.read(), [
    `${resourcePath}/mcp/x?t=1`,
    `${resourcePath}/mcp/x`,
    resourcePath,
    serverPath,
  ]);
});

onSite("pages in place of documents count as nothing", (origin) => ({
  ...whole(origin),
  [`${resourcePath}/mcp`]: () =>
    new Response("<!doctype html>", { headers: { "content-type": "text/html" } }),
  [resourcePath]: resourceMetadata(origin, origin),
}), async (site) => {
  assert.equal((await discover(site.mcpUrl)).source, "resource_metadata");
  assert.deepEqual(site.read(), [`${resourcePath}/mcp`, resourcePath, serverPath]);
});

onSite("2025-03-26: the server's origin describes itself", (origin) => ({ // CL01
  [serverPath]: serverMetadata(origin, { issuer: `${origin}/`, token_endpoint: `${origin}/oauth/token` }),
}), async (site) => {
  const found = await discover(site.mcpUrl);
  assert.equal(found.source, "server_metadata");
  assert.equal(found.server.tokenEndpoint, `${site.origin}/oauth/token`);
  assert.equal(found.issuer, `${site.origin}/`); // as the document spells it, for CL06
  assert.equal(found.resource, null);
});

onSite("2025-03-26: without any metadata there are default endpoints", () => ({}), async (site) => { // CL01
  const { source, server } = await discover(site.mcpUrl);
  assert.equal(source, "default_endpoints");
  assert.equal(server.authorizationEndpoint, `${site.origin}/authorize`);
  assert.equal(server.tokenEndpoint, `${site.origin}/token`);
  assert.equal(server.registrationEndpoint, `${site.origin}/register`);
});

onSite("a server that asks for nothing has no default endpoints", () => ({
  "/mcp": { jsonrpc: "2.0", id: 1, result: { tools: [] } },
}), async (site) => {
  const error = await rejectsAs(discover(site.mcpUrl), "discovery", /neither asks for a token nor says/);
  assert.equal(error.stage, "auth_discovery");
  assert.equal(error.code, "upstream_failed");
});

onSite("metadata about another resource is refused", (origin) => ({ // CL02
  ...whole(origin),
  [`${resourcePath}/mcp`]: resourceMetadata(origin, origin, { resource: "https://evil.example/mcp" }),
}), async (site) => {
  await rejectsAs(
    discover(site.mcpUrl),
    "discovery",
    /is about 'https:\/\/evil\.example\/mcp' and not about/,
  );
  assert.deepEqual(site.read(), [`${resourcePath}/mcp`]);
});

onSite("a server that publishes its origin is asked for by that string", (origin) => ({ // CL02, CL03, Q-07
  ...whole(origin),
  [`${resourcePath}/mcp`]: resourceMetadata(origin, origin, { resource: origin }),
}), async (site) => {
  const found = await discover(site.mcpUrl);
  assert.equal(found.resource, site.origin); // no slash is added
  assert.equal(found.resourceIsExact, false);
});

Deno.test("what a published resource covers", () => { // CL02
  const url = "https://h.example/a/mcp?tenant=1";
  for (
    const resource of [
      "https://h.example",
      "https://h.example/",
      "https://H.example/a",
      "https://h.example/a/mcp/",
    ]
  ) assert.ok(covers(resource, url), resource);
  const others = [
    "https://h.example/a/mc",
    "https://h.example/a/mcp/x",
    "https://h.example/b",
    "https://h.example:8443/a",
    "http://h.example/a",
    "https://x.h.example/a",
    "https://h.example/a/mcp?tenant=2",
    "https://h.example/a#x",
    "https://u@h.example/a",
    "urn:mcp",
    "mcp",
  ];
  for (const resource of others) assert.ok(!covers(resource, url), resource);
});

onSite("an admin's word goes before what is published", (origin) => ({
  [`${resourcePath}/mcp`]: resourceMetadata(origin, "http://127.0.0.1:9/nobody", {
    resource: "https://api.example",
    scopes_supported: ["read", "offline_access"],
  }),
  [`${serverPath}/tenant`]: serverMetadata(`${origin}/tenant`, { scopes_supported: ["read"] }),
}), async (site) => {
  const { issuer, resource, scope, source } = await discover(site.mcpUrl, {
    config: {
      authorization_server: `${site.origin}/tenant`,
      resource: "https://api.example",
      scope: "admin",
    },
  });
  assert.deepEqual([issuer, resource, scope, source], [
    `${site.origin}/tenant`,
    "https://api.example",
    "admin",
    "given",
  ]);
  const unsaid = await discover(site.mcpUrl, {
    config: { authorization_server: `${site.origin}/tenant`, resource: "https://api.example" },
  });
  assert.equal(unsaid.scope, "read"); // CL10: offline_access only where the authorization server lists it
});

Deno.test("where the metadata of an issuer may be", () => { // CL04
  assert.deepEqual(metadataUrls("https://as.example/t1"), [
    "https://as.example/.well-known/oauth-authorization-server/t1",
    "https://as.example/.well-known/openid-configuration/t1",
    "https://as.example/t1/.well-known/openid-configuration",
  ]);
  for (const issuer of ["https://as.example", "https://as.example/"]) {
    assert.deepEqual(metadataUrls(issuer), [
      "https://as.example/.well-known/oauth-authorization-server",
      "https://as.example/.well-known/openid-configuration",
    ]);
  }
});

onSite("the metadata of an issuer with a path is looked for in order", (origin) => ({ // CL04
  [`${resourcePath}/mcp`]: resourceMetadata(origin, `${origin}/t1`),
  "/t1/.well-known/openid-configuration": serverMetadata(`${origin}/t1`),
  [serverPath]: serverMetadata(origin),
}), async (site) => {
  assert.equal((await discover(site.mcpUrl)).issuer, `${site.origin}/t1`);
  assert.deepEqual(site.read().slice(1), [
    `${serverPath}/t1`,
    "/.well-known/openid-configuration/t1",
    "/t1/.well-known/openid-configuration",
  ]);
});

onSite("the second authorization server is taken where the first has no metadata", (origin) => ({
  [`${resourcePath}/mcp`]: resourceMetadata(origin, origin, {
    authorization_servers: [`${origin}/gone`, `${origin}/here`],
  }),
  [`${serverPath}/here`]: serverMetadata(`${origin}/here`),
}), async (site) => {
  assert.equal((await discover(site.mcpUrl)).issuer, `${site.origin}/here`);
});

onSite("metadata of another issuer is refused, spelled alike or not", (origin) => ({ // CL04
  [`${resourcePath}/mcp`]: resourceMetadata(origin, `${origin}/t1`),
  [`${serverPath}/t1`]: serverMetadata(`${origin}/t1`, { issuer: "https://evil.example" }),
  "/.well-known/openid-configuration/t1": serverMetadata(`${origin}/t1`),
}), async (site) => {
  for (const issuer of ["https://evil.example", `${site.origin}/t1/`, `${site.origin}/T1`, site.origin, 7]) {
    site.routes[`${serverPath}/t1`] = serverMetadata(`${site.origin}/t1`, { issuer });
    await rejectsAs(discover(site.mcpUrl), "discovery", /is that of /);
  }
});

Deno.test("a redirect to another host is not followed, one within the origin is", async () => { // CL04
  await using other = await startSite((origin) => ({ "/as.json": serverMetadata(origin) }));
  await using site = await startSite((origin) => ({
    [`${resourcePath}/mcp`]: () => new Response(null, { status: 308, headers: { location: "/prm.json" } }),
    "/prm.json": resourceMetadata(origin, origin),
    [serverPath]: () => new Response(null, { status: 302, headers: { location: `${other.origin}/as.json` } }),
    "/loop": () => new Response(null, { status: 302, headers: { location: "/loop" } }),
  }));
  await rejectsAs(discover(site.mcpUrl), "discovery", /has no metadata/);
  assert.ok(site.read().includes("/prm.json"));
  assert.deepEqual(other.seen, []);
  await discover(site.mcpUrl, { challenge: `Bearer resource_metadata="${site.origin}/loop"` }).catch(
    () => {},
  );
  assert.equal(site.read().filter((path) => path === "/loop").length, 4);
  lookUp.outbound.close();
});

onSite("a server in trouble is one to ask again", () => ({
  "/mcp": () => new Response(null, { status: 429, headers: { "retry-after": "7" } }),
}), async (site) => {
  const asked = await rejectsAs(discover(site.mcpUrl), "transient", /takes no more requests for now \(429\)/);
  assert.equal(asked.retryAfterSeconds, 7);
  // Where its documents are there, its trouble is of no interest.
  Object.assign(site.routes, whole(site.origin));
  await discover(site.mcpUrl);
  site.routes[`${resourcePath}/mcp`] = () => new Response("<h1>", { status: 503 });
  await rejectsAs(discover(site.mcpUrl), "transient", /is in trouble \(503\)/);
  site.routes[`${resourcePath}/mcp`] = resourceMetadata(site.origin, site.origin);
  site.routes[serverPath] = () => new Response("{}", { status: 502 });
  await rejectsAs(discover(site.mcpUrl), "transient", /is in trouble \(502\)/);
});

onSite("a server that takes bound tokens alone is told apart", (origin) => ({
  [`${resourcePath}/mcp`]: resourceMetadata(origin, origin, { dpop_bound_access_tokens_required: true }),
}), async (site) => {
  await rejectsAs(discover(site.mcpUrl), "discovery", /tokens that are bound to a key \(DPoP\)$/);
});
