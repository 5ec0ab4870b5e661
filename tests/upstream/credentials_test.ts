import assert from "node:assert/strict";
import { AppError } from "../../server/errors.ts";
import { checkSecrets, credentialHeaders, headersOf, placeOf } from "../../server/upstream/credentials.ts";
import { onServices } from "../support/services.ts";

Deno.test("credentials: a token becomes a bearer token unless it names a scheme of its own", () => {
  const sent = (token: string) => headersOf({ token, headers: null });
  assert.deepEqual(sent("abc"), [["authorization", "Bearer abc"]]);
  assert.deepEqual(sent("Basic dTpw"), [["authorization", "Basic dTpw"]]);
  assert.deepEqual(sent("Bearer abc"), [["authorization", "Bearer abc"]]);
  assert.deepEqual(sent("Api-Key  abc"), [["authorization", "Api-Key  abc"]]);
  assert.deepEqual(headersOf({ token: null, headers: { "X-Key": "k", Cookie: "a=b" } }), [
    ["x-key", "k"],
    ["cookie", "a=b"],
  ]);
  assert.deepEqual(headersOf({ token: null, headers: null }), []);
});

Deno.test("credentials: what a connection may not set is refused by name, its value is not repeated", () => {
  const names = [
    "Host",
    "content-length",
    "Transfer-Encoding",
    "Connection",
    "TE",
    "Upgrade",
    "Expect",
    "Accept",
    "Content-Type",
    "Origin",
    "Proxy-Authorization",
    "Mcp-Session-Id",
    "mcp-protocol-version",
    "Sec-Fetch-Site",
    "",
    "a b",
    "x:y",
    "ü",
  ];
  for (const name of names) {
    const headers = { [name]: "marked" };
    assert.throws(() => checkSecrets({ token: null, headers }), (error) => {
      assert.ok(error instanceof AppError && error.code === "invalid");
      assert.ok(!error.message.includes("marked"));
      return true;
    }, name);
  }
  checkSecrets({ token: "t", headers: { "X-Key": "k", Cookie: "a=b", "User-Agent": "mine" } });
});

onServices("credentials: sealed for their row, they open for no other", async (services) => {
  const { vault } = services;
  const row = { id: "conn_a", organization_id: "org_a", sealed_token: null, sealed_headers: null };
  const sealed = {
    ...row,
    sealed_token: await vault.seal(placeOf(row, "sealed_token"), "abc"),
    sealed_headers: await vault.seal(placeOf(row, "sealed_headers"), JSON.stringify({ "X-Key": "k" })),
  };
  assert.deepEqual(await credentialHeaders(sealed, vault), [["x-key", "k"], ["authorization", "Bearer abc"]]);
  assert.deepEqual(await credentialHeaders(row, vault), []);
  await assert.rejects(credentialHeaders({ ...sealed, id: "conn_b" }, vault), /altered or moved/);
  await assert.rejects(
    credentialHeaders({ ...sealed, organization_id: "org_b" }, vault),
    /another key|altered/,
  );
  await assert.rejects(
    credentialHeaders({ ...sealed, sealed_token: sealed.sealed_headers }, vault),
    /altered/,
  );
});
