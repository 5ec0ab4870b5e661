import assert from "node:assert/strict";
import { leads, onMesh, owner, setUp, signedIn, Visitor } from "./support.ts";

onMesh("forms: only those of our own pages count", async (mesh, t) => {
  const visitor = await setUp(mesh);
  const form = { name: "Bob" };
  const refused: [string, Record<string, string>, Record<string, string>, RegExp][] = [
    ["no token", { csrf: "" }, {}, /older than your session/],
    ["another token", { csrf: "x".repeat(43) }, {}, /older than your session/],
    ["another origin", {}, { origin: "https://evil.example" }, /comes from &#39;https:\/\/evil.example&#39;/],
    ["no origin", {}, { origin: "null" }, /comes from/],
    ["another site", {}, { "sec-fetch-site": "cross-site" }, /BASE_URL/],
    ["a site beside", {}, { "sec-fetch-site": "same-site" }, /BASE_URL/],
  ];
  for (const [name, fields, headers, reason] of refused) {
    await t.step(name, async () => {
      const answer = await visitor.post("/settings/account", { ...form, ...fields }, headers);
      assert.equal(answer.status, 403);
      assert.match(answer.html, reason);
      assert.match((await visitor.get("/settings")).text, /Ann Larsen/);
    });
  }
  await t.step("the token of another session", async () => {
    const other = await signedIn(mesh, await mesh.organization());
    const page = await other.get("/settings");
    const csrf = /name="csrf" value="([^"]+)"/.exec(page.html)?.[1] ?? "";
    assert.match(csrf, /^[\w-]{43}$/);
    assert.equal((await visitor.post("/settings/account", { ...form, csrf })).status, 403);
  });
  await t.step("the token of the sign-in page after signing in", async () => {
    const late = new Visitor(mesh.url);
    const page = await late.get("/login");
    const csrf = /name="csrf" value="([^"]+)"/.exec(page.html)?.[1] ?? "";
    leads(await late.post("/login", { email: owner.email, password: owner.password }), "/");
    assert.equal((await late.post("/settings/account", { ...form, csrf })).status, 403);
  });
  await t.step("its own", async () => {
    await visitor.get("/settings");
    leads(await visitor.post("/settings/account", form), "/settings");
    assert.match((await visitor.get("/settings")).text, /The changes are saved/);
    assert.doesNotMatch((await visitor.get("/settings")).text, /The changes are saved/, "said once");
  });
});

onMesh("forms: what is no form, or too large, is refused before anything happens", async (mesh) => {
  const visitor = await setUp(mesh);
  const cookie = [...visitor.cookies].map(([name, value]) => `${name}=${value}`).join("; ");
  const send = (body: string, type: string) =>
    fetch(`${mesh.url}/settings/account`, {
      method: "POST",
      body,
      headers: { cookie, "content-type": type, origin: mesh.url, accept: "text/html" },
    });
  const cases: [string, string, number][] = [
    ["{}", "application/json", 400],
    ["name=Bob", "text/plain", 400],
    [`name=${"x".repeat(1_100_000)}`, "application/x-www-form-urlencoded", 413],
  ];
  for (const [body, type, status] of cases) {
    const answer = await send(body, type);
    assert.equal(answer.status, status);
    assert.match(await answer.text(), /Cannot read the form/);
  }
});

