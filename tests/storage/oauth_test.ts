import assert from "node:assert/strict";
import { hashToken } from "../../server/access/identify.ts";
import { newId, newSecret } from "../../server/ids.ts";
import { removeExpired } from "../../server/oauth/cleanup.ts";
import type { Db } from "../../server/storage/dialect.ts";
import * as oauthClients from "../../server/storage/oauth_clients.ts";
import * as oauthCodes from "../../server/storage/oauth_codes.ts";
import * as oauthConsents from "../../server/storage/oauth_consents.ts";
import * as oauthRequests from "../../server/storage/oauth_requests.ts";
import { placesOf } from "../../server/storage/oauth_resources.ts";
import * as oauthTokens from "../../server/storage/oauth_tokens.ts";
import * as organizations from "../../server/storage/organizations.ts";
import { addMember, addOrganization, addUser, withMigrated } from "../support/accounts.ts";
import { onEachDatabase } from "../support/databases.ts";

const now = 1_800_000_000_000;
const day = 24 * 3600_000;

function onDatabase(name: string, fn: (db: Db) => Promise<void>): void {
  onEachDatabase(name, (_t, url) => withMigrated(url, fn));
}

async function person(db: Db) {
  const user = await addUser(db, "Ann");
  const organization = await addOrganization(db, "One");
  await addMember(db, organization.id, { userId: user.id, roles: ["user"] });
  return { userId: user.id, organizationId: organization.id };
}

type Given = Partial<Parameters<typeof oauthConsents.remember>[2]>;

async function consent(db: Db, who: { userId: string; organizationId: string }, given: Given = {}) {
  return await oauthConsents.remember(db, who.organizationId, {
    id: newId("consent"),
    userId: who.userId,
    clientId: "client_a",
    clientName: "A",
    clientPrint: "print",
    resource: "self",
    permissions: { self: ["*"] },
    redirectUri: "https://a.example/",
    now,
    ...given,
  });
}

async function token(
  db: Db,
  { organizationId }: { organizationId: string },
  given: { consentId: string; kind?: "access" | "refresh"; expiresAt?: number; grantId?: string },
): Promise<string> {
  const secret = newSecret("mesh_at_");
  await oauthTokens.insert(db, organizationId, [{
    tokenHash: hashToken(secret),
    kind: "access",
    grantId: newId("grant"),
    parentHash: null,
    scope: "mcp",
    createdAt: now,
    expiresAt: now + day,
    ...given,
  }]);
  return secret;
}

async function code(db: Db, organizationId: string, given: { consentId: string; expiresAt: number }) {
  const codeHash = hashToken(newSecret(""));
  await oauthCodes.insert(db, organizationId, {
    codeHash,
    grantId: newId("grant"),
    redirectUri: null,
    challenge: "x",
    scope: "mcp",
    createdAt: now,
    ...given,
  });
  return codeHash;
}

async function client(db: Db, given: Partial<oauthClients.OauthClientRow> = {}): Promise<string> {
  const id = given.id ?? newId("client");
  await oauthClients.insert(db, {
    organizationId: null,
    name: "A",
    redirectUris: ["https://a.example/"],
    grantTypes: ["authorization_code"],
    authMethod: "none",
    clientUri: null,
    ownerId: null,
    permissions: null,
    createdAt: now,
    unusedUntil: null,
    lastUsedAt: now,
    secretHash: null,
    ...given,
    id,
  });
  return id;
}

onDatabase("a consent is one a person, client, resource and permission set", async (db) => {
  const ann = await person(db);
  const first = await consent(db, ann, { permissions: { self: ["b", "a", "b"] } });
  const again = await consent(db, ann, {
    permissions: { self: ["a", "b"] },
    clientName: "Renamed",
    now: now + 5,
    redirectUri: "https://b.example/",
  });
  assert.equal(again, first);
  const others: Given[] = [{ permissions: { self: ["a"] } }, { resource: "conn_1" }, {
    clientId: "client_b",
  }];
  for (const given of others) assert.notEqual(await consent(db, ann, given), first);
  assert.notEqual(await consent(db, await person(db)), first);
  const row = await oauthConsents.find(db, ann.organizationId, first);
  assert.deepEqual(row, {
    id: first,
    ...ann,
    clientId: "client_a",
    clientName: "Renamed",
    clientPrint: "print",
    resource: "self",
    permissions: { self: ["a", "b"] },
    redirectUri: "https://b.example/",
    createdAt: now,
    updatedAt: now + 5,
    lastUsedAt: null,
  });
  assert.equal(await oauthConsents.find(db, "org_other", first), null);
});

