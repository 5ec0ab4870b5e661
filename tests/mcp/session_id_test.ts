import assert from "node:assert/strict";
import { SessionIds } from "../../server/mcp/session_id.ts";

const key = new Uint8Array(32).fill(7);
const owner = { organizationId: "org_1", userId: "usr_1", connectionId: "conn_1" };

Deno.test("an id is visible ASCII, unguessable, and leads back to the upstream's", () => { // L01
  const ids = new SessionIds(key);
  for (const upstreamId of ["1f0c-77", "a", "x.y.z", "!~", "s".repeat(4000)]) {
    const id = ids.wrap(owner, upstreamId);
    assert.match(id, /^[\x21-\x7e]+$/);
    assert.match(id, /^[\w-]{22}\./, "132 bits that nobody without the key can make");
    assert.equal(ids.unwrap(owner, id), upstreamId);
  }
});

Deno.test("an id is of use to its owner on its connection alone", () => { // L01
  const ids = new SessionIds(key);
  const id = ids.wrap(owner, "session");
  for (const other of [{ userId: "usr_2" }, { connectionId: "conn_2" }, { organizationId: "org_2" }]) {
    assert.equal(ids.unwrap({ ...owner, ...other }, id), null);
    assert.notEqual(ids.wrap({ ...owner, ...other }, "session"), id);
  }
  assert.equal(ids.unwrap(owner, id), "session");
});

Deno.test("an id that was altered, cut or made up is none", () => {
  const ids = new SessionIds(key);
  const id = ids.wrap(owner, "session");
  const flipped = (id[0] === "A" ? "B" : "A") + id.slice(1);
  const made = [
    flipped,
    `${id}x`,
    id.slice(0, -1),
    id.slice(0, 22),
    id.slice(0, 23),
    id.slice(23),
    "session",
    "",
    ".",
  ];
  for (const each of [...made, "é".repeat(22) + ".session", `${"A".repeat(22)}.session`]) {
    assert.equal(ids.unwrap(owner, each), null, each);
  }
});

Deno.test("another process with the same key knows the id, one with another key does not", () => {
  const id = new SessionIds(key).wrap(owner, "session");
  assert.equal(new SessionIds(new Uint8Array(key)).unwrap(owner, id), "session");
  assert.equal(new SessionIds(new Uint8Array(32)).unwrap(owner, id), null);
});

Deno.test("what is remembered and what is made anew are the same", () => {
  const ids = new SessionIds(key);
  const first = ids.wrap(owner, "session");
  assert.equal(ids.wrap(owner, "session"), first);
  assert.equal(ids.unwrap(owner, first), "session");
  assert.equal(new SessionIds(key).wrap(owner, "session"), first);
});
