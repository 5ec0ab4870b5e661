import assert from "node:assert/strict";
import { makeApp } from "../../server/app.ts";
import { addConsent, addKey, addOauthClient } from "../support/accounts.ts";
import type { Mesh, Person } from "../support/app.ts";
import { addConnection } from "../support/connections.ts";
import { type Answer, onMesh, setUp, signedIn, Visitor } from "./support.ts";

/** What a route answers: to nobody, to a user, to an admin, and to the owner of another organization. */
interface Row {
  route: string;
  /** Without it 303, to the sign-in. */
  guest?: number;
  user: number;
  admin: number;
  foreigner: number;
  form?: Record<string, string>;
}

const page = { user: 200, admin: 200, foreigner: 200 };
const ofOne = { user: 200, admin: 200, foreigner: 404 };
const managed = { user: 403, admin: 200, foreigner: 200 };
const managedOfOne = { user: 403, admin: 200, foreigner: 404 };

/** Rows run top to bottom, so what takes something away stands last. */
const rows: Row[] = [
  { route: "GET /setup", user: 303, admin: 303, foreigner: 303 },
  { route: "POST /setup", guest: 403, user: 303, admin: 303, foreigner: 303 },
  { route: "GET /sign-up", user: 303, admin: 303, foreigner: 303 },
  { route: "POST /sign-up", guest: 403, user: 303, admin: 303, foreigner: 303 },
  { route: "GET /login", guest: 200, user: 303, admin: 303, foreigner: 303 },
  { route: "POST /login", guest: 422, user: 422, admin: 422, foreigner: 422, form: { email: "" } },
  { route: "GET /oauth/callback", guest: 401, user: 404, admin: 404, foreigner: 404 },
  { route: "GET /", ...page },
  { route: "GET /connections", ...page },
  { route: "GET /connections/new", ...managed },
  { route: "GET /connections/import", ...managed },
  { route: "POST /connections", user: 403, admin: 422, foreigner: 422, form: { url: "ftp://x" } },
  { route: "POST /connections/import", user: 403, admin: 422, foreigner: 422, form: { json: "{" } },
  { route: "GET /connections/:conn", ...ofOne },
  { route: "GET /connections/:conn/resources", ...ofOne },
  { route: "GET /connections/:conn/prompts", ...ofOne },
  { route: "GET /connections/:conn/activity", ...ofOne },
  { route: "GET /connections/:conn/connect", ...ofOne },
  { route: "GET /connections/:conn/credentials", ...managedOfOne },
  { route: "GET /connections/:conn/settings", ...managedOfOne },
  { route: "GET /connections/:conn/delete", ...managedOfOne },
  { route: "POST /connections/:conn/connect", ...ofOne, form: { name: "Laptop" } },
  { route: "POST /connections/:conn/run", user: 404, admin: 404, foreigner: 404, form: { tool: "none" } },
  { route: "POST /connections/:conn/test", ...managedOfOne },
  { route: "POST /connections/:conn/credentials", user: 403, admin: 303, foreigner: 404 },
  { route: "POST /connections/:conn/settings", user: 403, admin: 422, foreigner: 404, form: { title: "" } },
  { route: "GET /connections/:own/credentials/:member/disconnect", user: 403, admin: 404, foreigner: 404 },
  { route: "POST /connections/:own/credentials/:member/disconnect", user: 403, admin: 404, foreigner: 404 },
  { route: "GET /my-connections", ...page },
  { route: "GET /my-connections/:conn", ...ofOne },
  { route: "GET /my-connections/:own", ...ofOne },
  { route: "GET /my-connections/:own/disconnect", user: 303, admin: 303, foreigner: 404 },
  { route: "POST /my-connections/:own/connect", user: 409, admin: 409, foreigner: 404 },
  { route: "POST /my-connections/:own/token", user: 422, admin: 422, foreigner: 404, form: { token: "" } },
  { route: "POST /my-connections/:conn/token", user: 404, admin: 404, foreigner: 404, form: { token: "x" } },
  { route: "POST /my-connections/:own/disconnect", user: 404, admin: 404, foreigner: 404 },
  {
    route: "POST /my-connections/:own/organization",
    user: 404,
    admin: 404,
    foreigner: 404,
    form: { organizationId: "org_no" },
  },
  { route: "GET /activity", ...page },
  { route: "GET /activity/:log", user: 404, admin: 200, foreigner: 404 },
  { route: "GET /api-keys", ...page },
  { route: "GET /api-keys/new", ...page },
  { route: "POST /api-keys", user: 422, admin: 422, foreigner: 422, form: { name: "" } },
  { route: "GET /api-keys/:key/delete", user: 404, admin: 200, foreigner: 404 },
  { route: "GET /applications", ...page },
  { route: "GET /applications/:consent/revoke", user: 404, admin: 200, foreigner: 404 },
  { route: "GET /applications/clients/new", ...managed },
  { route: "POST /applications/clients", user: 403, admin: 422, foreigner: 422, form: { name: "" } },
  { route: "GET /applications/clients/:client/delete", ...managedOfOne },
  { route: "GET /members", ...page },
  { route: "GET /members/:member/remove", ...managedOfOne },
  { route: "POST /members", user: 403, admin: 422, foreigner: 422, form: { email: "nobody@example.com" } },
  { route: "POST /members/:member/role", user: 403, admin: 303, foreigner: 404, form: { role: "user" } },
  { route: "GET /settings", ...page },
  { route: "POST /settings/organization", user: 422, admin: 422, foreigner: 422, form: { name: "" } },
  {
    route: "POST /settings/organization",
    user: 403,
    admin: 409, // the foreigner was first
    foreigner: 303,
    form: { name: "Fjord", slug: "fjord", description: "" },
  },
  { route: "POST /settings/account", user: 422, admin: 422, foreigner: 422, form: { name: "" } },
  { route: "POST /settings/theme", user: 303, admin: 303, foreigner: 303, form: { theme: "dark" } },
  { route: "GET /organizations/new", ...managed },
  { route: "POST /organizations", user: 403, admin: 422, foreigner: 422, form: { name: "" } },
  {
    route: "POST /organizations/active",
    user: 404,
    admin: 404,
    foreigner: 404,
    form: { organizationId: "org_no" },
  },
  { route: "POST /api-keys/:key/delete", user: 404, admin: 303, foreigner: 404 },
  { route: "POST /applications/:consent/revoke", user: 404, admin: 303, foreigner: 404 },
  { route: "POST /applications/clients/:client/delete", user: 403, admin: 303, foreigner: 404 },
  { route: "POST /members/:member/remove", user: 403, admin: 303, foreigner: 404 },
  { route: "POST /connections/:conn/delete", user: 403, admin: 303, foreigner: 404 },
  { route: "POST /logout", user: 303, admin: 303, foreigner: 303 },
];

