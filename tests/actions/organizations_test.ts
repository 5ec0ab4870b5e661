import assert from "node:assert/strict";
import {
  createOrganization,
  deleteOrganization,
  getOrganization,
  getOrganizationSettings,
  listOrganizations,
  updateOrganization,
  updateOrganizationSettings,
} from "../../server/actions/organizations.ts";
import { newId } from "../../server/ids.ts";
import * as invitations from "../../server/storage/invitations.ts";
import * as organizations from "../../server/storage/organizations.ts";
import { addMember, addOrganization, addUser } from "../support/accounts.ts";
import { onEachDatabase } from "../support/databases.ts";
import { company, join, keyOf, refusal, run, signedIn } from "../support/people.ts";
import { onServices, withServices } from "../support/services.ts";

onServices("an organization is created by whoever may, and owned by them", async (services) => {
  const { owner, admin, user } = await company(services, "Blue");
  const nobody = await signedIn(services, (await addUser(services.db, "Nobody")).id);
  assert.equal(nobody.organizationId, null);
  for (const [i, actor] of [owner, admin, nobody].entries()) {
    const input = { name: " Red ", slug: `red-${i}`, description: "ü\nsecond line" };
    const { organization } = await run(services, actor, { action: createOrganization, input });
    assert.deepEqual(organization, {
      id: organization.id,
      name: "Red",
      slug: `red-${i}`,
      description: "ü\nsecond line",
      createdAt: organization.createdAt,
      updatedAt: organization.createdAt,
    });
    const there = await services.identities.actorIn(actor, organization.id);
    assert.deepEqual(there?.roles, ["owner"]);
  }
  assert.equal((await signedIn(services, nobody.userId)).roles[0], "owner", "it is their active one");
  const input = { name: "Red", slug: "red-9" };
  assert.equal((await refusal(run(services, user, { action: createOrganization, input }))).code, "forbidden");
});

onServices("a slug is unique and of plain letters", async (services) => {
  const { owner, organization } = await company(services, "Blue");
  const create = (slug: unknown) =>
    refusal(run(services, owner, { action: createOrganization, input: { name: "x", slug } }));
  const taken = await create(organization.slug);
  assert.equal(taken.code, "conflict");
  assert.deepEqual(taken.fields, { slug: "it is taken" });
  for (const slug of ["", "Red", "rot weiß", "a_b", "a.b", "x".repeat(101), null, undefined, "a\n"]) {
    const error = await create(slug);
    assert.equal(error.code, "invalid", String(slug));
    assert.ok(error.fields?.slug);
  }
  const { organization: second } = await run(services, owner, {
    action: createOrganization,
    input: { name: "x", slug: "second" },
  });
  const there = await services.identities.actorIn(owner, second.id);
  assert.ok(there);
  const input = { id: second.id, slug: organization.slug };
  const update = await refusal(run(services, there, { action: updateOrganization, input }));
  assert.equal(update.code, "conflict");
  const left = await organizations.listOfUser(services.db, owner.userId);
  assert.deepEqual(
    left.map((one) => one.slug),
    [organization.slug, "second"],
    "a refused one leaves nothing",
  );
});

onServices("an organization is read with its members and invitations", async (services) => {
  const { organization, user, owner } = await company(services, "Blue");
  const invitation = {
    id: newId("inv"),
    email: "new@example.com",
    roles: ["user"],
    inviterId: owner.userId,
    status: "pending",
    createdAt: 1_700_000_000_000,
    expiresAt: 1_800_000_000_000,
  };
  await invitations.insert(services.db, organization.id, invitation);
  const got = await run(services, user, { action: getOrganization });
  assert.equal(got.organization.slug, organization.slug);
  assert.deepEqual(got.members.map((member) => member.role), [["owner"], ["admin"], ["user"]]);
  assert.deepEqual(got.invitations, [{
    id: invitation.id,
    organizationId: organization.id,
    email: "new@example.com",
    role: ["user"],
    inviterId: owner.userId,
    status: "pending",
    createdAt: "2023-11-14T22:13:20.000Z",
    expiresAt: "2027-01-15T08:00:00.000Z",
  }]);
});

