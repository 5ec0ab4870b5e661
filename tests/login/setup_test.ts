import assert from "node:assert/strict";
import { loadConfig } from "../../server/config.ts";
import { AppError } from "../../server/errors.ts";
import { hashingLoad } from "../../server/login/password.ts";
import { asksForSetupToken, isSetUp, newSetupToken, signUp } from "../../server/login/setup.ts";
import type { Services } from "../../server/services.ts";
import * as organizations from "../../server/storage/organizations.ts";
import * as users from "../../server/storage/users.ts";
import { onEachDatabase } from "../support/databases.ts";
import { withServerElsewhere } from "../support/elsewhere.ts";
import { onServices, withServices } from "../support/services.ts";

const facts = { clientAddress: "127.0.0.1", requestId: "req_1", userAgent: null, setupToken: null };

function person(name: string, more: Record<string, unknown> = {}) {
  return { name, email: `${name}@Example.com`, password: `${name} and a long phrase`, ...more };
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return "ok";
  } catch (error) {
    assert.ok(error instanceof AppError, String(error));
    return error.code;
  }
}

async function rows(services: Services) {
  const all = await services.db.selectFrom("users").select("email").execute();
  const tenants = await services.db.selectFrom("organizations").select(["name", "slug"]).execute();
  return { emails: all.map((row) => row.email).sort(), organizations: tenants.map((row) => ({ ...row })) };
}

onServices(
  "the first account owns the installation and an organization; then sign-up is closed",
  async (services) => {
    assert.equal(await isSetUp(services.db), false);
    const ann = await signUp(
      services,
      person(" Ann ", { email: " Ann@Example.com", organization: "Blue & Söhne" }),
      facts,
    );
    assert.deepEqual([ann.name, ann.email], ["Ann", "ann@example.com"]);
    assert.equal(await isSetUp(services.db), true);
    const [organization] = await organizations.listOfUser(services.db, ann.id);
    assert.deepEqual([organization?.name, organization?.slug, organization?.roles], [
      "Blue & Söhne",
      "blue-sohne",
      ["owner"],
    ]);
    const before = hashingLoad().started;
    assert.equal(await codeOf(signUp(services, person("bob"), facts)), "forbidden");
    assert.equal(hashingLoad().started, before, "a refused sign-up costs no hash");
    assert.deepEqual((await rows(services)).emails, ["ann@example.com"]);
  },
);

onServices("without its name the organization is called after the person", async (services) => {
  await signUp(services, person("李"), facts);
  assert.deepEqual((await rows(services)).organizations, [
    { name: "李's organization", slug: "s-organization" },
  ]);
});

onServices("what is missing or wrong is said field by field", async (services) => {
  const input = { name: " ", email: "nobody", password: "short", organization: "x".repeat(201) };
  await assert.rejects(signUp(services, input, facts), (error) => {
    assert.ok(error instanceof AppError && error.code === "invalid");
    assert.equal(error.message, "Cannot create the account: name is required");
    assert.deepEqual(error.fields, {
      name: "Name is required",
      email: "E-mail must be an address such as ann@example.com",
      password: "Password must have at least 8 characters",
      organization: "Organization must have at most 200 characters",
    });
    return true;
  });
  for (
    const input of [
      null,
      [],
      "text",
      {},
      person("a", { password: "" }),
      person("a", { email: "" }),
      person("a\0b"),
    ]
  ) {
    assert.equal(await codeOf(signUp(services, input, facts)), "invalid");
  }
  assert.equal(await isSetUp(services.db), false);
});

onServices(
  "with sign-up open others get an account and an organization of their own",
  async (services) => {
    await signUp(services, person("ann", { organization: "Blue" }), facts);
    const bob = await signUp(services, person("bob", { organization: "blue" }), facts);
    const joined = await organizations.listOfUser(services.db, bob.id);
    assert.match(joined.map((one) => one.slug).join(), /^blue-[0-9a-f]{8}$/, "the slug was taken");
    await signUp(services, person("cid"), facts);
    assert.equal(
      await codeOf(signUp(services, person("bob", { email: "BOB@example.com" }), facts)),
      "conflict",
    );
    assert.equal((await rows(services)).organizations.length, 3, "a refused account leaves nothing");
  },
  { auth: { emailAndPassword: { allowSignUp: true } } },
);

