import assert from "node:assert/strict";
import { secretsFor, secretsIn } from "../../server/upstream/sent_secrets.ts";

Deno.test("sent secrets: values, what stands behind a scheme, words and passwords; the longest first", () => {
  const token = "quiet-heron-at-dusk";
  const basic = btoa(`ann:${token}`);
  const cases: [value: string, secrets: string[]][] = [
    [`Bearer ${token}`, [`Bearer ${token}`, token]],
    [token, [token]],
    [`Basic ${basic}`, [`Basic ${basic}`, basic, token]],
    ["Basic no base64!", ["Basic no base64!", "no base64!"]],
    [`${token} ann@example.com`, [`${token} ann@example.com`, token, "ann@example.com"]],
    [`a="${token}", b=2`, [`a="${token}", b=2`, token]],
    ["", []],
  ];
  for (const [value, expected] of cases) {
    assert.deepEqual(secretsIn({ headers: [["x-secret", value]] }).toSorted(), expected.toSorted(), value);
  }
  const headers = [["x-a", "short one"], ["authorization", `Bearer ${token}`]] as const;
  const lengths = secretsIn({ headers }).map(({ length }) => length);
  assert.deepEqual(lengths, lengths.toSorted((one, other) => other - one));
  assert.equal(secretsIn({ headers }), secretsIn({ headers }));
});

Deno.test("sent secrets: who calls is none", () => {
  const ann = { email: "ann@example.com", name: "Ann Larsen", userId: "usr_1", organizationId: "org_1" };
  const headers = [["x-user", "ann@example.com"], ["x-name", "Ann Larsen"], [
    "x-who",
    "grey-heron Ann Larsen",
  ]] as const;
  assert.deepEqual(secretsFor({ headers }, ann), ["grey-heron Ann Larsen", "grey-heron", "Larsen"]);
  assert.deepEqual(secretsFor({ headers: [] }, ann), []);
});

Deno.test("sent secrets: those of the address, as they are and decoded", () => {
  const url = "https://x.test/s/q7w8e9r0t1y2u3i4/mcp?apiKey=grey%2Dheron&pin=12&key=short";
  assert.deepEqual(secretsIn({ headers: [], url }).toSorted(), [
    "grey%2Dheron",
    "grey-heron",
    "q7w8e9r0t1y2u3i4",
  ]);
  const headers = [["x-secret", "quiet-heron"]] as const;
  assert.deepEqual(secretsIn({ headers, url: "https://x.test/mcp" }), ["quiet-heron"]);
  assert.equal(secretsIn({ headers, url }).length, 4, "the same headers at another address");
});
