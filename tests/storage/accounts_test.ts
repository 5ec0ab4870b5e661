import assert from "node:assert/strict";
import { newId } from "../../server/ids.ts";
import { isUniqueViolation } from "../../server/storage/dialect.ts";
import * as invitations from "../../server/storage/invitations.ts";
import * as members from "../../server/storage/members.ts";
import * as organizations from "../../server/storage/organizations.ts";
import * as sessions from "../../server/storage/sessions.ts";
import * as users from "../../server/storage/users.ts";
import { addKey, addMember, addOrganization, addUser, withMigrated } from "../support/accounts.ts";
import { onEachDatabase } from "../support/databases.ts";

onEachDatabase("a person is found by id and by address, and the address is taken once", async (_t, url) => {
  await withMigrated(url, async (db) => {
    const now = 1_700_000_000_123;
    const user = {
      id: newId("usr"),
      email: "zoë@example.com",
      name: "Zoë 🙂",
      image: null,
      createdAt: now,
      updatedAt: now,
    };
    await users.insert(db, { ...user, passwordHash: "scrypt$..." });
    assert.deepEqual(await users.find(db, user.id), user);
    assert.equal(await users.find(db, `${user.id} `), null);
    assert.deepEqual(await users.findForSignIn(db, user.email), { user, passwordHash: "scrypt$..." });
    assert.equal(await users.findForSignIn(db, "zoe@example.com"), null);
    assert.equal(await users.findForSignIn(db, `${user.email} `), null);
    const twin = { ...user, id: newId("usr"), passwordHash: null };
    await assert.rejects(users.insert(db, twin), isUniqueViolation);
  });
});

onEachDatabase("two people share an organization or not", async (_t, url) => {
  await withMigrated(url, async (db) => {
    const [ann, bob] = [await addUser(db, "Ann"), await addUser(db, "Bob")];
    const [one, two] = [await addOrganization(db, "One"), await addOrganization(db, "Two")];
    await addMember(db, one.id, { userId: ann.id, roles: ["user"] });
    await addMember(db, two.id, { userId: bob.id, roles: ["user"] });
    assert.equal(await users.shareOrganization(db, [ann.id, bob.id]), false);
    await addMember(db, two.id, { userId: ann.id, roles: ["user"] });
    assert.equal(await users.shareOrganization(db, [ann.id, bob.id]), true);
    assert.equal(await users.shareOrganization(db, [ann.id, bob.id], two.id), true);
    assert.equal(await users.shareOrganization(db, [ann.id, bob.id], one.id), false);
  });
});

onEachDatabase("a session is kept until its end", async (_t, url) => {
  await withMigrated(url, async (db) => {
    const ann = await addUser(db, "Ann");
    const session = {
      tokenHash: "h1",
      userId: ann.id,
      activeOrganizationId: null,
      userAgent: "agent",
      createdAt: 1000,
      expiresAt: 2000,
    };
    await sessions.insert(db, session);
    await sessions.insert(db, { ...session, tokenHash: "h2", expiresAt: 9000 });
    const user = { name: "Ann", email: ann.email, image: null };
    assert.deepEqual(await sessions.find(db, "h1", 1999), { ...session, user });
    assert.equal(await sessions.find(db, "h1", 2000), null);
    assert.equal(await sessions.extend(db, "h1", { now: 2000, expiresAt: 5000 }), false);
    assert.equal(await sessions.extend(db, "h1", { now: 1999, expiresAt: 5000 }), true);
    await sessions.setActive(db, "h1", "org_1");
    assert.equal((await sessions.find(db, "h1", 4999))?.activeOrganizationId, "org_1");
    assert.equal((await sessions.find(db, "h2", 4999))?.activeOrganizationId, null);
    await sessions.removeExpired(db, 5000);
    assert.equal(await sessions.find(db, "h1", 0), null);
    assert.ok(await sessions.find(db, "h2", 0));
    await sessions.remove(db, "h2");
    assert.equal(await sessions.find(db, "h2", 0), null);
  });
});

