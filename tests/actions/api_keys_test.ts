import assert from "node:assert/strict";
import type { Actor } from "../../server/access/actor.ts";
import { hashToken, Identities } from "../../server/access/identify.ts";
import { readOnlyManagement } from "../../server/access/roles.ts";
import { createApiKey, deleteApiKey, listApiKeys, updateApiKey } from "../../server/actions/api_keys.ts";
import type { Services } from "../../server/services.ts";
import { openDatabase } from "../../server/storage/database.ts";
import * as organizations from "../../server/storage/organizations.ts";
import { addConnection } from "../support/connections.ts";
import { onEachDatabase } from "../support/databases.ts";
import { company, keyOf, refusal, run } from "../support/people.ts";
import { onServices, withServices } from "../support/services.ts";

const create = (services: Services, actor: Actor, input: unknown) =>
  run(services, actor, { action: createApiKey, input });
const update = (services: Services, actor: Actor, input: unknown) =>
  run(services, actor, { action: updateApiKey, input });
const names = async (services: Services, actor: Actor) =>
  (await run(services, actor, { action: listApiKeys })).items.map((item) => item.name);

onServices("a key is shown once, stored as its hash, and works", async (services) => {
  const { organization, user } = await company(services, "Blue");
  const before = Date.now();
  const made = await create(services, user, { name: " CI ", expiresIn: 3600, metadata: { team: "blue" } });
  assert.match(made.key, /^mesh_key_[\w-]{43}$/);
  assert.deepEqual(made.permissions, readOnlyManagement);
  assert.equal(made.name, "CI");
  const expiry = Date.parse(made.expiresAt ?? "");
  assert.ok(expiry >= before + 3600_000 && expiry <= Date.now() + 3600_000);

  const { items } = await run(services, user, { action: listApiKeys });
  assert.deepEqual(items, [{
    id: made.id,
    name: "CI",
    userId: user.userId,
    ownerName: "Blue-user",
    permissions: readOnlyManagement,
    metadata: { team: "blue" },
    expiresAt: made.expiresAt,
    lastUsedAt: null,
    createdAt: made.createdAt,
    updatedAt: made.createdAt,
  }]);
  const row = await services.db.selectFrom("api_keys").selectAll().executeTakeFirstOrThrow();
  assert.equal(row.key_hash, hashToken(made.key));
  await services.audit.flush();
  const everything = JSON.stringify([row, await services.db.selectFrom("audit_log").selectAll().execute()]);
  assert.ok(!everything.includes(made.key), "neither the table nor the log holds the secret");

  const actor = await services.identities.byBearer(made.key);
  assert.deepEqual([actor?.keyId, actor?.organizationId, actor?.userId], [
    made.id,
    organization.id,
    user.userId,
  ]);
});

onServices("the power of a key is said when it is made, and may name what exists only", async (services) => {
  const { organization, user } = await company(services, "Blue");
  const other = await company(services, "Red");
  await addConnection(services.db, organization.id, { id: "conn_own", url: "http://127.0.0.1:9/mcp" });
  await addConnection(services.db, other.organization.id, {
    id: "conn_foreign",
    url: "http://127.0.0.1:9/mcp",
  });
  const good = {
    self: ["*_GET"],
    conn_own: ["read", "prompt:*"],
    "conn_*": ["x"],
    "gw_*": ["x"],
    "*": ["y"],
  };
  assert.deepEqual((await create(services, user, { name: "k", permissions: good })).permissions, good);
  assert.deepEqual((await create(services, user, { name: "none", permissions: {} })).permissions, {});
  for (const resource of ["conn_foreign", "conn_none", "gw_none"]) {
    const error = await refusal(create(services, user, { name: "k", permissions: { [resource]: ["*"] } }));
    assert.equal(error.code, "invalid");
    assert.match(error.fields?.permissions ?? "", new RegExp(`has no (connection|gateway) '${resource}'`));
  }
});

