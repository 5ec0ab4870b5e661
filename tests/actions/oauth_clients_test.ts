import assert from "node:assert/strict";
import { readOnlyManagement } from "../../server/access/roles.ts";
import { listApplications, revokeApplication } from "../../server/actions/applications.ts";
import {
  createOauthClient,
  deleteOauthClient,
  listOauthClients,
} from "../../server/actions/oauth_clients.ts";
import { addConsent } from "../support/accounts.ts";
import { onEachDatabase } from "../support/databases.ts";
import { company, keyOf, refusal, run } from "../support/people.ts";
import { onServices, withServices } from "../support/services.ts";

const redirectUris = ["https://claude.ai/api/mcp/auth_callback", "cursor://app/callback"];

onEachDatabase(
  "OAUTH_CLIENT_*: made, listed without its secret, deleted by those who manage",
  async (_t, url) => {
    await withServices(url, async (services) => {
      const { owner, admin, user } = await company(services, "Blue");
      const red = await company(services, "Red");
      const create = { action: createOauthClient, input: { name: " Claude ", redirectUris } };
      assert.equal((await refusal(run(services, user, create))).code, "forbidden");
      const { item: open } = await run(services, admin, create);
      assert.deepEqual([open.name, open.confidential, open.clientSecret], ["Claude", false, null]);
      assert.deepEqual(open.grantTypes, ["authorization_code", "refresh_token"]);
      assert.deepEqual(open.redirectUris, redirectUris);
      const { item: closed } = await run(services, owner, {
        action: createOauthClient,
        input: { name: "Server", redirectUris: [], permissions: readOnlyManagement },
      });
      assert.match(closed.clientSecret ?? "", /^mesh_cs_[\w-]{43}$/);
      assert.deepEqual([closed.grantTypes, closed.ownerId], [["client_credentials"], owner.userId]);
      const { items } = await run(services, user, { action: listOauthClients });
      const { clientSecret: secret, ...listed } = closed;
      assert.deepEqual(items[0], listed);
      assert.deepEqual(items.map(({ clientId }) => clientId), [closed.clientId, open.clientId]);
      assert.ok(!JSON.stringify(items).includes(secret ?? "?"));
      assert.deepEqual(await run(services, red.owner, { action: listOauthClients }), { items: [] });
      const remove = { action: deleteOauthClient, input: { clientId: open.clientId } };
      assert.equal((await refusal(run(services, red.owner, remove))).code, "not_found");
      assert.equal((await refusal(run(services, user, remove))).code, "forbidden");
      assert.deepEqual(await run(services, admin, remove), { success: true, clientId: open.clientId });
      assert.equal((await refusal(run(services, admin, remove))).code, "not_found");
    });
  },
);

onServices(
  "OAUTH_CLIENT_CREATE: addresses that no application returns to, secrets that nobody keeps",
  async (services) => {
    const { admin } = await company(services, "Blue");
    const wrong: [Record<string, unknown>, RegExp][] = [
      [{}, /an address to come back to is required/],
      [{ redirectUris: ["javascript:alert(1)"] }, /'javascript:alert\(1\)' has the scheme/], // AS13
      [{ redirectUris: ["http://client.example/cb"] }, /is neither https nor of this machine/],
      [{ redirectUris: ["https://u@client.example/"] }, /has a user name in it/],
      [{ permissions: { self: ["*"] }, confidential: false }, /needs a secret/],
      [{ permissions: { conn_none: ["*"] } }, /no connection 'conn_none'/],
      [{ redirectUris, name: "" }, /name: it is required/],
    ];
    for (const [input, reason] of wrong) {
      const asked = { action: createOauthClient, input: { name: "Agent", ...input } };
      const error = await refusal(run(services, admin, asked));
      assert.equal(error.code, "invalid");
      assert.match(error.message, reason);
    }
  },
);

onServices(
  "OAUTH_CLIENT_CREATE: a key gives no more than it has, and nothing that outlives it",
  async (services) => {
    const { owner } = await company(services, "Blue");
    const input = { name: "Agent", permissions: { self: ["*"] } };
    const some = await keyOf(services, owner, { permissions: { self: ["OAUTH_CLIENT_CREATE"] } });
    const passing = await keyOf(services, owner, {
      permissions: { "*": ["*"] },
      expiresAt: Date.now() + 1e6,
    });
    const token = { ...owner, kind: "token" as const, limits: { "*": ["*"] }, resource: "self" };
    for (
      const [actor, reason] of [
        [some, /cannot give permissions that it does not have/],
        [passing, /it would outlive/],
        [token, /it would outlive/],
      ] as const
    ) {
      const error = await refusal(run(services, actor, { action: createOauthClient, input }));
      assert.equal(error.code, "forbidden");
      assert.match(error.message, reason);
    }
    const lasting = await keyOf(services, owner, { permissions: { "*": ["*"] } });
    const { item } = await run(services, lasting, { action: createOauthClient, input });
    assert.equal(item.ownerId, owner.userId);
  },
);

onEachDatabase("APPLICATION_*: one's own for everybody, all for those who manage", async (_t, url) => {
  await withServices(url, async (services) => {
    const { organization, owner, user } = await company(services, "Blue");
    const red = await company(services, "Red");
    const { item } = await run(services, owner, {
      action: createOauthClient,
      input: { name: "Known", redirectUris },
    });
    const mine = await addConsent(services.db, organization.id, {
      userId: user.userId,
      clientId: "https://agent.example:8443/client.json",
      clientName: "Agent",
    });
    const theirs = await addConsent(services.db, organization.id, {
      userId: owner.userId,
      clientId: item.clientId,
    });
    const listed = await run(services, user, { action: listApplications });
    assert.deepEqual(
      listed.items.map(({ createdAt: _, ...one }) => one),
      [{
        id: mine,
        clientId: "https://agent.example:8443/client.json",
        clientName: "Agent",
        source: "document",
        host: "agent.example:8443",
        returnsTo: "client.example",
        resource: "self",
        resourceTitle: null,
        permissions: { self: ["*"] },
        userId: user.userId,
        userName: user.name,
        userEmail: user.email,
        lastUsedAt: null,
      }],
    );
    const all = await run(services, owner, { action: listApplications });
    assert.deepEqual(all.items.map(({ id, source }) => [id, source]), [
      [theirs, "manual"],
      [mine, "document"],
    ]);
    const revoke = (id: string) => ({ action: revokeApplication, input: { id } });
    assert.equal((await refusal(run(services, user, revoke(theirs)))).code, "not_found");
    assert.equal((await refusal(run(services, red.owner, revoke(theirs)))).code, "not_found");
    assert.deepEqual(await run(services, user, revoke(mine)), { success: true, id: mine });
    assert.deepEqual(await run(services, owner, revoke(theirs)), { success: true, id: theirs });
    assert.deepEqual(await run(services, owner, { action: listApplications }), { items: [] });
  });
});
