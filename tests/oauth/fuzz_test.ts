import assert from "node:assert/strict";
import { problemOf } from "../../server/access/redirect_uris.ts";
import { answerOf, modern, post } from "../mcp/support.ts";
import { onEachDatabase } from "../support/databases.ts";
import { Random } from "../support/random.ts";
import {
  countIssued,
  goodRequest,
  obtainCode,
  obtainTokens,
  proofKey,
  type Scene,
  withScene,
} from "./support.ts";

// Endpoints that anybody may ask: whatever comes, there is no 5xx, no markup of the sender's, and nothing issued.

const rounds = 150; // of each endpoint

const mark = "fuzzmark";
const hostile = [
  ...[
    "",
    " ",
    "\0",
    "a\0b",
    "\r\nset-cookie: x=1",
    "%",
    "%00",
    "%zz",
    "\ud800",
    "\uffff",
    "💥",
    "é".repeat(300),
  ],
  ...[
    "null",
    "undefined",
    "true",
    "0",
    "-1",
    "1e999",
    "NaN",
    "[object Object]",
    "__proto__",
    "constructor",
    "toString",
  ],
  ...[
    `"><${mark}>`,
    `<script>${mark}</script>`,
    `<img src=x onerror=${mark}>`,
    `'-${mark}-'`,
    `\`\${${mark}}\``,
  ],
  ...[
    "javascript:alert(1)",
    "data:text/html,x",
    "//evil.example",
    "https://evil.example/",
    "\\\\evil.example",
  ],
  ...["' or 1=1 --", "'; drop table oauth_tokens; --", "$ne", "../../etc/passwd", "http://169.254.169.254/"],
  ...["a".repeat(5_000), "a".repeat(20_000), "<".repeat(3_000), "%00".repeat(1_000), "x y\tz\u2028\u202e"],
  ...[
    "https://client.invalid/client.json",
    "https://127.0.0.1/client.json",
    "https://[::1]/x",
    "client_" + "0".repeat(26),
  ],
];

class Fuzzer extends Random {
  value(): string {
    const kind = this.below(4);
    if (kind > 0) return this.pick(hostile);
    return String.fromCharCode(...Array.from({ length: this.below(60) }, () => this.below(0x3000)));
  }

  /** A good form with some parameters changed, dropped, doubled or added. */
  form(good: URLSearchParams): URLSearchParams {
    const form = new URLSearchParams(good);
    for (let changes = 1 + this.below(4); changes > 0; changes--) {
      const names = [...new Set([...form.keys(), "scope", "request", "prompt", "resource", "client_secret"])];
      const name = this.pick(names);
      const action = this.below(4);
      if (action === 0) form.delete(name);
      else if (action === 1) form.append(name, this.value());
      else if (action === 2) form.set(this.value(), this.value());
      else form.set(name, this.value());
    }
    return form;
  }
}

/** Asserts what holds of every answer and tells whether something was given. */
async function judge(response: Response, sent: string): Promise<void> {
  const text = await response.text();
  const told = `${response.status} for ${sent.slice(0, 500)}\n${text.slice(0, 500)}`;
  assert.ok(response.status < 500, told);
  assert.equal(new RegExp(`<[^>]*${mark}|${mark}</`).test(text), false, `markup comes back: ${told}`);
  assert.equal(response.headers.get("set-cookie")?.includes("x=1") ?? false, false, told);
  const location = response.headers.get("location");
  if (location !== null) {
    assert.match(location, /^(\/consent\?|\/login\?|https:\/\/client\.example\/callback\?)/, told);
  }
  const type = response.headers.get("content-type") ?? "";
  if (text.startsWith("{")) assert.match(type, /^application\/json/, told);
}

