import assert from "node:assert/strict";
import { setImmediate } from "node:timers";
import { Sending } from "../../server/outbound/sending.ts";

const endOfTurn = () => new Promise((resolve) => setImmediate(resolve));

Deno.test("a request that is alone is sent at once, others of the same turn together after it", async () => {
  const sending = new Sending();
  const sent: string[] = [];
  const answered = ["a", "b", "c"].map((name) => sending.send(() => sent.push(name)));
  assert.deepEqual(sent, ["a"]);
  await endOfTurn();
  assert.deepEqual(sent, ["a", "b", "c"]);
  for (const done of answered) done();
  sending.send(() => sent.push("d"));
  assert.deepEqual(sent, ["a", "b", "c", "d"]);
});

Deno.test("what is sent while others are under way goes out at the end of its own turn", async () => {
  const sending = new Sending();
  const sent: string[] = [];
  sending.send(() => sent.push("a"));
  sending.send(() => sent.push("b"));
  await endOfTurn();
  sending.send(() => sent.push("c"));
  assert.deepEqual(sent, ["a", "b"]);
  await endOfTurn();
  assert.deepEqual(sent, ["a", "b", "c"]);
});
