import assert from "node:assert/strict";
import type { AuditEntry } from "../../server/audit.ts";
import type { Mesh, Person } from "../support/app.ts";
import { addConnection } from "../support/connections.ts";
import { type Answer, onMesh, setUp, signedIn } from "./support.ts";

const hour = 3600_000;

/** Records a call of the person as the proxy would. */
async function record(
  mesh: Mesh,
  person: Person,
  call: Partial<AuditEntry> & { agoMs?: number },
): Promise<void> {
  const { agoMs = 0, ...rest } = call;
  await mesh.services.audit.record({
    organizationId: person.organizationId,
    connectionId: "conn_1",
    connectionTitle: "Linear",
    toolName: "create_issue",
    method: "tools/call",
    outcome: "ok",
    errorMessage: null,
    durationMs: 20,
    timestamp: Date.now() - agoMs,
    userId: person.userId,
    keyId: null,
    clientId: null,
    requestId: "req_1",
    userAgent: null,
    ...rest,
  });
}

/** The calls in the rows, top to bottom. */
function calls({ html }: Answer): string[] {
  return [...html.matchAll(/class="row-link" href="\/activity\/log_\w+">([^<]+)</g)].map(([, name = ""]) =>
    name
  );
}

onMesh("activity: figures, filters in the address, one's own and others' calls", async (mesh) => {
  await setUp(mesh);
  const owner = await mesh.organization();
  const user = await mesh.member(owner.organizationId, ["user"]);
  const other = await mesh.organization("Elsewhere");
  await record(mesh, owner, { toolName: "one", agoMs: hour });
  await record(mesh, owner, {
    toolName: "two",
    outcome: "failed",
    errorMessage: "It <b>broke</b>",
    agoMs: 2 * hour,
  });
  await record(mesh, user, { toolName: "three", outcome: "denied", agoMs: 3 * hour, requestId: "req_heron" });
  await record(mesh, user, {
    toolName: "four",
    connectionId: "conn_2",
    connectionTitle: "Gmail",
    agoMs: 240 * hour,
  });
  await record(mesh, other, { toolName: "foreign" });
  const visitor = await signedIn(mesh, owner);

  const all = await visitor.get("/activity");
  assert.deepEqual(calls(all), ["one", "two", "three", "four"]);
  assert.match(all.text, /Calls 3 .*Errors 66\.7 % 2 calls .*Denied 1 refused by permission/);
  assert.match(all.html, /failed: It &lt;b&gt;broke&lt;\/b&gt;/);
  const day = new Date(Date.now() - 240 * hour).toISOString().slice(0, 10);
  const cases: [string, string[]][] = [
    ["q=TWO", ["two"]],
    ["q=req_heron", ["three"]],
    [`q=${encodeURIComponent(user.email)}`, ["three", "four"]],
    ["outcome=failed", ["two"]],
    ["outcome=denied&q=three", ["three"]],
    ["connection=conn_2", ["four"]],
    ["connection=self", []],
    [`person=${user.userId}`, ["three", "four"]],
    [`to=${day}`, ["four"]],
    [`from=${day}&to=${day}`, ["four"]],
    ["from=nonsense&outcome=odd&page=x", ["one", "two", "three", "four"]],
    ["from=2030-01-01", []],
    ["from=2026-02-31", ["one", "two", "three", "four"]],
  ];
  for (const [query, expected] of cases) {
    const answer = await visitor.get(`/activity?${query}`);
    assert.equal(answer.status, 200, query);
    assert.deepEqual(calls(answer), expected, query);
    assert.doesNotMatch(answer.html, /foreign/);
  }
  const part = await visitor.get("/activity?q=two", { "hx-request": "true" });
  assert.match(part.html, /^<div id="activity-rows"/);
  assert.deepEqual(calls(part), ["two"]);
  assert.doesNotMatch(part.html, /activity-figures/, "they stand already");
  const asks = { "hx-request": "true", "hx-current-url": `${mesh.url}/activity?q=two` };
  const narrower = await visitor.get("/activity?q=two&connection=conn_2", asks);
  assert.match(narrower.html, /id="activity-figures" hx-swap-oob="true"/);
  assert.match(narrower.text, /Calls 0 /, "the figures are of the connection that was chosen");
  const gone = await visitor.get("/activity?connection=conn_2");
  assert.match(gone.html, /<option value="conn_2" selected[^>]*>/, "a choice that is not offered stands");

  const own = await signedIn(mesh, user);
  assert.deepEqual(calls(await own.get("/activity")), ["three", "four"]);
  assert.deepEqual(calls(await own.get(`/activity?person=${owner.userId}`)), []);
});

