// What a person has connected, how it is connected and how it ends, by the pages alone.
import assert from "node:assert/strict";
import type { Mesh, Person } from "../support/app.ts";
import { addConnection } from "../support/connections.ts";
import { type Answer, leads, onMesh, owner, setUp, signedIn, Visitor } from "./support.ts";

const secret = "quiet-heron-7";

interface PersonalConnection {
  title: string;
  type?: "static" | "oauth";
  mode?: "per_user" | "shared";
  headers?: string[];
}

/** Adds a connection that wants something of each person; gives its id. */
async function addPersonal(
  { services: { db } }: Mesh,
  { organizationId }: Person,
  { title, type = "static", mode = "per_user", headers }: PersonalConnection,
): Promise<string> {
  const id = await addConnection(db, organizationId, { url: "http://127.0.0.1:9/mcp", title });
  await db.updateTable("connections").where("id", "=", id).set({
    credential_mode: mode,
    credential_type: type,
    personal_headers: headers ? JSON.stringify(headers) : null,
  }).execute();
  return id;
}

/** Says that the server did not take a person's credential any more. */
async function breakCredential({ services: { db } }: Mesh, connection: string, reason: string) {
  await db.updateTable("upstream_credentials").set({ state: "attention", reason })
    .where("connection_id", "=", connection).execute();
}

function rows({ html }: Answer): string[] {
  return html.split('<tr role="row"').slice(2).map((row) =>
    `<${row}`.replace(/<[^>]+>/g, " ").replace(/\s+/g, " ").trim()
  );
}

onMesh("a token is given, replaced and ended, and never shown", async (mesh) => {
  const ann = await mesh.organization();
  const id = await addPersonal(mesh, ann, { title: "Linear" });
  const visitor = await signedIn(mesh, ann);
  const [before = ""] = rows(await visitor.get("/my-connections"));
  assert.match(before, /Linear 127\.0\.0\.1:9 Not connected Connect/);
  const page = await visitor.get(`/my-connections/${id}`);
  assert.match(page.text, /Connect Linear .*Calls run as you .*stays in the vault/);
  assert.match(page.headers.get("content-security-policy") ?? "", /form-action 'self';/);
  const empty = await visitor.post(`/my-connections/${id}/token`, { token: " " });
  assert.equal(empty.status, 422);
  assert.match(empty.html, /field-error[^>]*>It is required</);
  const wrong = await visitor.post(`/my-connections/${id}/token`, { token: `${secret}\u0001` });
  assert.equal(wrong.status, 422);
  assert.ok(!wrong.html.includes(secret), "what is refused is not given back");
  leads(await visitor.post(`/my-connections/${id}/token`, { token: secret }), `/my-connections/${id}`);
  const done = await visitor.get(`/my-connections/${id}`);
  assert.match(done.text, /Linear is connected .*You can go back to your client and try again/);
  assert.ok(!done.html.includes(secret));
  assert.match(rows(await visitor.get("/my-connections"))[0] ?? "", /Connected just now Replace Linear Disc/);
  const asked = await visitor.get(`/my-connections/${id}/disconnect`);
  assert.match(asked.text, /Disconnect “Linear” .* fails until you connect it again/);
  leads(await visitor.post(`/my-connections/${id}/disconnect`), "/my-connections");
  assert.match((await visitor.get("/my-connections")).text, /Linear is disconnected/);
  assert.equal((await visitor.post(`/my-connections/${id}/disconnect`)).status, 404);
});

