import assert from "node:assert/strict";
import { Hono } from "hono";
import { hashToken } from "../../server/access/identify.ts";
import { authApi } from "../../server/login/auth_api.ts";
import type { Services } from "../../server/services.ts";
import * as sessions from "../../server/storage/sessions.ts";
import { addMember, addOrganization } from "../support/accounts.ts";
import { onServices, type TestSettings } from "../support/services.ts";

const owner = {
  name: "Ann",
  email: "ann@example.com",
  password: "ann and a long phrase",
  organization: "Blue",
};

/** A client of the endpoints that keeps its cookie as a browser does. */
class Browser {
  cookie = "";
  readonly #app: Hono;

  constructor(services: Services, setupToken: string | null = null) {
    const facts = () => ({ clientAddress: "127.0.0.1", requestId: "req_1", userAgent: null });
    this.#app = new Hono().route("/api/auth", authApi(services, { setupToken, facts }));
  }

  async send(path: string, init: RequestInit & { headers?: Record<string, string> } = {}): Promise<Response> {
    const headers = { ...this.cookie && { cookie: this.cookie }, ...init.headers };
    const response = await this.#app.request(`/api/auth${path}`, { ...init, headers });
    const set = response.headers.get("set-cookie");
    if (set) this.cookie = set.split(";")[0] ?? "";
    return response;
  }

  post(path: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
    return this.send(path, {
      method: "POST",
      body: JSON.stringify(body),
      headers: { "content-type": "application/json", ...headers },
    });
  }
}

function onBrowser(
  name: string,
  fn: (browser: Browser, services: Services) => Promise<void>,
  settings?: TestSettings,
): void {
  onServices(name, (services) => fn(new Browser(services), services), settings);
}

