// What the pages of connections say needs somebody, and when a server last answered.
import assert from "node:assert/strict";
import { newId } from "../../server/ids.ts";
import * as connectionHealth from "../../server/storage/connection_health.ts";
import * as upstreamCredentials from "../../server/storage/upstream_credentials.ts";
import type { Mesh, Person } from "../support/app.ts";
import { addConnection } from "../support/connections.ts";
import { onMesh, signedIn } from "./support.ts";

interface Shape {
  credential_mode?: string;
  credential_type?: string;
  status?: string;
  status_reason?: string;
}

async function add({ services: { db } }: Mesh, { organizationId }: Person, shape: Shape): Promise<string> {
  const upstream = { url: "http://127.0.0.1:9/mcp", title: "Linear", tools: [{ name: "look" }] };
  const id = await addConnection(db, organizationId, upstream);
  await db.updateTable("connections").set(shape).where("id", "=", id).execute();
  return id;
}

/** What its owner had connected and the server does not take any more. */
async function addEnded(
  { services: { db } }: Mesh,
  { organizationId }: Person,
  connection: string,
  owner: string,
) {
  const now = Date.now();
  await upstreamCredentials.put(db, {
    id: newId("cred"),
    organization_id: organizationId,
    connection_id: connection,
    owner,
    kind: "oauth",
    sealed: "envelope",
    state: "attention",
    reason: "the server did not accept the credential",
    version: 1,
    created_by: owner,
    created_at: now,
    updated_at: now,
  });
}

onMesh(
  "who looks after a connection sees how many need to reconnect, everybody what needs them",
  async (mesh) => {
    const ann = await mesh.organization();
    const bob = await mesh.member(ann.organizationId, ["user"]);
    const eve = await mesh.member(ann.organizationId, ["user"]);
    const id = await add(mesh, ann, { credential_mode: "per_user", credential_type: "oauth" });
    for (const { userId } of [bob, eve]) await addEnded(mesh, ann, id, userId);
    const [owner, user] = [await signedIn(mesh, ann), await signedIn(mesh, bob)];
    assert.match((await owner.get("/connections")).text, /2 people need to reconnect/);
    const overview = await owner.get(`/connections/${id}`);
    assert.match(overview.text, /Linear wants your own account .*2 people need to reconnect\. Show who/);
    assert.match((await user.get("/connections")).text, /Healthy/);
    const theirs = await user.get(`/connections/${id}`);
    assert.match(theirs.text, /Your access to Linear has ended: your calls fail\. Reconnect/);
    assert.doesNotMatch(theirs.text, /people need/);
    assert.match(theirs.html, /1<span class="hidden"> needs you<\/span>/);
  },
);

onMesh(
  "a shared access that ended is said to those who can renew it, and that it is so to the others",
  async (mesh) => {
    const ann = await mesh.organization();
    const bob = await mesh.member(ann.organizationId, ["user"]);
    const waiting = { status: "error", status_reason: "Connect to authorize; Register the mesh there" };
    const id = await add(mesh, ann, { credential_type: "oauth", ...waiting });
    const [owner, user] = [await signedIn(mesh, ann), await signedIn(mesh, bob)];
    assert.match((await owner.get("/connections")).text, /Not connected yet/);
    const before = await owner.get(`/connections/${id}`);
    assert.match(
      before.text,
      /Nobody has signed in at Linear yet, so calls fail\. .*Register the mesh there\./,
    );
    assert.doesNotMatch(before.text, /Connect to authorize/);
    assert.match((await user.get(`/connections/${id}`)).text, /Linear waits for an administrator/);
    assert.match((await owner.get("/")).text, /Nobody has signed in at Linear yet, so calls to it fail/);
    await addEnded(mesh, ann, id, upstreamCredentials.sharedOwner);
    assert.match((await owner.get("/connections")).text, /Needs to reconnect/);
    assert.match(
      (await owner.get(`/connections/${id}`)).text,
      /Linear ended the access that everybody calls with/,
    );
    assert.match((await owner.get("/")).text, /Linear did not accept the credential\. Reconnect to go on\./);
    assert.doesNotMatch((await user.get("/")).text, /Reconnect/);
  },
);

onMesh("a server that does not answer is shown with when it last did", async (mesh) => {
  const ann = await mesh.organization();
  const { db } = mesh.services;
  const failing = await add(mesh, ann, { status: "error", status_reason: "It cannot be reached" });
  const now = Date.now();
  const result = JSON.stringify({ stage: null, code: null, message: null, advice: null });
  const outcome = { dueAt: now + 3600_000, checkedAt: now - 120_000, failures: 3, result };
  const hours = (count: number) => now - count * 3600_000;
  await connectionHealth.record(db, ann.organizationId, {
    connectionId: failing,
    outcome: { ...outcome, okAt: hours(3) },
  });
  const visitor = await signedIn(mesh, ann);
  assert.match((await visitor.get("/connections")).text, /Not reachable last answered 3 h ago/);
  assert.match(
    (await visitor.get(`/connections/${failing}`)).text,
    /It cannot be reached\. Checked 2 min ago , last answered 3 h ago/,
  );
  const healthy = await add(mesh, ann, { status: "active" });
  await connectionHealth.record(db, ann.organizationId, {
    connectionId: healthy,
    outcome: { ...outcome, failures: 0, okAt: hours(1) },
  });
  assert.match((await visitor.get(`/connections/${healthy}`)).text, /Last answered 1 h ago/);
});
