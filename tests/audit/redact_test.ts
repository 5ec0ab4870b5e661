import assert from "node:assert/strict";
import { oauthConfig } from "../../server/actions/credential_fields.ts";
import { redactForLog } from "../../server/audit/redact.ts";

const opaque = "h" + "unter2";
const meshKey = "mesh" + "_key_" + "a1B2c3D4".repeat(5);
const bytes = (text: string) => new TextEncoder().encode(text).length;

/** What the log keeps of a value, read back. */
function kept(value: unknown): unknown {
  const text = redactForLog(value);
  assert.ok(text !== null && bytes(text) <= 16 * 1024, `${text?.length} characters`);
  return JSON.parse(text);
}

Deno.test("redaction: plain values are kept as JSON writes them", () => {
  const values = [
    null,
    true,
    0,
    -1.5e300,
    "",
    "text",
    'ünï "quoted" \\ \n\t\0 😀 \ud800',
    [],
    {},
    [[], {}, [null, [1, "a"]]],
    { query: "open issues", limit: 20, filters: { state: "open", labels: ["bug", "help"] }, "a b": null },
    { keyboard: "x", monkey: [1] },
    JSON.parse('{"__proto__":{"a":1},"constructor":1,"toString":"x"}'),
    Array.from({ length: 150 }, (_, i) => ({ i })),
    "word ".repeat(400),
  ];
  for (const value of values) assert.equal(redactForLog(value), JSON.stringify(value));
  assert.equal(redactForLog(undefined), null);
});

Deno.test("redaction: what is not JSON is made so", () => {
  const cyclic: Record<string, unknown> = { a: 1 };
  cyclic.self = cyclic;
  assert.match(redactForLog(cyclic) ?? "", /too deep/);
  const cases: [unknown, unknown][] = [
    [{ a: undefined, b: () => 1, c: Symbol("x"), d: 1 }, { d: 1 }],
    [[undefined, () => 1], [null, null]],
    [() => 1, null],
    [12345678901234567890n, "12345678901234567890"],
    [NaN, null],
    [{ at: new Date(NaN) }, { at: "Invalid Date" }],
    [{ data: new Uint8Array(5000) }, { data: "[5000 bytes]" }],
    [new Map([["a", opaque]]), {}],
    [Object.create(null), {}],
    [Object.assign(Object.create({ inherited: 1 }), { own: 2 }), { own: 2 }],
  ];
  for (const [value, expected] of cases) assert.deepEqual(kept(value), expected);
});

Deno.test("redaction: values behind the names of secrets are masked", () => {
  const cases: [unknown, unknown][] = [
    [{ password: opaque }, { password: "***" }],
    [{ password: 123456 }, { password: "***" }],
    [{ password: null, secret: "" }, { password: null, secret: "***" }],
    [{ has_token: true, max_tokens: 100, token: 5 }, { has_token: true, max_tokens: 100, token: "***" }],
    [{ data: { connection_token: opaque, title: "A" } }, { data: { connection_token: "***", title: "A" } }],
    [{ credentials: { user: "ada", pin: [1, { a: true }] } }, {
      credentials: { user: "***", pin: ["***", { a: "***" }] },
    }],
    [{ cookies: [opaque, null] }, { cookies: ["***", null] }],
    [[{ name: "Authorization", value: opaque }, { name: "Accept", value: "x" }], [
      { name: "Authorization", value: "***" },
      { name: "Accept", value: "x" },
    ]],
    [{ key: "API_KEY", value: opaque }, { key: "API_KEY", value: "***" }],
    [{ name: "token", title: opaque }, { name: "token", title: opaque }],
  ];
  for (const [value, expected] of cases) assert.deepEqual(kept(value), expected);
});

Deno.test("redaction: all values of headers, variables and configuration are masked, names stay", () => {
  const cases: [unknown, unknown][] = [
    [{ connection_headers: { headers: { "X-One": opaque, "X-Two": 2 } } }, {
      connection_headers: { headers: { "X-One": "***", "X-Two": "***" } },
    }],
    [{ command: "npx", envVars: { A: opaque, B: null } }, { command: "npx", envVars: { A: "***", B: null } }],
    [{ env: { PATH: "/bin" } }, { env: { PATH: "***" } }],
    [{ env: "production", headers: "none" }, { env: "production", headers: "none" }],
    [{ headers: [["X-One", opaque]] }, { headers: [["***", "***"]] }],
    [{ configuration_state: { deep: { er: [1, "a", false] } } }, {
      configuration_state: { deep: { er: ["***", "***", "***"] } },
    }],
    [{ headers: { note: "x ".repeat(5000) } }, { headers: { note: "***" } }],
  ];
  for (const [value, expected] of cases) assert.deepEqual(kept(value), expected);
});

