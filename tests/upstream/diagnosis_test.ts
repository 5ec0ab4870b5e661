// CONNECTION_TEST by its stages, against servers that are really broken.
import assert from "node:assert/strict";
import { AppError } from "../../server/errors.ts";
import type { Subject } from "../../server/upstream/diagnosis.ts";
import { stages } from "../../server/upstream/diagnosis_course.ts";
import { type Behaviour, behaviours, closedPort, startFixture, startHostile } from "../support/upstreams.ts";
import { examine, guarded, json, marks, reply, speaking } from "./diagnosis_support.ts";

for (const era of ["legacy", "modern", "both"] as const) {
  Deno.test(`diagnosis: a server of the era '${era}' passes every stage`, async () => {
    await using upstream = await startFixture({ era, authorization: "Bearer quiet-heron" });
    const headers: Subject["headers"] = () => [["authorization", "Bearer quiet-heron"]];
    const found = await examine(upstream.url, { headers });
    const { diagnosis, catalog } = found;
    assert.equal(marks(found), ".p.p.ppp");
    assert.deepEqual(diagnosis.stages.map(({ stage }) => stage), [...stages]);
    assert.deepEqual([diagnosis.healthy, diagnosis.stage, diagnosis.code, diagnosis.advice], [
      true,
      null,
      null,
      null,
    ]);
    assert.equal(diagnosis.protocolVersion, era === "legacy" ? "2025-11-25" : "2026-07-28"); // X03
    assert.ok(diagnosis.tools?.includes("echo"));
    assert.equal(catalog?.tools.length, diagnosis.tools?.length);
    assert.ok(diagnosis.latencyMs > 0);
    assert.deepEqual(upstream.sessions(), [], "the session is ended");
  });
}

Deno.test("diagnosis: without a credential, where none is asked for, the token is skipped", async () => {
  await using upstream = startHostile(behaviours.good);
  const found = await examine(upstream.url);
  assert.equal(marks(found), ".p.p..pp");
  assert.deepEqual(found.diagnosis.stages.at(-1)?.detail, "1 tool");
});

interface Case {
  behaviour: Behaviour;
  marks: string;
  is: [stage: string, code: string];
  says: RegExp;
  advice: RegExp;
}

const cases: Record<string, Case> = {
  "accepts and says nothing": {
    behaviour: behaviours.hang,
    marks: ".p.f----",
    is: ["http", "timeout"],
    says: /did not answer in time/,
    advice: /runs/,
  },
  "does not speak HTTP": {
    behaviour: behaviours.notHttp,
    marks: ".p.f----",
    is: ["http", "headers"],
    says: /did not answer in HTTP/,
    advice: /port/,
  },
  "closes without an answer": {
    behaviour: behaviours.dropBeforeHeaders,
    marks: ".p.f----",
    is: ["http", "headers"],
    says: /did not answer in HTTP/,
    advice: /log/,
  },
  "answers a page": {
    behaviour: behaviours.html,
    marks: ".p.p..f-",
    is: ["handshake", "not_mcp"],
    says: /no MCP server at this URL .*'text\/html'/,
    advice: /path/,
  },
  "answers 404": {
    behaviour: async ({ send }) => void await send(reply("404 Not Found")),
    marks: ".p.f----",
    is: ["http", "http_404"],
    says: /nothing at this URL \(404\)/,
    advice: /path/,
  },
  "answers 403": {
    behaviour: async ({ send }) => void await send(reply("403 Forbidden")),
    marks: ".p.f----",
    is: ["http", "http_403"],
    says: /refused access \(403\)/,
    advice: /token/,
  },
  "answers 500": {
    behaviour: behaviours.serverError,
    marks: ".p.f----",
    is: ["http", "http_500"],
    says: /failed \(500\)/,
    advice: /log/,
  },
  "redirects": {
    behaviour: behaviours.redirectTo("http://127.0.0.1:1/elsewhere?key=quiet-heron"),
    marks: ".p.f----",
    is: ["http", "http_307"],
    says: /redirects to 'http:\/\/127.0.0.1:1\/elsewhere' \(307\)/,
    advice: /Use that URL/,
  },
  "fails at the handshake": {
    behaviour: speaking({ initialize: { error: { code: -32603, message: "no database" } } }),
    marks: ".p.p..f-",
    is: ["handshake", "mcp_-32603"],
    says: /answered with an error \(handshake\): 'no database'/,
    advice: /log/,
  },
  "speaks garbage": {
    behaviour: behaviours.garbage,
    marks: ".p.p..f-",
    is: ["handshake", "protocol"],
    says: /does not speak MCP/,
    advice: /version/,
  },
  "fails to list": {
    behaviour: speaking({ "tools/list": { error: { code: -32000, message: "out of order" } } }),
    marks: ".p.p..pf",
    is: ["list", "mcp_-32000"],
    says: /answered with an error \(list\): 'out of order'/,
    advice: /log/,
  },
  "answers 502 when it is to list": {
    behaviour: speaking({ "tools/list": reply("502 Bad Gateway") }),
    marks: ".p.p..pf",
    is: ["list", "http_502"],
    says: /failed \(502\)/,
    advice: /later/,
  },
  "lists what is no list": {
    behaviour: speaking({ "tools/list": { result: { tools: "none" } } }),
    marks: ".p.p..pf",
    is: ["list", "not_mcp"],
    says: /not as the specification says/,
    advice: /maintain/,
  },
  "asks for a token when it is to list": {
    behaviour: speaking({ "tools/list": reply("401 Unauthorized", { "www-authenticate": "Bearer" }) }),
    marks: ".p.p.f--",
    is: ["token", "http_401"],
    says: /asks for a credential \(401\)/,
    advice: /^Add a token$/,
  },
};

