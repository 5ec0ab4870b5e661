import assert from "node:assert/strict";
import { makeApp } from "../../server/app.ts";
import { StaticFiles } from "../../server/static.ts";
import { leads, onMesh, owner, setUp, Visitor } from "./support.ts";

onMesh("not found: JSON for machines, a page for browsers, a redirect for nobody", async (mesh) => {
  const visitor = new Visitor(mesh.url);
  const json = ["/mcp/a/b", "/api", "/api/x", "/api/auth/x", "/api/tools", "/.well-known/x", "/.well-known"];
  for (const path of json) {
    const answer = await visitor.get(path);
    assert.ok([401, 404].includes(answer.status), `${path}: ${answer.status}`);
    assert.match(answer.headers.get("content-type") ?? "", /^application\/json/, path);
    assert.equal(typeof JSON.parse(answer.html).code, "string");
  }
  for (const path of ["/nothing", "/connections/a/b/c", "/static/none.css", "/mcpx"]) {
    const page = await visitor.get(path);
    assert.equal(page.status, 404);
    assert.match(page.text, /There is no such page/);
    assert.match(page.text, /request req_\w+/);
    const machine = await visitor.get(path, { accept: "*/*" });
    assert.equal(machine.status, 404);
    assert.equal(JSON.parse(machine.html).code, "not_found");
  }
});

onMesh("failures: say nothing of their cause, and the log has it under the request's id", async (mesh) => {
  const visitor = await setUp(mesh);
  const cookie = [...visitor.cookies].map(([name, value]) => `${name}=${value}`).join("; ");
  const lines: Record<string, unknown>[] = [];
  const log = Object.create(mesh.services.log);
  log.error = (message: string, fields: Record<string, unknown>) => lines.push({ message, ...fields });
  const identities = Object.create(mesh.services.identities);
  identities.bySession = () => Promise.reject(new Error("a quiet heron broke"));
  const app = makeApp({ services: { ...mesh.services, log, identities } });
  for (const accept of ["text/html", "application/json"]) {
    const answer = await app.request("/connections", { headers: { cookie, accept } });
    const text = await answer.text();
    assert.equal(answer.status, 500);
    assert.doesNotMatch(text, /heron/);
    const { requestId, error } = lines.pop() ?? {};
    assert.match(text, new RegExp(String(requestId)));
    assert.equal(answer.headers.get("x-request-id"), requestId);
    assert.match(String(error), /a quiet heron broke/);
    assert.match(answer.headers.get("content-security-policy") ?? "", /default-src 'none'/);
  }
});

const pageHeaders: Record<string, string> = {
  "cache-control": "no-store",
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  "referrer-policy": "same-origin",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
};

onMesh("headers: strict on every page, whatever its status", async (mesh) => {
  const visitor = await setUp(mesh);
  for (const path of ["/", "/setup", "/connections", "/connections/conn_no", "/nothing", "/settings"]) {
    const { headers } = await visitor.get(path);
    for (const [name, value] of Object.entries(pageHeaders)) assert.equal(headers.get(name), value, path);
    assert.equal(headers.get("strict-transport-security"), null, "plain http promises nothing");
    assert.match(headers.get("x-request-id") ?? "", /^req_/);
  }
});

onMesh("headers: under https they demand it, and cookies are bound to this host", async (mesh) => {
  const visitor = new Visitor(mesh.url);
  const answer = await visitor.get("/setup");
  assert.match(answer.headers.get("strict-transport-security") ?? "", /^max-age=\d{8}/);
  for (const cookie of answer.headers.getSetCookie()) {
    assert.match(cookie, /; Secure/);
    assert.match(cookie, /; HttpOnly/);
    assert.match(cookie, /; SameSite=Lax/);
  }
}, { BASE_URL: "https://mesh.example" });