onDatabase("what is remembered counts while the person is a member, and for this very client", async (db) => {
  const ann = await person(db);
  const id = await consent(db, ann, { clientId: "https://a.example/client.json" });
  const wanted = { userId: ann.userId, clientId: "https://a.example/client.json", resource: "self" };
  assert.deepEqual((await oauthConsents.findRemembered(db, wanted)).map((row) => row.id), [id]);
  for (const change of [{ clientId: "https://a.example/CLIENT.json" }, { clientId: `${wanted.clientId} ` }]) {
    assert.deepEqual(await oauthConsents.findRemembered(db, { ...wanted, ...change }), []);
  }
  assert.deepEqual(await oauthConsents.findRemembered(db, { ...wanted, resource: "conn_1" }), []);
  await db.deleteFrom("members").where("user_id", "=", ann.userId).execute();
  assert.deepEqual(await oauthConsents.findRemembered(db, wanted), []);
});

onDatabase("a code and a question are taken once, a session's question by that session", async (db) => {
  const ann = await person(db);
  const consentId = await consent(db, ann);
  const codeHash = await code(db, ann.organizationId, { consentId, expiresAt: now + 60_000 });
  assert.equal(await oauthCodes.use(db, codeHash, now + 60_000), false, "it has expired");
  const uses = await Promise.all(Array.from({ length: 5 }, () => oauthCodes.use(db, codeHash, now + 1)));
  assert.equal(uses.filter(Boolean).length, 1);
  assert.equal((await oauthCodes.find(db, codeHash))?.code.usedAt, now + 1);
  const asked = { state: "\0 é 💥" };
  const request = {
    id: newId("ask"),
    sessionHash: "s",
    userId: ann.userId,
    asked,
    createdAt: now,
    expiresAt: now + 9,
  };
  await oauthRequests.insert(db, request);
  assert.deepEqual(await oauthRequests.find(db, { ...request, now }), request);
  assert.equal(await oauthRequests.find(db, { ...request, sessionHash: "S", now }), null);
  assert.equal(await oauthRequests.find(db, { ...request, now: now + 9 }), null);
  const takes = await Promise.all(Array.from({ length: 5 }, () => oauthRequests.take(db, request.id)));
  assert.equal(takes.filter(Boolean).length, 1);
});

onDatabase("an access token names its person as they are now; a refresh token names nobody", async (db) => {
  const ann = await person(db);
  const consentId = await consent(db, ann, { permissions: { self: ["*_LIST"] } });
  const secret = await token(db, ann, { consentId });
  const found = await oauthTokens.identify(db, hashToken(secret));
  assert.equal(found?.user.id, ann.userId);
  assert.deepEqual(found?.roles, ["user"]);
  assert.deepEqual(found?.permissions, { self: ["*_LIST"] });
  assert.equal(found?.expiresAt, now + day);
  const refresh = await token(db, ann, { consentId, kind: "refresh" });
  assert.equal(await oauthTokens.identify(db, hashToken(refresh)), null);
  await oauthConsents.touch(db, ann.organizationId, { id: consentId, now, every: 60_000 });
  await oauthConsents.touch(db, ann.organizationId, { id: consentId, now: now + 5, every: 60_000 });
  assert.equal((await oauthTokens.identify(db, hashToken(secret)))?.lastUsedAt, now);
  assert.equal(await oauthConsents.revoke(db, ann.organizationId, consentId), true);
  assert.equal(await oauthTokens.identify(db, hashToken(secret)), null);
  assert.equal(await oauthTokens.find(db, hashToken(refresh)), null);
});

