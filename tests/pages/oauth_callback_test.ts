import assert from "node:assert/strict";
import type { Mesh, Person } from "../support/app.ts";
import { type OidcUpstream, startOidcUpstream } from "../support/upstreams/oidc_provider.ts";
import { leads, onMesh, setUp, signedIn, type Visitor } from "./support.ts";

/** A browser at the address that servers send people back to. */
function browserOf(mesh: Mesh, person: Person): Promise<Visitor> {
  return signedIn({ ...mesh, url: mesh.services.config.baseUrl }, person);
}

/** A mesh with a connection to a server where people sign in. */
async function stage(mesh: Mesh, upstream: OidcUpstream) {
  await setUp(mesh);
  const { connectionId, person } = await mesh.connect(upstream.mcpUrl, {
    title: "Wiki",
    credential_mode: "per_user",
  });
  const visitor = await browserOf(mesh, person);
  return { connectionId, person, visitor, page: `/my-connections/${connectionId}` };
}

/** Connects by the button of the page; gives the path at which the browser comes back. */
async function signInAt(
  upstream: OidcUpstream,
  { visitor, page }: { visitor: Visitor; page: string },
  form: Record<string, string> = {},
): Promise<URL> {
  await visitor.get(page);
  const url = leads(await visitor.post(`${page}/connect`, form), /^http:\/\/127\.0\.0\.1:\d+\/auth\?/);
  return new URL(await upstream.follow(url));
}

const pathOf = (url: URL) => url.pathname + url.search;

onMesh("callback: the browser comes back connected, to the page where it began", async (mesh) => {
  await using upstream = await startOidcUpstream();
  const place = await stage(mesh, upstream);
  const { visitor, page } = place;
  const back = await signInAt(upstream, place, { from: "page" });
  assert.equal(back.pathname, "/oauth/callback");
  assert.deepEqual([...back.searchParams.keys()].toSorted(), ["code", "iss", "state"]);
  const answer = await visitor.get(pathOf(back));
  leads(answer, new RegExp(`^${page}$|^/my-connections$`));
  assert.equal(answer.headers.get("referrer-policy"), "no-referrer");
  assert.equal(answer.headers.get("cache-control"), "no-store");
  const shown = await visitor.get(page);
  assert.match(shown.text, /Wiki is connected/);

  const again = await visitor.get(pathOf(back));
  assert.equal(again.status, 404);
  assert.match(again.text, /Nothing was connected.*has ended already.*My connections/);
});

onMesh("callback: another browser ends nothing, and takes nothing away", async (mesh) => {
  await using upstream = await startOidcUpstream();
  const place = await stage(mesh, upstream);
  const back = await signInAt(upstream, place);
  const { visitor, person } = place;
  const eve = await browserOf(mesh, await mesh.organization("Southwind"));
  const anotherOfAnn = await browserOf(mesh, person);
  for (const other of [eve, anotherOfAnn]) {
    const answer = await other.get(pathOf(back));
    assert.equal(answer.status, 404);
    assert.match(answer.text, /not begun in this browser/);
    assert.doesNotMatch(answer.text, /Wiki/);
  }
  const cookies = new Map(visitor.cookies);
  visitor.cookies.clear();
  const guest = await visitor.get(pathOf(back));
  assert.equal(guest.status, 401);
  assert.match(guest.text, /You are not signed in to Mesh in this browser.*Sign in, and begin again/);
  assert.match(guest.html, /href="\/login\?next=%2Fmy-connections"/);
  assert.doesNotMatch(guest.html, new RegExp(back.searchParams.get("code") ?? "?"));
  assert.equal(upstream.tokenRequests.authorization_code ?? 0, 0, "no code was exchanged");

  visitor.cookies.clear();
  for (const [name, value] of cookies) visitor.cookies.set(name, value);
  leads(await visitor.get(pathOf(back)), /my-connections/);
});

onMesh(
  "callback: what a server says of a failure is shown as a sentence, never another's words",
  async (mesh) => {
    await using upstream = await startOidcUpstream();
    const place = await stage(mesh, upstream);
    const { visitor } = place;
    const failed = async (change: (query: URLSearchParams) => void) => {
      const { searchParams: query } = await signInAt(upstream, place);
      query.delete("code");
      change(query);
      return await visitor.get(`/oauth/callback?${query}`);
    };
    const denied = await failed((query) => {
      query.set("error", "access_denied");
      query.set("error_description", "The <b>owner</b> said no");
    });
    assert.equal(denied.status, 400);
    assert.match(denied.html, /The &lt;b&gt;owner&lt;\/b&gt; said no/);
    const mixed = await failed((query) => {
      query.set("iss", "https://evil.example");
      query.set("error", "access_denied");
      query.set("error_description", "Call 555-1234");
    });
    assert.doesNotMatch(mixed.text, /555-1234|evil/); // CL06
    const silent = await failed(() => {});
    assert.match(silent.text, /without a code/);
    // RFC 6749 section 3.1: a parameter that is there twice is none.
    const twice = await failed((query) => query.append("state", "other"));
    assert.equal(twice.status, 404);
    for (
      const path of [
        "/oauth/callback",
        "/oauth/callback?state=&code=x",
        `/oauth/callback?state=${"x".repeat(999)}`,
      ]
    ) {
      const answer = await visitor.get(path);
      assert.ok([404, 422].includes(answer.status), `${path}: ${answer.status}`);
      assert.match(answer.text, /Nothing was connected/);
    }
  },
);

onMesh("callback: a change of organization in another window does not matter", async (mesh) => {
  await using upstream = await startOidcUpstream();
  const place = await stage(mesh, upstream);
  const { visitor, person, connectionId } = place;
  const other: Person = await mesh.organization("Southwind");
  await mesh.services.db.insertInto("members").values({
    id: "mem_second",
    organization_id: other.organizationId,
    user_id: person.userId,
    roles: '["user"]',
    created_at: Date.now(),
  }).execute();
  const back = await signInAt(upstream, place);
  leads(await visitor.post("/organizations/active", { organizationId: other.organizationId }), "/");
  const target = leads(await visitor.get(pathOf(back)), /^\/my-connections/);
  assert.equal((await visitor.get(target)).status, 200);
  assert.match((await visitor.get(`/my-connections/${connectionId}`)).text, /Wiki is connected/);
});

onMesh("client document: the mesh describes itself where its address is https", async (mesh) => {
  const answer = await fetch(`${mesh.url}/oauth/client.json`);
  assert.equal(answer.status, 200);
  const document = await answer.json();
  assert.equal(document.client_id, "https://mesh.example/base/oauth/client.json");
  assert.deepEqual(document.redirect_uris, ["https://mesh.example/base/oauth/callback"]);
}, { BASE_URL: "https://mesh.example/base" });

onMesh("client document: there is none where its address is not https", async (mesh) => {
  const answer = await fetch(`${mesh.url}/oauth/client.json`);
  assert.equal(answer.status, 404);
  assert.equal((await answer.json()).code, "not_found");
});
