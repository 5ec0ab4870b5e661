// A credential that an organization shares: what ends it for everybody, and what does not.
import assert from "node:assert/strict";
import * as connections from "../../server/storage/connections.ts";
import * as credentials from "../../server/storage/upstream_credentials.ts";
import { startFixture } from "../support/upstreams.ts";
import { startOidcUpstream } from "../support/upstreams/oidc_provider.ts";
import { authorize, type Holder, rowOf } from "../upstream/authorized.ts";
import { give } from "../upstream/holders_support.ts";
import { personalSite } from "./personal_support.ts";
import {
  answerOf,
  colleague,
  greetingStatus,
  legacy,
  type Mesh,
  modern,
  openSession,
  post,
  type Site,
  withMesh,
} from "./support.ts";

const shared = { credential_mode: "shared", credential_type: "oauth" };
const issuer = "https://as.example";

/** A grant that cannot be renewed. */
const grant = {
  accessToken: "shared-by-everybody",
  refreshToken: null,
  tokenType: "Bearer",
  resource: null,
  issuer,
  tokenEndpoint: `${issuer}/token`,
  revocationEndpoint: null,
  client: { clientId: "mesh", authMethod: "none", secret: null },
  grantType: "authorization_code",
} as const;

const call = (name: string) => modern("tools/call", { name, arguments: { text: "x" } });

interface Scene {
  readonly mesh: Mesh;
  readonly owner: Site;
  readonly other: Site;
  readonly holder: Holder;
  readonly state: () => Promise<string>;
  /** Gives the grant (anew). */
  readonly connect: () => Promise<void>;
}

/** A shared grant at a server that refuses what `refuses` says, with this challenge. */
async function onShared(
  refuses: (body: string) => string | null | undefined,
  fn: (scene: Scene) => Promise<void>,
  { era }: { era?: "legacy" } = {},
): Promise<void> {
  const guard = async (request: Request) => {
    const challenge = refuses(await request.clone().text());
    if (challenge === undefined) return undefined;
    const headers = challenge === null ? {} : { "www-authenticate": challenge };
    return new Response("Not you", { status: 401, headers });
  };
  await using fixture = await startFixture({ guard, ...era && { era } });
  await withMesh(async (mesh) => {
    const owner = await personalSite(mesh, fixture.url, shared);
    const holder = { organizationId: owner.person.organizationId, connectionId: owner.connectionId };
    const connect = async () => {
      await give(mesh.services, { ...holder, url: fixture.url, secret: { kind: "oauth", grant } });
      mesh.services.upstream.forget(holder.connectionId);
    };
    const state = async () => (await rowOf(mesh.services, holder)).state;
    await connect();
    await fn({ mesh, owner, other: await colleague(mesh, owner), holder, connect, state });
  });
}

async function works(to: Site): Promise<void> {
  const answer = await answerOf(await post(to, call("echo")));
  assert.equal(answer.result?.content?.[0]?.text, "x", JSON.stringify(answer));
}

// RFC 6750 section 3.1
Deno.test("a call that its server refuses to somebody does not end what everybody shares", async () => {
  let challenge: string | null = null;
  await onShared((body) => body.includes("whoami") ? challenge : undefined, async (scene) => {
    const { owner, other, state, connect } = scene;
    await works(owner);
    for (challenge of [null, "Bearer", 'Basic realm="x"', 'Bearer error="invalid_request"']) {
      const refused = await post(other, call("whoami"));
      assert.equal(refused.status, 502); // RS10
      assert.equal(refused.headers.get("www-authenticate"), null);
      assert.match((await answerOf(refused)).error.message, /did not accept the credential \(401\)/);
      assert.equal(await state(), "ok", String(challenge));
      await works(owner);
    }
    challenge = 'Bearer error="invalid_token", error_description="expired"';
    const told = await answerOf(await post(other, call("whoami")));
    assert.match(told.result.content[0].text, /did not accept the credential/);
    assert.equal(await state(), "attention");
    await connect();
    await works(owner);
  });
});

Deno.test("a tool that is called as a method of the protocol is a tool all the same", async () => {
  await onShared((body) => body.includes("tools/call") ? null : undefined, async ({ other, state }) => {
    const refused = await post(other, call("tools/list"));
    assert.equal(refused.status, 502);
    await refused.text();
    assert.equal(await state(), "ok");
  });
});

for (const era of ["legacy", undefined] as const) {
  Deno.test(`a server that lets nobody in any more ends what everybody shares (${era ?? "modern"})`, async () => {
    const options = era === undefined ? {} : { era };
    await onShared(() => null, async ({ owner, other, state }) => {
      const first = await post(owner, era ? legacy("tools/call", { name: "echo" }) : call("echo"));
      assert.match((await answerOf(first)).error.message, /did not accept the credential \(401\)/);
      assert.equal(await state(), "ok", "it may be the call");
      if (era) await greetingStatus(other.url, other.key);
      else await (await post(other, modern("tools/list"))).text();
      assert.equal(await state(), "attention");
      const told = await answerOf(await post(owner, call("echo")));
      assert.match(told.result.content[0].text, /did not accept the credential/);
    }, options);
  });
}

Deno.test("a session of the mesh that its server does not open ends what everybody shares", async () => {
  await onShared(() => null, async ({ mesh, other, holder, state, connect }) => {
    await credentials.remove(mesh.services.db, holder.organizationId, {
      connectionId: holder.connectionId,
      owner: credentials.sharedOwner,
    });
    mesh.services.upstream.forget(holder.connectionId);
    const session = await openSession(other);
    await connect();
    const called = legacy("tools/call", { name: "echo", arguments: {} }, { session });
    const told = await answerOf(await post(other, called));
    assert.match(told.result.content[0].text, /did not accept the credential/);
    assert.equal(await state(), "attention");
  }, { era: "legacy" });
});

Deno.test("a refusal that may be about who calls does not end what everybody shares", async () => {
  await onShared(() => null, async ({ mesh, other, holder, state }) => {
    const { organizationId, connectionId: id } = holder;
    const changes = { options: JSON.stringify({ identity_token: true }) };
    await connections.update(mesh.services.db, organizationId, { id, changes });
    mesh.services.upstream.forget(id);
    const refused = await post(other, modern("tools/list"));
    assert.match((await answerOf(refused)).error.message, /did not accept the credential \(401\)/);
    assert.equal(await state(), "ok");
  });
});

Deno.test("a shared grant that its server takes back needs attention, and its callers are told", async () => {
  await using oidc = await startOidcUpstream({ refreshTokens: "never" });
  await withMesh(async (mesh) => {
    const owner = await personalSite(mesh, oidc.mcpUrl, shared);
    const holder = { organizationId: owner.person.organizationId, connectionId: owner.connectionId };
    await authorize(mesh.services, oidc, holder);
    const other = await colleague(mesh, owner);
    await works(other);
    oidc.revokeAll();
    oidc.expireAccess();
    const { result } = await answerOf(await post(other, call("echo")));
    assert.match(result.content[0].text, /did not accept the credential/);
    assert.equal((await rowOf(mesh.services, holder)).state, "attention");
  });
});
