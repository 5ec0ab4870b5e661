import assert from "node:assert/strict";
import { loadConfig } from "../../server/config.ts";
import { newSecret } from "../../server/ids.ts";
import {
  cookieName,
  cookieOf,
  csrfToken,
  isCsrfToken,
  isSameOrigin,
  originFacts,
  tokenIn,
} from "../../server/login/session.ts";

function configOf(baseUrl: string) {
  return loadConfig({ env: (name) => name === "BASE_URL" ? baseUrl : undefined, readFile: () => null });
}

const plain = configOf("http://localhost:3000");
const secure = configOf("https://mesh.example.com/base");

Deno.test("the cookie of a session, under http and under https with a base path", () => {
  const token = newSecret("");
  assert.equal(
    cookieOf(plain, token),
    `mesh_session=${token}; Max-Age=604800; Path=/; HttpOnly; SameSite=Lax`,
  );
  assert.equal(
    cookieOf(secure, token),
    `__Host-mesh_session=${token}; Max-Age=604800; Path=/; HttpOnly; Secure; SameSite=Lax`,
  );
  assert.match(cookieOf(secure, null), /^__Host-mesh_session=; Max-Age=0; Path=\/; HttpOnly; Secure/);
});

Deno.test("the token is read from its own cookie only", () => {
  const token = newSecret("");
  assert.equal(tokenIn(plain, `a=b; mesh_session=${token}; c=d`), token);
  assert.equal(tokenIn(secure, `__Host-mesh_session=${token}`), token);
  assert.equal(tokenIn(secure, `mesh_session=${token}`), null, "a neighbour could have set that one");
  for (
    const header of [
      null,
      undefined,
      "",
      "mesh_session=",
      "mesh_session=short",
      `x${cookieName(plain)}=${token}`,
    ]
  ) {
    assert.equal(tokenIn(plain, header), null);
  }
  assert.equal(tokenIn(plain, `mesh_session=${token}'`), null);
});

Deno.test("a form's token belongs to one session and one key", () => {
  const [key, other] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)];
  const token = csrfToken(key, "session a");
  assert.equal(isCsrfToken(key, "session a", token), true);
  assert.equal(isCsrfToken(key, "session b", token), false);
  assert.equal(isCsrfToken(other, "session a", token), false);
  for (const given of ["", token.slice(1), `${token}x`, "ü".repeat(token.length)]) {
    assert.equal(isCsrfToken(key, "session a", given), false);
  }
});

Deno.test("whether a request comes from this site", () => {
  const local = "http://localhost:3000";
  const table: [site: string | null, origin: string | null, baseUrl: string, same: boolean][] = [
    [null, null, local, true],
    ["same-origin", null, local, true],
    ["none", null, local, true],
    ["cross-site", null, local, false],
    ["same-site", null, local, false],
    ["cross-site", local, local, false],
    ["something new", local, local, false],
    [null, local, local, true],
    ["same-origin", local, local, true],
    [null, "http://127.0.0.1:3000", local, true],
    [null, "http://[::1]:3000", local, true],
    [null, "http://127.0.0.1:3001", local, false],
    [null, "https://localhost:3000", local, false],
    [null, "http://localhost.evil.example:3000", local, false],
    // A name that was pointed at this machine: for its browser it is the same origin, for us it is not.
    ["same-origin", "http://evil.example:3000", local, false],
    [null, "null", local, false],
    [null, "", local, false],
    [null, "https://mesh.example.com", "https://mesh.example.com/base", true],
    [null, "https://mesh.example.com:8443", "https://mesh.example.com/base", false],
    [null, "http://mesh.example.com", "https://mesh.example.com", false],
    [null, "http://localhost:443", "https://mesh.example.com", false],
  ];
  for (const [secFetchSite, origin, baseUrl, same] of table) {
    assert.equal(
      isSameOrigin({ secFetchSite, origin }, baseUrl),
      same,
      `${secFetchSite} ${origin} ${baseUrl}`,
    );
  }
  const headers = new Headers({ "sec-fetch-site": "cross-site", origin: "https://x.example" });
  assert.deepEqual(originFacts(headers), { secFetchSite: "cross-site", origin: "https://x.example" });
});