for (const [name, expected] of Object.entries(cases)) {
  Deno.test(`diagnosis: a server that ${name}`, async () => {
    await using upstream = startHostile(expected.behaviour);
    // Silence takes as long as it may; all else has the time that a busy machine needs.
    const found = await examine(upstream.url, {}, expected.is[1] === "timeout" ? { totalMs: 1000 } : {});
    const { diagnosis, catalog } = found;
    assert.deepEqual([diagnosis.stage, diagnosis.code], expected.is, JSON.stringify(diagnosis));
    assert.equal(marks(found), expected.marks);
    assert.match(diagnosis.message ?? "", /^Linear /);
    assert.match(diagnosis.message ?? "", expected.says);
    assert.match(diagnosis.advice ?? "", expected.advice);
    assert.deepEqual([diagnosis.healthy, diagnosis.tools, catalog], [false, null, null]);
    await upstream.idle();
  });
}

Deno.test("diagnosis: an address that cannot be reached is named by its stage", async () => {
  const addresses: [url: string, marks: string, is: [string, string], says: RegExp][] = [
    ["http://nobody.invalid/mcp", "f-------", ["dns", "dns"], /name of its host cannot be found/],
    [closedPort(), ".f------", ["tcp", "tcp"], /nothing accepts connections/],
    [
      closedPort().replace("127.0.0.1", "here.example"),
      "pf------",
      ["tcp", "tcp"],
      /nothing accepts connections/,
    ],
    ["http://10.1.2.3/mcp", ".f------", ["tcp", "outbound_refused"], /10\.1\.2\.3 is private/],
    ["http://169.254.169.254/mcp", ".f------", ["tcp", "outbound_refused"], /link-local/],
  ];
  for (const [url, expected, is, says] of addresses) {
    const found = await examine(url);
    assert.deepEqual([found.diagnosis.stage, found.diagnosis.code], is, url);
    assert.equal(marks(found), expected, url);
    assert.match(found.diagnosis.message ?? "", says);
    assert.ok(found.diagnosis.advice, url);
  }
});

Deno.test("diagnosis: a refused token is named at its stage, and where OAuth is offered that is said", async () => {
  let url = "";
  const origin = () => new URL(url).origin;
  await using named = startHostile(guarded(origin, "metadata"));
  url = named.url;
  const missing = await examine(url);
  assert.equal(marks(missing), ".p.ppf--");
  assert.deepEqual([missing.diagnosis.stage, missing.diagnosis.code], ["token", "http_401"]);
  assert.match(missing.diagnosis.advice ?? "", /^Add a token, or set the connection to OAuth/);
  assert.equal(missing.diagnosis.stages[4]?.detail, origin());

  const headers = () => [["authorization", "Bearer grey-lynx"]] as const;
  const refused = await examine(url, { headers });
  assert.equal(marks(refused), ".p.ppf--");
  assert.match(refused.diagnosis.message ?? "", /did not accept the token \(401\)/);
  const expired = await examine(url, { headers, oauth: true });
  assert.equal(expired.diagnosis.stage, "token");

  named.behave(guarded(origin, "nothing"));
  const unnamed = await examine(url, { headers });
  assert.equal(marks(unnamed), ".p.p.f--", "a static token needs no authorization server");
});

