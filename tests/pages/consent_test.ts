// The question, its answers and their headers; what a real browser makes of them is in tests/browser.
import assert from "node:assert/strict";
import { addMember, addOrganization } from "../support/accounts.ts";
import type { Mesh, Person } from "../support/app.ts";
import { addConnection } from "../support/connections.ts";
import { encode, proofKey, register } from "../oauth/support.ts";
import { type Answer, leads, onMesh, owner, setUp, signedIn, Visitor } from "./support.ts";

const callback = "https://client.example/callback";

/** The path and query that a client of this name and address sends a browser to. */
async function linkFor(
  mesh: Mesh,
  more: { resource?: string; scope?: string; redirectUri?: string; clientId?: string; name?: string } = {},
): Promise<string> {
  const { redirectUri = callback, resource = "", scope, name = "Quiet Agent" } = more;
  const clientId = more.clientId ??
    (await register(mesh, { client_name: name, redirect_uris: [redirectUri] })).id;
  const params = encode({
    response_type: "code",
    client_id: clientId,
    redirect_uri: redirectUri,
    code_challenge: proofKey().challenge,
    code_challenge_method: "S256",
    state: "state-1",
    resource: `${mesh.url}/mcp${resource && `/${resource}`}`,
    scope,
  });
  return `/api/auth/authorize?${params}`;
}

/** Follows a client's link to the question. */
async function ask(visitor: Visitor, link: string): Promise<Answer & { form: Record<string, string> }> {
  const path = leads(await visitor.get(link), /^\/consent\?request=ask_/);
  const page = await visitor.get(path);
  assert.equal(page.status, 200, page.text);
  const organizationId = /name="organizationId" value="([^"]+)"/.exec(page.html)?.[1] ?? "";
  return {
    ...page,
    form: { request: path.split("=")[1] ?? "", organizationId, answer: "allow", scope: "all" },
  };
}

const tools = [
  { name: "look", annotations: { readOnlyHint: true } },
  { name: "change", annotations: { readOnlyHint: false } },
  { name: "unsaid" },
];

async function connectionOf(mesh: Mesh, { organizationId }: Person): Promise<string> {
  return await addConnection(mesh.services.db, organizationId, {
    url: "http://127.0.0.1:9/mcp",
    title: "Linear",
    tools,
  });
}

/** What the person has allowed since, the latest last. */
async function allowed(mesh: Mesh): Promise<unknown[]> {
  const rows = await mesh.services.db.selectFrom("oauth_consents").select("permissions").orderBy("created_at")
    .execute();
  return rows.map(({ permissions }) => JSON.parse(permissions));
}

function checked({ html }: Answer): string[] {
  return [...html.matchAll(/<input[^>]*>/g)].flatMap(([tag]) =>
    / checked/.test(tag) ? [/value="([^"]*)"/.exec(tag)?.[1] ?? ""] : []
  );
}

onMesh("the question names the client, where it returns to, and what it will be able to do", async (mesh) => {
  const person = await mesh.organization("Northwind");
  const connection = await connectionOf(mesh, person);
  const visitor = await signedIn(mesh, person);
  const page = await ask(visitor, await linkFor(mesh, { resource: connection }));
  assert.match(page.text, /Quiet Agent wants to connect/);
  assert.match(
    page.text,
    /It registered itself; nobody has checked its name\. It will return to client\.example \./,
  );
  assert.match(page.text, /Organization Northwind/);
  assert.match(page.text, /Call 3 tools of Linear 2 of them write\./);
  assert.match(page.text, /1 tool that Linear says changes nothing/);
  assert.match(page.text, /Only continue if you just started this yourself in Quiet Agent/);
  assert.doesNotMatch(page.text, /Any program on this computer/);
  assert.deepEqual(checked(page), ["all"]);
  const own = await ask(
    visitor,
    await linkFor(mesh, { resource: connection, redirectUri: "http://[::1]/c" }),
  );
  assert.match(own.text, /Any program on this computer could ask in this name/); // AS17
  const hostile = await ask(visitor, await linkFor(mesh, { name: "<b>\u202eevil" }));
  assert.match(hostile.html, /&lt;b&gt; evil wants to connect/);
});

