import assert from "node:assert/strict";
import { getUser } from "../../server/actions/users.ts";
import { addMember, addUser } from "../support/accounts.ts";
import { company, keyOf, refusal, run, signedIn } from "../support/people.ts";
import { onServices } from "../support/services.ts";

onServices("a person is seen by those who share an organization with them", async (services) => {
  const [blue, red] = [await company(services, "Blue"), await company(services, "Red")];
  const see = async (actor: typeof blue.user, id: string) =>
    (await run(services, actor, { action: getUser, input: { id } })).user?.name;
  assert.equal(await see(blue.user, blue.owner.userId), "Blue-owner");
  assert.equal(await see(blue.user, blue.user.userId), "Blue-user");
  assert.equal(await see(blue.owner, red.user.userId), undefined);
  assert.equal(await see(blue.owner, "usr_none"), undefined);
  await addMember(services.db, red.organization.id, { userId: blue.user.userId, roles: ["user"] });
  assert.equal(await see(blue.user, red.user.userId), "Red-user");

  const key = await keyOf(services, blue.user, { permissions: { self: ["USER_GET"] } });
  const byKey = async (id: string) =>
    (await run(services, key, { action: getUser, input: { id } })).user?.name;
  assert.equal(await byKey(blue.owner.userId), "Blue-owner");
  assert.equal(await byKey(red.user.userId), undefined, "a key sees its own organization only");
});

onServices("what is seen of a person holds no credential", async (services) => {
  const { user, owner } = await company(services, "Blue");
  const got = await run(services, user, { action: getUser, input: { id: owner.userId } });
  assert.deepEqual(Object.keys(got.user ?? {}), ["id", "name", "email", "image", "createdAt", "updatedAt"]);
  for (const id of ["", "a b", "x".repeat(65), null, undefined, 1]) {
    assert.equal((await refusal(run(services, user, { action: getUser, input: { id } }))).code, "invalid");
  }
});

onServices("who belongs to no organization sees themselves", async (services) => {
  const { user } = await company(services, "Blue");
  const nobody = await addUser(services.db, "Nobody");
  const actor = await signedIn(services, nobody.id);
  const see = async (id: string) =>
    (await run(services, actor, { action: getUser, input: { id } })).user?.name;
  assert.equal(await see(nobody.id), "Nobody");
  assert.equal(await see(user.userId), undefined);
});
