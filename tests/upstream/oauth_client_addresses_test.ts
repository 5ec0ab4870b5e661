// What the client calls, and what it does not.
import assert from "node:assert/strict";
import { Outbound } from "../../server/outbound.ts";
import { discoverAuthorization, type OauthConnection } from "../../server/upstream/oauth_client.ts";
import { Authority } from "../outbound/certificates.ts";
import { closedPort } from "../support/upstreams/hostile.ts";
import {
  challenge,
  resourceMetadata,
  resourcePath,
  serverMetadata,
  serverPath,
  whole,
} from "./oauth_client_site.ts";
import { connectionTo, discover, lookUp, onSite, rejectsAs } from "./oauth_client_support.ts";

onSite("documents have bounds", (origin) => ({
  ...whole(origin),
  [serverPath]: serverMetadata(origin, { filler: "x".repeat(300_000) }),
}), async (site) => {
  await rejectsAs(discover(site.mcpUrl), "discovery", /the answer of 127\.0\.0\.1:\d+ is too large/);
});

onSite("nothing but https is called, except on this machine", (origin) => ({ // CL13, CL14
  ...whole(origin),
}), async (site) => {
  for (
    const endpoint of ["http://as.example/token", "javascript:alert(1)", "ftp://h/x", "https://u:p@h/", "//h"]
  ) {
    for (const name of ["token_endpoint", "authorization_endpoint"]) {
      site.routes[serverPath] = serverMetadata(site.origin, { [name]: endpoint });
      await rejectsAs(
        discover(site.mcpUrl),
        "discovery",
        new RegExp(`the ${name} of its authorization server`),
      );
    }
  }
  // What one can do without is left out.
  const optional = { registration_endpoint: "http://as.example/r", revocation_endpoint: "file:///x" };
  site.routes[serverPath] = serverMetadata(site.origin, optional);
  const found = await discover(site.mcpUrl);
  assert.equal(found.registration, "none");
  assert.equal(found.server.revocationEndpoint, null);
  for (const issuer of ["http://as.example", "gopher://x"]) {
    site.routes[`${resourcePath}/mcp`] = resourceMetadata(site.origin, issuer);
    await rejectsAs(discover(site.mcpUrl), "discovery", /its authorization server '.*' is not https/);
  }
  const elsewhere = `Bearer resource_metadata="http://metadata.example/x"`;
  await rejectsAs(discover(site.mcpUrl, { challenge: elsewhere }), "discovery", /is not https/);
});

Deno.test("the outbound policy has the last word on every address", async () => { // CL13
  const guarded = new Outbound({
    allow: [],
    loopbackAllowed: false,
    resolve: (host) => Promise.resolve([host === "as.example" ? "10.1.2.3" : "127.0.0.1"]),
  });
  const blocked = [
    `Bearer resource_metadata="http://127.0.0.1:9/x"`,
    `Bearer resource_metadata="https://as.example/x"`,
    `Bearer resource_metadata="https://169.254.169.254/x"`,
    `Bearer resource_metadata="https://[::ffff:10.0.0.1]/x"`,
  ];
  for (const header of blocked) {
    const promise = discoverAuthorization({ ...lookUp, outbound: guarded }, {
      connection: connectionTo("https://mcp.example/mcp"),
      challenge: header,
    });
    const error = await rejectsAs(promise, "discovery");
    assert.equal(error.code, "outbound_refused", header);
  }
  guarded.close();
});

Deno.test("a server that cannot be reached is one to ask again", async () => {
  await rejectsAs(discover(closedPort()), "transient", /accepts no connections/);
});

Deno.test("certificates that a connection trusts hold for its authorization server", async () => { // CL13
  const authority = new Authority("the house");
  const server: Deno.HttpServer<Deno.NetAddr> = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {}, ...authority.issue(["mcp.house", "sso.house"]) },
    (request): Response => {
      const { pathname, host } = new URL(request.url);
      const issuer = `https://sso.house:${server.addr.port}`;
      if (host.startsWith("mcp.")) {
        if (pathname === "/mcp") return challenge("Bearer");
        return Response.json(resourceMetadata(`https://${host}`, issuer));
      }
      return Response.json(serverMetadata(issuer));
    },
  );
  const own = new Outbound({
    allow: [],
    loopbackAllowed: true,
    resolve: () => Promise.resolve(["127.0.0.1"]),
  });
  const url = `https://mcp.house:${server.addr.port}/mcp`;
  const ask = (connection: OauthConnection) =>
    discoverAuthorization({ ...lookUp, outbound: own }, { connection });
  await rejectsAs(ask(connectionTo(url)), "transient", /no secure connection that can be trusted$/);
  const target = own.target(url, { caCertificates: [authority.cert] });
  const { issuer } = await ask({ ...connectionTo(url), target });
  assert.equal(issuer, `https://sso.house:${server.addr.port}`);
  own.close();
  await server.shutdown();
});