onMesh("each header that a connection asks for has a field; what is left empty stays", async (mesh) => {
  const ann = await mesh.organization();
  const id = await addPersonal(mesh, ann, { title: "Jira", headers: ["X-Email", "X-Api-Key"] });
  const visitor = await signedIn(mesh, ann);
  const page = await visitor.get(`/my-connections/${id}`);
  assert.equal([...page.html.matchAll(/name="header\.[^"]+" type="password" value=""/g)].length, 2);
  const half = await visitor.post(`/my-connections/${id}/token`, { "header.X-Email": secret });
  assert.equal(half.status, 422);
  assert.match(half.html, /id="f-header-1-error">It is required</);
  assert.ok(!half.html.includes(secret));
  const both = { "header.X-Email": secret, "header.X-Api-Key": `${secret}-2` };
  leads(await visitor.post(`/my-connections/${id}/token`, both), `/my-connections/${id}`);
  const one = { "header.X-Email": "", "header.X-Api-Key": `${secret}-3` };
  leads(await visitor.post(`/my-connections/${id}/token`, one), `/my-connections/${id}`);
});

onMesh(
  "what needs a person is said on top and comes first; search and state narrow the list",
  async (mesh) => {
    const ann = await mesh.organization();
    const [linear, gmail] = [
      await addPersonal(mesh, ann, { title: "A Linear" }),
      await addPersonal(mesh, ann, { title: "Gmail" }),
      await addPersonal(mesh, ann, { title: "B Figma", type: "oauth" }),
    ];
    const visitor = await signedIn(mesh, ann);
    for (const id of [linear, gmail]) {
      await visitor.get("/my-connections");
      await visitor.post(`/my-connections/${id}/token`, { token: secret });
    }
    await breakCredential(mesh, gmail ?? "", "Gmail did not accept the token (401). Paste a new one.");
    const page = await visitor.get("/my-connections");
    assert.match(
      page.text,
      /1 connection needs you : Gmail\. Calls to it fail until you reconnect\. 1 other is/,
    );
    assert.match(page.text, /My connections 1 needs you /);
    assert.match(
      (await visitor.get("/")).text,
      /Needs attention Gmail did not accept the token \(401\)\. Paste a new one\. Reconnect/,
    );
    const names = rows(page).map((row) => row.replace(/^.*?> /, "").split(" 127.")[0]);
    assert.deepEqual(names.map((name) => name?.split(" ").at(-1)), ["Gmail", "Figma", "Linear"]);
    assert.match(rows(page)[0] ?? "", /Needs you Gmail did not accept the token \(401\)\. Paste a new one\./);
    const part = await visitor.get("/my-connections?status=connected", { "hx-request": "true" });
    assert.match(part.html, /^<div id="my-connection-rows"/);
    assert.equal(rows(part).length, 1);
    assert.equal(rows(await visitor.get("/my-connections?q=FIG")).length, 1);
    assert.match((await visitor.get("/my-connections?q=nothing")).text, /No connection matches/);
    const again = await visitor.get(`/my-connections/${gmail}`);
    assert.match(again.text, /Reconnect Gmail .*did not accept the token \(401\)/);
  },
);

onMesh("forms lead on to the sign-in of servers only from pages that take no secret", async (mesh) => {
  const ann = await mesh.organization();
  const policyOf = ({ headers }: Answer) =>
    /form-action [^;]+/.exec(headers.get("content-security-policy") ?? "")?.[0];
  const token = await addPersonal(mesh, ann, { title: "GitHub" });
  const visitor = await signedIn(mesh, ann);
  assert.equal(policyOf(await visitor.get("/my-connections")), "form-action 'self'");
  const signIn = await addPersonal(mesh, ann, { title: "Linear", type: "oauth", mode: "shared" });
  const list = await visitor.get("/my-connections");
  assert.equal(policyOf(list), "form-action 'self' https: http:");
  assert.doesNotMatch(list.html, /type="password"/);
  for (const path of [`/my-connections/${token}`, `/connections/${signIn}/credentials`]) {
    const page = await visitor.get(path);
    assert.match(page.html, /type="password"/);
    assert.equal(policyOf(page), "form-action 'self'", path);
  }
});

onMesh("a sign-in begins at the name of this machine at which it can end", async (mesh) => {
  const ann = await mesh.organization();
  const id = await addPersonal(mesh, ann, { title: "Linear", type: "oauth" });
  const visitor = await signedIn(mesh, ann);
  const own = `${mesh.services.config.baseUrl}/my-connections/${id}`;
  assert.notEqual(new URL(own).host, new URL(mesh.url).host);
  leads(await visitor.get(`/my-connections/${id}`), own);
  await visitor.get("/my-connections");
  leads(await visitor.post(`/my-connections/${id}/connect`), own);
});

onMesh("who is not signed in comes back to the page that a client named", async (mesh) => {
  await setUp(mesh);
  const { organization_id, user_id } = await mesh.services.db.selectFrom("members").selectAll()
    .executeTakeFirstOrThrow();
  const ann = { organizationId: organization_id, userId: user_id, email: owner.email };
  const page = `/my-connections/${await addPersonal(mesh, ann, { title: "Linear" })}`;
  const guest = new Visitor(mesh.url);
  const signIn = leads(await guest.get(page), `/login?next=${encodeURIComponent(page)}`);
  await guest.get(signIn);
  leads(await guest.post("/login", { email: owner.email, password: owner.password, next: page }), page);
  assert.match((await guest.get(page)).text, /Connect Linear/);
});

onMesh(
  "a connection that asks for nothing says so, one of another organization leads there",
  async (mesh) => {
    const ann = await mesh.organization("Northwind");
    const bob = await mesh.member(ann.organizationId, ["user"]);
    const shared = await addConnection(mesh.services.db, ann.organizationId, {
      url: "http://127.0.0.1:9/mcp",
      title: "Search",
    });
    const visitor = await signedIn(mesh, bob);
    assert.match(
      (await visitor.get(`/my-connections/${shared}`)).text,
      /Search needs nothing from you .*An administrator of Northwind looks after/,
    );
    assert.match((await visitor.get("/my-connections")).text, /Nothing asks for your own account/);
    const signIn = await addPersonal(mesh, ann, { title: "Notion", type: "oauth", mode: "shared" });
    assert.match(
      (await visitor.get(`/my-connections/${signIn}`)).text,
      /Notion waits for an administrator .*Nobody has signed in there for Northwind yet/,
    );
    await mesh.services.db.updateTable("connections").set({ status: "inactive" }).where("id", "=", signIn)
      .execute();
    assert.match((await visitor.get(`/my-connections/${signIn}`)).text, /Notion is switched off/);
    const manager = await signedIn(mesh, ann);
    assert.match((await manager.get(`/my-connections/${signIn}`)).text, /Notion is switched off/);
    const elsewhere = await mesh.organization("Fabrikam");
    const theirs = await addPersonal(mesh, elsewhere, { title: "Linear" });
    assert.equal((await visitor.get(`/my-connections/${theirs}`)).status, 404);
    await mesh.services.db.updateTable("members").set({ user_id: bob.userId })
      .where("organization_id", "=", elsewhere.organizationId).execute();
    const page = await visitor.get(`/my-connections/${theirs}`);
    assert.match(page.text, /Linear belongs to Fabrikam .*You are in Northwind now/);
    const form = { organizationId: elsewhere.organizationId };
    leads(await visitor.post(`/my-connections/${theirs}/organization`, form), `/my-connections/${theirs}`);
    assert.match((await visitor.get(`/my-connections/${theirs}`)).text, /Connect Linear/);
  },
);
