// Outbound.fetch: what the Fetch standard promises to libraries, and where the guard is stricter.
import assert from "node:assert/strict";
import { failsAt, TestOutbound } from "./support.ts";
import { until } from "../support/until.ts";

/** A server of Deno's own, with a record of the requests that it got. */
class Site implements AsyncDisposable {
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly seen: { method: string; path: string; headers: Record<string, string>; body: string }[] = [];

  constructor(handler: (request: Request, url: URL) => Response | Promise<Response>) {
    this.#server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
      const url = new URL(request.url);
      const { method, headers } = request;
      const body = await request.text();
      this.seen.push({ method, path: url.pathname, headers: Object.fromEntries(headers), body });
      return await handler(request, url);
    });
  }

  /** A URL at this site, by its address or another name for it. */
  at(path: string, host = "127.0.0.1"): string {
    return `http://${host}:${this.#server.addr.port}${path}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

function redirect(status: number, location: string): Response {
  return new Response("moved", { status, headers: { location } });
}

Deno.test("fetch sends method, headers and body of every kind and gives a Response", async () => {
  await using site = new Site(() => Response.json({ a: 1 }, { status: 201, headers: { "x-one": "1" } }));
  using outbound = new TestOutbound();
  const url = site.at("/path?q=1");
  const response = await outbound.fetch(url, { method: "POST", headers: { "x-two": "2" }, body: "text" });
  assert(response instanceof Response);
  assert.deepEqual([response.status, response.ok, response.url, response.redirected], [
    201,
    true,
    url,
    false,
  ]);
  assert.equal(response.headers.get("x-one"), "1");
  assert.deepEqual(await response.json(), { a: 1 });
  await outbound.fetch(new URL(url), { method: "POST", body: new URLSearchParams({ grant_type: "x y" }) });
  await outbound.fetch(
    new Request(url, { method: "PUT", headers: { "x-three": "3" }, body: new Uint8Array([97]) }),
  );
  const form = new Blob(["blob"], { type: "text/x" });
  await outbound.fetch(url, { method: "POST", body: form });
  await outbound.fetch(url);
  const [text, search, request, blob, get] = site.seen;
  assert.deepEqual([text!.method, text!.body, text!.headers["x-two"]], ["POST", "text", "2"]);
  assert.equal(text!.headers["content-type"], "text/plain;charset=UTF-8");
  assert.equal(search!.body, "grant_type=x+y");
  assert.equal(search!.headers["content-type"], "application/x-www-form-urlencoded;charset=UTF-8");
  assert.deepEqual([request!.method, request!.body, request!.headers["x-three"]], ["PUT", "a", "3"]);
  assert.deepEqual([blob!.body, blob!.headers["content-type"]], ["blob", "text/x"]);
  assert.deepEqual([get!.method, get!.headers["accept"], get!.headers["user-agent"]], [
    "GET",
    "*/*",
    "mcp-mesh",
  ]);
});

Deno.test("fetch drops the headers that frame a message", async () => {
  await using site = new Site(() => new Response("ok"));
  using outbound = new TestOutbound();
  const headers = {
    connection: "close",
    "transfer-encoding": "chunked",
    host: "other.example",
    te: "trailers",
  };
  await (await outbound.fetch(site.at("/"), { method: "POST", headers, body: "x" })).text();
  const got = site.seen[0]!.headers;
  assert.deepEqual([got["connection"], got["te"], got["transfer-encoding"]], [
    undefined,
    undefined,
    undefined,
  ]);
  assert.match(got["host"]!, /^127\.0\.0\.1:/);
});

Deno.test("statuses without a body give a Response without one", async () => {
  await using site = new Site((_, url) => new Response(null, { status: Number(url.pathname.slice(1)) }));
  using outbound = new TestOutbound();
  for (const status of [204, 205, 304]) {
    const response = await outbound.fetch(site.at(`/${status}`));
    assert.deepEqual([response.status, response.body, await response.text()], [status, null, ""]);
  }
  const head = await outbound.fetch(site.at("/200"), { method: "HEAD" });
  assert.deepEqual([head.status, head.body], [200, null]);
});

// Fetch standard, HTTP-redirect fetch, steps 11 and 12
const methods: [status: number, sent: string, followed: string, body: string][] = [
  [301, "POST", "GET", ""],
  [302, "POST", "GET", ""],
  [303, "POST", "GET", ""],
  [303, "PUT", "GET", ""],
  [303, "HEAD", "HEAD", ""],
  [301, "PUT", "PUT", "body"],
  [307, "POST", "POST", "body"],
  [308, "PUT", "PUT", "body"],
  [302, "GET", "GET", ""],
];

for (const [status, sent, followed, body] of methods) {
  Deno.test(`a ${sent} redirected by ${status} is followed as ${followed}`, async () => {
    await using site = new Site((_, url) =>
      url.pathname === "/" ? redirect(status, "/next?x=1") : new Response("there")
    );
    using outbound = new TestOutbound();
    const withBody = sent !== "GET" && sent !== "HEAD";
    const headers = { authorization: "Bearer kept", "content-type": "text/x" };
    const response = await outbound.fetch(site.at("/"), {
      method: sent,
      headers,
      ...(withBody && { body: "body" }),
    });
    assert.deepEqual([response.url, response.redirected], [site.at("/next?x=1"), true]);
    const last = site.seen[1]!;
    assert.deepEqual([last.method, last.path, last.body], [followed, "/next", body]);
    assert.equal(last.headers["authorization"], "Bearer kept");
    assert.equal(last.headers["content-type"], followed === sent ? "text/x" : undefined);
  });
}

Deno.test("credentials of any name stay with their origin", async () => {
  await using other = new Site(() => new Response("there"));
  await using site = new Site(() => redirect(307, other.at("/there")));
  using outbound = new TestOutbound();
  const headers = {
    authorization: "Bearer hidden",
    cookie: "hidden=1",
    "x-api-key": "hidden",
    "mcp-session-id": "hidden",
    "proxy-authorization": "Basic hidden",
    accept: "application/json",
    "content-type": "application/json",
    "mcp-protocol-version": "2025-11-25",
  };
  const response = await outbound.fetch(site.at("/"), { method: "POST", headers, body: "{}" });
  assert.equal(await response.text(), "there");
  const got = other.seen[0]!;
  assert.equal(got.body, "{}");
  assert(!JSON.stringify(got.headers).includes("hidden"));
  assert.deepEqual(
    [got.headers["accept"], got.headers["content-type"], got.headers["mcp-protocol-version"]],
    ["application/json", "application/json", "2025-11-25"],
  );
  const sameHostOtherName = new Site(() => redirect(302, site.at("/", "localhost")));
  await using _ = sameHostOtherName;
  await outbound.fetch(sameHostOtherName.at("/"), { headers });
  assert(!JSON.stringify(site.seen[1]!.headers).includes("hidden"), "another name is another origin");
});

Deno.test("every redirect is checked: private, metadata, scheme and userinfo", async () => {
  const targets: [string, RegExp][] = [
    ["http://10.0.0.1/", /10\.0\.0\.1 is private, list it in OUTBOUND_ALLOW/],
    ["http://169.254.169.254/latest/meta-data/", /cannot permit/],
    ["http://[::ffff:a9fe:a9fe]/", /cannot permit/],
    ["http://2852039166/", /cannot permit/],
    ["//192.168.0.1/", /private/],
    ["file:///etc/passwd", /"file:"/],
    ["http://user:hidden@127.0.0.1/", /user name or password/],
  ];
  for (const [location, says] of targets) {
    await using site = new Site(() => redirect(302, location));
    using outbound = new TestOutbound();
    await failsAt("refused", says, outbound.fetch(site.at("/")));
  }
});

Deno.test("a redirect to a name that rebinds to a private address is refused", async () => {
  await using site = new Site((_, url) => redirect(302, url.href.replace("first", "second")));
  const addresses: Record<string, string> = { "first.example": "127.0.0.1", "second.example": "172.16.0.1" };
  using outbound = new TestOutbound({ resolve: (host) => Promise.resolve([addresses[host]!]) });
  await failsAt("refused", /172\.16\.0\.1 is private/, outbound.fetch(site.at("/", "first.example")));
  assert.equal(site.seen.length, 1);
});

Deno.test("five redirects are followed, a sixth is not, and none are left open", async () => {
  await using site = new Site((_, url) => {
    const left = Number(url.pathname.slice(1));
    return left === 0 ? new Response("there") : redirect(302, `/${left - 1}`);
  });
  using outbound = new TestOutbound();
  assert.equal(await (await outbound.fetch(site.at("/5"))).text(), "there");
  await failsAt("headers", /redirects more than 5 times/, outbound.fetch(site.at("/6")));
  assert.equal(outbound.sockets.open, outbound.sockets.idle);
});

Deno.test("redirects are given back by `manual`, fail by `error`, and need a Location", async () => {
  await using site = new Site((_, url) =>
    url.pathname === "/none" ? new Response("x", { status: 302 }) : redirect(302, "/b")
  );
  using outbound = new TestOutbound();
  const manual = await outbound.fetch(site.at("/"), { redirect: "manual" });
  assert.deepEqual([manual.status, manual.headers.get("location")], [302, "/b"]);
  await failsAt("headers", /answered with a redirect/, outbound.fetch(site.at("/"), { redirect: "error" }));
  const request = new Request(site.at("/"), { redirect: "error" });
  await failsAt("headers", /answered with a redirect/, outbound.fetch(request));
  assert.equal((await outbound.fetch(site.at("/none"))).status, 302);
});

Deno.test("a body over maxBytes fails, whole or streamed, after redirects too", async () => {
  await using site = new Site((_, url) =>
    url.pathname === "/" ? redirect(302, "/big") : new Response("0123456789".repeat(10_000))
  );
  using outbound = new TestOutbound();
  await failsAt("too_large", /larger than 99999 bytes/, outbound.fetch(site.at("/"), { maxBytes: 99_999 }));
  assert.equal((await (await outbound.fetch(site.at("/"), { maxBytes: 100_000 })).text()).length, 100_000);
  assert.equal((await (await outbound.fetch(site.at("/"), { maxBytes: Infinity })).text()).length, 100_000);
});

Deno.test("an answer compressed against the request is refused rather than handed on unreadable", async () => {
  await using site = new Site(() => new Response("x", { headers: { "content-encoding": "gzip" } }));
  using outbound = new TestOutbound();
  await failsAt(
    "headers",
    /compressed/,
    outbound.fetch(site.at("/"), { headers: { "accept-encoding": "gzip" } }),
  );
  assert.equal(site.seen[0]!.headers["accept-encoding"], "identity");
});

Deno.test("an aborted fetch rejects with the signal's reason, and later ends the body", async () => {
  const silence = Promise.withResolvers<void>();
  await using site = new Site(async (_, url) => {
    if (url.pathname === "/silent") await silence.promise;
    return new Response(new ReadableStream({ start: (controller) => controller.enqueue(new Uint8Array(3)) }));
  });
  using outbound = new TestOutbound();
  await assert.rejects(outbound.fetch(site.at("/"), { signal: AbortSignal.abort() }), { name: "AbortError" });
  const late = outbound.fetch(site.at("/silent"), { signal: AbortSignal.timeout(50) });
  await assert.rejects(late, { name: "TimeoutError" });
  const byRequest = new AbortController();
  const waiting = outbound.fetch(new Request(site.at("/silent"), { signal: byRequest.signal }));
  byRequest.abort();
  await assert.rejects(waiting, { name: "AbortError" });
  const reading = new AbortController();
  const response = await outbound.fetch(site.at("/"), { signal: reading.signal });
  const text = response.text();
  reading.abort();
  await failsAt("aborted", /the caller ended/, text);
  await until(() => outbound.sockets.open === 0);
  silence.resolve();
});