onMesh("forms: what is wrong stands at its field, with what was entered", async (mesh) => {
  const visitor = await setUp(mesh);
  const cases: [string, Record<string, string>, number, RegExp][] = [
    ["/connections", { url: "not a url", title: "A <b> title" }, 422, /It is not a URL/],
    ["/connections", { url: "ftp://x/", title: "T" }, 422, /It must begin with https/],
    ["/connections", { url: "http://user:pw@x/", title: "T" }, 422, /must not hold a user name/],
    ["/connections", { url: "http://10.1.2.3/mcp", title: "T" }, 422, /OUTBOUND_ALLOW/],
    ["/connections", { url: mesh.url, headers: "nonsense" }, 422, /Each line is a name, a colon and a value/],
    ["/connections", { url: mesh.url, headers: "A: b\na: c" }, 422, /&#39;a&#39; is there twice/],
    ["/connections", { url: mesh.url, headers: "Host: x" }, 422, /the mesh sets this header itself/],
    ["/connections/import", { json: "[" }, 422, /It is not JSON/],
    ["/connections/import", { json: "{}" }, 422, /names no servers/],
    ["/api-keys", { name: "K", scope: "selected" }, 422, /Choose a connection/],
    ["/api-keys", { name: "K", scope: "none", management: "none" }, 422, /may do nothing is of no use/],
    ["/api-keys", { name: "", scope: "all" }, 422, /It is required/],
    ["/members", { email: "x@example.com", role: "user" }, 422, /Nobody has an account with this address/],
    ["/members", { email: owner.email, role: "user" }, 409, /They are a member already/],
    ["/settings/organization", { name: "N", slug: "No Slug" }, 422, /It may contain a-z, 0-9 and - only/],
    ["/organizations", { name: "N", slug: "northwind" }, 409, /It is taken/],
    [
      "/applications/clients",
      { name: "N", redirect_uris: "https://a.example/cb\nx" },
      422,
      /Line 2: &#39;x&#39;/,
    ],
  ];
  for (const [path, form, status, message] of cases) {
    const answer = await visitor.post(path, form);
    assert.equal(answer.status, status, `${path} ${JSON.stringify(form)}: ${answer.text.slice(0, 400)}`);
    assert.match(answer.html, /field-error|notice bad/, path);
    assert.match(answer.html, message);
    assert.doesNotMatch(answer.html, /A <b> title/, "entries are text");
  }
  assert.match((await visitor.get("/connections")).text, /No connections yet/);
  assert.match((await visitor.get("/api-keys")).text, /No API keys yet/);
});

onMesh("forms: the theme is kept in the browser and known to the server", async (mesh) => {
  const visitor = await setUp(mesh);
  for (const theme of ["dark", "light", "system"]) {
    leads(await visitor.post("/settings/theme", { theme }), "/settings");
    assert.match(
      (await visitor.get("/connections")).html,
      new RegExp(`<html lang="en" data-theme="${theme}"`),
    );
  }
  visitor.cookies.set("mesh_theme", '"><script>');
  assert.match((await visitor.get("/connections")).html, /data-theme="system"/);
  const part = await visitor.post("/settings/theme", { theme: "dark" }, { "hx-request": "true" });
  assert.equal(part.status, 204);
});

onMesh("forms: organizations are made and changed, and every page follows", async (mesh) => {
  const visitor = await setUp(mesh);
  leads(await visitor.post("/organizations", { name: "Fabrikam" }), "/");
  assert.match((await visitor.get("/")).text, /Fabrikam is made, and you own it/);
  const page = await visitor.get("/settings");
  assert.match(page.html, /value="fabrikam"/, "the short name is made from the name");
  const northwind = /name="organizationId" value="(org_\w+)"[^>]*><span>Northwind/.exec(page.html)?.[1] ?? "";
  const back = { organizationId: northwind };
  leads(
    await visitor.post("/organizations/active", back, { referer: `${mesh.url}/members?page=1` }),
    "/members",
  );
  assert.match((await visitor.get("/settings")).html, /value="northwind"/);
  leads(
    await visitor.post("/organizations/active", back, { referer: "https://evil.example/members" }),
    "/members",
  );
  const other = await mesh.organization("Elsewhere");
  const foreign = await visitor.post("/organizations/active", { organizationId: other.organizationId });
  assert.equal(foreign.status, 404);
  assert.match((await visitor.get("/settings")).html, /value="northwind"/);
});

onMesh("forms: who belongs to no organization is led to making one", async (mesh) => {
  await setUp(mesh);
  const person = await mesh.organization();
  const { db } = mesh.services;
  await db.deleteFrom("members").where("user_id", "=", person.userId).execute();
  const visitor = await signedIn(mesh, person);
  for (const path of ["/", "/connections", "/members"]) leads(await visitor.get(path), "/organizations/new");
  assert.equal((await visitor.get("/organizations/new")).status, 200);
  assert.equal((await visitor.get("/settings")).status, 200);
  leads(await visitor.post("/organizations", { name: "Anew" }), "/");
  assert.match((await visitor.get("/")).text, /Anew/);
});
