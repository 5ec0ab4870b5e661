import assert from "node:assert/strict";
import { apiKeyPrefix, Identities, sessionMs } from "../../server/access/identify.ts";
import type { Actor } from "../../server/access/actor.ts";
import { readOnlyManagement } from "../../server/access/roles.ts";
import { hashToken } from "../../server/access/identify.ts";
import { newSecret } from "../../server/ids.ts";
import * as apiKeys from "../../server/storage/api_keys.ts";
import { openDatabase } from "../../server/storage/database.ts";
import type { Db } from "../../server/storage/dialect.ts";
import * as members from "../../server/storage/members.ts";
import * as organizations from "../../server/storage/organizations.ts";
import * as sessions from "../../server/storage/sessions.ts";
import { addKey, addMember, addOrganization, addUser, withMigrated } from "../support/accounts.ts";
import { onEachDatabase, withDatabase } from "../support/databases.ts";

async function scene(db: Db, roles = ["user"]) {
  const ann = await addUser(db, "Ann");
  const one = await addOrganization(db, "One");
  const member = await addMember(db, one.id, { userId: ann.id, roles });
  return { ann, one, member };
}

function onSqlite(name: string, fn: (db: Db, url: string) => Promise<void>): void {
  Deno.test(name, () => withDatabase("sqlite", (url) => withMigrated(url, (db) => fn(db, url))));
}

async function addSession(db: Db, userId: string, options: Partial<sessions.SessionRow> = {}) {
  const token = newSecret("");
  const now = Date.now();
  await sessions.insert(db, {
    tokenHash: hashToken(token),
    userId,
    activeOrganizationId: null,
    userAgent: null,
    createdAt: now,
    expiresAt: now + sessionMs,
    ...options,
  });
  return token;
}

onSqlite("a key's actor carries its owner, its organization and its own limits", async (db) => {
  const { ann, one } = await scene(db, ["admin"]);
  const { id, secret } = await addKey(db, one.id, { userId: ann.id, permissions: { conn_1: ["read"] } });
  const plain = await addKey(db, one.id, { userId: ann.id });
  const identities = new Identities({ db });
  assert.deepEqual(await identities.byBearer(secret), {
    kind: "key",
    userId: ann.id,
    name: "Ann",
    email: ann.email,
    organizationId: one.id,
    roles: ["admin"],
    limits: { conn_1: ["read"] },
    keyId: id,
    clientId: null,
    resource: null,
  });
  const actor = await identities.byBearer(plain.secret);
  assert.deepEqual(actor?.limits, readOnlyManagement, "omitted permissions read the management lists only");
  await identities.idle();
});

onSqlite("what is no key is refused without asking the database", (db) => {
  const identities = new Identities({ db });
  for (
    const token of ["", "mesh_key_", "x".repeat(52), newSecret("mesh_rt_"), newSecret(apiKeyPrefix) + "x"]
  ) {
    assert.equal(identities.byBearer(token), null);
  }
  return Promise.resolve();
});

onSqlite("a known key is answered at once; a second question joins the first", async (db) => {
  const { ann, one } = await scene(db);
  const { secret } = await addKey(db, one.id, { userId: ann.id });
  const identities = new Identities({ db });
  const [first, second] = [identities.byBearer(secret), identities.byBearer(secret)];
  assert.ok(first instanceof Promise);
  assert.equal(first, second);
  const actor = await first;
  assert.equal(identities.byBearer(secret), actor);

  const unknown = newSecret(apiKeyPrefix);
  assert.equal(await identities.byBearer(unknown), null);
  assert.equal(identities.byBearer(unknown), null, "an unknown key is remembered too");
  await identities.idle();
});

