import assert from "node:assert/strict";
import { ResourceUrls } from "../../server/access/resource_urls.ts";
import { legacy, post, withMesh } from "../mcp/support.ts";
import { onScene } from "./support.ts";

const id = "conn_0123456789abcdefghjkmnpqrs";

/** A request as it comes in behind whatever names the server. */
function at(url: string, host?: string): Request {
  return new Request(url, { headers: { host: host ?? new URL(url).host } });
}

/** No member of it, however deep, is null. */
function assertWhole(value: unknown, path = "document"): void {
  assert.notEqual(value, null, path);
  if (typeof value !== "object" || value === null) return;
  for (const [name, member] of Object.entries(value)) assertWhole(member, `${path}.${name}`);
}

Deno.test("a resource is described under the very URL that was typed", () => { // RS02, RS03, Q-05
  const resources = new ResourceUrls("https://mesh.example.com");
  const wellKnown = "https://mesh.example.com/.well-known/oauth-protected-resource";
  for (const path of ["/mcp", "/mcp/", `/mcp/${id}`, `/mcp/${id}/`, "/mcp/gateway/gw_1", "", "/"]) {
    assert.equal(resources.described(at(wellKnown + path)), `https://mesh.example.com${path}`, path);
  }
  for (const path of ["/mcp//", "/mcp/foo", `/mcp/${id}/x`, "/mcpx", "/api/tools", "/mcp/conn_A", "/MCP"]) {
    assert.equal(resources.described(at(wellKnown + path)), null, path);
  }
  const challenged = (path: string) => resources.metadataUrl(at(`http://10.0.0.1:3000${path}`));
  assert.equal(challenged("/mcp"), `${wellKnown}/mcp`);
  assert.equal(challenged(`/mcp/${id}/`), `${wellKnown}/mcp/${id}/`);
});

Deno.test("below a base path every form is answered, whether or not the proxy takes its part away", () => { // AS01, RS03
  const resources = new ResourceUrls("https://h.example/team/mesh");
  const wellKnown = "/.well-known/oauth-protected-resource";
  for (
    const path of [
      `${wellKnown}/team/mesh/mcp/${id}`,
      `/team/mesh${wellKnown}/mcp/${id}`,
      `${wellKnown}/mcp/${id}`,
    ]
  ) {
    const described = resources.described(at(`https://h.example${path}`));
    assert.equal(described, `https://h.example/team/mesh/mcp/${id}`, path);
  }
  for (const path of [`/mcp/${id}`, `/team/mesh/mcp/${id}`]) {
    const url = resources.metadataUrl(at(`http://10.0.0.1${path}`));
    assert.equal(url, `https://h.example/team/mesh${wellKnown}/mcp/${id}`);
  }
  assert.equal(resources.idOf(`https://h.example/team/mesh/mcp/${id}`), id);
  assert.equal(
    resources.idOf(`https://h.example/mcp/${id}`),
    null,
    "beside the base path lies somebody else",
  );
  assert.equal(resources.idOf("https://h.example/team/meshx/mcp"), null);
});

Deno.test("a spoofed Host changes nothing; the names of this machine are one place", () => {
  const open = new ResourceUrls("https://mesh.example.com");
  for (const host of ["evil.example", "mesh.example.com:8443", "127.0.0.1:3000", '"><x', ""]) {
    assert.equal(
      open.metadataUrl(at("http://10.0.0.1/mcp", host)),
      "https://mesh.example.com/.well-known/oauth-protected-resource/mcp",
    );
  }
  const local = new ResourceUrls("http://localhost:3000");
  for (const host of ["127.0.0.1:3000", "localhost:3000", "[::1]:3000"]) {
    assert.equal(
      local.described(at("http://x/.well-known/oauth-protected-resource/mcp", host)),
      `http://${host}/mcp`,
    );
    assert.equal(local.idOf(`http://${host}/mcp/`), "self");
  }
  for (
    const host of ["evil.example:3000", "127.0.0.1:3001", "127.0.0.1.evil.example:3000", "localhost:3000/x"]
  ) {
    assert.equal(
      local.metadataUrl(at("http://x/mcp", host)),
      "http://localhost:3000/.well-known/oauth-protected-resource/mcp",
    );
  }
});

