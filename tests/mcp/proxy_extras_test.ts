// What a connection may have of its own, through the whole mesh: templates of headers, certificates, the token that
// says who calls, and a time-out.
import assert from "node:assert/strict";
import { createRemoteJWKSet, jwtVerify } from "jose";
import { Authority } from "../outbound/certificates.ts";
import { fingerprintOf, TlsFront } from "../outbound/tls_front.ts";
import * as organizations from "../../server/storage/organizations.ts";
import { addMember, addUser } from "../support/accounts.ts";
import {
  behaviours,
  type Fixture,
  type SeenRequest,
  startFixture,
  startHostile,
} from "../support/upstreams.ts";
import {
  answerOf,
  legacy,
  type Mesh,
  modern,
  openSession,
  type Person,
  post,
  rowsOf,
  type Site,
  withMesh,
} from "./support.ts";

interface Item {
  id: string;
  status: string;
  status_reason: string | null;
  tools: unknown[] | null;
  has_client_certificate: boolean;
  client_certificate: unknown;
}

const list = modern("tools/list");

async function create(mesh: Mesh, key: string, data: Record<string, unknown>): Promise<Item> {
  const input = { data: { title: "Upstream", connection_type: "HTTP", ...data } };
  return (await mesh.run<{ item: Item }>(key, "COLLECTION_CONNECTIONS_CREATE", input)).item;
}

/** A connection as its maker sees it, and a site to call it by. */
async function connected(mesh: Mesh, data: Record<string, unknown>): Promise<Site & { item: Item }> {
  const person = await mesh.organization();
  const key = await mesh.key(person);
  const item = await create(mesh, key, data);
  return { url: `${mesh.url}/mcp/${item.id}`, connectionId: item.id, person, key, item };
}

/** The same connection for a person of this name and these roles. */
async function as(mesh: Mesh, of: Site, { name, roles }: { name: string; roles: string[] }): Promise<Site> {
  const { organizationId } = of.person;
  const user = await addUser(mesh.services.db, name);
  await addMember(mesh.services.db, organizationId, { userId: user.id, roles });
  const person: Person = { userId: user.id, organizationId, email: user.email };
  return { ...of, person, key: await mesh.key(person) };
}

async function lastSeen(fixture: Fixture, to: Site, init: RequestInit = {}): Promise<SeenRequest> {
  const response = await post(to, list, init);
  const answer = await answerOf(response);
  assert.equal(response.status, 200, JSON.stringify(answer));
  return fixture.seen.at(-1)!;
}

async function withFixture(fn: (mesh: Mesh, fixture: Fixture) => Promise<void>): Promise<void> {
  await using fixture = await startFixture();
  await withMesh((mesh) => fn(mesh, fixture));
}

Deno.test("templates are filled for whoever calls, and cannot be forged by a name", async () => {
  await withFixture(async (mesh, fixture) => {
    const headers = {
      "X-Who": "{user.email}; roles={user.roles}",
      "X-Name": "{user.name}",
      "X-Where": "{organization.slug} {organization.id} {connection.id} {user.id}",
      "X-Json": `{"a":{"b":1}}`,
    };
    const ann = await connected(mesh, { connection_url: fixture.url, connection_headers: { headers } });
    assert.equal(ann.item.status, "active", "the server was asked with filled headers too");
    assert(fixture.seen.every(({ headers }) => headers["x-name"] === "Ann"));
    const bob = await as(mesh, ann, { name: `Bob "B"\r\nX-Admin: 1 é`, roles: ["user"] });
    const { organizationId } = ann.person;
    const organization = await organizations.find(mesh.services.db, organizationId);
    for (
      const [site, name, roles] of [[ann, "Ann", "owner"], [
        bob,
        "Bob %22B%22%0D%0AX-Admin%3A 1 %C3%A9",
        "user",
      ]] as const
    ) {
      const seen = await lastSeen(fixture, site);
      // The addresses of these tests are made of the names.
      assert.equal(decodeURIComponent(seen.headers["x-who"]!), `${site.person.email}; roles=${roles}`);
      assert.equal(seen.headers["x-name"], name);
      assert.equal(
        seen.headers["x-where"],
        `${organization!.slug} ${organizationId} ${ann.connectionId} ${site.person.userId}`,
      );
      assert.equal(seen.headers["x-json"], `{"a":{"b":1}}`);
      assert.equal(seen.headers["x-admin"], undefined);
      assert.equal(seen.headers["x-mesh-token"], undefined);
    }
    await assert.rejects(
      create(mesh, ann.key, {
        connection_url: fixture.url,
        connection_headers: { headers: { "X-Who": "{user.nickname}" } },
      }),
      /answered 422.*'\{user\.nickname\}' is not known/,
    );
  });
});