/** One of each thing, in the organization of `member`; names begin with "Quiet". */
async function oneOfEach(mesh: Mesh, { organizationId, userId }: Person) {
  const { db } = mesh.services;
  const member = await mesh.member(organizationId, ["user"]);
  const { items } = await mesh.run<{ items: unknown[] }>(
    await mesh.key({ organizationId, userId, email: "" }),
    "API_KEY_LIST",
  );
  assert.ok(items.length > 0);
  await mesh.services.audit.flush();
  const log = await db.selectFrom("audit_log").select("id").where("user_id", "=", userId)
    .executeTakeFirstOrThrow();
  const row = await db.selectFrom("members").select("id").where("user_id", "=", member.userId)
    .executeTakeFirstOrThrow();
  const upstream = { url: "http://127.0.0.1:9/mcp", title: "Quiet heron" };
  const own = await addConnection(db, organizationId, upstream);
  await db.updateTable("connections").set({ credential_mode: "per_user" }).where("id", "=", own).execute();
  return {
    conn: await addConnection(db, organizationId, upstream),
    own,
    key: (await addKey(db, organizationId, { userId, name: "Quiet key" })).id,
    consent: await addConsent(db, organizationId, { userId, clientName: "Quiet agent" }),
    client: await addOauthClient(db, organizationId, { name: "Quiet client" }),
    log: log.id,
    member: row.id,
  };
}