Deno.test("a resource parameter is read as a URL, and only this mesh's are known", () => { // AS19, Q-06
  const resources = new ResourceUrls("https://h.example");
  const known: [string, string][] = [
    ["https://h.example", "self"],
    ["https://h.example/", "self"],
    ["https://h.example/mcp", "self"],
    ["https://h.example/mcp/", "self"],
    ["https://H.example:443/mcp", "self"],
    [`https://h.example/mcp/${id}`, id],
    [`https://h.example/mcp/${id}/`, id],
    ["https://h.example/mcp/gateway/gw_1", "gw_1"],
  ];
  for (const [url, resource] of known) assert.equal(resources.idOf(url), resource, url);
  for (
    const url of [
      ...[
        "",
        "mcp",
        "/mcp",
        "h.example/mcp",
        "https://",
        "https://other.example/mcp",
        "http://h.example/mcp",
      ],
      ...["https://h.example:8443/mcp", "https://h.example/mcp?x", "https://h.example/mcp#x"],
      ...["https://u@h.example/mcp", "https://h.example/mcp/../mcp/x", "https://h.example/mcp/%63onn_1"],
      ...["https://h.example/ mcp", "https://h.example/\u0000", "javascript:alert(1)", `urn:x:${id}`],
      ...[`https://h.example/mcp/${"conn_" + "x".repeat(100)}`, "x".repeat(5000)],
    ]
  ) assert.equal(resources.idOf(url), null, url);
});

onScene(
  "the authorization server describes itself in every form, with nothing that is null",
  async ({ mesh }) => { // AS01-AS05, Q-16
    const issuer = mesh.services.config.baseUrl;
    for (const name of ["oauth-authorization-server", "openid-configuration"]) {
      const response = await fetch(`${mesh.url}/.well-known/${name}`);
      const document = await response.json();
      assert.equal(response.status, 200);
      assert.equal(response.headers.get("access-control-allow-origin"), "*"); // AS05
      assertWhole(document);
      assert.equal(document.issuer, issuer); // AS02
      assert.doesNotMatch(document.issuer, /\/$/);
      assert.deepEqual(document.response_types_supported, ["code"]);
      assert.deepEqual(document.code_challenge_methods_supported, ["S256"]);
      assert.deepEqual(document.grant_types_supported, [
        "authorization_code",
        "refresh_token",
        "client_credentials",
      ]);
      assert.ok(document.token_endpoint_auth_methods_supported.includes("none"));
      assert.equal(document.client_id_metadata_document_supported, true);
      assert.equal(document.authorization_response_iss_parameter_supported, true);
      assert.deepEqual(document.scopes_supported, ["mcp"]);
      for (const endpoint of ["authorization", "token", "registration", "revocation", "introspection"]) {
        const url = document[`${endpoint}_endpoint`];
        assert.ok(url.startsWith(`${issuer}/api/auth/`), url); // AS04
        const answer = await fetch(url.replace(issuer, mesh.url), { method: "OPTIONS" });
        await answer.text();
        if (endpoint !== "authorization") {
          assert.equal(
            answer.headers.get("access-control-allow-origin"),
            "*",
          );
        }
      }
    }
  },
);