async function fuzzForms(scene: Scene, fuzzer: Fuzzer): Promise<void> {
  const { access_token, refresh_token } = await obtainTokens(scene);
  const code = await obtainCode(scene, { params: { prompt: "consent" } });
  const client_id = scene.client.id;
  const goods: Record<string, Record<string, string>[]> = {
    token: [
      { ...code as Record<string, string>, code: "mesh_ac_x" },
      { grant_type: "refresh_token", client_id, refresh_token: "mesh_rt_x" },
      { grant_type: "client_credentials", client_id },
    ],
    revoke: [{ client_id, token: `${access_token}x` }],
    introspect: [{ client_id, token: access_token }],
  };
  const before = await countIssued(scene.mesh);
  for (const [path, forms] of Object.entries(goods)) {
    for (let i = 0; i < rounds; i++) {
      const form = fuzzer.form(new URLSearchParams(fuzzer.pick(forms)));
      const headers: Record<string, string> = { "content-type": "application/x-www-form-urlencoded" };
      if (fuzzer.below(4) === 0) {
        headers.authorization = `Basic ${btoa(encodeURI(fuzzer.value().toWellFormed()))}`;
      }
      if (fuzzer.below(10) === 0) {
        headers["content-type"] = fuzzer.pick(["text/plain", "application/json", "x"]);
      }
      const body = fuzzer.below(10) === 0 ? fuzzer.value() : form.toString();
      await judge(await fetch(`${scene.mesh.url}/api/auth/${path}`, { method: "POST", headers, body }), body);
    }
  }
  assert.deepEqual(await countIssued(scene.mesh), before, "nothing was issued and nothing was revoked");
  assert.ok(refresh_token);
  const answer = await answerOf(await post({ url: scene.resource, key: access_token }, modern("tools/list")));
  assert.ok(answer.result, "what was issued still works");
}

async function fuzzAuthorize(scene: Scene, fuzzer: Fuzzer): Promise<void> {
  const good = goodRequest(scene, proofKey().challenge) as Record<string, string>;
  await scene.mesh.services.db.deleteFrom("oauth_consents").execute(); // what is remembered is not asked again
  const before = await countIssued(scene.mesh);
  for (let i = 0; i < rounds; i++) {
    const query = fuzzer.form(new URLSearchParams(good));
    const headers: Record<string, string> = { accept: "text/html" };
    if (fuzzer.below(3) > 0) headers.cookie = scene.browser.cookie;
    if (fuzzer.below(4) === 0) headers["sec-fetch-site"] = "same-origin";
    const raw = fuzzer.below(10) === 0 ? `client_id=${scene.client.id}&state=%E0%A4%A&redirect_uri=%` : query;
    const url = `${scene.mesh.url}/api/auth/authorize?${raw}`;
    await judge(await fetch(url, { redirect: "manual", headers }), String(raw));
  }
  assert.deepEqual(await countIssued(scene.mesh), before);
}

async function fuzzRegister(scene: Scene, fuzzer: Fuzzer): Promise<void> {
  const { db } = scene.mesh.services;
  const good: Record<string, unknown> = {
    client_name: "A",
    redirect_uris: ["https://client.example/callback"],
    token_endpoint_auth_method: "none",
    grant_types: ["authorization_code"],
    response_types: ["code"],
    client_uri: "https://client.example",
  };
  const odd = () =>
    fuzzer.pick<unknown>([fuzzer.value(), [fuzzer.value()], {}, [], null, 7, true, [[]], [null]]);
  for (let i = 0; i < rounds; i++) {
    const body: Record<string, unknown> = {
      ...good,
      [fuzzer.pick([...Object.keys(good), fuzzer.value()])]: odd(),
    };
    const text = fuzzer.below(10) === 0 ? fuzzer.value() : JSON.stringify(body);
    await judge(await fetch(`${scene.mesh.url}/api/auth/register`, { method: "POST", body: text }), text);
    await db.deleteFrom("throttles").execute(); // the allowance is another test's matter
  }
  const rows = await db.selectFrom("oauth_clients").selectAll().execute();
  for (const { redirect_uris } of rows) {
    for (const uri of JSON.parse(redirect_uris)) assert.equal(problemOf(uri), null, uri);
  }
}

onEachDatabase(
  "no parameters lead to a 5xx, to markup of the sender's, or to anything issued",
  async (t, url) => {
    await withScene(async (scene) => {
      await t.step("token, revoke, introspect", () => fuzzForms(scene, new Fuzzer(1)));
      await t.step("authorize", () => fuzzAuthorize(scene, new Fuzzer(2)));
      await t.step("register", () => fuzzRegister(scene, new Fuzzer(3)));
      await t.step("well-known", async () => {
        const fuzzer = new Fuzzer(4);
        for (let i = 0; i < rounds; i++) {
          const form = fuzzer.pick([
            "oauth-protected-resource",
            "oauth-authorization-server",
            "openid-configuration",
          ]);
          const path = encodeURI(fuzzer.value().toWellFormed()).replaceAll("#", "%23").slice(0, 4000);
          await judge(await fetch(`${scene.mesh.url}/.well-known/${form}/${path}`), path);
        }
      });
    }, { DATABASE_URL: url, LOG_LEVEL: "silent" });
  },
);
