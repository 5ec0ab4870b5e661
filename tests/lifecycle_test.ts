import assert from "node:assert/strict";
import { Lifecycle } from "../server/lifecycle.ts";

Deno.test("a drain with nothing running is over at once", async () => {
  const lifecycle = new Lifecycle();
  assert.equal(await lifecycle.drain(60_000), true);
  assert.equal(lifecycle.draining, true);
});

Deno.test("a drain waits for every running call", async () => {
  const lifecycle = new Lifecycle();
  lifecycle.enter();
  lifecycle.enter();
  let over = false;
  const drained = lifecycle.drain(60_000).then((all) => over = all);
  lifecycle.leave();
  await new Promise((resolve) => setTimeout(resolve, 0));
  assert.equal(over, false);
  lifecycle.leave();
  assert.equal(await drained, true);
});

Deno.test("a drain gives up calls that do not end", async () => {
  const lifecycle = new Lifecycle();
  lifecycle.enter();
  assert.equal(await lifecycle.drain(1), false);
});

Deno.test("a drain ends streams, those that begin while it lasts too, but none that was taken back", async () => {
  const lifecycle = new Lifecycle();
  const ended: string[] = [];
  lifecycle.enter();
  lifecycle.endless(() => ended.push("open"));
  lifecycle.endless(() => ended.push("gone"))();
  const drained = lifecycle.drain(60_000);
  lifecycle.endless(() => ended.push("late"));
  lifecycle.leave();
  await drained;
  assert.deepEqual(ended, ["open", "late"]);
});
