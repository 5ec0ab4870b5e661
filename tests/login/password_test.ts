import assert from "node:assert/strict";
import { AppError } from "../../server/errors.ts";
import { hashingLoad, hashPassword, problemOfPassword, verifyPassword } from "../../server/login/password.ts";

const phrase = "correct horse battery";

Deno.test("a password opens its own hash only", async () => {
  const stored = await hashPassword(phrase);
  assert.match(stored, /^scrypt\$32768\$8\$1\$[\w-]{22}\$[\w-]{43}$/);
  assert.equal(await verifyPassword(phrase, stored), true);
  assert.equal(await verifyPassword(`${phrase} `, stored), false);
  assert.equal(await verifyPassword("", stored), false);
  assert.notEqual(await hashPassword(phrase), stored, "each hash has a salt of its own");
});

Deno.test("the parameters of a hash are its own", async () => {
  const { scryptSync } = await import("node:crypto");
  const hash = scryptSync(phrase, "a salt of its own", 32, { N: 1024, r: 4, p: 2 }).toString("base64url");
  const salt = btoa("a salt of its own").replace(/=+$/, "");
  assert.equal(await verifyPassword(phrase, `scrypt$1024$4$2$${salt}$${hash}`), true);
});

Deno.test("the spellings of one word are one password", async () => {
  const stored = await hashPassword("Zo\u00eb likes \u212bngstr\u00f6m");
  assert.equal(await verifyPassword("Zoe\u0308 likes \u00c5ngstro\u0308m", stored), true);
});

Deno.test("a missing hash costs one hash and opens for nothing", async () => {
  const before = hashingLoad().started;
  assert.equal(await verifyPassword(phrase, null), false);
  assert.equal(hashingLoad().started, before + 1);
});

Deno.test("a stored hash of an unknown form is refused before it costs anything", async () => {
  const before = hashingLoad().started;
  const good = await hashPassword(phrase);
  const [, , , , salt, hash] = good.split("$");
  for (
    const stored of [
      "",
      "plain",
      `bcrypt$32768$8$1$${salt}$${hash}`,
      `scrypt$1073741824$8$1$${salt}$${hash}`,
      `scrypt$x$8$1$${salt}$${hash}`,
      `scrypt$32768$8$1$${salt}$`,
      `${good}$more`,
    ]
  ) {
    await assert.rejects(verifyPassword(phrase, stored), /unknown form/);
  }
  assert.equal(hashingLoad().started, before + 1);
});

Deno.test("the rules for a new password", () => {
  assert.match(problemOfPassword("1234567") ?? "", /at least 8/);
  assert.equal(problemOfPassword("12345678"), null);
  assert.match(problemOfPassword("🙂🙂🙂🙂") ?? "", /at least 8/, "characters, not units of UTF-16");
  assert.equal(problemOfPassword("🙂".repeat(8)), null);
  assert.equal(problemOfPassword("x".repeat(256)), null);
  assert.match(problemOfPassword("x".repeat(257)) ?? "", /at most 256/);
});

Deno.test("a flood holds the memory of two hashes, waits in line, and is refused beyond it", async () => {
  const { scryptSync } = await import("node:crypto");
  const hash = scryptSync("x", "salt", 32, { N: 1024, r: 8, p: 1 }).toString("base64url");
  const cheap = `scrypt$1024$8$1$${btoa("salt").replace(/=+$/, "")}$${hash}`;
  const flood = Array.from({ length: 110 }, () => verifyPassword("x", cheap));
  const { running, waiting } = hashingLoad();
  assert.deepEqual({ running, waiting }, { running: 2, waiting: 100 });
  const results = await Promise.allSettled(flood);
  const refused = results.filter((result) => result.status === "rejected");
  assert.equal(refused.length, 8);
  for (const { reason } of refused) {
    assert.ok(reason instanceof AppError && reason.code === "unavailable" && reason.retryAfterSeconds);
  }
  const rest = { ...hashingLoad(), started: 0 };
  assert.deepEqual(rest, { running: 0, waiting: 0, started: 0 });
  assert.equal(await verifyPassword("x", cheap), true, "the line is open again");
});