Deno.test("what a person gives may hold templates, and a refusal of it is theirs to mend", async () => {
  let accepted = "";
  const guard = (request: Request) =>
    Promise.resolve(
      request.headers.get("x-key") === accepted ? undefined : new Response("who?", { status: 401 }),
    );
  await using fixture = await startFixture({ guard });
  await withMesh(async (mesh) => {
    const site = await connected(mesh, {
      connection_url: fixture.url,
      credential_mode: "per_user",
      personal_headers: ["X-Key"],
    });
    const give = (value: string) =>
      mesh.run(site.key, "CREDENTIAL_SET", { connectionId: site.connectionId, headers: { "X-Key": value } });
    await assert.rejects(give("{user.key}"), /answered 422.*'\{user\.key\}' is not known/);
    accepted = `k1 ${site.person.userId}`;
    await give("k1 {user.id}");
    assert.equal((await lastSeen(fixture, site)).headers["x-key"], accepted);
    accepted = "k2";
    const refused = await answerOf(await post(site, modern("tools/call", { name: "echo", arguments: {} })));
    assert.match(JSON.stringify(refused), /did not accept the credential.*my-connections/);
    const before = fixture.seen.length;
    await answerOf(await post(site, modern("tools/call", { name: "echo", arguments: {} })));
    assert.equal(fixture.seen.length, before, "what was refused is not sent again");
  });
});

Deno.test("the token that says who calls is verified by the published keys", async () => {
  await withFixture(async (mesh, fixture) => {
    const site = await connected(mesh, {
      connection_url: `${fixture.url}?secret=query`,
      options: { identity_token: true },
    });
    assert.equal(site.item.status, "active");
    assert(fixture.seen.every(({ headers }) => headers["x-mesh-token"] !== undefined));
    const keys = createRemoteJWKSet(new URL(`${mesh.url}/.well-known/jwks.json`));
    const issuer = mesh.services.config.baseUrl;
    const bob = await as(mesh, site, { name: "Bob", roles: ["user"] });
    for (const caller of [site, bob]) {
      const { headers } = await lastSeen(fixture, caller, { headers: { "x-mesh-token": "forged" } });
      const token = headers["x-mesh-token"]!;
      const { payload } = await jwtVerify(token, keys, {
        issuer,
        audience: fixture.url,
        algorithms: ["ES256"],
      });
      assert.equal(payload.sub, caller.person.userId);
      assert.equal(payload.email, caller.person.email);
      assert.equal(payload.org_id, site.person.organizationId);
      assert.equal(payload.connection_id, site.connectionId);
      assert.deepEqual(payload.roles, caller === bob ? ["user"] : ["owner"]);
      assert.match(String(payload.key_id), /^key_/);
      assert.equal("client_id" in payload, false);
      assert.equal((await lastSeen(fixture, caller)).headers["x-mesh-token"], token, "signed once");
    }
    const rows = JSON.stringify(await rowsOf(mesh, site));
    assert(!rows.includes("eyJ"));
  });
});

Deno.test("every request of a session says who calls, its stream and its end too", async () => {
  await withFixture(async (mesh, fixture) => {
    const headers = { "X-Who": "{user.id}" };
    const site = await connected(mesh, {
      connection_url: fixture.url,
      connection_headers: { headers },
      options: { identity_token: true },
    });
    const before = fixture.seen.length;
    const session = await openSession(site);
    const init = { headers: { authorization: `Bearer ${site.key}`, "mcp-session-id": session } };
    const stream = await fetch(site.url, { headers: { ...init.headers, accept: "text/event-stream" } });
    assert.equal(stream.status, 200);
    await stream.body?.cancel();
    assert.equal((await fetch(site.url, { ...init, method: "DELETE" })).status, 200);
    const seen = fixture.seen.slice(before);
    assert.deepEqual(seen.map(({ method }) => method), ["POST", "POST", "GET", "DELETE"]);
    for (const request of seen) {
      assert.equal(request.headers["x-who"], site.person.userId, request.method);
      assert.match(request.headers["x-mesh-token"] ?? "", /^eyJ/, request.method);
    }
  });
});

Deno.test("a connection without the option sends no token, whatever the caller sends", async () => {
  await withFixture(async (mesh, fixture) => {
    const site = await connected(mesh, { connection_url: fixture.url, options: { identity_token: false } });
    const headers = { "x-mesh-token": "forged", "mcp-param-x-mesh-token": "forged" };
    const seen = await lastSeen(fixture, site, { headers });
    assert.equal(seen.headers["x-mesh-token"], undefined);
    assert(fixture.seen.every(({ headers }) => !("x-mesh-token" in headers)));
    const own = { connection_headers: { headers: { "X-Mesh-Token": "made up" } } };
    await assert.rejects(
      create(mesh, site.key, { connection_url: fixture.url, ...own }),
      /answered 422.*the mesh sets this header itself/,
    );
  });
});