onBrowser("an account from sign-up to sign-out", async (browser) => {
  const signedUp = await browser.post("/sign-up/email", owner);
  assert.equal(signedUp.status, 200);
  assert.match(
    signedUp.headers.get("set-cookie") ?? "",
    /^mesh_session=[\w-]{43}; Max-Age=604800; Path=\/; HttpOnly; SameSite=Lax$/,
  );
  assert.equal(signedUp.headers.get("cache-control"), "no-store");
  const body = await signedUp.json();
  assert.deepEqual(body.user, { id: body.user.id, name: "Ann", email: "ann@example.com", image: null });
  assert.deepEqual(await (await browser.send("/get-session")).json(), body);
  const list = await (await browser.send("/organization/list")).json();
  assert.deepEqual(
    list.map((one: { name: string; slug: string; role: string[] }) => [one.name, one.slug, one.role]),
    [
      ["Blue", "blue", ["owner"]],
    ],
  );
  assert.equal(body.session.activeOrganizationId, list[0].id);

  const held = browser.cookie;
  const out = await browser.send("/sign-out", { method: "POST" });
  assert.equal(out.status, 200);
  assert.match(out.headers.get("set-cookie") ?? "", /^mesh_session=; Max-Age=0; Path=\//);
  browser.cookie = held;
  assert.equal(await (await browser.send("/get-session")).json(), null, "the token itself has ended");
  assert.equal((await browser.send("/organization/list")).status, 401);

  assert.equal((await browser.post("/sign-in/email", owner)).status, 200);
  assert.equal((await (await browser.send("/get-session")).json()).user.name, "Ann");
  assert.equal((await browser.post("/sign-up/email", { ...owner, email: "eve@example.com" })).status, 403);
});

onBrowser("no answer holds what could take a session over", async (browser, services) => {
  const responses = [await browser.post("/sign-up/email", owner), await browser.send("/get-session")];
  const token = browser.cookie.split("=")[1] ?? "";
  for (const response of responses) {
    const text = await response.text();
    for (const secret of [token, hashToken(token), owner.password, "password"]) {
      assert.ok(!text.includes(secret));
    }
  }
  assert.ok(await sessions.find(services.db, hashToken(token), Date.now()));
  assert.equal(await sessions.find(services.db, token, Date.now()), null, "the token is stored as its hash");
});

onBrowser(
  "a session that was planted before signing in is not the one after it",
  async (browser, services) => {
    await browser.post("/sign-up/email", owner);
    const before = browser.cookie;
    await browser.post("/sign-in/email", owner);
    assert.notEqual(browser.cookie, before);
    const planted = before.split("=")[1] ?? "";
    assert.equal(await sessions.find(services.db, hashToken(planted), Date.now()), null);

    const made = `mesh_session=${"A".repeat(43)}`;
    browser.cookie = made;
    await browser.post("/sign-in/email", owner);
    assert.notEqual(browser.cookie, made);
    assert.equal(await sessions.find(services.db, hashToken("A".repeat(43)), Date.now()), null);
  },
);

onBrowser(
  "under https the cookie is bound to the host and secure",
  async (_, services) => {
    const browser = new Browser(services, "mesh_setup_of_this_start");
    const setupToken = "mesh_setup_of_this_start";
    const response = await browser.post("/sign-up/email", { ...owner, setupToken });
    assert.match(
      response.headers.get("set-cookie") ?? "",
      /^__Host-mesh_session=[\w-]{43}; Max-Age=604800; Path=\/; HttpOnly; Secure; SameSite=Lax$/,
    );
  },
  { env: { BASE_URL: "https://mesh.example.com" } },
);

onBrowser("other sites cannot post, with or without the cookie", async (browser) => {
  await browser.post("/sign-up/email", owner);
  const foreign: Record<string, string>[] = [
    { "sec-fetch-site": "cross-site" },
    { "sec-fetch-site": "same-site" },
    { origin: "https://evil.example" },
    { origin: "null" },
    { "sec-fetch-site": "same-origin", origin: "http://evil.example:3000" },
  ];
  for (const headers of foreign) {
    for (const path of ["/sign-up/email", "/sign-in/email", "/sign-out", "/organization/set-active"]) {
      const response = await browser.post(path, owner, headers);
      assert.equal(response.status, 403, `${path} ${JSON.stringify(headers)}`);
      assert.equal((await response.json()).code, "forbidden");
    }
  }
  assert.equal((await (await browser.send("/get-session")).json()).user.name, "Ann", "nobody was signed out");
  const own = await browser.post("/sign-in/email", owner, {
    origin: "http://localhost:3000",
    "sec-fetch-site": "same-origin",
  });
  assert.equal(own.status, 200);
});

onBrowser("only JSON of a bounded size is read", async (browser, services) => {
  const url = "/sign-in/email";
  const form = new URLSearchParams({ email: owner.email, password: owner.password });
  const cases: [init: RequestInit & { headers?: Record<string, string> }, status: number, code: string][] = [
    [{ body: form }, 415, "unsupported_media_type"],
    [{ body: "{}", headers: { "content-type": "text/plain" } }, 415, "unsupported_media_type"],
    [{ body: "{", headers: { "content-type": "application/json" } }, 400, "malformed"],
    [{ body: "", headers: { "content-type": "application/json" } }, 400, "malformed"],
    [{ body: "[]", headers: { "content-type": "application/json; charset=utf-8" } }, 422, "invalid"],
    [{ body: "null", headers: { "content-type": "application/json" } }, 422, "invalid"],
    [{ body: `"${"x".repeat(70_000)}"`, headers: { "content-type": "application/json" } }, 413, "too_large"],
  ];
  for (const [init, status, code] of cases) {
    const response = await browser.send(url, { method: "POST", ...init });
    assert.equal(response.status, status, String(init.body).slice(0, 20));
    assert.equal((await response.json()).code, code);
  }
  const rows = await services.db.selectFrom("sessions").selectAll().execute();
  assert.deepEqual(rows, []);
});

onBrowser("what is wrong is answered with code, message and fields", async (browser) => {
  const short = await browser.post("/sign-up/email", { ...owner, password: "short" });
  assert.equal(short.status, 422);
  assert.deepEqual(await short.json(), {
    code: "invalid",
    message: "Cannot create the account: password must have at least 8 characters",
    fields: { password: "Password must have at least 8 characters" },
  });
  await browser.post("/sign-up/email", owner);
  const wrong = await browser.post("/sign-in/email", { ...owner, password: "a wrong phrase" });
  assert.equal(wrong.status, 401);
  assert.equal(wrong.headers.get("set-cookie"), null);
  assert.deepEqual(await wrong.json(), {
    code: "unauthenticated",
    message: "Cannot sign in: the e-mail address or the password is wrong",
  });
});

onBrowser("repeated failures are answered 429 with the seconds to wait", async (browser, services) => {
  await browser.post("/sign-up/email", owner);
  const fail = () => browser.post("/sign-in/email", { email: "nobody@example.com", password: "x" });
  assert.equal((await fail()).status, 401);
  await services.db.updateTable("throttles").set({ blocked_until: Date.now() + 60_000 }).execute();
  const slowed = await fail();
  assert.equal(slowed.status, 429);
  assert.match(slowed.headers.get("retry-after") ?? "", /^[1-9]\d*$/);
  assert.equal((await slowed.json()).code, "rate_limited");
});

onBrowser("the active organization is one of one's own", async (browser, services) => {
  const { user } = await (await browser.post("/sign-up/email", owner)).json();
  const second = await addOrganization(services.db, "Second");
  await addMember(services.db, second.id, { userId: user.id, roles: ["user"] });
  const foreign = await addOrganization(services.db, "Foreign");
  const chosen = await browser.post("/organization/set-active", { organizationId: second.id });
  assert.equal(chosen.status, 200);
  assert.equal((await chosen.json()).session.activeOrganizationId, second.id);
  const active = async () => (await (await browser.send("/get-session")).json()).session.activeOrganizationId;
  assert.equal(await active(), second.id);
  for (const organizationId of [foreign.id, "org_none"]) {
    const response = await browser.post("/organization/set-active", { organizationId });
    assert.equal(response.status, 404, organizationId);
  }
  for (const body of [{}, { organizationId: `${second.id} ` }, { organizationId: "\0" }]) {
    assert.equal((await browser.post("/organization/set-active", body)).status, 422);
  }
  assert.equal(await active(), second.id);
  browser.cookie = "";
  assert.equal((await browser.post("/organization/set-active", { organizationId: second.id })).status, 401);
  assert.equal(await (await browser.send("/get-session")).json(), null);
});

onBrowser(
  "an expired session is none; one in its later life gets a fresh cookie",
  async (browser, services) => {
    await browser.post("/sign-up/email", owner);
    const hash = hashToken(browser.cookie.split("=")[1] ?? "");
    const endAt = (expiresAt: number) =>
      services.db.updateTable("sessions").set({ expires_at: expiresAt }).where("token_hash", "=", hash)
        .execute();
    assert.equal((await browser.send("/get-session")).headers.get("set-cookie"), null);
    await endAt(Date.now() + 60_000);
    const extended = await browser.send("/get-session");
    assert.match(extended.headers.get("set-cookie") ?? "", /Max-Age=604800/);
    assert.ok(Date.parse((await extended.json()).session.expiresAt) > Date.now() + 6 * 24 * 3600_000);
    await endAt(Date.now());
    assert.equal(await (await browser.send("/get-session")).json(), null);
  },
);

onServices(
  "setting up a server that others reach takes the printed token",
  async (services) => {
    const browser = new Browser(services, "mesh_setup_of_this_start");
    const refused = await browser.post("/sign-up/email", owner);
    assert.equal(refused.status, 403);
    assert.deepEqual((await refused.json()).fields, { setupToken: "Setup token is wrong" });
    const setupToken = "mesh_setup_of_this_start";
    assert.equal((await browser.post("/sign-up/email", { ...owner, setupToken })).status, 200);
  },
  { env: { HOST: "0.0.0.0" } },
);
