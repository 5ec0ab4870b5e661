import assert from "node:assert/strict";
import { newId, newSecret } from "../server/ids.ts";

Deno.test("an id tells its millisecond", () => {
  const before = Date.now();
  const stamp = newId("log").slice(4, 14);
  const time = [...stamp].reduce(
    (sum, char) => sum * 32 + "0123456789abcdefghjkmnpqrstvwxyz".indexOf(char),
    0,
  );
  assert.ok(time >= before && time <= Date.now());
});

Deno.test("ids have their prefix, are never the same and sort by age", async () => {
  const first = Array.from({ length: 5000 }, () => newId("conn"));
  const began = Date.now();
  while (Date.now() === began) await Promise.resolve();
  const later = newId("conn");
  for (const id of [...first, later]) assert.match(id, /^conn_[0-9a-hjkmnp-tv-z]{26}$/);
  assert.equal(new Set(first).size, first.length);
  assert.deepEqual([...first, later].toSorted(), [...first, later], "those of one millisecond too");
});

Deno.test("a secret is 256 bits behind its prefix", () => {
  assert.match(newSecret("mesh_key_"), /^mesh_key_[\w-]{43}$/);
  assert.notEqual(newSecret(""), newSecret(""));
});
