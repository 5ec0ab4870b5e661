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
  startSite,
  whole,
} from "./oauth_client_site.ts";
import type { OauthConfig } from "../../server/upstream/oauth_client/types.ts";
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

/** An HTTP client that notes for whom it is asked. */
class Noting extends Outbound {
  readonly tenants = new Set<string | undefined>();

  override fetch(...[input, init]: Parameters<Outbound["fetch"]>): Promise<Response> {
    this.tenants.add(init?.tenant);
    return super.fetch(input, init);
  }
}

onSite("tenants share no connections to an authorization server either", whole, async (site) => {
  const outbound = new Noting({ allow: [], loopbackAllowed: true });
  const target = outbound.target(site.mcpUrl, { tenant: "org_a" });
  await discoverAuthorization({ ...lookUp, outbound }, {
    connection: { ...connectionTo(site.mcpUrl), target },
  });
  assert.deepEqual([...outbound.tenants], ["org_a"]);
  outbound.close();
});

Deno.test("the outbound policy has the last word on every address", async () => { // CL13
  const guarded = new Outbound({
    allow: [],
    loopbackAllowed: false,
    resolve: (host) => Promise.resolve([host === "as.example" ? "10.1.2.3" : "127.0.0.1"]),
  });
  const blocked = [
    `Bearer resource_metadata="https://mcp.example/x"`,
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

/** A server of the web, by its name, that is its own authorization server; `say` changes what it answers. */
async function onWeb(
  fn: (scene: {
    issuer: string;
    say: (more: { resource?: Record<string, unknown>; server?: Record<string, unknown> }) => void;
    ask: (
      options?: { challenge?: string; config?: OauthConfig },
    ) => ReturnType<typeof discoverAuthorization>;
  }) => Promise<void>,
): Promise<void> {
  const authority = new Authority("the web");
  let said: Record<string, Record<string, unknown> | undefined> = {};
  const server: Deno.HttpServer<Deno.NetAddr> = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {}, ...authority.issue(["mcp.example"]) },
    (request): Response => {
      const { pathname, origin } = new URL(request.url);
      if (pathname === `${resourcePath}/mcp`) {
        return Response.json(resourceMetadata(origin, origin, said.resource));
      }
      if (pathname === serverPath) return Response.json(serverMetadata(origin, said.server));
      return challenge("Bearer");
    },
  );
  const resolve = (host: string) => Promise.resolve([host === "mcp.example" ? "127.0.0.1" : "10.1.2.3"]);
  const outbound = new Outbound({ allow: [], loopbackAllowed: true, resolve, caCerts: [authority.cert] });
  const issuer = `https://mcp.example:${server.addr.port}`;
  await fn({
    issuer,
    say: (more) => said = more,
    ask: ({ challenge, config } = {}) =>
      discoverAuthorization({ ...lookUp, outbound }, {
        connection: connectionTo(`${issuer}/mcp`, config),
        challenge,
      }),
  });
  outbound.close();
  await server.shutdown();
}

Deno.test("a server of the web leads to nothing on this machine, only an admin does", () =>
  // CL13
  onWeb(async ({ issuer, say, ask }) => {
    await using local = await startSite(whole);
    assert.equal((await ask()).server.issuer, issuer, "by itself it is well");
    const { port } = new URL(local.origin);
    const hosts = ["127.0.0.1", "localhost", "a.localhost.", "[::1]", "[::ffff:127.0.0.1]"];
    const origins = hosts.flatMap((host) => [`http://${host}:${port}`, `https://${host}:${port}`]);
    for (const origin of origins) {
      say({ resource: { authorization_servers: [origin] } });
      await rejectsAs(ask(), "discovery", /its authorization server '.*' is of the mesh's own machine/);
      say({});
      const elsewhere = `Bearer resource_metadata="${origin}/x"`;
      await rejectsAs(
        ask({ challenge: elsewhere }),
        "discovery",
        /metadata URL '.*' that it names is of the/,
      );
      for (const name of ["token_endpoint", "authorization_endpoint"]) {
        say({ server: { [name]: `${origin}/x` } });
        await rejectsAs(
          ask(),
          "discovery",
          new RegExp(`the ${name} of its authorization server, .* own mach`),
        );
      }
      const optional = ["registration_endpoint", "revocation_endpoint", "userinfo_endpoint"];
      say({ server: Object.fromEntries(optional.map((name) => [name, `${origin}/x`])) });
      const { registration, server } = await ask();
      assert.deepEqual([registration, server.revocationEndpoint, server.userinfoEndpoint], [
        "none",
        null,
        null,
      ]);
    }
    say({});
    assert.deepEqual(local.seen, []);
    const config = { authorization_server: local.origin };
    const found = await ask({ config });
    assert.deepEqual([found.source, found.server.tokenEndpoint], ["given", `${local.origin}/token`]);
    // It is the admin's word for that server alone.
    const elsewhere = `Bearer resource_metadata="${local.origin}/x"`;
    await rejectsAs(ask({ config, challenge: elsewhere }), "discovery", /own machine/);
  }));

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
