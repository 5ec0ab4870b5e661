import assert from "node:assert/strict";
import { newId } from "../../server/ids.ts";
import type { Db } from "../../server/storage/dialect.ts";
import * as counts from "../../server/storage/counts.ts";
import * as clients from "../../server/storage/upstream_clients.ts";
import * as credentials from "../../server/storage/upstream_credentials.ts";
import * as flows from "../../server/storage/upstream_flows.ts";
import { withMigrated } from "../support/accounts.ts";
import { onEachDatabase } from "../support/databases.ts";

const now = 1_800_000_000_000;

function onDatabase(name: string, fn: (db: Db) => Promise<void>): void {
  onEachDatabase(name, (_t, url) => withMigrated(url, fn));
}

type Row = Parameters<typeof credentials.put>[1];

function credential(given: Partial<Row> = {}): Row {
  return {
    id: newId("cred"),
    organization_id: "org_1",
    connection_id: "conn_1",
    owner: "user_1",
    kind: "oauth",
    sealed: "envelope",
    state: "ok",
    version: 1,
    created_by: "user_1",
    created_at: now,
    updated_at: now,
    ...given,
  };
}

onDatabase("a credential is found by its tenant, connection and owner only", async (db) => {
  const row = credential();
  await credentials.put(db, row);
  const place = { connectionId: "conn_1", owner: "user_1" };
  assert.equal((await credentials.find(db, "org_1", place))?.id, row.id);
  assert.equal(await credentials.find(db, "org_2", place), null);
  assert.equal(await credentials.find(db, "org_1", { ...place, owner: credentials.sharedOwner }), null);
  assert.equal(await credentials.find(db, "org_1", { ...place, connectionId: "conn_2" }), null);
});

onDatabase("a credential that is connected anew takes the place of the old one", async (db) => {
  await credentials.put(db, credential());
  const next = credential({ sealed: "another" });
  await credentials.put(db, next);
  const all = await credentials.listOfConnection(db, "org_1", "conn_1");
  assert.deepEqual(all.map(({ id, sealed }) => ({ id, sealed })), [{ id: next.id, sealed: "another" }]);
});

onDatabase(
  "how credentials stand is counted by connection, and for the person whom it concerns",
  async (db) => {
    const { sharedOwner, standings } = credentials;
    const rows: [string, string, string, string][] = [
      ["org_1", "conn_1", "user_1", "attention"],
      ["org_1", "conn_1", "user_2", "attention"],
      ["org_1", "conn_1", "user_3", "ok"],
      ["org_1", "conn_2", sharedOwner, "attention"],
      ["org_1", "conn_3", sharedOwner, "ok"],
      ["org_1", "conn_4", "user_1", "ok"],
      ["org_2", "conn_5", "user_1", "attention"],
    ];
    for (const [organization_id, connection_id, owner, state] of rows) {
      await credentials.put(db, credential({ organization_id, connection_id, owner, state }));
    }
    const all = ["conn_1", "conn_2", "conn_3", "conn_4", "conn_5"];
    assert.deepEqual([...await standings(db, "org_1", all)].sort(), [
      ["conn_1", { people: 2, shared: null }],
      ["conn_2", { people: 0, shared: "attention" }],
      ["conn_3", { people: 0, shared: "ok" }],
    ]);
    assert.equal((await standings(db, "org_1", ["conn_2"])).size, 1);
    assert.equal((await standings(db, "org_1", [])).size, 0);
    const need = (userId: string, shared: boolean) =>
      counts.needingAttention(db, "org_1", { userId, shared });
    assert.deepEqual(
      await Promise.all([need("user_1", false), need("user_1", true), need("user_3", false)]),
      [1, 2, 0],
    );
  },
);

onDatabase("one claim holds until it ends, is settled or given back", async (db) => {
  const { id } = credential();
  await credentials.put(db, credential({ id }));
  const claim = (by: string, at = now, version = 1) =>
    credentials.claim(db, "org_1", { id, version, by, until: at + 1000, now: at });
  const racing = await Promise.all(["a", "b", "c", "d"].map((by) => claim(by)));
  assert.equal(racing.filter(Boolean).length, 1);
  assert.equal(await claim("late", now + 1000), true, "a claim that has ended is free");
  await credentials.release(db, "org_1", { id, by: "someone else" });
  assert.equal(await claim("e", now + 1001), false);
  await credentials.release(db, "org_1", { id, by: "late" });
  assert.equal(await claim("e", now + 1001), true);
  const changes = { sealed: "renewed" };
  assert.equal(await credentials.settle(db, "org_1", { id, version: 1, changes, now }), true);
  assert.equal(await credentials.settle(db, "org_1", { id, version: 1, changes, now }), false);
  assert.equal(await claim("f", now + 1001), false, "the version is another one");
  assert.equal(await claim("f", now + 1001, 2), true, "settling ends the claim");
});

onDatabase("what a person has connected goes with them, and leaves others' alone", async (db) => {
  await credentials.put(db, credential());
  await credentials.put(db, credential({ owner: "user_2" }));
  await credentials.put(db, credential({ organization_id: "org_2", connection_id: "conn_9" }));
  await credentials.removeOfOwner(db, "org_1", "user_1");
  assert.deepEqual(await credentials.listOfOwner(db, "org_1", "user_1"), []);
  assert.equal((await credentials.listOfOwner(db, "org_1", "user_2")).length, 1);
  assert.equal((await credentials.listOfOwner(db, "org_2", "user_1")).length, 1);
  const place = { connectionId: "conn_1", owner: "user_2" };
  assert.equal(await credentials.remove(db, "org_2", place), false);
  assert.equal(await credentials.remove(db, "org_1", place), true);
});

onDatabase("the first registration at an authorization server is kept", async (db) => {
  const row = (client_id: string) => ({
    id: newId("ucl"),
    organization_id: "org_1",
    match_hash: "hash",
    issuer: "https://as.example",
    client_id,
    auth_method: "none",
    created_at: now,
  });
  const first = await clients.keep(db, row("a"));
  assert.equal((await clients.keep(db, row("b"))).client_id, "a");
  assert.equal(await clients.find(db, "org_2", "hash"), null);
  await clients.remove(db, "org_1", first.id);
  assert.equal(await clients.find(db, "org_1", "hash"), null);
});

// CL15
onDatabase("an authorization comes back once, in its own session and in time", async (db) => {
  const row = {
    state_hash: "state",
    organization_id: "org_1",
    connection_id: "conn_1",
    user_id: "user_1",
    session_hash: "session",
    sealed: "envelope",
    created_at: now,
    expires_at: now + 1000,
  };
  const asked = { stateHash: "state", sessionHash: "session", now };
  await flows.insert(db, row);
  assert.equal(await flows.take(db, { ...asked, sessionHash: "other" }), null);
  const taken = await Promise.all([flows.take(db, asked), flows.take(db, asked), flows.take(db, asked)]);
  assert.equal(taken.filter((flow) => flow !== null).length, 1);
  await flows.insert(db, row);
  assert.equal(await flows.take(db, { ...asked, now: now + 1000 }), null);
  await flows.insert(db, row);
  await flows.removeExpired(db, now + 1000);
  assert.equal(await flows.take(db, asked), null);
});