Deno.test("redaction: fields of a connection that hold secrets hide them in every shape, settings stay", () => {
  const settings = {
    client_id: "mesh",
    token_endpoint_auth_method: "private_key_jwt",
    scope: "read",
    authorization_server: "https://auth.example.com",
    resource: "https://tools.example.com",
    grant_type: "client_credentials",
    registration: "dynamic",
    assertion_audience: "issuer",
  };
  const cases: [unknown, unknown][] = [
    [{ connection_headers: { "X-One": opaque, "X-Two": null } }, {
      connection_headers: { "X-One": "***", "X-Two": null },
    }],
    [{ data: { connection_headers: `X-One: ${opaque}` } }, { data: { connection_headers: "***" } }],
    [{ connection_headers: [["X-One", opaque]] }, { connection_headers: [["***", "***"]] }],
    [{ connection_headers: null, oauth_config: null, personal_headers: null }, {
      connection_headers: null,
      oauth_config: null,
      personal_headers: null,
    }],
    [{ client_certificate: opaque, configuration_state: opaque }, {
      client_certificate: "***",
      configuration_state: "***",
    }],
    [{ oauth_config: settings }, { oauth_config: settings }],
    [
      {
        oauth_config: { ...settings, client_secret: opaque, sekret: opaque, other: { a: opaque }, no: null },
      },
      {
        oauth_config: { ...settings, client_secret: "***", sekret: "***", other: "***", no: null },
      },
    ],
    [{ oauth_config: { client_id: { value: opaque }, scope: [opaque] } }, {
      oauth_config: { client_id: "***", scope: "***" },
    }],
    [{ oauth_config: opaque }, { oauth_config: "***" }],
    [{ oauth_config: [opaque] }, { oauth_config: ["***"] }],
    [{ personal_headers: { "X-One": opaque } }, { personal_headers: { "X-One": "***" } }],
    [{ personal_headers: ["X-One"] }, { personal_headers: ["X-One"] }],
  ];
  for (const [value, expected] of cases) assert.deepEqual(kept(value), expected);
});

Deno.test("redaction: the settings of an OAuth client that the log shows are those that there are", () => {
  const given = Object.fromEntries(Object.keys(oauthConfig.shape).map((name) => [name, "x"]));
  assert.deepEqual(kept({ oauth_config: given }), {
    oauth_config: { ...given, client_secret: "***", private_key: "***" },
  });
});

Deno.test("redaction: secrets inside of text are masked wherever the text stands", () => {
  assert.deepEqual(kept({ id: "key_1", name: "ci", key: meshKey, permissions: {} }), {
    id: "key_1",
    name: "ci",
    key: "***",
    permissions: {},
  });
  assert.deepEqual(kept({ [meshKey]: 1, list: [`see ${meshKey}`] }), { "***": 1, list: ["see ***"] });
  const nested = JSON.stringify({ access_token: opaque, scope: "a" });
  assert.deepEqual(kept({ content: [{ type: "text", text: nested }] }), {
    content: [{ type: "text", text: '{"access_token":"***","scope":"a"}' }],
  });
  assert.equal(kept(`Authorization: ${opaque}`), "Authorization: ***");
});

Deno.test("redaction: nothing of a secret is left, whatever stands around it", () => {
  for (const length of [0, 10, 300, 1500, 1990, 2030, 2048, 2300, 2500, 6000]) {
    for (
      const secret of [meshKey, `password=${opaque}`, `https://a:${opaque}@b.example/`, `Bearer ${opaque}`]
    ) {
      const text = `${"lorem ipsum ".repeat(600).slice(0, length)} ${secret} ${"dolor ".repeat(500)}`;
      for (const value of [text, { a: [{ b: text }] }, Array(50).fill(text)]) {
        const log = redactForLog(value) ?? "";
        assert.ok(!log.includes(opaque) && !log.includes(meshKey.slice(0, 20)), `${length}: ${secret}`);
      }
    }
  }
});

Deno.test("redaction: long values are cut with a note of their length", () => {
  const long = "lorem ipsum ".repeat(1000);
  const text = kept({ body: long }) as { body: string };
  assert.ok(text.body.startsWith("lorem ipsum lorem"));
  assert.ok(text.body.endsWith("… [12000 characters]"));
  assert.ok(text.body.length < 2100 && text.body.length > 2000);
});

