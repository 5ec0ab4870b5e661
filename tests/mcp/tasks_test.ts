import assert from "node:assert/strict";
import type { Actor } from "../../server/access/actor.ts";
import { parseMessage } from "../../server/mcp/message.ts";
import { startRule, type TaskCall, taskRule } from "../../server/mcp/tasks.ts";
import type { Db } from "../../server/storage/dialect.ts";
import { withMigrated } from "../support/accounts.ts";
import { startFixture, startHostile } from "../support/upstreams.ts";
import {
  answerOf,
  colleague,
  type Json,
  legacy,
  modern,
  type ModernOptions,
  post,
  replying,
  resultFor,
  rowsOf,
  type Site,
  site,
  withMesh,
} from "./support.ts";

function actor(userId: string): Actor {
  const person = { userId, name: userId, email: `${userId}@example.com`, organizationId: "org_1" };
  const none = { limits: null, keyId: null, clientId: null, resource: null };
  return { kind: "session", roles: ["user"], ...person, ...none };
}

function onDatabase(name: string, fn: (db: Db) => Promise<void>): void {
  Deno.test(name, async () => {
    const folder = await Deno.makeTempDir({ prefix: "mesh-tasks-" });
    try {
      await withMigrated(`file:${folder}/mesh.db`, fn);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

function call(db: Db, userId: string, sent: { body: string }, changes: Partial<TaskCall> = {}): TaskCall {
  const owner = { organizationId: "org_1", connectionId: "conn_1", modern: false };
  return { db, actor: actor(userId), ...owner, message: parseMessage(sent.body), ...changes };
}

const start = legacy("tools/call", { name: "slow", task: { ttl: 1000 } });
const get = (taskId: string) => legacy("tasks/get", { taskId });

onDatabase("what was started long ago is forgotten when its owner starts the next", async (db) => {
  const day = 24 * 3600_000;
  const remember = (taskId: string) =>
    startRule(call(db, "ann", start)).remember({ result: { task: { taskId } } });
  for (const [taskId, days] of [["old", 91], ["young", 89]] as const) {
    await remember(taskId);
    const created_at = Date.now() - days * day;
    await db.updateTable("task_owners").set({ created_at }).where("created_at", ">", Date.now() - day)
      .execute();
  }
  await remember("new");
  const refusals = ["old", "young", "new"].map(async (taskId) =>
    (await taskRule(call(db, "ann", get(taskId)))).refusal
  );
  const [old, ...others] = await Promise.all(refusals);
  assert.match(old ?? "", /^Cannot find the task/);
  assert.deepEqual(others, [null, null]);
});

Deno.test("a task whose owner cannot be remembered is not handed on, and its client is told so", async () => {
  await using upstream = startHostile(replying((request) => ({
    body: resultFor(request, { task: { taskId: "t-1", status: "working" } }),
  })));
  await withMesh(async (mesh) => {
    const to = await site(mesh, upstream.url);
    const { db } = mesh.services;
    await db.schema.alterTable("task_owners").renameTo("task_owners_away").execute();
    const response = await post(to, start);
    assert.equal(response.status, 503);
    const { error } = await response.json();
    assert.match(error.message, /^Cannot pass the answer on/);
    await db.schema.alterTable("task_owners_away").renameTo("task_owners").execute();
    assert.equal((await answerOf(await post(to, start))).result.task.taskId, "t-1");
  });
});

onDatabase("a task belongs to who started it, through the connection it was started on", async (db) => { // L12
  await startRule(call(db, "ann", start)).remember({
    result: { task: { taskId: "t-1", status: "working" } },
  });
  assert.equal((await taskRule(call(db, "ann", get("t-1")))).refusal, null);
  for (
    const other of [
      call(db, "bob", get("t-1")),
      call(db, "ann", get("t-1"), { connectionId: "conn_2" }),
      call(db, "ann", get("t-1"), { organizationId: "org_2" }),
      call(db, "ann", get("t-2")),
      call(db, "ann", legacy("tasks/get")),
      call(db, "bob", legacy("tasks/cancel", { taskId: "t-1" })),
      call(db, "bob", legacy("tasks/result", { taskId: "t-1" })),
      call(db, "bob", legacy("tasks/update", { taskId: "t-1" })),
      call(db, "bob", legacy("tasks/something", { taskId: "t-1" })),
    ]
  ) assert.match((await taskRule(other)).refusal ?? "", /^Cannot find the task '/);
});

onDatabase("the first owner of a task stays its owner", async (db) => {
  const started = { result: { resultType: "task", taskId: "t-1" } };
  await startRule(call(db, "ann", start)).remember(started);
  await startRule(call(db, "bob", start)).remember(started); // an upstream that gives an id twice
  assert.equal((await taskRule(call(db, "ann", get("t-1")))).refusal, null);
  assert.notEqual((await taskRule(call(db, "bob", get("t-1")))).refusal, null);
});

onDatabase("a list of tasks keeps the caller's own", async (db) => { // L12
  for (const [user, taskId] of [["ann", "t-1"], ["bob", "t-2"], ["ann", "t-3"]] as const) {
    await startRule(call(db, user, start)).remember({ result: { task: { taskId } } });
  }
  const rule = await taskRule(call(db, "ann", legacy("tasks/list")));
  const all = ["t-1", "t-2", "t-3", "t-4"].map((taskId) => ({ taskId }));
  const response = { id: 1, result: { tasks: [...all, null, {}], nextCursor: "c" } };
  assert.equal(rule.rewrite(response), true);
  assert.deepEqual(response.result, { tasks: [{ taskId: "t-1" }, { taskId: "t-3" }], nextCursor: "c" });
  assert.equal(rule.rewrite({ id: 1, error: { code: -32601 } }), false);
});

onDatabase("an answer that is no task is neither remembered nor changed", (db) => {
  const rule = startRule(call(db, "ann", start, { modern: true }));
  for (
    const result of [{}, { content: [] }, { task: "t" }, { taskId: "t" }, { resultType: "task" }, null, "t"]
  ) {
    assert.equal(rule.remember({ result }), undefined);
  }
  const response = { id: 1, result: { resultType: "complete", content: [] } };
  assert.equal(rule.rewrite(response), false);
  return Promise.resolve();
});

const tasksExtension = { extensions: { "io.modelcontextprotocol/tasks": {} } };

onDatabase("a client that does not know tasks gets an error instead of one", (db) => { // M14
  const started = () => ({ id: 1, result: { resultType: "task", taskId: "t-1" } } as Record<string, unknown>);
  const unaware = startRule(call(db, "ann", modern("tools/call", { name: "slow" }), { modern: true }));
  const response = started();
  assert.equal(unaware.rewrite(response), true);
  assert.equal("result" in response, false);
  assert.equal((response.error as Json).code, -32603);
  const sent = modern("tools/call", { name: "slow" }, { capabilities: tasksExtension });
  assert.equal(startRule(call(db, "ann", sent, { modern: true })).rewrite(started()), false);
  return Promise.resolve();
});

async function modernCall(
  to: Site,
  method: string,
  params: Record<string, unknown>,
  options: ModernOptions = {},
) {
  const response = await post(to, modern(method, params, { capabilities: tasksExtension, ...options }));
  return await answerOf(response);
}

Deno.test("tasks of a real server: the owner follows, answers and cancels; nobody else does", async () => { // M14
  await using fixture = await startFixture({ era: "modern" });
  await withMesh(async (mesh) => {
    const ann = await site(mesh, fixture.url);
    const bob = await colleague(mesh, ann);
    const slow = { name: "slow_compute", arguments: { seconds: 30, label: "x" } };
    const { result: { taskId, resultType } } = await modernCall(ann, "tools/call", slow);
    assert.equal(resultType, "task");
    for (const method of ["tasks/get", "tasks/cancel", "tasks/update"]) {
      const { error } = await modernCall(bob, method, { taskId, inputResponses: {} });
      assert.equal(error.code, -32602, method);
      assert.match(error.message, /^Cannot find the task/);
    }
    assert.equal(
      fixture.seen.filter(({ body }) => body.includes(taskId)).length,
      0,
      "nothing reached the server",
    );
    assert.equal((await modernCall(ann, "tasks/get", { taskId })).result.status, "working");
    await modernCall(ann, "tasks/cancel", { taskId });
    assert.equal((await modernCall(ann, "tasks/get", { taskId })).result.status, "cancelled");

    const started = await modernCall(ann, "tools/call", {
      name: "confirm_delete",
      arguments: { filename: "f" },
    });
    const id = started.result.taskId;
    const confirm = { confirm: { action: "accept", content: { confirm: true } } };
    await modernCall(ann, "tasks/update", { taskId: id, inputResponses: confirm });
    assert.equal((await modernCall(ann, "tasks/get", { taskId: id })).result.status, "completed");

    const denied = (await rowsOf(mesh, ann)).filter(({ outcome }) => outcome === "denied");
    assert.deepEqual(denied.map(({ method }) => method).sort(), [
      "tasks/cancel",
      "tasks/get",
      "tasks/update",
    ]);
    assert.ok(denied.every(({ userId }) => userId === bob.person.userId));
  });
});

Deno.test("a client without the extension gets the answer of a server that knows it", async () => {
  await using fixture = await startFixture({ era: "modern" });
  await withMesh(async (mesh) => {
    const to = await site(mesh, fixture.url);
    const params = { name: "slow_compute", arguments: { seconds: 0, label: "now" } };
    const { result } = await modernCall(to, "tools/call", params, { capabilities: {} });
    assert.match(result.content[0].text, /^Computed now/);
    const missing = await modernCall(to, "tools/call", { name: "multi_input" }, { capabilities: {} });
    assert.equal(missing.error.code, -32021); // M05
  });
});