onMesh("no frame holds the page, and its form leads to the application alone", async (mesh) => { // AS17
  const visitor = await signedIn(mesh, await mesh.organization());
  const formAction = async (redirectUri: string) => {
    const { headers } = await ask(visitor, await linkFor(mesh, { redirectUri }));
    assert.equal(headers.get("x-frame-options"), "DENY");
    assert.equal(headers.get("cache-control"), "no-store");
    const policy = headers.get("content-security-policy") ?? "";
    assert.match(policy, /frame-ancestors 'none'/);
    return /form-action ([^;]+)/.exec(policy)?.[1];
  };
  assert.equal(await formAction(callback), "'self' https: https://client.example");
  assert.equal(await formAction("cursor://app/callback"), "'self' https: cursor:");
  assert.equal(
    await formAction("http://localhost:1/callback"),
    "'self' https: http://localhost:* http://127.0.0.1:*",
  );
  const { headers } = await visitor.get("/applications");
  assert.match(headers.get("content-security-policy") ?? "", /form-action 'self';/);
});

onMesh("the person narrows what it gets", async (mesh) => {
  const person = await mesh.organization();
  const connection = await connectionOf(mesh, person);
  const visitor = await signedIn(mesh, person);
  const link = await linkFor(mesh, { resource: connection, redirectUri: "http://localhost/callback" });
  const answers: [Record<string, string | string[]>, unknown, string[]][] = [
    [{ scope: "read" }, ["look"], ["read", "look"]],
    [{ scope: "chosen", tool: ["change", "prompt:*"] }, ["change", "prompt:*"], [
      "chosen",
      "change",
      "prompt:*",
    ]],
    [{ scope: "all", tool: ["look"] }, ["*"], ["all"]],
  ];
  for (const [form, actions, remembered] of answers) {
    const answer = await visitor.post("/consent", { ...(await ask(visitor, link)).form, ...form });
    leads(answer, /^http:\/\/localhost\/callback\?code=mesh_ac_[\w-]+&state=state-1&iss=/); // AS15, AS16, AS18
    assert.deepEqual((await allowed(mesh)).at(-1), { [connection]: actions });
    // It is asked again, as any program here could take the code, with what was chosen the last time.
    assert.deepEqual(checked(await ask(visitor, link)), remembered);
  }
  const none = await visitor.post("/consent", { ...(await ask(visitor, link)).form, scope: "chosen" });
  assert.equal(none.status, 422);
  assert.match(none.text, /Choose at least one thing that the application may do/);
  assert.equal((await allowed(mesh)).length, 3);
});

onMesh("of the mesh itself an application may look, unless the person says more", async (mesh) => {
  const person = await mesh.organization();
  const visitor = await signedIn(mesh, person);
  const question = await ask(visitor, await linkFor(mesh));
  assert.match(question.text, /Look after Mesh itself/);
  assert.deepEqual(checked(question), ["read"]);
  leads(await visitor.post("/consent", { ...question.form, scope: "read" }), /code=/);
  assert.deepEqual((await allowed(mesh)).at(-1), { self: ["*_GET", "*_LIST"] });
  const more = await ask(visitor, await linkFor(mesh, { scope: "mcp mcp:API_KEY_CREATE" })); // RS08
  assert.deepEqual(checked(more), ["chosen", "API_KEY_CREATE"]);
  leads(await visitor.post("/consent", { ...more.form, scope: "chosen", tool: "API_KEY_CREATE" }), /code=/);
  assert.deepEqual((await allowed(mesh)).at(-1), { self: ["*_GET", "*_LIST", "API_KEY_CREATE"] });
});