onServices("what is malformed or too large is refused field by field", async (services) => {
  const { user } = await company(services, "Blue");
  const bad: [field: string, value: unknown][] = [
    ["name", ""],
    ["name", "x".repeat(201)],
    ["name", "a\nb"],
    ["expiresIn", 0],
    ["expiresIn", -1],
    ["expiresIn", 1.5],
    ["expiresIn", 1e12],
    ["expiresIn", "60"],
    ["permissions", []],
    ["permissions.self", { self: "*" }],
    ["permissions.self.0", { self: [""] }],
    ["permissions.self", { self: Array(1001).fill("a") }],
    ["permissions.self", { self: Array(101).fill("A*") }],
    ["permissions.Self", { Self: ["*"] }],
    ["permissions.conn_", { conn_: ["*"] }],
    ["permissions.org_1", { org_1: ["*"] }],
    ["permissions", Object.fromEntries(Array.from({ length: 6000 }, (_, i) => [`conn_${i}`, ["read"]]))],
    ["permissions", Object.fromEntries(Array.from({ length: 300_000 }, (_, i) => [`z${i}`, 0]))],
    ["metadata", { a: "x".repeat(20_001) }],
    ["metadata", "text"],
  ];
  for (const [field, value] of bad) {
    const key = field.split(".")[0] ?? "";
    const error = await refusal(create(services, user, { name: "k", [key]: value }));
    assert.equal(error.code, "invalid", field);
    assert.ok(error.fields?.[field], `${field}: ${JSON.stringify(error.fields).slice(0, 200)}`);
  }
  assert.deepEqual(await names(services, user), []);
});

onServices("people look after their own keys, owners and admins after all", async (services) => {
  const { owner, admin, user } = await company(services, "Blue");
  const ofUser = await create(services, user, { name: "of user" });
  const ofOwner = await create(services, owner, { name: "of owner" });
  assert.deepEqual(await names(services, user), ["of user"]);
  assert.deepEqual((await names(services, admin)).sort(), ["of owner", "of user"]);
  for (
    const attempt of [
      update(services, user, { keyId: ofOwner.id, name: "x" }),
      run(services, user, { action: deleteApiKey, input: { keyId: ofOwner.id } }),
      update(services, admin, { keyId: "key_none", name: "x" }),
    ]
  ) {
    assert.equal((await refusal(attempt)).code, "not_found");
  }
  const renamed = await update(services, admin, { keyId: ofOwner.id, name: "renamed", metadata: { a: 1 } });
  assert.deepEqual([renamed.item.name, renamed.item.metadata], ["renamed", { a: 1 }]);
  assert.equal((await update(services, user, { keyId: ofUser.id, metadata: null })).item.metadata, null);
  const keyId = ofUser.id;
  assert.deepEqual(await run(services, admin, { action: deleteApiKey, input: { keyId } }), {
    success: true,
    keyId,
  });
  assert.equal(
    (await refusal(run(services, user, { action: deleteApiKey, input: { keyId } }))).code,
    "not_found",
  );
});

onServices("nobody widens the key of somebody else", async (services) => {
  const { owner, admin } = await company(services, "Blue");
  const { id } = await create(services, owner, {
    name: "narrow",
    permissions: { self: ["*_GET", "API_KEY_LIST"] },
  });
  const wider = await refusal(update(services, admin, { keyId: id, permissions: { self: ["*"] } }));
  assert.equal(wider.code, "forbidden");
  assert.match(wider.message, /only the person who owns it/);
  const narrower = await update(services, admin, { keyId: id, permissions: { self: ["USER_GET"] } });
  assert.deepEqual(narrower.item.permissions, { self: ["USER_GET"] });
  const own = await update(services, owner, { keyId: id, permissions: { "*": ["*"] } });
  assert.deepEqual(own.item.permissions, { "*": ["*"] });
});

