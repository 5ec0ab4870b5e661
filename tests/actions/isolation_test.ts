import assert from "node:assert/strict";
import { z } from "zod";
import type { Actor } from "../../server/access/actor.ts";
import type { Action } from "../../server/actions/action.ts";
import * as apiKeys from "../../server/actions/api_keys.ts";
import { configureConnection, testConnection } from "../../server/actions/connection_use.ts";
import * as connections from "../../server/actions/connections.ts";
import { authorizeCredential } from "../../server/actions/credential_authorizing.ts";
import * as credentials from "../../server/actions/credentials.ts";
import * as members from "../../server/actions/members.ts";
import * as organizations from "../../server/actions/organizations.ts";
import * as users from "../../server/actions/users.ts";
import type { Services } from "../../server/services.ts";
import { addUser } from "../support/accounts.ts";
import { addConnection } from "../support/connections.ts";
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
  credentials.listCredentials,
  credentials.listHolders,
  credentials.setCredential,
  credentials.deleteCredential,
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
    await db.selectFrom("connections").selectAll().where("organization_id", "=", organizationId)
      .orderBy("id").execute(),
    await db.selectFrom("upstream_credentials").selectAll().where("organization_id", "=", organizationId)
      .orderBy("id").execute(),
  ];
  return JSON.stringify(rows);
}

/** A connection to which one person of the company has connected. */
async function connected(services: Services, owner: Actor): Promise<string> {
  const upstream = { url: "http://127.0.0.1:9/mcp", title: "Red wiki" };
  const id = await addConnection(services.db, owner.organizationId ?? "", upstream);
  await services.db.updateTable("connections").set({ credential_mode: "per_user" }).where("id", "=", id)
    .execute();
  await run(services, owner, { action: credentials.setCredential, input: { connectionId: id, token: "t" } });
  return id;
}

onEachDatabase("another organization's ids are not found, and nothing of it changes", async (_t, url) => {
  await withServices(url, async (services) => {
    const [blue, red] = [await company(services, "Blue"), await company(services, "Red")];
    const redKey = await keyOf(services, red.owner);
    await services.identities.idle();
    const { id } = red.organization;
    const connectionId = await connected(services, red.owner);
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
      [connections.updateConnection, { id: connectionId, data: { credential_mode: "shared" } }],
      [connections.deleteConnection, { id: connectionId }],
      [testConnection, { id: connectionId }],
      [configureConnection, { id: connectionId, configuration_state: {} }],
      [credentials.listHolders, { connectionId }],
      [credentials.setCredential, { connectionId, token: "taken over" }],
      [credentials.deleteCredential, { connectionId }],
      [credentials.deleteCredential, { connectionId, userId: red.owner.userId }],
      [credentials.deleteCredential, { connectionId, userId: null }],
      [authorizeCredential, { connectionId }],
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
        await run(services, actor, { action: credentials.listCredentials }),
        await run(services, actor, { action: connections.listConnections }),
        await run(services, actor, { action: connections.getConnection, input: { id: connectionId } }),
      ];
      const text = JSON.stringify(seen);
      for (const foreign of [id, red.owner.userId, red.owner.email, redKey.keyId, connectionId, "Red"]) {
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
  assert.deepEqual(destructive, [
    "ORGANIZATION_DELETE",
    "ORGANIZATION_MEMBER_REMOVE",
    "API_KEY_DELETE",
    "CREDENTIAL_DELETE",
  ]);
});
