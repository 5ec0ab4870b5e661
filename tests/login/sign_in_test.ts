import assert from "node:assert/strict";
import { hashingLoad } from "../../server/login/password.ts";
import { signUp } from "../../server/login/setup.ts";
import { signIn } from "../../server/login/sign_in.ts";
import type { Services } from "../../server/services.ts";
import * as sessions from "../../server/storage/sessions.ts";
import { addUser } from "../support/accounts.ts";
import { refusal } from "../support/people.ts";
import { onServices } from "../support/services.ts";

const facts = { clientAddress: "127.0.0.1", requestId: "req_1", userAgent: null, setupToken: null };
const right = { email: "ann@example.com", password: "ann and a long phrase" };

async function setUp(services: Services) {
  return await signUp(services, { name: "Ann", ...right, organization: "Blue" }, facts);
}

onServices("the right password signs in, whatever the case of the address", async (services) => {
  const ann = await setUp(services);
  assert.deepEqual(await signIn(services, right, facts), ann);
  assert.deepEqual(await signIn(services, { ...right, email: "  ANN@Example.COM " }, facts), ann);
});

onServices("a wrong password and an unknown address cost the same and answer the same", async (services) => {
  await setUp(services);
  const passwordless = await addUser(services.db, "Magic");
  const refusals = [];
  for (const email of [right.email, "nobody@example.com", passwordless.email]) {
    const before = hashingLoad().started;
    refusals.push(await refusal(signIn(services, { email, password: "a wrong phrase" }, facts)));
    assert.equal(hashingLoad().started, before + 1, `one hash for ${email}`);
  }
  for (const { code, message, fields } of refusals) {
    assert.deepEqual({ code, message, fields }, {
      code: "unauthenticated",
      message: "Cannot sign in: the e-mail address or the password is wrong",
      fields: undefined,
    });
  }
});

onServices("repeated failures are slowed alike for known and unknown addresses", async (services) => {
  await setUp(services);
  for (
    const [email, clientAddress] of [[right.email, "192.0.2.1"], ["nobody@example.com", "192.0.2.2"]] as const
  ) {
    const attempt = () =>
      refusal(signIn(services, { email, password: "wrong" }, { ...facts, clientAddress }));
    for (let i = 0; i < 6; i++) assert.equal((await attempt()).code, "unauthenticated", email);
    // Each wait is twice as long as the one before: however slow the machine is, one of them is met.
    for (let before = hashingLoad().started;; before = hashingLoad().started) {
      const { code, retryAfterSeconds } = await attempt();
      if (code !== "rate_limited") continue;
      assert.ok((retryAfterSeconds ?? 0) >= 1);
      assert.equal(hashingLoad().started, before, "a slowed attempt costs no hash");
      break;
    }
  }
});

onServices("the right password waits too while its address is slowed", async (services) => {
  await setUp(services);
  for (let i = 0; i < 6; i++) await refusal(signIn(services, { ...right, password: "wrong" }, facts));
  await services.db.updateTable("throttles").set({ blocked_until: Date.now() + 60_000 }).execute();
  assert.equal((await refusal(signIn(services, right, facts))).code, "rate_limited");
});

onServices("a success starts the address anew", async (services) => {
  await setUp(services);
  const fail = async () => (await refusal(signIn(services, { ...right, password: "wrong" }, facts))).code;
  for (let round = 0; round < 2; round++) {
    for (let i = 0; i < 4; i++) assert.equal(await fail(), "unauthenticated");
    await signIn(services, right, facts);
  }
});

onServices("what is missing is said field by field", async (services) => {
  await setUp(services);
  const error = await refusal(signIn(services, { email: " " }, facts));
  assert.deepEqual(error.fields, { email: "E-mail is required", password: "Password is required" });
  for (
    const input of [null, [], "x", { ...right, password: "x".repeat(1025) }, { ...right, email: ["x"] }, {
      ...right,
      email: "a\0@b",
    }]
  ) {
    assert.equal((await refusal(signIn(services, input, facts))).code, "invalid");
  }
});

onServices(
  "e-mail and password can be turned off",
  async (services) => assert.equal((await refusal(signIn(services, right, facts))).code, "forbidden"),
  { auth: { emailAndPassword: { enabled: false } } },
);

onServices("a sign-in clears away what has expired", async (services) => {
  const ann = await setUp(services);
  const old = { userId: ann.id, activeOrganizationId: null, userAgent: null, createdAt: 1, expiresAt: 2 };
  await sessions.insert(services.db, { ...old, tokenHash: "old" });
  await services.db.insertInto("throttles").values({
    id: "old",
    failures: 3,
    blocked_until: 5,
    updated_at: 5,
  })
    .execute();
  await signIn(services, right, facts);
  const left = await services.db.selectFrom("sessions").select("token_hash").execute();
  assert.deepEqual(left, []);
  const counters = await services.db.selectFrom("throttles").select("id").execute();
  assert.ok(!counters.some((row) => row.id === "old"));
});

onServices("every sign-in is recorded, success or failure, without the password", async (services) => {
  const ann = await setUp(services);
  await signIn(services, right, facts);
  await refusal(signIn(services, { ...right, password: "a wrong phrase" }, facts));
  await refusal(signIn(services, { email: "nobody@example.com", password: "a wrong phrase" }, facts));
  await services.audit.flush();
  const logged = await services.db.selectFrom("audit_log").selectAll().where("method", "=", "auth/sign-in")
    .execute();
  const [organization] = await services.db.selectFrom("organizations").select("id").execute();
  const shown = logged.map((row) =>
    [row.outcome, row.user_id, row.organization_id, row.connection_id].join(" ")
  );
  assert.deepEqual(
    shown.sort(),
    [
      `denied   self`,
      `denied ${ann.id} ${organization?.id} self`,
      `ok ${ann.id} ${organization?.id} self`,
    ].sort(),
  );
  assert.ok(!JSON.stringify(logged).includes("phrase"));
});