Deno.test("redaction: data is replaced by a note of its length", () => {
  const data = "iVBORw0KGgoAAAANSUhEUgAA".repeat(1000);
  assert.deepEqual(kept({ content: [{ type: "image", data, mimeType: "image/png" }] }), {
    content: [{ type: "image", data: "[24000 characters of base64]", mimeType: "image/png" }],
  });
  assert.deepEqual(kept({ src: `data:image/png;base64,${data}` }), {
    src: "data:image/png;base64,[24000 characters of base64]",
  });
  assert.deepEqual(kept({ blob: data.slice(0, 200) }), { blob: data.slice(0, 200) });
  assert.equal(
    kept(`${data.slice(0, 100)} ${data.slice(0, 150)} words`),
    `${data.slice(0, 100)} ${data.slice(0, 150)} words`,
  );
});

Deno.test("redaction: what is kept is bounded in size, depth and breadth, and still JSON", () => {
  const wide = Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`key ${i}`, i]));
  assert.equal((kept(wide) as Record<string, unknown>)["…"], "[4800 more]");
  assert.deepEqual((kept(Array(5000).fill(1)) as unknown[]).slice(199), [1, "[4800 more]"]);
  let deep: unknown = "bottom";
  for (let i = 0; i < 100_000; i++) deep = i % 2 ? [deep] : { deep };
  assert.match(JSON.stringify(kept(deep)), /too deep/);
  const hostile: unknown[] = [
    Array(200).fill("word ".repeat(300)),
    Array(200).fill("\0".repeat(2000)),
    Array(200).fill("😀 ".repeat(700)),
    Array(200).fill('"\\ '.repeat(600)),
    Array(200).fill({ a: Array(200).fill({ b: Array(200).fill("c d") }) }),
    Object.fromEntries(
      Array.from({ length: 200 }, (_, i) => [`${i} ${"名 ".repeat(99)}`, "値 ".repeat(999)]),
    ),
    Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`password ${i}`, { a: { b: opaque } }])),
    "x".repeat(20_000_000),
    "x ".repeat(10_000_000),
    Array.from({ length: 300_000 }, (_, i) => ({ i })),
    { connection_url: `https://x.test/?${"a&".repeat(20_000_000)}` },
    { connection_url: `https://x.test/${"a/".repeat(20_000_000)}` },
    { oauth_config: Object.fromEntries(Array.from({ length: 300_000 }, (_, i) => [`a${i}`, { i }])) },
  ];
  for (const value of hostile) assert.ok(JSON.stringify(kept(value)).length > 10);
});

Deno.test("redaction: an address too long to be one is not looked into, and nothing of it is shown", () => {
  const url = (length: number) => `https://x.test/${opaque}/`.padEnd(length, "a/");
  assert.deepEqual(kept({ connection_url: url(2048) }), { connection_url: url(2048) });
  assert.deepEqual(kept({ connection_url: url(2049) }), { connection_url: "[2049 characters]" });
});

Deno.test("redaction: the short way and the long way agree", () => {
  // A name with "key" in it is looked at closely, and is no secret.
  for (const value of [1, "a", [1, [2]], { b: { c: ["d", null, true] } }, { e: "ü".repeat(250) }, []]) {
    const closely = kept({ keyboard: 1, value }) as { value: unknown };
    assert.deepEqual(closely.value, kept({ board: 1, value }) && JSON.parse(JSON.stringify(value)));
  }
});

Deno.test("redaction: what is known to be a secret is masked wherever it stands, and where the cut goes through it", () => {
  const known = 'quiet"heron' + "x".repeat(40);
  const other = "grey-heron-at-dusk";
  const cases: [unknown, string][] = [
    [{ text: `a ${other} b`, [other]: [other, 1] }, '{"text":"a *** b","***":["***",1]}'],
    [{ text: `a ${known} b` }, '{"text":"a *** b"}'],
    [`${"a ".repeat(1020)}${known}`, JSON.stringify(`${"a ".repeat(1020)}***`)],
    ["short", '"short"'],
  ];
  for (const [value, expected] of cases) assert.equal(redactForLog(value, [known, other, "short"]), expected);
  const cut = redactForLog(`${"a ".repeat(1020)}${known}${" b".repeat(1000)}`, [known]) ?? "";
  assert.match(cut, /\*\*\* (?:b )*.*\[4091 characters\]"$/);
  assert.doesNotMatch(cut, /quiet|xx/);
});
