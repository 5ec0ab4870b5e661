import assert from "node:assert/strict";
import { bearerChallenge } from "../../server/upstream/oauth_client.ts";
import { parseChallenges } from "../../server/upstream/oauth_client/challenge.ts";

function plain(header: string) {
  return parseChallenges(header).map(({ scheme, parameters }) => [scheme, Object.fromEntries(parameters)]);
}

Deno.test("several schemes in one header, with commas inside of quotes", () => { // CL01
  assert.deepEqual(
    plain(
      `Basic realm="a, b \\"c\\"", charset="UTF-8", Negotiate, NTLM TlRMTVNTUAAC==, ` +
        `Bearer realm="x", scope="read, write", resource_metadata="https://h/.well-known/x?a=1,2", DPoP algs="ES256"`,
    ),
    [
      ["basic", { realm: `a, b "c"`, charset: "UTF-8" }],
      ["negotiate", {}],
      ["ntlm", {}],
      ["bearer", { realm: "x", scope: "read, write", resource_metadata: "https://h/.well-known/x?a=1,2" }],
      ["dpop", { algs: "ES256" }],
    ],
  );
});

Deno.test("challenges as servers write them: without quotes, without commas, in any case, twice", () => { // CL01
  const cases: [string, unknown][] = [
    [`bearer RESOURCE_METADATA=https://h/m scope=a`, ["https://h/m", "a", null]],
    [`Bearer error = "invalid_token" , resource_metadata="https://h/m"`, [
      "https://h/m",
      null,
      "invalid_token",
    ]],
    [`Bearer realm="x" error="insufficient_scope" scope="a b a"`, [null, "a b", "insufficient_scope"]],
    [`Bearer, Bearer resource_metadata="https://h/m"`, ["https://h/m", null, null]],
    [`Bearer scope="a", scope="b"`, [null, "a", null]],
    [`DPoP algs="ES256", resource_metadata="https://h/m"`, ["https://h/m", null, null]],
    [`Bearer`, [null, null, null]],
    [`,,Bearer  scope="" ,`, [null, null, null]],
  ];
  for (const [header, expected] of cases) {
    const said = bearerChallenge(header);
    assert.deepEqual([said?.resourceMetadata, said?.scope, said?.error], expected, header);
  }
  for (const header of [null, undefined, "", "Basic realm=x", `"`, "=", "a=b", `\u0000`]) {
    assert.equal(bearerChallenge(header), null, String(header));
  }
});

Deno.test("a malformed or endless challenge is passed over", () => {
  assert.deepEqual(plain(`Bearer scope="a", realm="never closed`), [
    ["bearer", { scope: "a", realm: `"never` }],
    ["closed", {}],
  ]);
  assert.deepEqual(plain(`{"not": "a challenge"}, Bearer scope="a"`), [["bearer", { scope: "a" }]]);
  for (const piece of [`a="`, `,`, ` `, `=`, `Bearer `, `x=1,`, `"\\`, `a=b`]) {
    parseChallenges(piece.repeat(200_000));
  }
});