onServices("what is left out of an update stays", async (services) => {
  const { organization, admin } = await company(services, "Blue");
  const update = async (input: Record<string, unknown>) => {
    const full = { id: organization.id, ...input };
    return (await run(services, admin, { action: updateOrganization, input: full })).organization;
  };
  const described = await update({ description: "d" });
  assert.deepEqual([described.name, described.slug, described.description], ["Blue", organization.slug, "d"]);
  const renamed = await update({ name: "Green", slug: "green" });
  assert.deepEqual([renamed.name, renamed.slug, renamed.description], ["Green", "green", "d"]);
  assert.equal((await update({ description: null })).description, null);
  assert.equal((await refusal(update({ name: " " }))).code, "invalid");
  assert.equal((await refusal(update({ name: "a\0b" }))).code, "invalid");
});

onServices("the list holds one's own, or what another person shares with one", async (services) => {
  const [blue, red] = [await company(services, "Blue"), await company(services, "Red")];
  const green = await addOrganization(services.db, "Green");
  for (const { userId } of [blue.user, red.user]) {
    await addMember(services.db, green.id, { userId, roles: ["user"] });
  }
  const list = async (actor: typeof blue.user, input = {}) => {
    const { organizations } = await run(services, actor, { action: listOrganizations, input });
    return organizations.map((one) => `${one.name} ${one.role}`);
  };
  assert.deepEqual(await list(blue.user), ["Blue user", "Green user"]);
  assert.deepEqual(await list(blue.user, { userId: red.user.userId }), ["Green user"]);
  assert.deepEqual(await list(blue.user, { userId: blue.owner.userId }), ["Blue owner"]);
  assert.deepEqual(await list(blue.user, { userId: red.owner.userId }), []);
  assert.deepEqual(await list(blue.user, { userId: "usr_none" }), []);
  const key = await keyOf(services, blue.user, { permissions: { self: ["*"] } });
  const byKey = await run(services, key, { action: listOrganizations });
  assert.deepEqual(byKey.organizations.map((one) => one.name), ["Blue"], "a key knows its own only");
  const ofRed = await run(services, key, { action: listOrganizations, input: { userId: red.user.userId } });
  assert.deepEqual(ofRed.organizations, []);
  const nobody = await signedIn(services, (await addUser(services.db, "Nobody")).id);
  assert.deepEqual((await run(services, nobody, { action: listOrganizations })).organizations, []);
});

onServices("only an owner deletes, and not their last organization", async (services) => {
  const { organization, owner, admin, user } = await company(services, "Blue");
  const input = { id: organization.id };
  for (const actor of [admin, user]) {
    const error = await refusal(run(services, actor, { action: deleteOrganization, input }));
    assert.equal(error.code, "forbidden");
    assert.match(error.message, /'ORGANIZATION_DELETE'/);
  }
  assert.equal((await refusal(run(services, owner, { action: deleteOrganization, input }))).code, "conflict");

  const second = await addOrganization(services.db, "Second");
  await addMember(services.db, second.id, { userId: owner.userId, roles: ["user"] });
  const key = await keyOf(services, owner, { permissions: { self: ["*"] } });
  await services.vault.seal({ organizationId: organization.id, table: "t", column: "c", rowId: "r" }, "x");
  assert.deepEqual(await run(services, owner, { action: deleteOrganization, input }), {
    success: true,
    id: organization.id,
  });
  assert.equal(await services.identities.byBearer(key.secret), null, "its keys stop at once");
  assert.equal(await services.identities.actorIn(owner, organization.id), null);
  assert.equal((await signedIn(services, owner.userId)).organizationId, second.id);
  assert.equal((await signedIn(services, user.userId)).organizationId, null);
  await services.audit.flush();
  const rows = await services.db.selectFrom("audit_log").select("tool_name")
    .where("organization_id", "=", organization.id).execute();
  assert.deepEqual(
    rows.map((row) => row.tool_name),
    ["ORGANIZATION_DELETE"],
    "the removal alone is left in the log",
  );
  const sealed = await services.db.selectFrom("data_keys").selectAll()
    .where("organization_id", "=", organization.id).execute();
  assert.deepEqual(sealed, []);
});

