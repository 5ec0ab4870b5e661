// The published keys of identity tokens: where upstreams look, for how long they may keep them, whom they belong to.
import assert from "node:assert/strict";
import { startMesh } from "../support/app.ts";

Deno.test("identity keys are at one address for everybody, and no secret half is among them", async () => {
  const mesh = await startMesh();
  try {
    const url = `${mesh.url}/.well-known/jwks.json`;
    const answer = await fetch(url);
    assert.equal(answer.status, 200);
    assert.match(answer.headers.get("content-type")!, /^application\/json/);
    assert.equal(answer.headers.get("cache-control"), "public, max-age=3600");
    assert.equal(answer.headers.get("access-control-allow-origin"), "*");
    const { keys } = await answer.json();
    assert.equal(keys.length, 1);
    assert.deepEqual(Object.keys(keys[0]).sort(), ["alg", "crv", "kid", "kty", "use", "x", "y"]);
    assert.deepEqual(await (await fetch(url)).json(), { keys }, "the same each time");
    const head = await fetch(url, { method: "HEAD" });
    assert.deepEqual([head.status, await head.text()], [200, ""]);
  } finally {
    await mesh.stop();
  }
});

Deno.test("the authorization server does not claim them: its own tokens are no JWTs", async () => {
  const mesh = await startMesh();
  try {
    const own = await (await fetch(`${mesh.url}/.well-known/oauth-authorization-server`)).json();
    assert.equal("jwks_uri" in own, false);
    const openId = await (await fetch(`${mesh.url}/.well-known/openid-configuration`)).json();
    assert.notEqual(openId.jwks_uri, `${mesh.url}/.well-known/jwks.json`);
    assert.deepEqual(await (await fetch(openId.jwks_uri)).json(), { keys: [] });
  } finally {
    await mesh.stop();
  }
});

Deno.test("below a path they are found with it and, behind a proxy that takes it off, without", async () => {
  const mesh = await startMesh({ BASE_URL: "https://example.com/mesh" });
  try {
    const [with_, without] = await Promise.all(
      ["/mesh", ""].map(async (path) =>
        await (await fetch(`${mesh.url}${path}/.well-known/jwks.json`)).json()
      ),
    );
    assert.equal(with_.keys.length, 1);
    assert.deepEqual(with_, without);
  } finally {
    await mesh.stop();
  }
});