onEachDatabase(
  "an organization is changed, its slug is taken once, its settings are kept",
  async (_t, url) => {
    await withMigrated(url, async (db) => {
      const [one, two] = [await addOrganization(db, "One"), await addOrganization(db, "Two")];
      assert.deepEqual(await organizations.find(db, one.id), one);
      assert.equal(await organizations.isSlugTaken(db, one.slug), true);
      assert.equal(await organizations.isSlugTaken(db, "free"), false);
      const changes = { slug: "new-slug", description: "ü" };
      assert.equal(await organizations.update(db, one.id, { changes, now: 5 }), true);
      assert.deepEqual(await organizations.find(db, one.id), { ...one, ...changes, updatedAt: 5 });
      assert.equal(await organizations.update(db, "org_none", { changes, now: 5 }), false);
      await assert.rejects(
        organizations.update(db, two.id, { changes: { slug: "new-slug" }, now: 6 }),
        isUniqueViolation,
      );
      assert.deepEqual(await organizations.findSettings(db, one.id), {});
      await organizations.updateSettings(db, one.id, { theme: { dark: true }, "ключ": null });
      assert.deepEqual(await organizations.findSettings(db, one.id), { theme: { dark: true }, "ключ": null });
      assert.equal(await organizations.findSettings(db, "org_none"), null);
    });
  },
);

onEachDatabase(
  "members are listed in pages, found, counted, changed inside their organization",
  async (_t, url) => {
    await withMigrated(url, async (db) => {
      const [one, two] = [await addOrganization(db, "One"), await addOrganization(db, "Two")];
      const made: { user: users.UserRow; member: members.MemberRow }[] = [];
      for (
        const [name, roles] of [["Ann", ["owner"]], ["Bob", ["owner", "admin"]], ["Cid", ["user"]]] as const
      ) {
        const user = await addUser(db, name);
        made.push({ user, member: await addMember(db, one.id, { userId: user.id, roles: [...roles] }) });
      }
      const [ann, bob, cid] = made;
      assert.ok(ann && bob && cid);
      const names = async (limit: number, offset: number) =>
        (await members.list(db, one.id, { limit, offset })).map((member) => member.user.name);
      assert.deepEqual(await names(2, 0), ["Ann", "Bob"]);
      assert.deepEqual(await names(2, 2), ["Cid"]);
      assert.equal(await members.count(db, one.id), 3);
      const like = async (search: string) => {
        const found = await members.list(db, one.id, { limit: 9, offset: 0, search });
        assert.equal(await members.count(db, one.id, search), found.length);
        return found.map((member) => member.user.name);
      };
      assert.deepEqual(await like("bO"), ["Bob"]);
      assert.deepEqual(await like(ann.user.email.slice(1, -1).toUpperCase()), ["Ann"]);
      assert.deepEqual(await like("%"), [], "no wildcard");
      assert.equal(await members.countOwners(db, one.id), 2);
      assert.equal(await members.countOwners(db, two.id), 0);

      const { id, name, email, image } = ann.user;
      const whole = { ...ann.member, user: { id, name, email, image } };
      assert.deepEqual(await members.find(db, one.id, ann.member.id), whole);
      assert.deepEqual(await members.findByEmail(db, one.id, email), whole);
      assert.equal(await members.find(db, two.id, ann.member.id), null);
      assert.equal(await members.findByEmail(db, two.id, email), null);
      assert.deepEqual(await members.rolesOf(db, one.id, bob.user.id), ["owner", "admin"]);
      assert.equal(await members.rolesOf(db, two.id, bob.user.id), null);
      assert.equal(await members.rolesOf(db, `${one.id} `, bob.user.id), null);

      const change = { id: bob.member.id, roles: ["user"] };
      assert.equal(await members.updateRoles(db, two.id, change), false);
      assert.equal(await members.updateRoles(db, one.id, change), true);
      assert.equal(await members.countOwners(db, one.id), 1);
      assert.equal(await members.remove(db, two.id, { ...cid.member }), false);
      assert.equal(await members.remove(db, one.id, cid.member), true);
      assert.deepEqual(await names(9, 0), ["Ann", "Bob"]);
      await assert.rejects(addMember(db, one.id, { userId: ann.user.id, roles: [] }), isUniqueViolation);
    });
  },
);

