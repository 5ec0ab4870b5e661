import assert from "node:assert/strict";
import type { Actor } from "../../server/access/actor.ts";
import type { Action } from "../../server/actions/action.ts";
import { addMember, listMembers, removeMember, updateMemberRole } from "../../server/actions/members.ts";
import * as members from "../../server/storage/members.ts";
import { addUser } from "../support/accounts.ts";
import { onEachDatabase } from "../support/databases.ts";
import { company, join, keyOf, refusal, run, signedIn } from "../support/people.ts";
import { onServices, withServices } from "../support/services.ts";

onServices("a member is added, listed with the person, changed and removed", async (services) => {
  const { organization, admin } = await company(services, "Blue");
  const bob = await addUser(services.db, "Bob");
  const { member } = await run(services, admin, {
    action: addMember,
    input: { userId: bob.id, role: ["user"] },
  });
  assert.deepEqual(member, {
    id: member.id,
    organizationId: organization.id,
    userId: bob.id,
    role: ["user"],
    createdAt: member.createdAt,
    user: { id: bob.id, name: "Bob", email: bob.email, image: null },
  });
  assert.equal(new Date(member.createdAt).toISOString(), member.createdAt);
  const page = await run(services, admin, { action: listMembers, input: { limit: 2, offset: 2 } });
  assert.deepEqual(page.members.map((one) => one.user.name), ["Blue-user", "Bob"]);
  assert.deepEqual([page.totalCount, page.hasMore], [4, false]);
  const first = await run(services, admin, { action: listMembers, input: { limit: 2 } });
  assert.equal(first.hasMore, true);

  const changed = await run(services, admin, {
    action: updateMemberRole,
    input: { memberId: member.id, role: ["admin", "user"] },
  });
  assert.deepEqual(changed.member, { ...member, role: ["admin", "user"] });
  const memberIdOrEmail = bob.email.toUpperCase();
  assert.deepEqual(await run(services, admin, { action: removeMember, input: { memberIdOrEmail } }), {
    success: true,
    memberIdOrEmail,
  });
  const again = await refusal(run(services, admin, { action: removeMember, input: { memberIdOrEmail } }));
  assert.equal(again.code, "not_found");
});

onServices("who is a member already, or nobody, is not added", async (services) => {
  const { admin, user } = await company(services, "Blue");
  const add = (input: unknown) => refusal(run(services, admin, { action: addMember, input }));
  const twice = await add({ userId: user.userId, role: ["user"] });
  assert.equal(twice.code, "conflict");
  assert.ok(twice.fields?.userId);
  assert.equal((await add({ userId: "usr_nobody", role: ["user"] })).code, "not_found");
  for (const role of [[], ["boss"], ["user", "user"], "user", [""], ["__proto__"]]) {
    assert.equal((await add({ userId: user.userId, role })).code, "invalid", JSON.stringify(role));
  }
  assert.equal((await add({ userId: "usr_\0", role: ["user"] })).code, "invalid");
});

onServices("a key with a part of its person's power makes nobody stronger than itself", async (services) => {
  const { organization, owner, admin, user } = await company(services, "Blue");
  const self = ["ORGANIZATION_MEMBER_ADD", "ORGANIZATION_MEMBER_UPDATE_ROLE"];
  const narrow = await keyOf(services, owner, { permissions: { self } });
  const friend = await addUser(services.db, "Friend");
  for (const role of [["owner"], ["admin"], ["user", "admin"]]) {
    const attempts: [Action, unknown][] = [
      [addMember, { userId: friend.id, role }],
      [updateMemberRole, { memberId: user.memberId, role }],
    ];
    for (const [action, input] of attempts) {
      assert.equal((await refusal(run(services, narrow, { action, input }))).code, "forbidden", action.name);
    }
  }
  assert.equal(await members.rolesOf(services.db, organization.id, friend.id), null);
  const added = await run(services, narrow, {
    action: addMember,
    input: { userId: friend.id, role: ["user"] },
  });
  assert.deepEqual(added.member.role, ["user"]);
  const kept = { memberId: admin.memberId, role: ["user", "admin"] };
  assert.deepEqual(
    (await run(services, narrow, { action: updateMemberRole, input: kept })).member.role,
    kept.role,
  );
  const whole = await keyOf(services, owner, { permissions: { "*": ["*"] } });
  const raised = { memberId: added.member.id, role: ["owner"] };
  assert.deepEqual((await run(services, whole, { action: updateMemberRole, input: raised })).member.role, [
    "owner",
  ]);
});

