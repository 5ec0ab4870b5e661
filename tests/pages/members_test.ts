import assert from "node:assert/strict";
import { leads, onMesh, setUp, signedIn } from "./support.ts";

onMesh("members: added by e-mail, given another role, removed, with effect at once", async (mesh) => {
  const visitor = await setUp(mesh);
  const bob = await mesh.organization("Of Bob");
  const bobs = await signedIn(mesh, bob);
  leads(await visitor.post("/members", { email: bob.email.toUpperCase(), role: "user" }), "/members");
  const page = await visitor.get("/members");
  assert.match(page.text, /Ann is a member now/);
  assert.match(page.text, new RegExp(bob.email));
  const switcher = await bobs.get("/settings");
  const northwind = /value="(org_\w+)"[^>]*><span>Northwind/.exec(switcher.html)?.[1] ?? "";
  leads(await bobs.post("/organizations/active", { organizationId: northwind }), "/");
  assert.equal((await bobs.get("/connections/new")).status, 403, "a user adds no connections");

  const row = page.html.slice(page.html.indexOf(bob.email));
  const change = /action="(\/members\/mem_\w+)\/role"/.exec(row)?.[1] ?? "";
  leads(await visitor.post(`${change}/role`, { role: "admin" }), "/members");
  assert.equal((await bobs.get("/connections/new")).status, 200);
  assert.equal((await bobs.post(`${change}/role`, { role: "owner" })).status, 403, "an admin makes no owner");

  assert.match((await visitor.get(`${change}/remove`)).text, /Remove Ann from Northwind/);
  leads(await visitor.post(`${change}/remove`), "/members");
  assert.match((await bobs.get("/")).text, /Of Bob/, "back in their own organization");
  assert.doesNotMatch((await bobs.get("/settings")).html, /Northwind/);
});

onMesh("members: found by a part of their name or address", async (mesh) => {
  const visitor = await setUp(mesh);
  const { organization_id } = await mesh.services.db.selectFrom("members").select("organization_id")
    .executeTakeFirstOrThrow();
  const bob = await mesh.member(organization_id, ["user"]);
  const own = "ann@example.com";
  const part = await visitor.get(`/members?q=${encodeURIComponent(bob.email.slice(0, -4).toUpperCase())}`, {
    "hx-request": "true",
  });
  assert.match(part.html, /^<div id="member-rows"/);
  assert.match(part.html, new RegExp(bob.email));
  assert.doesNotMatch(part.html, new RegExp(own));
  assert.match((await visitor.get("/members?q=larsen")).text, new RegExp(`${own}.*1–1 of 1`));
  assert.match((await visitor.get("/members?q=nobody%01")).text, /No member matches/);
});

onMesh("members: the last owner stays", async (mesh) => {
  const visitor = await setUp(mesh);
  const { db } = mesh.services;
  const { id } = await db.selectFrom("members").select("id").executeTakeFirstOrThrow();
  for (const [path, form] of [["role", { role: "user" }], ["remove", {}]] as const) {
    leads(await visitor.post(`/members/${id}/${path}`, form), "/members");
    assert.match((await visitor.get("/members")).text, /keeps at least one owner/);
  }
});
