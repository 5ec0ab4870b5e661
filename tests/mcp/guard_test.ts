import assert from "node:assert/strict";
import { unauthorized } from "../../server/access/bearer.ts";
import { Guard } from "../../server/mcp/guard.ts";
import { legacy, post, site, withMesh } from "./support.ts";

const local = new Guard({ baseUrl: "http://localhost:3000", host: "127.0.0.1" });
const open = new Guard({ baseUrl: "https://mesh.example.com/base", host: "0.0.0.0" });

const allowed = (guard: Guard, headers: Record<string, string>) =>
  guard.refusal(new Headers(headers), headers.origin ?? null) === null;

Deno.test("pages of other origins are refused, on every guard", () => { // G04, RS12
  for (const guard of [local, open]) {
    for (
      const origin of [
        "https://evil.example",
        "http://localhost.evil.example",
        "https://127.0.0.1.evil.example",
        "null",
        "",
        "file://",
        "chrome-extension://abc",
        "javascript:alert(1)",
        "http://mesh.example.com",
        "https://mesh.example.com:8443",
        "https://sub.mesh.example.com",
        "http://[::ffff:7f00:1]",
        "http://0.0.0.0",
      ]
    ) assert.equal(allowed(guard, { origin }), false, origin);
  }
});

Deno.test("pages of this machine and of the mesh itself may ask, and so may who is no page", () => {
  for (const guard of [local, open]) {
    assert.equal(allowed(guard, {}), true);
    for (
      const origin of ["http://localhost:6274", "http://127.0.0.1:1", "https://localhost", "http://[::1]:5"]
    ) {
      assert.equal(allowed(guard, { origin }), true, origin);
    }
  }
  assert.equal(allowed(open, { origin: "https://mesh.example.com" }), true);
});

Deno.test("on loopback the name that was called must be one of loopback", () => { // G04: DNS rebinding
  for (const host of ["localhost:3000", "LocalHost:3000", "127.0.0.1:3000", "[::1]:3000", "127.0.0.2"]) {
    assert.equal(allowed(local, { host }), true, host);
  }
  for (
    const host of ["evil.example", "localhost.evil.example:3000", "169.254.169.254", "127.0.0.1.evil.example"]
  ) {
    assert.equal(allowed(local, { host }), false, host);
    assert.equal(allowed(open, { host }), true, "beyond loopback a proxy may call it anything");
  }
  const behindProxy = new Guard({ baseUrl: "https://mesh.example.com", host: "127.0.0.1" });
  assert.equal(allowed(behindProxy, { host: "mesh.example.com" }), true);
  assert.equal(allowed(behindProxy, { host: "MESH.example.com" }), true);
  assert.equal(allowed(behindProxy, { host: "other.example.com" }), false);
});

Deno.test("an error code comes only to who showed a bearer token", () => { // RS06
  const challenge = (headers: Record<string, string>) =>
    unauthorized(new Headers(headers)).headers.get("www-authenticate") ?? "";
  assert.match(challenge({ authorization: "Bearer x" }), /^Bearer .*error="invalid_token"/);
  assert.match(challenge({ authorization: "bearer x" }), /error="invalid_token"/);
  for (
    const headers of [{}, { authorization: "Basic eDp5" }, { authorization: "x" }, { cookie: "session=1" }]
  ) {
    assert.match(challenge(headers as Record<string, string>), /^Bearer /);
    assert.doesNotMatch(challenge(headers as Record<string, string>), /error/);
  }
});

