import assert from "node:assert/strict";
import { ClientDocuments, freshnessOf, problemOfId } from "../../server/oauth/client_documents.ts";
import { PageError } from "../../server/oauth/errors.ts";
import { documentOf, Site, TestOutbound } from "./documents.ts";

const path = "/oauth/client.json";

async function refusal(loading: Promise<unknown>): Promise<PageError> {
  try {
    await loading;
  } catch (error) {
    assert.ok(error instanceof PageError, String(error));
    return error;
  }
  assert.fail("it was taken");
}

Deno.test("an id is a https URL with a path, in its normal form", () => { // AS50
  for (
    const id of [
      "https://claude.ai/oauth/claude-code-client-metadata",
      "https://vscode.dev/oauth/client-metadata.json",
      "https://chatgpt.com/oauth/client.json", // Q-04c
      "https://client.example:8443/a?x=1",
    ]
  ) assert.equal(problemOfId(id), null, id);
  for (
    const id of [
      ...["https://client.example", "https://client.example/", "http://client.example/a", "client.example/a"],
      ...["https://client.example/a/../b", "https://client.example/./b", "https://client.example/a/%2e%2E/b"],
      ...["https://client.example/a/%2e", "https://client.example/..", "https://client.example/a/.?x"],
      ...["https://client.example/a#b", "https://client.example/a#", "https://u@client.example/a"],
      ...["https://u:p@client.example/a", "https://@client.example/a", "https://CLIENT.example/a"],
      ...[
        "HTTPS://client.example/a",
        "https://client.example:443/a",
        "https://client.example/ä",
        "https://c.example/a b",
      ],
      ...["https://", "https:///a", "https://client.example\\a", `https://client.example/${"x".repeat(500)}`],
    ]
  ) assert.notEqual(problemOfId(id), null, id);
});

Deno.test("a document is read once, by one request, and used again", async () => { // AS51, AS55
  await using site = new Site();
  using outbound = new TestOutbound();
  const documents = new ClientDocuments(outbound);
  const id = site.at(path);
  site.answer = () => Response.json(documentOf(id), { headers: { "cache-control": "max-age=600" } });
  const clients = await Promise.all(Array.from({ length: 10 }, () => documents.load(id)));
  clients.push(await documents.load(id));
  assert.deepEqual(site.seen, [`GET ${path}`], "single flight, then the cache");
  for (const client of clients) assert.equal(client, clients[0]);
  const { name, source, redirectUris, secretHash, grantTypes } = clients[0] ?? assert.fail();
  assert.deepEqual([name, source, secretHash], ["Claude Code", "document", null]);
  assert.deepEqual(redirectUris, ["http://localhost/callback", "http://127.0.0.1/callback"]);
  assert.ok(grantTypes.includes("refresh_token"));
});

Deno.test("only a whole document about its own URL is taken, and a refusal is not remembered", async () => { // AS51-AS55
  await using site = new Site();
  using outbound = new TestOutbound();
  const documents = new ClientDocuments(outbound);
  const id = site.at(path);
  const json = (value: unknown, init: ResponseInit = {}) => () => Response.json(value, init);
  const type = (name: string) => () =>
    new Response(JSON.stringify(documentOf(id)), { headers: { "content-type": name } });
  const bad: [string, () => Response][] = [
    ["404", () => new Response(null, { status: 404 })],
    ["201", json(documentOf(id), { status: 201 })],
    ["500", json(documentOf(id), { status: 500 })],
    ["redirect", () => Response.redirect(site.at("/elsewhere.json"), 302)],
    ["html", type("text/html")],
    ["text", type("text/plain")],
    ["not json", () => new Response("{", { headers: { "content-type": "application/json" } })],
    ["array", json([documentOf(id)])],
    ["null", json(null)],
    ["another's", json(documentOf(site.at("/other.json")))],
    ["another spelling", json(documentOf(`${id}/`))],
    ["no id", json({ ...documentOf(id), client_id: undefined })],
    ["no name", json(documentOf(id, { client_name: "\u200b\n " }))],
    ["a name of a number", json(documentOf(id, { client_name: 7 }))],
    ["no redirects", json(documentOf(id, { redirect_uris: undefined }))],
    ["empty redirects", json(documentOf(id, { redirect_uris: [] }))],
    ["bad redirects", json(documentOf(id, { redirect_uris: ["javascript:alert(1)", 7, null] }))],
    ["a secret", json(documentOf(id, { client_secret: "x" }))],
    ["a secret's end", json(documentOf(id, { client_secret_expires_at: 0 }))],
    ["secret method", json(documentOf(id, { token_endpoint_auth_method: "client_secret_basic" }))],
    ["secret jwt", json(documentOf(id, { token_endpoint_auth_method: "client_secret_jwt" }))],
    ["too long", json(documentOf(id, { more: "x".repeat(5 * 1024) }))],
  ];
  for (const [name, answer] of bad) {
    site.answer = answer;
    const error = await refusal(documents.load(id));
    assert.ok(error.message.length > 20, name);
  }
  assert.ok(site.seen.every((seen) => seen === `GET ${path}`), "no redirect is followed");
  site.answer = json(documentOf(id));
  assert.equal((await documents.load(id)).id, id);
  assert.equal(site.seen.length, bad.length + 1);
});