onScene("a client finds its way from the challenge to the server", async ({ mesh, connectionId }) => { // RS02-RS05
  for (const path of ["/mcp", "/mcp/", `/mcp/${connectionId}`, `/mcp/${connectionId}/`]) {
    const response = await fetch(mesh.url + path, { method: "POST" });
    await response.text();
    assert.equal(response.status, 401);
    const challenge = response.headers.get("www-authenticate") ?? "";
    assert.match(challenge, /(^|, )scope="mcp"(,|$)/); // RS05
    const url = /resource_metadata="(http[^"]+)"/.exec(challenge)?.[1]; // RS04, Q-17
    assert.ok(url, challenge);
    const described = await (await fetch(url)).json();
    assertWhole(described);
    assert.equal(described.resource, mesh.url + path); // RS02, Q-05
    assert.deepEqual(described.authorization_servers, [mesh.services.config.baseUrl]);
    assert.deepEqual(described.scopes_supported, ["mcp"]);
    assert.deepEqual(described.bearer_methods_supported, ["header"]);
  }
});

onScene(
  "what is not known below .well-known is 404 in JSON, never a page or a challenge",
  async ({ mesh }) => {
    for (
      const path of [
        "/.well-known/oauth-protected-resource/other",
        "/.well-known/oauth-protected-resource/mcp/unknown",
        "/.well-known/oauth-authorization-server/other",
        "/.well-known/openid-configuration/other",
        "/.well-known/nothing",
      ]
    ) {
      const response = await fetch(mesh.url + path, { headers: { accept: "text/html" } });
      assert.equal(response.status, 404, path);
      assert.match(response.headers.get("content-type") ?? "", /^application\/json/);
      assert.equal(typeof (await response.json()).message, "string");
    }
  },
);

Deno.test("below a base path the server is found in all three forms", async () => { // AS01
  await withMesh(async (mesh) => {
    for (
      const path of [
        "/.well-known/oauth-authorization-server/team",
        "/.well-known/openid-configuration/team",
        "/team/.well-known/openid-configuration",
        "/.well-known/openid-configuration", // as a proxy that takes its part away hands it on
      ]
    ) {
      const response = await fetch(mesh.url + path);
      assert.equal(response.status, 200, path);
      const document = await response.json();
      assert.equal(document.issuer, "https://h.example/team");
      assert.equal(document.token_endpoint, "https://h.example/team/api/auth/token");
    }
    for (const path of ["/api/auth/token", "/team/api/auth/token", "/token", "/team/token"]) {
      const response = await fetch(mesh.url + path, { method: "POST" });
      assert.equal((await response.json()).error, "invalid_request", path);
    }
  }, { BASE_URL: "https://h.example/team" });
});

onScene(
  "pages of other sites may ask the endpoints for programs, and nothing else",
  async ({ mesh, resource }) => { // AS05, Q-21
    for (const path of ["token", "register", "revoke", "introspect"]) {
      const preflight = await fetch(`${mesh.url}/api/auth/${path}`, {
        method: "OPTIONS",
        headers: { origin: "https://inspector.example", "access-control-request-method": "POST" },
      });
      await preflight.text();
      assert.equal(preflight.status, 204);
      assert.equal(preflight.headers.get("access-control-allow-origin"), "*");
      assert.equal(preflight.headers.get("access-control-allow-credentials"), null);
      const answer = await fetch(`${mesh.url}/api/auth/${path}`, {
        method: "POST",
        headers: { origin: "https://inspector.example" },
      });
      await answer.text();
      assert.equal(answer.headers.get("access-control-allow-origin"), "*", path);
      const get = await fetch(`${mesh.url}/api/auth/${path}`);
      await get.text();
      assert.equal(get.status, 405);
      assert.equal(get.headers.get("allow"), "POST");
    }
    const page = await fetch(`${mesh.url}/api/auth/authorize`, {
      headers: { origin: "https://evil.example" },
    });
    await page.text();
    assert.equal(page.headers.get("access-control-allow-origin"), null);
    const call = await post({ url: resource, key: "none" }, legacy("ping"), {
      headers: { origin: "https://evil.example" },
    });
    await call.text();
    assert.equal(call.status, 403); // RS12
  },
);