onServices(
  "without automatic organizations only the owner, and who names one, gets one",
  async (services) => {
    const made = [];
    for (const input of [person("ann"), person("bob"), person("cid", { organization: "Cids" })]) {
      const user = await signUp(services, input, facts);
      made.push((await organizations.listOfUser(services.db, user.id)).map((one) => one.name));
    }
    assert.deepEqual(made, [["ann's organization"], [], ["Cids"]]);
  },
  { auth: { emailAndPassword: { allowSignUp: true }, autoCreateOrganizationOnSignup: false } },
);

onServices(
  "e-mail and password can be turned off",
  async (services) => assert.equal(await codeOf(signUp(services, person("ann"), facts)), "forbidden"),
  { auth: { emailAndPassword: { enabled: false, allowSignUp: true } } },
);

onServices(
  "a server that others reach asks for the token that it printed",
  async (services) => {
    assert.equal(asksForSetupToken(services.config), true);
    const setupToken = newSetupToken();
    const asked = { ...facts, setupToken };
    const wrong = [undefined, "", `${setupToken}x`, setupToken.slice(1), newSetupToken()];
    for (const given of wrong) {
      const attempt = signUp(services, person("eve", { setupToken: given }), asked);
      assert.equal(await codeOf(attempt), "forbidden", String(given));
    }
    const unasked = signUp(services, person("eve", { setupToken: "" }), facts);
    assert.equal(await codeOf(unasked), "forbidden", "a process that printed none takes none");
    assert.equal(await isSetUp(services.db), false);
    const ann = await signUp(services, person("ann", { setupToken }), asked);
    assert.ok(await users.find(services.db, ann.id));
  },
  { env: { HOST: "0.0.0.0" } },
);

Deno.test("a server behind a proxy is one that others reach", () => {
  const asks = (env: Record<string, string>) =>
    asksForSetupToken(loadConfig({ env: (name) => env[name], readFile: () => null }));
  assert.equal(asks({}), false);
  assert.equal(asks({ HOST: "::1", BASE_URL: "http://127.0.0.1:8000/mesh" }), false);
  assert.equal(asks({ BASE_URL: "https://mesh.example.com" }), true);
  assert.equal(asks({ HOST: "localhost", BASE_URL: "http://mesh.internal/team" }), true);
  assert.equal(asks({ TRUST_PROXY: "true" }), true);
});

onServices(
  "guessing the setup token is slowed",
  async (services) => {
    const guess = () =>
      codeOf(signUp(services, person("eve", { setupToken: "x" }), { ...facts, setupToken: "y" }));
    const answers = new Set<string>();
    for (let i = 0; i < 30; i++) answers.add(await guess());
    assert.deepEqual([...answers], ["forbidden", "rate_limited"]);
  },
  { env: { HOST: "0.0.0.0" } },
);

onEachDatabase("of many setups at once, on two servers, exactly one wins", async (_t, url) => {
  await withServices(url, async (services) => {
    await withServerElsewhere(services, async (ask) => {
      const there = ask({ name: "signUp", input: person("elsewhere"), facts });
      const names = ["ann", "bob", "cid"];
      const here = await Promise.all(names.map((name) => codeOf(signUp(services, person(name), facts))));
      const outcome = await there;
      const codes = [...here, outcome.error?.code ?? "ok"];
      assert.deepEqual(codes.sort(), ["forbidden", "forbidden", "forbidden", "ok"], outcome.error?.message);
      const { emails, organizations } = await rows(services);
      assert.equal(emails.length, 1);
      assert.equal(organizations.length, 1);
    });
  });
});

onServices("sign-ups are recorded, without the password", async (services) => {
  const ann = await signUp(services, person("ann", { organization: "Blue" }), {
    ...facts,
    userAgent: "a browser",
  });
  await services.audit.flush();
  const logged = await services.db.selectFrom("audit_log").selectAll().execute();
  const [organization] = await organizations.listOfUser(services.db, ann.id);
  assert.deepEqual(
    logged.map((
      row,
    ) => [row.method, row.connection_id, row.outcome, row.organization_id, row.user_id, row.user_agent]),
    [["auth/sign-up", "self", "ok", organization?.id, ann.id, "a browser"]],
  );
  assert.ok(!JSON.stringify(logged).includes("long phrase"));
});
