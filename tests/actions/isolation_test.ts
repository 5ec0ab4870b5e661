import assert from "node:assert/strict";
import { z } from "zod";
import type { Actor } from "../../server/access/actor.ts";
import type { Action } from "../../server/actions/action.ts";
import * as apiKeys from "../../server/actions/api_keys.ts";
import * as members from "../../server/actions/members.ts";
import * as organizations from "../../server/actions/organizations.ts";
import * as users from "../../server/actions/users.ts";
import type { Services } from "../../server/services.ts";
import { addUser } from "../support/accounts.ts";
import { onEachDatabase } from "../support/databases.ts";
import { company, keyOf, refusal, run } from "../support/people.ts";
import { withServices } from "../support/services.ts";

const own: readonly Action[] = [
  organizations.createOrganization,
  organizations.listOrganizations,
  organizations.getOrganization,
  organizations.updateOrganization,
  organizations.deleteOrganization,
  organizations.getOrganizationSettings,
  organizations.updateOrganizationSettings,
  members.addMember,
  members.removeMember,
  members.listMembers,
  members.updateMemberRole,
  users.getUser,
  apiKeys.createApiKey,
  apiKeys.listApiKeys,
  apiKeys.updateApiKey,
  apiKeys.deleteApiKey,
];

type Attempt = [action: Action, input: Record<string, unknown>];

/** All rows of a tenant that people can change, to see that nobody did. */
async function snapshot({ db }: Services, organizationId: string): Promise<string> {
  const rows = [
    await db.selectFrom("organizations").selectAll().where("id", "=", organizationId).execute(),
    await db.selectFrom("members").selectAll().where("organization_id", "=", organizationId)
      .orderBy("id").execute(),
    await db.selectFrom("api_keys").selectAll().where("organization_id", "=", organizationId)
      .orderBy("id").execute(),
  ];
  return JSON.stringify(rows);
}

onEachDatabase("another organization's ids are not found, and nothing of it changes", async (_t, url) => {
  await withServices(url, async (services) => {
    const [blue, red] = [await company(services, "Blue"), await company(services, "Red")];
    const redKey = await keyOf(services, red.owner);
    await services.identities.idle();
    const { id } = red.organization;
    const stranger = await addUser(services.db, "Stranger");
    const attempts: Attempt[] = [
      [organizations.updateOrganization, { id, name: "Taken over" }],
      [organizations.deleteOrganization, { id }],
      [organizations.updateOrganizationSettings, { organizationId: id, settings: { a: 1 } }],
      [members.addMember, { organizationId: id, userId: blue.owner.userId, role: ["owner"] }],
      [members.addMember, { organizationId: id, userId: stranger.id, role: ["user"] }],
      [members.removeMember, { organizationId: id, memberIdOrEmail: red.user.memberId }],
      [members.removeMember, { memberIdOrEmail: red.user.memberId }],
      [members.removeMember, { memberIdOrEmail: red.user.email }],
      [members.updateMemberRole, { organizationId: id, memberId: red.user.memberId, role: ["user"] }],
      [members.updateMemberRole, { memberId: red.user.memberId, role: ["admin"] }],
      [apiKeys.updateApiKey, { keyId: redKey.keyId, name: "Taken over" }],
      [apiKeys.deleteApiKey, { keyId: redKey.keyId }],
    ];
    const before = await snapshot(services, id);
    const key = await keyOf(services, blue.owner, { permissions: { "*": ["*"] } });
    for (const actor of [blue.owner, key] as Actor[]) {
      for (const [action, input] of attempts) {
        const error = await refusal(run(services, actor, { action, input }));
        assert.equal(error.code, "not_found", `${action.name} ${JSON.stringify(input)}`);
      }
      const seen = [
        await run(services, actor, { action: organizations.getOrganization }),
        await run(services, actor, { action: organizations.listOrganizations }),
        await run(services, actor, {
          action: organizations.listOrganizations,
          input: { userId: red.owner.userId },
        }),
        await run(services, actor, { action: organizations.getOrganizationSettings }),
        await run(services, actor, { action: members.listMembers }),
        await run(services, actor, { action: apiKeys.listApiKeys }),
        await run(services, actor, { action: users.getUser, input: { id: red.owner.userId } }),
      ];
      const text = JSON.stringify(seen);
      for (const foreign of [id, red.owner.userId, red.owner.email, redKey.keyId, "Red"]) {
        assert.ok(!text.includes(foreign ?? "?"), `'${foreign}' was seen`);
      }
    }
    assert.equal(await snapshot(services, id), before);
  });
});

Deno.test("every field has a JSON Schema, and what is entered has a type", () => {
  for (const action of own) {
    const input = z.toJSONSchema(action.input, { io: "input" });
    const output = z.toJSONSchema(action.output, { io: "output" });
    assert.equal(input.type, "object", action.name);
    assert.equal(output.type, "object", action.name);
    for (const [field, schema] of Object.entries(input.properties ?? {})) {
      assert.ok(typeof schema === "object" && (schema.type ?? schema.anyOf), `${action.name}.${field}`);
    }
  }
});

Deno.test("actions say truly whether they only read", () => {
  const readOnly = own.filter((action) => action.readOnly).map((action) => action.name);
  assert.deepEqual(
    readOnly.sort(),
    own.map((action) => action.name).filter((name) => /_(LIST|GET)$/.test(name)).sort(),
  );
  const destructive = own.filter((action) => action.destructive).map((action) => action.name);
  assert.deepEqual(destructive, ["ORGANIZATION_DELETE", "ORGANIZATION_MEMBER_REMOVE", "API_KEY_DELETE"]);
});