onMesh("activity: pages of fifty, and looking at pages leaves no rows", async (mesh) => {
  await setUp(mesh);
  const owner = await mesh.organization();
  for (let i = 0; i < 60; i++) await record(mesh, owner, { toolName: `tool_${i}`, agoMs: i * 1000 });
  const visitor = await signedIn(mesh, owner);
  for (const path of ["/", "/connections", "/api-keys", "/members", "/settings"]) await visitor.get(path);
  const first = await visitor.get("/activity");
  assert.equal(calls(first).length, 50);
  assert.match(first.html, /1–50 of 60/);
  const second = await visitor.get("/activity?page=2");
  assert.deepEqual(calls(second)[0], "tool_50");
  assert.equal(calls(second).length, 10);
  const behind = await visitor.get("/activity?q=tool&page=9");
  assert.equal(behind.status, 303, "not an empty list");
  assert.equal(behind.headers.get("location"), "/activity?q=tool&page=2");
  assert.equal((await visitor.get("/members?page=2")).headers.get("location"), "/members");
  await visitor.post("/settings/account", { name: "Ann Other" });
  const latest = await visitor.get("/activity");
  assert.equal(calls(latest)[0], "USER_UPDATE", "but changes do");
  const refused = await signedIn(mesh, await mesh.member(owner.organizationId, ["user"]));
  assert.equal((await refused.post("/connections", { url: "http://x/", title: "T" })).status, 403);
  const denied = await visitor.get("/activity?outcome=denied");
  assert.deepEqual(calls(denied), ["COLLECTION_CONNECTIONS_CREATE"], "and so does what was denied");
});

onMesh(
  "activity: a row says why without what it says anyway, the call's page says all of it",
  async (mesh) => {
    await setUp(mesh);
    const owner = await mesh.organization();
    const missing = "Cannot use 'Linear': the permission 'create_issue' on 'conn_1' is missing";
    await record(mesh, owner, { outcome: "denied", errorMessage: missing });
    await record(mesh, owner, { outcome: "failed", errorMessage: "MCP error -32602: the team is not known" });
    const visitor = await signedIn(mesh, owner);
    const { html } = await visitor.get("/activity");
    const badges = [...html.matchAll(/class="badge-text">([^<]+)</g)].map(([, words]) => words).sort();
    assert.deepEqual(badges, ["denied: no permission", "failed: the team is not known"]);
    const page = await visitor.get(
      /\/activity\/log_\w+/.exec((await visitor.get("/activity?outcome=denied")).html)?.[0] ?? "",
    );
    assert.match(page.text, /the permission &#39;create_issue&#39; on &#39;conn_1&#39; is missing/);
  },
);

onMesh("activity: a call's page says who, what and how, and hides what it must", async (mesh) => {
  await setUp(mesh);
  const owner = await mesh.organization();
  const user = await mesh.member(owner.organizationId, ["user"]);
  await record(mesh, owner, {
    input: { title: "</code><script>alert(1)</script>", password: "quiet-heron" },
    output: { content: [] },
    userAgent: "curl/8 <x>",
    upstreamStatus: 200,
    requestBytes: 1234,
  });
  const visitor = await signedIn(mesh, owner);
  const path = /\/activity\/log_\w+/.exec((await visitor.get("/activity")).html)?.[0] ?? "";
  const page = await visitor.get(path);
  assert.match(page.text, /create_issue on Linear/);
  assert.match(page.text, /Server&#39;s status 200 Request 1\.2 kB/);
  assert.doesNotMatch(page.html, /<script>alert|quiet-heron/);
  assert.doesNotMatch(page.html, /href="\/connections\/conn_1"/, "which is gone");
  const own = await signedIn(mesh, user);
  assert.equal((await own.get(path)).status, 404, "not another's");

  const made = { url: "https://mcp.example/mcp", title: "Linear" };
  const id = await addConnection(mesh.services.db, owner.organizationId, made);
  await record(mesh, user, { connectionId: id, outcome: "denied" });
  const theirs = await own.get("/activity");
  assert.match(theirs.text, /Activity Your calls and what came back\. Last 24 hours\./);
  assert.match(theirs.text, /Errors 100\.0 % 2 calls .*Denied 1 /);
  const call = await own.get(/\/activity\/log_\w+/.exec(theirs.html)?.[0] ?? "");
  assert.match(call.html, new RegExp(`<a href="/connections/${id}">Linear</a>`));
});