Deno.test("a client that prefers another way and can do without is taken", async () => { // Q-04c
  await using site = new Site();
  using outbound = new TestOutbound();
  const id = site.at(path);
  const methods = { token_endpoint_auth_methods_supported: ["none", "private_key_jwt"] };
  site.answer = () =>
    Response.json(documentOf(id, { token_endpoint_auth_method: "private_key_jwt", ...methods }));
  assert.equal((await new ClientDocuments(outbound).load(id)).secretHash, null);
  site.answer = () =>
    new Response(JSON.stringify(documentOf(id, { token_endpoint_auth_method: undefined })), {
      headers: { "content-type": "application/oauth-client+json; charset=utf-8" }, // AS54
    });
  assert.equal((await new ClientDocuments(outbound).load(id)).id, id);
});

Deno.test("an address that the outbound policy refuses is not asked, and not told", async () => { // AS53
  await using site = new Site();
  using outbound = new TestOutbound(false);
  const documents = new ClientDocuments(outbound);
  const error = await refusal(documents.load(site.at(path)));
  assert.match(error.message, /could not be read$/);
  assert.doesNotMatch(error.message, /127\.0\.0\.1|loopback/);
  assert.match(error.detail ?? "", /127\.0\.0\.1 is loopback/);
  for (const host of ["127.0.0.1", "169.254.169.254", "10.0.0.1", "[::1]", "[::ffff:a00:1]"]) {
    const refused = await refusal(documents.load(`https://${host}${path}`));
    assert.match(refused.message, /could not be read$/, host);
  }
  assert.equal(site.seen.length, 0);
});

Deno.test("a document that does not come in time is given up", async () => { // AS54
  await using site = new Site();
  using outbound = new TestOutbound();
  const gate = Promise.withResolvers<Response>();
  site.answer = () => gate.promise;
  const error = await refusal(new ClientDocuments(outbound, 50).load(site.at(path)));
  assert.match(error.message, /could not be read/);
  gate.resolve(new Response());
});

Deno.test("so many documents are read at once and no more", async () => {
  await using site = new Site();
  using outbound = new TestOutbound();
  const documents = new ClientDocuments(outbound);
  const gate = Promise.withResolvers<void>();
  site.answer = async (request) => {
    await gate.promise;
    return Response.json(documentOf(site.at(new URL(request.url).pathname)));
  };
  const running = Array.from({ length: 20 }, (_, i) => documents.load(site.at(`/${i}.json`)));
  assert.match((await refusal(documents.load(site.at("/20.json")))).message, /try again shortly/);
  gate.resolve();
  assert.equal((await Promise.all(running)).length, 20);
});

Deno.test("how long a document is used again: as it says, within bounds", () => { // AS55
  const now = Date.parse("2026-01-01T00:00:00Z");
  const minutes = (headers: Record<string, string>) => freshnessOf(new Headers(headers), now) / 60_000;
  assert.equal(minutes({}), 60);
  assert.equal(minutes({ "cache-control": "public, max-age=600" }), 10);
  assert.equal(minutes({ "cache-control": "s-maxage=7200, max-age=600" }), 10);
  assert.equal(minutes({ "cache-control": "max-age=0" }), 0.5);
  assert.equal(minutes({ "cache-control": "no-store" }), 0.5);
  assert.equal(minutes({ "cache-control": "no-cache, max-age=600" }), 0.5);
  assert.equal(minutes({ "cache-control": "max-age=9999999999" }), 24 * 60);
  assert.equal(minutes({ expires: "Thu, 01 Jan 2026 00:10:00 GMT" }), 10);
  assert.equal(minutes({ expires: "Thu, 01 Jan 1970 00:00:00 GMT" }), 0.5);
  assert.equal(minutes({ expires: "0" }), 0.5); // RFC 9111 section 5.3
});