function pathOf(route: string, ids: Record<string, string>): string {
  return route.replace(/:(\w+)/g, (_, name: string) => ids[name] ?? "");
}

async function ask(visitor: Visitor, { route, form }: Row, ids: Record<string, string>): Promise<Answer> {
  const [method = "", path = ""] = route.split(" ");
  return method === "GET"
    ? await visitor.get(pathOf(path, ids))
    : await visitor.post(pathOf(path, ids), form);
}

onMesh("pages: who may see and do what", async (mesh) => {
  await setUp(mesh);
  const owner = await mesh.organization("Quietwind");
  const elsewhere = await mesh.organization("Elsewhere");
  const roles = {
    guest: null,
    user: await mesh.member(owner.organizationId, ["user"]),
    foreigner: elsewhere,
    admin: await mesh.member(owner.organizationId, ["admin"]),
  };
  const ids = await oneOfEach(mesh, owner);
  for (const [role, person] of Object.entries(roles)) {
    const visitor = person ? await signedIn(mesh, person) : new Visitor(mesh.url);
    for (const row of rows) {
      const answer = await ask(visitor, row, ids);
      const expected = role === "guest" ? row.guest ?? 303 : row[role as "user"];
      const what = `${row.route} by ${role}`;
      assert.equal(answer.status, expected, `${what}: ${answer.text.slice(0, 300)}`);
      assert.match(answer.headers.get("content-security-policy") ?? "", /^default-src 'none';/, what);
      if (role === "foreigner" || role === "guest") assert.doesNotMatch(answer.text, /quiet|heron/i, what);
      if (role === "guest" && answer.status === 303) {
        assert.match(answer.headers.get("location") ?? "", /^\/login(\?next=%2F[^/]|$)/, what);
      }
    }
  }
});

onMesh("pages: the table above names every route of the pages", (mesh) => {
  const { routes } = makeApp({ services: mesh.services });
  // Pages come last, behind what sets their headers; those of OAuth have tests of their own.
  const first = routes.findLastIndex(({ path }) => path === "/*");
  const served = routes.slice(first + 1).filter(({ path }) => !/authorize|consent/.test(path));
  const shape = (route: string) => route.replace(/:\w+/g, ":id");
  const named = new Set(rows.map(({ route }) => shape(route)));
  const missing = served.map(({ method, path }) => shape(`${method} ${path}`)).filter((route) =>
    !named.has(route)
  );
  assert.deepEqual([...new Set(missing)], []);
  return Promise.resolve();
});

onMesh("pages: no request passes more than five middlewares", async (mesh) => {
  const { routes } = makeApp({ services: mesh.services });
  // A route is listed once for each of its handlers; what is mounted for all stands at "/*".
  const general = routes.filter(({ path }) => path === "/*").length;
  const counts = new Map<string, number>();
  for (const { method, path } of routes) {
    if (path !== "/*") counts.set(`${method} ${path}`, (counts.get(`${method} ${path}`) ?? 0) + 1);
  }
  for (const [route, handlers] of counts) {
    assert.ok(general + handlers - 1 <= 5, `${route}: ${general} + ${handlers - 1}`);
  }
  assert.equal(counts.get("ALL /mcp/:connectionId"), 1, "the relay has none of its own");
  const relay = routes.findIndex(({ path }) => path === "/mcp/:connectionId");
  const first = routes.findIndex(({ path }) => path === "/*");
  assert.ok(relay < first, "and none that is for all");
  await mesh.organization();
});