onEachDatabase("invitations are listed inside their organization", async (_t, url) => {
  await withMigrated(url, async (db) => {
    const [one, two] = [await addOrganization(db, "One"), await addOrganization(db, "Two")];
    const invitation = {
      id: newId("inv"),
      email: "bob@example.com",
      roles: ["admin"],
      inviterId: "usr_1",
      status: "pending",
      createdAt: 1000,
      expiresAt: 2000,
    };
    await invitations.insert(db, one.id, invitation);
    assert.deepEqual(await invitations.list(db, one.id), [{ ...invitation, organizationId: one.id }]);
    assert.deepEqual(await invitations.list(db, two.id), []);
  });
});

onEachDatabase("an organization goes with all that is its own, and nothing else", async (_t, url) => {
  await withMigrated(url, async (db) => {
    const ann = await addUser(db, "Ann");
    const [gone, kept] = [await addOrganization(db, "Gone"), await addOrganization(db, "Kept")];
    for (const { id } of [gone, kept]) {
      await addMember(db, id, { userId: ann.id, roles: ["owner"] });
      await addKey(db, id, { userId: ann.id });
      await db.insertInto("data_keys").values({ organization_id: id, wrapped: "x", created_at: 1 }).execute();
      await db.insertInto("connection_tools")
        .values({ organization_id: id, connection_id: `conn_${id}`, name: "t" }).execute();
    }
    const session = { userId: ann.id, userAgent: null, createdAt: 1, expiresAt: 9 };
    await sessions.insert(db, { ...session, tokenHash: "h1", activeOrganizationId: gone.id });
    await sessions.insert(db, { ...session, tokenHash: "h2", activeOrganizationId: kept.id });
    await db.transaction().execute((transaction) => organizations.remove(transaction, gone.id));

    const tables = (await db.introspection.getTables())
      .filter((table) => table.columns.some((column) => column.name === "organization_id"));
    assert.deepEqual(tables.map(({ name }) => name).sort(), [...organizations.tenantTables].sort());
    for (const table of organizations.tenantTables) {
      const rows = await db.selectFrom(table).select("organization_id")
        .where("organization_id", "=", gone.id).execute();
      assert.deepEqual(rows, [], `rows of ${table} are left`);
    }
    assert.equal(await organizations.find(db, gone.id), null);
    assert.deepEqual(await organizations.find(db, kept.id), kept);
    assert.deepEqual((await organizations.listOfUser(db, ann.id)).map((one) => one.id), [kept.id]);
    assert.equal((await sessions.find(db, "h1", 1))?.activeOrganizationId, null);
    assert.equal((await sessions.find(db, "h2", 1))?.activeOrganizationId, kept.id);
    const left = await db.selectFrom("connection_tools").select("organization_id").execute();
    assert.deepEqual(left.map((row) => row.organization_id), [kept.id]);
  });
});

onEachDatabase("who holds an organization makes others wait", async (_t, url) => {
  await withMigrated(url, async (db) => {
    const one = await addOrganization(db, "One");
    // Each reads a number and writes the next: without the lock some would be lost.
    const add = () =>
      organizations.withLock(db, one.id, async (transaction) => {
        const settings = await organizations.findSettings(transaction, one.id);
        const count = Number(settings?.count ?? 0) + 1;
        await organizations.updateSettings(transaction, one.id, { count });
      });
    await Promise.all(Array.from({ length: 12 }, add));
    assert.deepEqual(await organizations.findSettings(db, one.id), { count: 12 });
  });
});