Deno.test("a server of a private authority that demands a certificate is reached with it, and only so", async () => {
  const authority = new Authority("a private authority");
  const clients = new Authority("an authority of clients");
  const [ours, theirs] = [clients.issue(["ours"]), clients.issue(["theirs"])];
  await withFixture(async (mesh, fixture) => {
    const { port, pathname } = new URL(fixture.url);
    const certificate = authority.issue(["127.0.0.1"]);
    await using front = await TlsFront.start({ certificate, clients: clients.cert, to: Number(port) });
    const connection_url = `https://127.0.0.1:${front.port}${pathname}`;
    const options = { ca_certificates: authority.cert };
    const client_certificate = { certificate: ours.cert, key: ours.key };
    const site = await connected(mesh, { connection_url, options, client_certificate });
    assert.deepEqual([site.item.status, site.item.has_client_certificate], ["active", true]);
    assert.deepEqual(site.item.client_certificate, { certificate: "***", key: "***" });
    assert(site.item.tools!.length > 0);
    for (let i = 0; i < 2; i++) await lastSeen(fixture, site);
    const tested = await mesh.run<{ healthy: boolean }>(site.key, "CONNECTION_TEST", {
      id: site.connectionId,
    });
    assert.equal(tested.healthy, true);

    const another = { certificate: theirs.cert, key: theirs.key };
    const second = await create(mesh, site.key, { connection_url, options, client_certificate: another });
    await lastSeen(fixture, { ...site, url: `${mesh.url}/mcp/${second.id}` });
    assert.equal(front.shown.at(-1)?.fingerprint, fingerprintOf(theirs));
    await lastSeen(fixture, site);
    const shown = new Set(front.shown.map(({ fingerprint }) => fingerprint));
    assert.deepEqual(shown, new Set([ours, theirs].map(fingerprintOf)));

    const [before, arrived] = [front.shown.length, fixture.seen.length];
    const bare = await create(mesh, site.key, { connection_url, options });
    assert.equal(bare.status, "error");
    assert.match(bare.status_reason!, /certificate/);
    const untrusting = await create(mesh, site.key, { connection_url, client_certificate });
    assert.equal(untrusting.status, "error");
    for (const { id } of [bare, untrusting]) {
      const refused = await post({ ...site, url: `${mesh.url}/mcp/${id}` }, list);
      assert.equal(refused.status, 502);
      assert.match((await refused.json()).error.message, /stage tls/);
    }
    assert.deepEqual([front.shown.length, fixture.seen.length], [before, arrived]);

    // A change of the certificate takes effect with the next call.
    const change = { id: site.connectionId, data: { client_certificate: another } };
    await mesh.run(site.key, "COLLECTION_CONNECTIONS_UPDATE", change);
    await lastSeen(fixture, site);
    const without = { id: site.connectionId, data: { client_certificate: null } };
    await mesh.run(site.key, "COLLECTION_CONNECTIONS_UPDATE", without);
    assert.equal((await post(site, list)).status, 502);
    const stored = await mesh.run<{ item: Item }>(site.key, "COLLECTION_CONNECTIONS_GET", { id: second.id });
    assert(!JSON.stringify(stored).includes("PRIVATE KEY"));
  });
});

Deno.test("certificates that cannot work are refused with their field", async () => {
  const clients = new Authority("an authority of clients");
  const [ours, theirs] = [clients.issue(["ours"]), clients.issue(["theirs"])];
  await withMesh(async (mesh) => {
    const key = await mesh.key(await mesh.organization());
    const cases: [Record<string, unknown>, RegExp][] = [
      [{ client_certificate: { certificate: ours.cert, key: theirs.key } }, /data\.client_certificate\.key/],
      [
        { client_certificate: { certificate: "none", key: ours.key } },
        /data\.client_certificate\.certificate/,
      ],
      [{ options: { ca_certificates: "none" } }, /data\.options\.ca_certificates/],
    ];
    for (const [data, field] of cases) {
      const refused = create(mesh, key, { connection_url: "https://127.0.0.1:9/", ...data });
      await assert.rejects(
        refused,
        (error) => error instanceof Error && /answered 422/.test(error.message) && field.test(error.message),
      );
    }
  });
});

Deno.test("a connection's own time-out ends a call that the mesh's would let wait", async () => {
  await using upstream = startHostile(behaviours.good);
  await withMesh(async (mesh) => {
    const site = await connected(mesh, { connection_url: upstream.url, options: { timeout_seconds: 1 } });
    upstream.behave(behaviours.hang);
    const response = await post(site, legacy("tools/call", { name: "x", arguments: {} }));
    assert.equal(response.status, 504);
    assert.match((await response.json()).error.message, /stage timeout/);
    const [row] = await rowsOf(mesh, site);
    assert.equal(row?.outcome, "failed");
  });
});