onServices(
  "a key makes and changes no key that can do more or lives longer than itself",
  async (services) => {
    const { owner } = await company(services, "Blue");
    const end = Date.now() + 3600_000;
    const key = await keyOf(services, owner, {
      permissions: { self: ["API_KEY_*", "*_GET"] },
      expiresAt: end,
    });
    const wanted = { self: ["USER_GET"] };
    for (
      const input of [
        { name: "k" }, // the default also reads lists
        { name: "k", permissions: { self: ["*"] } },
        { name: "k", permissions: { "*": ["*"] } },
        { name: "k", permissions: { "conn_*": ["read"] } },
        { name: "k", permissions: wanted, expiresIn: 7200 },
      ]
    ) {
      assert.equal((await refusal(create(services, key, input))).code, "forbidden", JSON.stringify(input));
    }
    const made = await create(services, key, { name: "k", permissions: wanted });
    assert.equal(made.expiresAt, new Date(end).toISOString(), "it ends with its maker");
    const sooner = await create(services, key, { name: "k", permissions: wanted, expiresIn: 60 });
    assert.ok(Date.parse(sooner.expiresAt ?? "") < end);
    for (const keyId of [made.id, key.keyId]) {
      const error = await refusal(update(services, key, { keyId, permissions: { self: ["*"] } }));
      assert.equal(error.code, "forbidden");
    }
    const endless = await keyOf(services, owner, { permissions: { self: ["API_KEY_*"] } });
    const child = await create(services, endless, { name: "k", permissions: { self: ["API_KEY_LIST"] } });
    assert.equal(child.expiresAt, null);
    const timed = await create(services, endless, { name: "k", permissions: {}, expiresIn: 60 });
    assert.notEqual(timed.expiresAt, null);
  },
);

onServices("a key without the permission manages no keys", async (services) => {
  const { owner } = await company(services, "Blue");
  const key = await keyOf(services, owner);
  const error = await refusal(create(services, key, { name: "k" }));
  assert.equal(error.code, "forbidden");
  assert.match(error.message, /'API_KEY_CREATE' on 'self'/);
  assert.deepEqual(await names(services, key), ["a key"]);
});

onEachDatabase(
  "what is changed of a key holds at the next request here, and within a second elsewhere",
  async (_t, url) => {
    await withServices(url, async (services) => {
      const { user } = await company(services, "Blue");
      const { id, key } = await create(services, user, { name: "k", permissions: { self: ["USER_GET"] } });
      const db = await openDatabase(url, 2);
      const elsewhere = new Identities({ db });
      try {
        assert.ok(await services.identities.byBearer(key));
        assert.ok(await elsewhere.byBearer(key));
        await update(services, user, { keyId: id, permissions: {} });
        assert.deepEqual((await services.identities.byBearer(key))?.limits, {});
        await run(services, user, { action: deleteApiKey, input: { keyId: id } });
        const revoked = performance.now();
        assert.equal(await services.identities.byBearer(key), null);
        for (;;) {
          const asked = performance.now();
          if (await elsewhere.byBearer(key) === null) break;
          assert.ok(asked - revoked < 1000, "a revoked key was taken after a second");
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
        await elsewhere.idle();
      } finally {
        await db.destroy();
      }
    });
  },
);

onEachDatabase(
  "a key that is made while its owner is removed does not outlive the removal",
  async (_t, url) => {
    await withServices(url, async (services) => {
      const { organization, user } = await company(services, "Blue");
      const members = await import("../../server/storage/members.ts");
      const removal = organizations.withLock(services.db, organization.id, async (db) => {
        const member = await members.find(db, organization.id, user.memberId);
        assert.ok(member);
        await members.remove(db, organization.id, member);
      });
      const creation = create(services, user, { name: "late" });
      const [removed, created] = await Promise.allSettled([removal, creation]);
      assert.equal(removed.status, "fulfilled");
      const left = await services.db.selectFrom("api_keys").select("id").execute();
      assert.deepEqual(left, [], created.status);
    });
  },
);
