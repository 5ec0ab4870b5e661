import assert from "node:assert/strict";
import { safeNext } from "../../server/visit.ts";
import { leads, onMesh, owner, setUp, Visitor } from "./support.ts";

onMesh("setup: every page leads there while nobody owns the mesh, and never again", async (mesh) => {
  const visitor = new Visitor(mesh.url);
  for (const path of ["/", "/login", "/connections?q=x", "/activity/log_1", "/settings"]) {
    leads(await visitor.get(path), "/setup");
  }
  assert.equal((await visitor.get("/setup")).status, 200);
  leads(await visitor.post("/setup", owner), "/");
  assert.match((await visitor.get("/")).text, /Northwind/);
  const second = new Visitor(mesh.url);
  leads(await second.get("/setup"), "/login");
  await second.get("/login");
  leads(await second.post("/setup", { ...owner, email: "eve@example.com" }), "/login");
});

onMesh("setup: what is wrong is said at its field, and nothing is made", async (mesh) => {
  const visitor = new Visitor(mesh.url);
  await visitor.get("/setup");
  const cases: [Record<string, string>, RegExp][] = [
    [{ name: "" }, /Name is required/],
    [{ email: "ann" }, /E-mail must be an address/],
    [{ password: "short" }, /Password must have at least 8 characters/],
  ];
  for (const [change, message] of cases) {
    const answer = await visitor.post("/setup", { ...owner, ...change });
    assert.equal(answer.status, 422);
    assert.match(answer.text, message);
    assert.match(answer.html, /aria-invalid="true"/);
    assert.match(answer.html, /value="Northwind"/, "what was entered is still there");
    assert.doesNotMatch(answer.html, new RegExp(owner.password), "but no password");
  }
  leads(await visitor.get("/"), "/setup");
});

onMesh("setup: beyond this machine the token of the start is asked for", async (mesh) => {
  const visitor = new Visitor(mesh.url);
  assert.match((await visitor.get("/setup")).text, /Setup token/);
  for (const token of ["", "mesh_setup_guessed"]) {
    const answer = await visitor.post("/setup", { ...owner, token });
    assert.notEqual(answer.status, 303);
    assert.match(answer.text, /token is wrong/i);
  }
}, { HOST: "0.0.0.0" });

onMesh("sign-up: closed, the sign-in says whom to ask, and the page leads there", async (mesh) => {
  const visitor = new Visitor(mesh.url);
  leads(await visitor.get("/sign-up"), "/setup");
  const own = await setUp(mesh);
  const members = await own.get("/members");
  assert.match(members.text, /Nobody can make one while allowSignUp/);
  const signIn = await visitor.get("/login");
  assert.match(signIn.text, /Ask the owner of this installation/);
  assert.doesNotMatch(signIn.html, /sign-up/);
  leads(await visitor.get("/sign-up"), "/login");
  leads(await visitor.post("/sign-up", { ...owner, email: "eve@example.com" }), "/login");
});

onMesh("sign-up: open, people make their accounts by a form", async (mesh) => {
  const own = await setUp(mesh);
  assert.match(
    (await own.get("/members")).text,
    new RegExp(`they make it at ${mesh.services.config.baseUrl}/sign-up`),
  );
  leads(await own.get("/sign-up"), "/");
  const visitor = new Visitor(mesh.url);
  assert.match((await visitor.get("/login")).html, /href="\/sign-up"/);
  assert.match((await visitor.get("/sign-up")).text, /Left empty, none is made/);
  const bob = { name: "Bob", email: "bob@example.com", password: "a slow badger at dawn" };
  const taken = await visitor.post("/sign-up", { ...bob, email: owner.email });
  assert.equal(taken.status, 409);
  assert.match(taken.text, /This e-mail address has an account/);
  assert.doesNotMatch(taken.html, new RegExp(bob.password));
  const next = "/activity?q=x%26y";
  const wanted = new URLSearchParams({ next });
  const signIn = await visitor.get(`/login?${wanted}`);
  assert.ok(signIn.html.includes(`href="/sign-up?${wanted}"`), "who makes an account first still gets there");
  const signUp = await visitor.get(`/sign-up?${wanted}`);
  assert.ok(signUp.html.includes(`href="/login?${wanted}"`));
  leads(await visitor.post("/sign-up", { ...bob, next }), next);
  leads(await visitor.get(`/sign-up?${wanted}`), next);
  leads(await visitor.get("/sign-up?next=https://evil.example/"), "/");
  leads(await own.post("/members", { email: bob.email, role: "user" }), "/members");
  assert.match((await visitor.get("/connections")).text, /MCP servers that Northwind can call/);
}, {
  AUTH_CONFIG_PATH: "given",
  AUTH_CONFIG: JSON.stringify({
    emailAndPassword: { allowSignUp: true },
    autoCreateOrganizationOnSignup: false,
  }),
});