onSqlite("a flood of made-up keys does not push out a real one", async (db) => {
  const { ann, one } = await scene(db);
  const { secret } = await addKey(db, one.id, { userId: ann.id });
  const identities = new Identities({ db });
  const frozen = performance.now();
  const clock = performance.now;
  performance.now = () => frozen; // the flood takes longer than an answer lives
  try {
    await identities.byBearer(secret);
    for (let i = 0; i < 1500; i++) await identities.byBearer(newSecret(apiKeyPrefix));
    assert.ok(!(identities.byBearer(secret) instanceof Promise));
  } finally {
    performance.now = clock;
  }
  await identities.idle();
});

onSqlite("a key ends exactly at its expiry, also while it is remembered", async (db) => {
  const { ann, one } = await scene(db);
  const past = await addKey(db, one.id, { userId: ann.id, expiresAt: Date.now() });
  const soon = await addKey(db, one.id, { userId: ann.id, expiresAt: Date.now() + 60_000 });
  const identities = new Identities({ db });
  assert.equal(await identities.byBearer(past.secret), null);
  assert.ok(await identities.byBearer(soon.secret));
  const clock = Date.now;
  const end = clock() + 60_000;
  try {
    Date.now = () => end;
    assert.equal(identities.byBearer(soon.secret), null);
  } finally {
    Date.now = clock;
  }
  await identities.idle();
});

onSqlite("a revoked key is refused at the next request of this process", async (db) => {
  const { ann, one } = await scene(db);
  const { id, secret } = await addKey(db, one.id, { userId: ann.id });
  const identities = new Identities({ db });
  assert.ok(await identities.byBearer(secret));
  await apiKeys.remove(db, one.id, id);
  identities.forget();
  assert.equal(await identities.byBearer(secret), null);
  await identities.idle();
});

onSqlite("a lookup that began before a revocation is not remembered after it", async (db) => {
  const { ann, one } = await scene(db);
  const { id, secret } = await addKey(db, one.id, { userId: ann.id });
  const identities = new Identities({ db });
  const early = identities.byBearer(secret);
  const removed = apiKeys.remove(db, one.id, id).then(() => identities.forget());
  await Promise.all([early, removed]);
  assert.equal(await identities.byBearer(secret), null);
  await identities.idle();
});