Deno.test("diagnosis: with OAuth a server must say who gives its tokens, where nobody has one yet", async () => {
  let url = "";
  await using upstream = startHostile(guarded(() => new URL(url).origin, "nothing"));
  url = upstream.url;
  for (const headers of [null, () => Promise.reject(new AppError("forbidden", "Nobody has connected it"))]) {
    const found = await examine(url, { oauth: true, headers });
    const expected = headers === null ? ["auth_discovery", "oauth_discovery"] : ["token", "credential"];
    assert.deepEqual([found.diagnosis.stage, found.diagnosis.code], expected);
    assert.equal(marks(found), headers === null ? ".p.pf---" : ".p.ppf--");
  }
});

Deno.test("diagnosis: without a person it ends at the authorization server, which must be named", async () => {
  let url = "";
  await using upstream = startHostile(guarded(() => new URL(url).origin, "metadata"));
  url = upstream.url;
  const oauth = await examine(url, { oauth: true, headers: null });
  assert.equal(marks(oauth), ".p.pp...");
  assert.deepEqual([oauth.diagnosis.healthy, oauth.diagnosis.tools, oauth.catalog], [true, null, null]);
  const before = upstream.requests.length;
  const token = await examine(url, { headers: null });
  assert.equal(marks(token), ".p.p....");
  assert.ok(upstream.requests.slice(before).every(({ path }) => path === "/mcp"), "nobody looks for OAuth");

  upstream.behave(async ({ send }) => void await send(reply("400 Bad Request")));
  assert.equal(
    marks(await examine(url, { headers: null })),
    ".p.p....",
    "a stranger is refused as the server likes",
  );
  upstream.behave(behaviours.good);
  assert.equal(marks(await examine(url, { headers: null })), ".p.p....");
  upstream.behave(behaviours.html);
  assert.equal((await examine(url, { headers: null })).diagnosis.code, "not_mcp");
  for (const status of ["404 Not Found", "500 Internal Server Error", "302 Found"]) {
    upstream.behave(async ({ send }) => void await send(reply(status)));
    const found = await examine(url, { headers: null });
    assert.equal(found.diagnosis.code, `http_${status.slice(0, 3)}`);
  }
});

Deno.test("diagnosis: a refused token is renewed once, and the new one tried", async () => {
  await using upstream = await startFixture({ authorization: "Bearer fresh" });
  let token = "stale";
  const refusals: unknown[] = [];
  const given: Partial<Subject> = {
    headers: () => [["authorization", `Bearer ${token}`]],
    renew: ({ used, status, challenge }) => {
      refusals.push([used[0]?.[1], status, challenge]);
      token = "fresh";
      return Promise.resolve(true);
    },
  };
  const renewed = await examine(upstream.url, given);
  assert.equal(marks(renewed), ".p.p.ppp");
  assert.deepEqual(refusals, [["Bearer stale", 401, "Bearer"]]);
  token = "stale";
  const failing = () =>
    Promise.reject(new AppError("upstream_failed", "Cannot renew the token: it was revoked"));
  const lost = await examine(upstream.url, { ...given, renew: failing });
  assert.deepEqual([lost.diagnosis.stage, lost.diagnosis.code], ["token", "credential"]);
  assert.match(lost.diagnosis.message ?? "", /revoked/);
});

Deno.test("diagnosis: no secret is in what it says", async () => {
  await using upstream = startHostile(async ({ request, send }) => {
    const message = `who is ${request.headers.authorization} ${request.headers["x-team"]}?`;
    await send(json({ jsonrpc: "2.0", id: request.message.id, error: { code: -32000, message } }));
  });
  const headers = () => [["authorization", "Bearer quiet-heron"], ["x-team", "blue-otter"]] as const;
  const { diagnosis } = await examine(upstream.url, { headers });
  assert.match(diagnosis.message ?? "", /who is \*\*\* \*\*\*\?/);
  assert.doesNotMatch(JSON.stringify(diagnosis), /quiet-heron|blue-otter/);
});

Deno.test("diagnosis: it ends with its signal", async () => {
  await using upstream = startHostile(behaviours.hang);
  const aborter = new AbortController();
  const running = examine(upstream.url, {}, { signal: aborter.signal, totalMs: 60_000 });
  await upstream.received();
  aborter.abort();
  assert.equal((await running).diagnosis.healthy, false);
  await upstream.idle();
});