onMesh("sign-in: leads back to where one wanted to go, on this site alone", async (mesh) => {
  await setUp(mesh);
  const nexts: [string, string][] = [
    ["/connections?q=a&page=2", "/connections?q=a&page=2"],
    ["//evil.example/", "/"],
    ["https://evil.example/", "/"],
    ["/\\evil.example", "/"],
    ["javascript:alert(1)", "/"],
    ["/\t/evil.example", "/"],
    ["", "/"],
  ];
  for (const [next, to] of nexts) {
    const visitor = new Visitor(mesh.url);
    const page = await visitor.get(`/login?${new URLSearchParams({ next })}`);
    assert.equal(page.status, 200);
    const { email, password } = owner;
    leads(await visitor.post("/login", { email, password, next }), to);
    leads(await visitor.get(`/login?${new URLSearchParams({ next })}`), to);
  }
  const wanted = new Visitor(mesh.url);
  leads(
    await wanted.get("/activity?q=x%26y"),
    `/login?${new URLSearchParams({ next: "/activity?q=x%26y" })}`,
  );
});

Deno.test("sign-in: a path to go on with is one of this site", () => {
  for (const path of ["/", "/a?b=c", "/a//b", "/@evil.example", "/%2F/evil.example"]) {
    assert.equal(safeNext(path), path);
  }
  for (const path of ["", "a", "//x", "/\\x", "\\/x", "/\n/x", "http:x", " //x", "/a\\b"]) {
    assert.equal(safeNext(path), "", JSON.stringify(path));
  }
});

onMesh(
  "sign-in: a wrong password is told in words that tell nothing else, and the address is kept",
  async (mesh) => {
    await setUp(mesh);
    const visitor = new Visitor(mesh.url);
    await visitor.get("/login");
    const texts = [];
    for (const email of [owner.email, "nobody@example.com"]) {
      const answer = await visitor.post("/login", { email, password: "a wrong one", next: "/members" });
      assert.equal(answer.status, 422);
      assert.match(answer.text, /the e-mail address or the password is wrong/);
      assert.match(answer.html, new RegExp(`value="${email}"`));
      assert.match(answer.html, /name="next" value="\/members"/);
      assert.doesNotMatch(answer.html, /a wrong one/);
      texts.push(answer.text);
    }
    assert.equal(texts[0], texts[1]);
  },
);

onMesh("sign-in: too many failures are slowed, and the page says for how long", async (mesh) => {
  await setUp(mesh);
  const visitor = new Visitor(mesh.url);
  await visitor.get("/login");
  const attempt = () => visitor.post("/login", { email: "a@example.com", password: "x" });
  let answer = await attempt();
  for (let i = 0; i < 8 && answer.status === 422; i++) answer = await attempt();
  assert.equal(answer.status, 429);
  assert.match(answer.text, /try again in \d+ s/);
  assert.match(answer.headers.get("retry-after") ?? "", /^\d+$/);
});

onMesh("sign-in: what others fail with keeps nobody out of a browser of their own", async (mesh) => {
  const { email, password } = owner;
  const own = await setUp(mesh);
  await own.post("/logout");
  await own.get("/login");
  const other = new Visitor(mesh.url);
  await other.get("/login");
  /** Each wait is twice as long as the one before: however slow the machine is, one of them is met. */
  async function failUntilSlowed(visitor: Visitor): Promise<void> {
    for (let i = 0, status = 422; status === 422; i++) {
      assert.ok(i < 15, "it is never slowed");
      status = (await visitor.post("/login", { email, password: "x" })).status;
    }
  }
  await failUntilSlowed(other);
  await mesh.services.db.updateTable("throttles").set({ blocked_until: Date.now() + 3600_000 })
    .where("blocked_until", ">", 0).execute();
  const device = own.cookies.get("mesh_device") ?? "";
  for (const forged of ["", device.slice(0, -1), `x${device}`, `.${device.split(".")[1]}`]) {
    other.cookies.set("mesh_device", forged);
    assert.equal((await other.post("/login", { email, password })).status, 429, forged);
  }
  leads(await own.post("/login", { email: ` ${email.toUpperCase()} `, password }), "/");
  assert.equal(own.cookies.get("mesh_device"), device);
  await own.post("/logout");
  await own.get("/login");
  await failUntilSlowed(own); // it has attempts of its own, but no more than others
});

onMesh("sign-out: ends the session and nothing shows any more", async (mesh) => {
  const visitor = await setUp(mesh);
  const cookie = visitor.cookies.get("mesh_session") ?? "";
  assert.match(cookie, /^[\w-]{43}$/);
  leads(await visitor.post("/logout"), "/login");
  assert.equal(visitor.cookies.has("mesh_session"), false);
  visitor.cookies.set("mesh_session", cookie);
  leads(await visitor.get("/connections"), /^\/login/);
});

onMesh("sessions: htmx is led to the sign-in as a whole page", async (mesh) => {
  await setUp(mesh);
  const visitor = new Visitor(mesh.url);
  const answer = await visitor.get("/connections?q=x", { "hx-request": "true" });
  assert.deepEqual([answer.status, answer.html], [200, ""]);
  assert.match(answer.headers.get("hx-redirect") ?? "", /^\/login\?next=/);
});