onEachDatabase("another process sees a revocation, a role and a removal within a second", async (_t, url) => {
  await withMigrated(url, async (db) => {
    const { ann, one, member } = await scene(db);
    const { id, secret } = await addKey(db, one.id, { userId: ann.id });
    const other = await addKey(db, one.id, { userId: ann.id });
    const elsewhere = await openDatabase(url, 2);
    const identities = new Identities({ db: elsewhere });
    /** Asks until `done`, and tells how old an answer of before the change was at most. */
    const until = async (token: string, done: (actor: Actor | null) => boolean) => {
      const changed = performance.now();
      for (;;) {
        const asked = performance.now();
        if (done(await identities.byBearer(token))) return;
        assert.ok(asked - changed < 1000, "an answer of before the change was given after a second");
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    };
    try {
      assert.ok(await identities.byBearer(secret));
      await members.updateRoles(db, one.id, { id: member.id, roles: ["admin"] });
      await until(secret, (actor) => actor?.roles[0] === "admin");
      await apiKeys.remove(db, one.id, id);
      await until(secret, (actor) => actor === null);
      assert.ok(await identities.byBearer(other.secret));
      await members.remove(db, one.id, member);
      await until(other.secret, (actor) => actor === null);
      await identities.idle();
    } finally {
      await elsewhere.destroy();
    }
  });
});

onSqlite("the use of a key is noted in the background, once a minute", async (db) => {
  const { ann, one } = await scene(db);
  const { id, secret } = await addKey(db, one.id, { userId: ann.id });
  const identities = new Identities({ db });
  const before = Date.now();
  await identities.byBearer(secret);
  await identities.idle();
  const noted = (await apiKeys.find(db, one.id, id))?.lastUsedAt ?? 0;
  assert.ok(noted >= before && noted <= Date.now());
  identities.forget();
  await identities.byBearer(secret);
  await identities.idle();
  assert.equal((await apiKeys.find(db, one.id, id))?.lastUsedAt, noted);
});

onEachDatabase(
  "a session acts in its active organization, else in the first one, else in none",
  async (_t, url) => {
    await withMigrated(url, async (db) => {
      const { ann, one, member } = await scene(db, ["owner"]);
      const two = await addOrganization(db, "Two");
      const second = await addMember(db, two.id, { userId: ann.id, roles: ["user"] });
      const foreign = await addOrganization(db, "Foreign");
      const identities = new Identities({ db });
      const token = await addSession(db, ann.id);
      const act = async () => {
        const session = await identities.bySession(token);
        return { organizationId: session?.actor.organizationId, roles: session?.actor.roles };
      };
      assert.deepEqual(await act(), { organizationId: one.id, roles: ["owner"] });
      await sessions.setActive(db, hashToken(token), two.id);
      assert.deepEqual(await act(), { organizationId: two.id, roles: ["user"] });
      await sessions.setActive(db, hashToken(token), foreign.id);
      assert.deepEqual(await act(), { organizationId: one.id, roles: ["owner"] });
      await sessions.setActive(db, hashToken(token), one.id);
      await members.remove(db, one.id, member);
      assert.deepEqual(await act(), { organizationId: two.id, roles: ["user"] });
      await members.remove(db, two.id, second);
      assert.deepEqual(await act(), { organizationId: null, roles: [] });
      assert.deepEqual((await identities.bySession(token))?.actor, {
        kind: "session",
        userId: ann.id,
        name: "Ann",
        email: ann.email,
        organizationId: null,
        roles: [],
        limits: null,
        keyId: null,
        clientId: null,
        resource: null,
      });
    });
  },
);

onSqlite("a session slides, at most once an hour, and does not outlive its end", async (db) => {
  const { ann } = await scene(db);
  const identities = new Identities({ db });
  const hour = 3600_000;
  const fresh = await addSession(db, ann.id, { expiresAt: Date.now() + sessionMs - hour / 2 });
  assert.equal((await identities.bySession(fresh))?.extended, false);
  const older = await addSession(db, ann.id, { expiresAt: Date.now() + hour });
  const session = await identities.bySession(older);
  assert.equal(session?.extended, true);
  assert.ok((session?.expiresAt ?? 0) > Date.now() + sessionMs - hour);
  assert.equal((await identities.bySession(older))?.extended, false);
  const ended = await addSession(db, ann.id, { expiresAt: Date.now() });
  assert.equal(await identities.bySession(ended), null);
  assert.equal(await identities.bySession(newSecret("")), null);
  const closed = await addSession(db, ann.id);
  await sessions.remove(db, hashToken(closed));
  assert.equal(await identities.bySession(closed), null);
});

onEachDatabase("a person acts where they belong, a key only where it belongs", async (_t, url) => {
  await withMigrated(url, async (db) => {
    const { ann, one } = await scene(db, ["owner"]);
    const two = await addOrganization(db, "Two");
    await addMember(db, two.id, { userId: ann.id, roles: ["user"] });
    const foreign = await addOrganization(db, "Foreign");
    const identities = new Identities({ db });
    const session = await identities.bySession(await addSession(db, ann.id));
    assert.ok(session);
    const there = await identities.actorIn(session.actor, two.id);
    assert.deepEqual([there?.organizationId, there?.roles], [two.id, ["user"]]);
    assert.equal(await identities.actorIn(session.actor, foreign.id), null);
    assert.equal(await identities.actorIn(session.actor, `${two.id} `), null);
    const key = await identities.byBearer((await addKey(db, one.id, { userId: ann.id })).secret);
    assert.ok(key);
    assert.equal(await identities.actorIn(key, two.id), null);
    assert.equal(await identities.actorIn(key, one.id), key);
    await organizations.remove(db, two.id);
    assert.equal(await identities.actorIn(session.actor, two.id), null);
    await identities.idle();
  });
});