onDatabase("an organization goes with its clients, consents, codes and tokens", async (db) => {
  const ann = await person(db);
  const bob = await person(db);
  for (const who of [ann, bob]) {
    const consentId = await consent(db, who);
    await token(db, who, { consentId });
    await code(db, who.organizationId, { consentId, expiresAt: now });
    await client(db, { organizationId: who.organizationId });
  }
  const itself = await client(db);
  await db.transaction().execute((transaction) => organizations.remove(transaction, ann.organizationId));
  for (const table of ["oauth_consents", "oauth_codes", "oauth_tokens"] as const) {
    const rows = await db.selectFrom(table).select("organization_id").execute();
    assert.deepEqual(rows.map((row) => row.organization_id), [bob.organizationId], table);
  }
  assert.equal((await db.selectFrom("oauth_clients").select("id").execute()).length, 2);
  assert.ok(await oauthClients.find(db, itself, now));
});

onDatabase("what has expired is cleaned up, and nothing else", async (db) => {
  const ann = await person(db);
  const idle = now - 181 * day;
  const live = await consent(db, ann);
  const old = await consent(db, ann, { resource: "conn_old", now: idle });
  const oldWithToken = await consent(db, ann, { resource: "conn_kept", now: idle });
  const oldButUsed = await consent(db, ann, { resource: "conn_used", now: idle });
  await oauthConsents.touch(db, ann.organizationId, { id: oldButUsed, now: now - day, every: 1 });
  const kept = [
    await token(db, ann, { consentId: live, expiresAt: now + 1 }),
    await token(db, ann, { consentId: oldWithToken, kind: "refresh", expiresAt: now + 1 }),
  ];
  const gone = await token(db, ann, { consentId: live, expiresAt: now });
  const recent = await code(db, ann.organizationId, { consentId: live, expiresAt: now - day + 1 });
  const stale = await code(db, ann.organizationId, { consentId: live, expiresAt: now - day });
  const request = { sessionHash: "s", userId: ann.userId, asked: {}, createdAt: now };
  await oauthRequests.insert(db, { ...request, id: newId("ask"), expiresAt: now });
  await oauthRequests.insert(db, { ...request, id: newId("ask"), expiresAt: now + 1 });
  const clients = {
    unusedAndOver: await client(db, { unusedUntil: now, lastUsedAt: null }),
    unused: await client(db, { unusedUntil: now + 1, lastUsedAt: null }),
    usedLongAgo: await client(db, { lastUsedAt: idle }),
    usedLongAgoWithConsent: await client(db, { id: "client_a", lastUsedAt: idle }),
    manual: await client(db, { organizationId: ann.organizationId, lastUsedAt: idle }),
    used: await client(db),
  };
  await removeExpired(db, now);
  await removeExpired(db, now);
  const consents = await oauthConsents.list(db, ann.organizationId);
  assert.deepEqual(consents.map(({ id }) => id).sort(), [live, oldWithToken, oldButUsed].sort());
  assert.ok(old);
  for (const secret of kept) assert.ok(await oauthTokens.find(db, hashToken(secret)));
  assert.equal(await oauthTokens.find(db, hashToken(gone)), null);
  assert.ok(await oauthCodes.find(db, recent), "a used code stays a day, to be recognised");
  assert.equal(await oauthCodes.find(db, stale), null);
  assert.equal((await db.selectFrom("oauth_requests").selectAll().execute()).length, 1);
  const left = new Set((await db.selectFrom("oauth_clients").select("id").execute()).map(({ id }) => id));
  const { unusedAndOver, usedLongAgo, ...staying } = clients;
  assert.deepEqual([...left].sort(), Object.values(staying).sort());
  assert.ok(!left.has(unusedAndOver) && !left.has(usedLongAgo));
});

onDatabase("a resource lies where the person belongs, and nowhere else", async (db) => {
  const ann = await person(db);
  await person(db);
  assert.deepEqual((await placesOf(db, ann.userId, "self")).map((place) => place.organizationId), [
    ann.organizationId,
  ]);
  for (const resource of ["conn_unknown", "gw_1", "", "%"]) {
    assert.deepEqual(await placesOf(db, ann.userId, resource), []);
  }
});