onEachDatabase("two removals of the last two organizations at once leave one", async (_t, url) => {
  await withServices(url, async (services) => {
    const { organization, owner } = await company(services, "Blue");
    const second = await addOrganization(services.db, "Second");
    await addMember(services.db, second.id, { userId: owner.userId, roles: ["owner"] });
    const outcomes = await Promise.allSettled(
      [organization.id, second.id].map((id) =>
        run(services, owner, { action: deleteOrganization, input: { id } })
      ),
    );
    const codes = outcomes.map((one) => one.status === "fulfilled" ? "ok" : one.reason.code);
    assert.deepEqual(codes.sort(), ["conflict", "ok"]);
    assert.equal((await organizations.listOfUser(services.db, owner.userId)).length, 1);
  });
});

onServices("settings are merged, null removes one, and they are bounded", async (services) => {
  const { organization, admin, user } = await company(services, "Blue");
  const organizationId = organization.id;
  const update = async (settings: unknown) => {
    const input = { organizationId, settings };
    return (await run(services, admin, { action: updateOrganizationSettings, input })).settings;
  };
  const read = async () => (await run(services, user, { action: getOrganizationSettings })).settings;
  assert.deepEqual(await read(), {});
  assert.deepEqual(await update({ theme: { dark: true }, size: 1 }), { theme: { dark: true }, size: 1 });
  assert.deepEqual(await update({ size: null, "имя": ["a\0b"] }), { theme: { dark: true }, "имя": ["a\0b"] });
  assert.deepEqual(await read(), { theme: { dark: true }, "имя": ["a\0b"] });
  for (const settings of [undefined, null, [], "x", { a: "x".repeat(100_001) }]) {
    assert.equal((await refusal(update(settings))).code, "invalid");
  }
  await update({ half: "x".repeat(60_000) });
  assert.equal((await refusal(update({ other: "x".repeat(60_000) }))).code, "invalid");
  const input = { organizationId, settings: {} };
  const byUser = await refusal(run(services, user, { action: updateOrganizationSettings, input }));
  assert.equal(byUser.code, "forbidden");
});

onEachDatabase("settings that are set at once are all kept", async (_t, url) => {
  await withServices(url, async (services) => {
    const { organization, owner } = await company(services, "Blue");
    await Promise.all(Array.from({ length: 8 }, (_, i) => {
      const input = { organizationId: organization.id, settings: { [`s${i}`]: i } };
      return run(services, owner, { action: updateOrganizationSettings, input });
    }));
    const settings = await organizations.findSettings(services.db, organization.id);
    assert.equal(Object.keys(settings ?? {}).length, 8);
  });
});

onServices("a member of two organizations is seen with the roles of each", async (services) => {
  const blue = await company(services, "Blue");
  const both = await join(services, blue.organization.id, { name: "Both", roles: ["user"] });
  const red = await addOrganization(services.db, "Red");
  await addMember(services.db, red.id, { userId: both.userId, roles: ["owner"] });
  const input = { id: red.id, name: "Redder" };
  const { organization } = await run(services, both, { action: updateOrganization, input });
  assert.equal(organization.name, "Redder", "in Red they are an owner, whichever organization is active");
  const there = await signedIn(services, both.userId, red.id);
  const inBlue = { id: blue.organization.id, name: "Bluer" };
  const refused = await refusal(run(services, there, { action: updateOrganization, input: inBlue }));
  assert.equal(refused.code, "forbidden", "in Blue they are a user");
});
