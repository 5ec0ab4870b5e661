// The token that tells an upstream who calls: what it says, how long, and that it is signed once for many calls.
import assert from "node:assert/strict";
import { createLocalJWKSet, decodeJwt, decodeProtectedHeader, errors, jwtVerify } from "jose";
import * as signingKeys from "../../server/storage/signing_keys.ts";
import { IdentityTokens } from "../../server/upstream/identity_token.ts";
import { SigningKeys } from "../../server/upstream/signing_keys.ts";
import { onServices } from "../support/services.ts";

const baseUrl = "https://mesh.example";
const audience = {
  id: "conn_1",
  url: "https://tools.example/mcp/?tenant=9",
  organization: { id: "org_1", slug: "acme" },
};
const ann = {
  userId: "usr_1",
  email: "ann@example.com",
  name: "Ann Žižková",
  roles: ["admin"],
  keyId: null,
  clientId: null,
};
const start = Date.UTC(2026, 0, 1);

onServices(
  "the token says who calls, over which connection, for which server, for five minutes",
  async (services) => {
    let now = start;
    const keys = new SigningKeys(services);
    const tokens = new IdentityTokens({ keys, baseUrl, now: () => now });
    const token = await tokens.headerFor(audience, ann);
    const set = createLocalJWKSet(await keys.published());
    const expected = { issuer: baseUrl, audience: "https://tools.example/mcp/", algorithms: ["ES256"] };
    const { payload, protectedHeader } = await jwtVerify(token, set, {
      ...expected,
      currentDate: new Date(now),
    });
    const { jti, ...rest } = payload;
    assert.match(String(jti), /^[0-9a-f-]{36}$/);
    const seconds = start / 1000;
    assert.deepEqual(rest, {
      iss: baseUrl,
      aud: "https://tools.example/mcp/",
      sub: "usr_1",
      email: "ann@example.com",
      name: "Ann Žižková",
      roles: ["admin"],
      org_id: "org_1",
      org_slug: "acme",
      connection_id: "conn_1",
      iat: seconds,
      nbf: seconds - 60,
      exp: seconds + 300,
    });
    assert.equal(protectedHeader.alg, "ES256");
    now += 301_000;
    await assert.rejects(
      jwtVerify(token, set, { ...expected, currentDate: new Date(now) }),
      errors.JWTExpired,
    );
    const other = { ...expected, audience: "https://other.example/mcp", currentDate: new Date(start) };
    await assert.rejects(jwtVerify(token, set, other), errors.JWTClaimValidationFailed);
  },
);

onServices("a token serves until its last minute, at once, and never for anybody else", async (services) => {
  let now = start;
  const tokens = new IdentityTokens({ keys: new SigningKeys(services), baseUrl, now: () => now });
  const first = tokens.headerFor(audience, ann);
  assert(first instanceof Promise);
  assert.equal(
    await tokens.headerFor(audience, { ...ann }),
    await first,
    "one signature for calls at the same time",
  );
  now += 239_999;
  assert.equal(tokens.headerFor(audience, { ...ann }), await first, "a string, not a promise");
  now += 1;
  const renewed = await tokens.headerFor(audience, ann);
  assert.notEqual(renewed, await first);
  const others = [
    tokens.headerFor(audience, { ...ann, userId: "usr_2" }),
    tokens.headerFor(audience, { ...ann, keyId: "key_1" }),
    tokens.headerFor(audience, { ...ann, clientId: "client_1" }),
    tokens.headerFor({ ...audience, id: "conn_2" }, ann),
  ];
  const made = new Set([renewed, ...await Promise.all(others)]);
  assert.equal(made.size, 5);
  assert.equal(decodeJwt([...made][2]!).key_id, "key_1");
  assert.equal(decodeJwt([...made][3]!).client_id, "client_1");
  assert.equal(tokens.headerFor(audience, ann), renewed);
});

onServices("what changes of a person or a connection is in the next token", async (services) => {
  const tokens = new IdentityTokens({ keys: new SigningKeys(services), baseUrl });
  await tokens.headerFor(audience, ann);
  const demoted = decodeJwt(await tokens.headerFor(audience, { ...ann, roles: ["user"] }));
  assert.deepEqual(demoted.roles, ["user"]);
  const moved = decodeJwt(await tokens.headerFor({ ...audience, url: "https://new.example" }, ann));
  assert.equal(moved.aud, "https://new.example/");
});

onServices("a failure to sign is not kept", async (services) => {
  let now = start;
  const broken = {
    id: "1",
    public_key: "{}",
    sealed_private_key: "v1.none",
    created_at: start,
    expires_at: start + 1e6,
  };
  await signingKeys.keep(services.db, broken);
  const keys = new SigningKeys({ ...services, now: () => now });
  const tokens = new IdentityTokens({ keys, baseUrl, now: () => now });
  for (let i = 0; i < 2; i++) {
    await assert.rejects(async () => await tokens.headerFor(audience, ann), /not a whole envelope/);
  }
  await signingKeys.remove(services.db, ["1"]);
  now += 60_000;
  assert.equal(decodeProtectedHeader(await tokens.headerFor(audience, ann)).alg, "ES256");
});