onServices("nobody but an owner makes, changes or removes an owner", async (services) => {
  const { organization, owner, admin, user } = await company(services, "Blue");
  const second = await join(services, organization.id, { name: "Second", roles: ["owner", "user"] });
  const stranger = await addUser(services.db, "Stranger");
  const adminKey = await keyOf(services, admin, { permissions: { "*": ["*"] } });
  const setRole = (memberId: string, role: string[]) => (actor: Actor) =>
    run(services, actor, { action: updateMemberRole, input: { memberId, role } });
  const remove = (memberIdOrEmail: string) => (actor: Actor) =>
    run(services, actor, { action: removeMember, input: { memberIdOrEmail } });
  const attempts: ((actor: Actor) => Promise<unknown>)[] = [
    (actor) =>
      run(services, actor, { action: addMember, input: { userId: stranger.id, role: ["user", "owner"] } }),
    setRole(user.memberId, ["owner"]),
    setRole(admin.memberId, ["owner"]),
    setRole(second.memberId, ["owner", "user"]),
    remove(user.memberId),
    remove(second.email),
  ];
  await setRole(user.memberId, ["owner"])(owner);
  for (const attempt of attempts) {
    for (const actor of [admin, adminKey]) {
      const error = await refusal(attempt(actor));
      assert.equal(error.code, "forbidden");
      assert.match(error.message, /only an owner/);
    }
  }
  for (const attempt of attempts) await attempt(owner);
});

onServices("a user changes no members", async (services) => {
  const { user, admin } = await company(services, "Blue");
  const refused = [
    run(services, user, { action: addMember, input: { userId: user.userId, role: ["admin"] } }),
    run(services, user, { action: updateMemberRole, input: { memberId: user.memberId, role: ["admin"] } }),
    run(services, user, { action: removeMember, input: { memberIdOrEmail: admin.memberId } }),
  ];
  for (const attempt of refused) {
    const error = await refusal(attempt);
    assert.equal(error.code, "forbidden");
    assert.match(error.message, /permission 'ORGANIZATION_MEMBER_\w+' on 'self' is missing/);
  }
  assert.equal((await run(services, user, { action: listMembers })).totalCount, 3);
});

onServices("the last owner stays one", async (services) => {
  const { owner } = await company(services, "Blue");
  const demote = { action: updateMemberRole, input: { memberId: owner.memberId, role: ["admin"] } };
  const remove = { action: removeMember, input: { memberIdOrEmail: owner.memberId } };
  assert.equal((await refusal(run(services, owner, demote))).code, "conflict");
  assert.equal((await refusal(run(services, owner, remove))).code, "conflict");
  const keep = { memberId: owner.memberId, role: ["owner", "admin"] };
  await run(services, owner, { action: updateMemberRole, input: keep });
});

onEachDatabase("two owners who step down, or remove each other, at once leave one", async (_t, url) => {
  await withServices(url, async (services) => {
    for (const how of ["demote", "remove"] as const) {
      const { organization, owner } = await company(services, how);
      const second = await join(services, organization.id, { name: "Second", roles: ["owner"] });
      const leave = async (actor: typeof owner, target: typeof owner) => {
        if (how === "remove") {
          await run(services, actor, { action: removeMember, input: { memberIdOrEmail: target.memberId } });
        } else {
          const input = { memberId: target.memberId, role: ["user"] };
          await run(services, actor, { action: updateMemberRole, input });
        }
      };
      const outcomes = await Promise.allSettled([leave(owner, second), leave(second, owner)]);
      const codes = outcomes.map((one) => one.status === "fulfilled" ? "ok" : one.reason.code);
      assert.deepEqual(codes.sort(), ["conflict", "ok"], how);
      assert.equal(await members.countOwners(services.db, organization.id), 1);
    }
  });
});

onServices("a role, and a removal, hold from the next request on", async (services) => {
  const { owner, admin } = await company(services, "Blue");
  const key = await keyOf(services, admin, { permissions: { self: ["*"] } });
  const roles = async () => (await services.identities.byBearer(key.secret))?.roles;
  assert.deepEqual(await roles(), ["admin"]);
  await run(services, owner, {
    action: updateMemberRole,
    input: { memberId: admin.memberId, role: ["user"] },
  });
  assert.deepEqual(await roles(), ["user"]);
  await run(services, owner, { action: removeMember, input: { memberIdOrEmail: admin.memberId } });
  assert.equal(await roles(), undefined);
  assert.equal((await signedIn(services, admin.userId)).organizationId, null);
});

onServices(
  "a person acts in another organization of theirs with the roles they have there",
  async (services) => {
    const blue = await company(services, "Blue");
    const red = await company(services, "Red");
    const bob = await addUser(services.db, "Bob");
    const input = { organizationId: red.organization.id, userId: bob.id, role: ["user"] };
    const foreign = await refusal(run(services, blue.owner, { action: addMember, input }));
    assert.equal(foreign.code, "not_found");
    await run(services, red.owner, {
      action: addMember,
      input: { userId: blue.owner.userId, role: ["user"] },
    });
    const asUser = await refusal(run(services, blue.owner, { action: addMember, input }));
    assert.equal(asUser.code, "forbidden", "an owner of Blue is a user of Red");
    const membership = await members.findByEmail(services.db, red.organization.id, blue.owner.email);
    await run(services, red.owner, {
      action: updateMemberRole,
      input: { memberId: membership?.id, role: ["admin"] },
    });
    const { member } = await run(services, blue.owner, { action: addMember, input });
    assert.equal(member.organizationId, red.organization.id);
    const key = await keyOf(services, blue.owner, { permissions: { "*": ["*"] } });
    const byKey = await refusal(run(services, key, { action: addMember, input }));
    assert.equal(byKey.code, "not_found", "a key never leaves its organization");
  },
);