Deno.test("a preflight is answered before any token, with what clients send and read", async () => { // RS12, Q-21
  await withMesh(async (mesh) => {
    for (const path of ["/mcp/conn_unknown", "/mcp"]) {
      const response = await fetch(mesh.url + path, {
        method: "OPTIONS",
        headers: {
          origin: "http://localhost:6274",
          "access-control-request-method": "POST",
          "access-control-request-headers": "authorization,mcp-param-region,x-other",
        },
      });
      await response.text();
      assert.equal(response.status, 204);
      assert.equal(response.headers.get("access-control-allow-origin"), "http://localhost:6274");
      assert.equal(response.headers.get("access-control-allow-credentials"), null);
      const names = response.headers.get("access-control-allow-headers")?.split(", ") ?? [];
      for (
        const name of [
          ...["authorization", "content-type", "accept", "mcp-protocol-version", "mcp-session-id"],
          ...["mcp-method", "mcp-name", "last-event-id", "mcp-param-region"],
        ]
      ) assert.ok(names.includes(name), name);
      assert.equal(names.includes("x-other"), false);
      for (const method of ["GET", "POST", "DELETE"]) {
        assert.ok(response.headers.get("access-control-allow-methods")?.includes(method), method);
      }
    }
    const foreign = await fetch(`${mesh.url}/mcp/conn_x`, {
      method: "OPTIONS",
      headers: { origin: "https://evil.example" },
    });
    await foreign.text();
    assert.equal(foreign.status, 403);
    assert.equal(foreign.headers.get("access-control-allow-origin"), null);
  });
});

Deno.test("a foreign origin is refused on every verb, token or not", async () => { // G04
  await withMesh(async (mesh) => {
    const to = await site(mesh, "http://127.0.0.1:9/mcp");
    for (const method of ["POST", "GET", "DELETE", "PUT"]) {
      for (const token of [to.key, "none"]) {
        const response = await fetch(to.url, {
          method,
          headers: { authorization: `Bearer ${token}`, origin: "https://evil.example" },
        });
        await response.text();
        assert.equal(response.status, 403, method);
      }
    }
  });
});

Deno.test("a page that may ask can read the answer and its headers", async () => {
  await withMesh(async (mesh) => {
    const to = await site(mesh, "http://127.0.0.1:9/mcp");
    for (const key of [to.key, "none"]) {
      const headers = { origin: "http://localhost:6274" };
      const response = await post({ ...to, key }, legacy("ping"), { headers });
      await response.text();
      assert.equal(response.headers.get("access-control-allow-origin"), "http://localhost:6274");
      assert.equal(
        response.headers.get("access-control-expose-headers"),
        "WWW-Authenticate, Mcp-Session-Id",
      );
      assert.match(response.headers.get("vary") ?? "", /Origin/);
    }
  });
});

Deno.test("only a valid bearer token in its header lets anybody in, on every verb", async () => { // RS01, RS11, RS13
  await withMesh(async (mesh) => {
    const to = await site(mesh, "http://127.0.0.1:9/mcp");
    const [scheme, secret] = ["Bearer", to.key];
    const attempts: [Record<string, string>, string, RegExp | null][] = [
      [{}, "", null],
      [{ authorization: `${scheme} ${secret}x` }, "", /invalid_token/],
      [{ authorization: `${scheme} ${secret.slice(0, -1)}` }, "", /invalid_token/],
      [{ authorization: secret }, "", null],
      [{ authorization: `Basic ${btoa(`user:${secret}`)}` }, "", null],
      [{ authorization: `${scheme} ` }, "", null],
      [{ "x-api-key": secret }, "", null],
      [{ cookie: `token=${secret}; session=${secret}; __Host-session=${secret}` }, "", null],
      [{}, `?access_token=${secret}&token=${secret}&key=${secret}&api_key=${secret}`, null],
      [{ "mcp-session-id": "AAAAAAAAAAAAAAAAAAAAAA.session" }, "", null],
    ];
    for (const [headers, query, code] of attempts) {
      for (const method of ["POST", "GET", "DELETE"]) {
        const body = method === "POST" ? legacy("ping").body : null;
        const response = await fetch(to.url + query, {
          method,
          body,
          headers: { "content-type": "application/json", ...headers },
        });
        assert.equal(response.status, 401, JSON.stringify(headers));
        const challenge = response.headers.get("www-authenticate") ?? "";
        assert.match(challenge, /^Bearer /);
        if (code) assert.match(challenge, code);
        else assert.doesNotMatch(challenge, /error/);
        assert.equal((await response.text()).includes(secret), false);
      }
    }
  });
});
