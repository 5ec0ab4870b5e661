// The keys of identity tokens: made once by however many processes, replaced in time, published for long enough.
import assert from "node:assert/strict";
import { SignJWT } from "jose";
import * as signingKeys from "../../server/storage/signing_keys.ts";
import { SigningKeys } from "../../server/upstream/signing_keys.ts";
import { onServices } from "../support/services.ts";

const day = 86_400_000;
const start = Date.UTC(2026, 0, 1);

async function kids(keys: SigningKeys): Promise<(string | undefined)[]> {
  return (await keys.published()).keys.map(({ kid }) => kid);
}

onServices("the first use makes one key, and publishes nothing but its public half", async (services) => {
  const keys = new SigningKeys(services);
  const { keys: [jwk, ...more] } = await keys.published();
  assert.deepEqual(more, []);
  const { x, y, kid, ...rest } = jwk!;
  assert.deepEqual(rest, { kty: "EC", crv: "P-256", use: "sig", alg: "ES256" });
  for (const member of [x, y, kid]) assert.match(String(member), /^[\w-]{43}$/);
  assert.equal((await keys.signer()).kid, kid);
  const [row] = await signingKeys.list(services.db);
  assert.match(row!.sealed_private_key, /^v1\./);
  assert(!row!.public_key.includes(`"d"`));
});

onServices("processes that begin at the same time agree on one key", async (services) => {
  const processes = Array.from({ length: 8 }, () => new SigningKeys(services));
  const signers = await Promise.all(processes.map((keys) => keys.signer()));
  assert.equal(new Set(signers.map(({ kid }) => kid)).size, 1);
  assert.equal((await signingKeys.list(services.db)).length, 1);
  for (const { key, kid } of signers) {
    await new SignJWT().setProtectedHeader({ alg: "ES256", kid }).sign(key);
  }
});

onServices(
  "after 90 days a key is replaced, the new one known before it signs, the old one after",
  async (services) => {
    let now = start;
    const keys = new SigningKeys({ ...services, now: () => now });
    const first = (await keys.signer()).kid;
    now = start + 89 * day;
    assert.deepEqual(await kids(keys), [first]);
    now = start + 90 * day;
    const [second, ...others] = await kids(keys);
    assert.notEqual(second, first);
    assert.deepEqual(others, [first]);
    assert.equal((await keys.signer()).kid, first, "others do not know the new one yet");
    now += day - 1;
    assert.equal((await keys.signer()).kid, first);
    now += 1;
    assert.equal((await keys.signer()).kid, second);
    assert.deepEqual(await kids(keys), [second, first], "tokens of the old one may still be on their way");
    now += day / 24;
    assert.deepEqual(await kids(keys), [second]);
    now = start + 400 * day;
    const [third, still] = await kids(keys);
    assert.equal(still, second);
    assert.notEqual(third, second);
    assert.equal((await keys.signer()).kid, second);
    assert.deepEqual(
      (await signingKeys.list(services.db)).map(({ id }) => id),
      ["3", "2"],
      "the first is removed",
    );
  },
);

onServices("processes rotate together, and follow one that was first", async (services) => {
  let now = start;
  const clock = { now: () => now };
  const [one, two] = [new SigningKeys({ ...services, ...clock }), new SigningKeys({ ...services, ...clock })];
  await Promise.all([one.signer(), two.signer()]);
  now += 91 * day;
  assert.deepEqual(...await Promise.all([kids(one), kids(two)]) as [unknown, unknown]);
  assert.equal((await signingKeys.list(services.db)).length, 2);
  now += 2 * day;
  const [a, b] = await Promise.all([one.signer(), two.signer()]);
  assert.equal(a.kid, b.kid);
});

onServices("a key that was put in another's place does not sign", async (services) => {
  await new SigningKeys(services).signer();
  const [row] = await signingKeys.list(services.db);
  await signingKeys.keep(services.db, { ...row!, id: "2", created_at: 0 });
  await assert.rejects(new SigningKeys(services).signer(), /altered or moved/);
});