onMesh("a person of several organizations chooses one of their own", async (mesh) => {
  const person = await mesh.organization("Northwind");
  const second = await addOrganization(mesh.services.db, "Fabrikam");
  await addMember(mesh.services.db, second.id, { userId: person.userId, roles: ["user"] });
  const foreign = await mesh.organization("Elsewhere");
  const visitor = await signedIn(mesh, person);
  const question = await ask(visitor, await linkFor(mesh));
  const offered = [...question.html.matchAll(/<option value="(org_\w+)"( selected)?/g)];
  assert.deepEqual(offered.map(([, id, selected]) => [id, Boolean(selected)]), [
    [person.organizationId, true],
    [second.id, false],
  ]);
  const refused = await visitor.post("/consent", {
    ...question.form,
    organizationId: foreign.organizationId,
  });
  assert.equal(refused.status, 422);
  assert.match(refused.text, /Choose one of your organizations/);
  leads(await visitor.post("/consent", { ...question.form, organizationId: second.id }), /code=/);
  const consent = await mesh.services.db.selectFrom("oauth_consents").selectAll().executeTakeFirstOrThrow();
  assert.equal(consent.organization_id, second.id);
});

onMesh(
  "an answer counts once, from its own browser, with its token, and anything but allow is no",
  async (mesh) => {
    const person = await mesh.organization();
    const visitor = await signedIn(mesh, person);
    const link = await linkFor(mesh);
    const { form } = await ask(visitor, link);
    assert.equal((await visitor.post("/consent", { ...form, csrf: "wrong" })).status, 403);
    assert.equal((await visitor.post("/consent", form, { origin: "https://client.example" })).status, 403);
    const other = await signedIn(mesh, person); // CD04
    const stolen = await other.get(`/consent?request=${form.request}`);
    assert.equal(stolen.status, 410);
    assert.match(stolen.text, /This request has ended/);
    assert.equal((await other.post("/consent", form)).status, 410);
    assert.deepEqual(await allowed(mesh), []);
    const no = await visitor.post("/consent", { ...form, answer: "whatever" });
    leads(no, /^https:\/\/client\.example\/callback\?error=access_denied&[^#]*state=state-1&iss=/);
    assert.equal((await visitor.post("/consent", form)).status, 410);
    assert.equal((await visitor.get("/consent?request=nonsense")).status, 410);
    assert.equal((await new Visitor(mesh.url).get(`/consent?request=${form.request}`)).status, 410);
    assert.deepEqual(await allowed(mesh), []);
  },
);

onMesh("another client's question is put to a person who allowed the first", async (mesh) => { // CD01, CD03
  const visitor = await signedIn(mesh, await mesh.organization());
  const link = await linkFor(mesh);
  const { form } = await ask(visitor, link);
  leads(await visitor.post("/consent", { ...form, scope: "all" }), /code=/);
  leads(await visitor.get(link), /^https:\/\/client\.example\/callback\?code=/);
  const attacker = await ask(visitor, await linkFor(mesh, { redirectUri: "https://attacker.example/cb" }));
  assert.match(attacker.text, /It will return to attacker\.example/);
});

onMesh("signing in goes on with the request; without an account there is the setup first", async (mesh) => {
  const guest = new Visitor(mesh.url);
  const link = await linkFor(mesh);
  const login = leads(await guest.get(link), /^\/login\?next=%2Fapi%2Fauth%2Fauthorize/);
  leads(await guest.get(login), "/setup");
  leads(await (await setUp(mesh)).get(link), /^\/consent/);
  const page = await guest.get(login);
  assert.equal(page.headers.get("cross-origin-opener-policy"), "unsafe-none");
  const next = new URLSearchParams(login.split("?")[1]).get("next") ?? "";
  const { email, password } = owner;
  assert.equal(leads(await guest.post("/login", { email, password, next }), /authorize/), link);
  leads(await guest.get(link), /^\/consent/);
});

onMesh("who belongs to no organization has nothing to give", async (mesh) => {
  const person = await mesh.organization();
  await mesh.services.db.deleteFrom("members").execute();
  const visitor = await signedIn(mesh, person);
  leads(await visitor.get(await linkFor(mesh)), /^https:\/\/client\.example\/callback\?error=access_denied/);
});