onMesh("static files: kept for ever by their hash, asked for again without it", async (mesh) => {
  const visitor = await setUp(mesh);
  const { html } = await visitor.get("/");
  const urls = [...html.matchAll(/(?:src|href)="(\/static\/[^"]+)"/g)].map(([, url = ""]) => url);
  assert.ok(urls.length >= 4, String(urls));
  for (const url of urls) {
    const answer = await visitor.get(url);
    assert.equal(answer.status, 200, url);
    assert.equal(answer.headers.get("cache-control"), "public, max-age=31536000, immutable");
    assert.match(answer.headers.get("content-type") ?? "", /^(text\/(css|javascript)|image\/svg)/);
    assert.equal(answer.headers.get("x-content-type-options"), "nosniff");
    const etag = answer.headers.get("etag") ?? "";
    const plain = await visitor.get(url.replace(/\?.*/, "?v=old"));
    assert.equal(plain.headers.get("cache-control"), "no-cache");
    const again = await visitor.get(url, { "if-none-match": `"other", W/${etag}` });
    assert.deepEqual([again.status, again.html], [304, ""]);
  }
  const head = await fetch(`${mesh.url}/static/app.css`, { method: "HEAD" });
  assert.deepEqual([head.status, await head.text()], [200, ""]);
});

Deno.test("static files: a path names what is in the folder, nothing else", async () => {
  const files = new StaticFiles();
  const paths = [
    "../deno.json",
    "..%2fdeno.json",
    "/etc/passwd",
    "",
    "vendor",
    "vendor/",
    "app.css/",
    "APP.CSS",
  ];
  for (const path of paths) {
    assert.equal(files.answer({ path, version: undefined, ifNoneMatch: undefined }), null, path);
  }
  const found = files.answer({ path: "app.css", version: undefined, ifNoneMatch: undefined });
  const expected = await Deno.readTextFile(new URL("../../static/app.css", import.meta.url));
  assert.equal(await found?.text(), expected);
});

onMesh("the JSON API: a session counts for pages of this site, a token for everybody", async (mesh) => {
  const visitor = await setUp(mesh);
  const cookie = [...visitor.cookies].map(([name, value]) => `${name}=${value}`).join("; ");
  const ask = async (headers: Record<string, string>) => {
    const answer = await fetch(`${mesh.url}/api/tools/WORKSPACE_GET`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: "{}",
    });
    await answer.body?.cancel();
    return answer.status;
  };
  assert.equal(await ask({ cookie, origin: mesh.url }), 200);
  assert.equal(await ask({ cookie, "sec-fetch-site": "same-origin" }), 200);
  assert.equal(await ask({ cookie, origin: "https://evil.example" }), 401);
  assert.equal(await ask({ cookie, "sec-fetch-site": "cross-site" }), 401);
  assert.equal(await ask({ cookie, authorization: "Bearer wrong" }), 401, "a wrong token is not helped");
  assert.equal(await ask({}), 401);
  const key = await mesh.key(await mesh.organization());
  assert.equal(await ask({ authorization: `Bearer ${key}`, origin: "https://other.example" }), 200);
});

onMesh("behind a path that a proxy adds, every link, form and redirect carries it", async (mesh) => {
  const visitor = new Visitor(mesh.url); // asks as the proxy does, which takes the path away
  leads(await visitor.get("/connections"), "/mesh/setup");
  await visitor.get("/setup");
  const origin = { origin: "http://localhost" };
  leads(await visitor.post("/setup", owner, origin), "/mesh/");
  for (
    const path of ["/", "/connections", "/connections/new", "/activity", "/api-keys", "/members", "/settings"]
  ) {
    const { html } = await visitor.get(path);
    const urls = [...html.matchAll(/ (?:href|src|action|hx-get|hx-post)="([^"]*)"/g)].map(([, url = ""]) =>
      url
    );
    assert.ok(urls.length > 10);
    for (const url of urls) assert.match(url, /^(\/mesh\/|#)/, path);
  }
  visitor.cookies.delete("mesh_session");
  leads(await visitor.get("/members?page=2"), "/mesh/login?next=%2Fmesh%2Fmembers%3Fpage%3D2");
  await visitor.get("/login");
  const { email, password } = owner;
  leads(
    await visitor.post("/login", { email, password, next: "/mesh/members?page=2" }, origin),
    "/mesh/members?page=2",
  );
}, { BASE_URL: "http://localhost/mesh" });
