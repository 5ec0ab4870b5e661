import assert from "node:assert/strict";
import { describeConfig, loadConfig, settings, type Source } from "../server/config.ts";

function source(env: Record<string, string>, files: Record<string, string> = {}): Source {
  return { env: (name) => env[name], readFile: (path) => files[path] ?? null };
}

function refusal(env: Record<string, string>, files: Record<string, string> = {}): string {
  try {
    loadConfig(source(env, files));
  } catch (error) {
    assert.ok(error instanceof Error);
    assert.ok(!error.message.includes("\n"), "one line");
    return error.message;
  }
  return assert.fail("the settings were accepted");
}

Deno.test("without any setting the defaults of the contract hold", () => {
  const config = loadConfig(source({}));
  assert.equal(config.port, 3000);
  assert.equal(config.host, "127.0.0.1");
  assert.equal(config.baseUrl, "http://localhost:3000");
  assert.equal(config.databaseUrl, "file:./data/mesh.db");
  assert.equal(config.dataDir, "./data");
  assert.equal(config.encryptionKey, null);
  assert.equal(config.trustProxy, false);
  assert.deepEqual(config.auth.emailAndPassword, { enabled: true, allowSignUp: false });
});

Deno.test("defaults follow the settings that they are made of", () => {
  const config = loadConfig(source({ PORT: "4000", DATA_DIR: "/srv/mesh" }));
  assert.equal(config.baseUrl, "http://localhost:4000");
  assert.equal(config.databaseUrl, "file:/srv/mesh/mesh.db");
});

Deno.test("a bad value is refused with the name of its setting and what would be right", () => {
  const bad: [Record<string, string>, RegExp][] = [
    [{ PORT: "http" }, /^Cannot use PORT 'http' \(environment\): it must be a whole number from 0 to 65535$/],
    [{ PORT: "70000" }, /PORT/],
    [{ BASE_URL: "mesh.example.com" }, /BASE_URL.*http or https URL/],
    [{ BASE_URL: "https://mesh.example.com/?a=1" }, /BASE_URL/],
    [
      { DATABASE_URL: "postgres://mesh:marked-value@:bad:/x" },
      /^Cannot use DATABASE_URL \(environment\): it is not/,
    ],
    [{ DATABASE_URL: "oracle://x" }, /^Cannot use DATABASE_URL \(environment\): it must begin with file:/],
    [{ LOG_LEVEL: "loud" }, /LOG_LEVEL 'loud'.*debug, info, warn, error, silent/],
    [{ TRUST_PROXY: "yes" }, /TRUST_PROXY/],
    [{ DATABASE_POOL_MAX: "0" }, /DATABASE_POOL_MAX/],
    [{ AUDIT_RETENTION_DAYS: "-1" }, /AUDIT_RETENTION_DAYS/],
    [{ ENCRYPTION_KEY: "hunter2" }, /^Cannot use ENCRYPTION_KEY \(environment\): .*openssl rand -base64 32/],
    [{ DATABASE_URL: "file:" }, /^Cannot use DATABASE_URL \(environment\): it must name a file$/],
    [{ ENCRYPTION_KEY_FILE: "/none" }, /ENCRYPTION_KEY_FILE names '\/none', which does not exist/],
  ];
  for (const [env, pattern] of bad) assert.match(refusal(env), pattern);
});

Deno.test("a refused secret is not shown", () => {
  assert.ok(!refusal({ ENCRYPTION_KEY: "marked-value" }).includes("marked-value"));
  for (const url of ["marked-value", "mysql://mesh:marked-value@[::/x"]) {
    assert.ok(!refusal({ DATABASE_URL: url }).includes("marked-value"));
  }
});

Deno.test("a key is read as base64, as hex, and from a file", () => {
  const bytes = Uint8Array.from({ length: 32 }, (_, i) => i);
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const base64 = btoa(String.fromCharCode(...bytes));
  assert.deepEqual(loadConfig(source({ ENCRYPTION_KEY: hex })).encryptionKey, bytes);
  assert.deepEqual(loadConfig(source({ ENCRYPTION_KEY: base64 })).encryptionKey, bytes);
  const fromFile = source({ ENCRYPTION_KEY_FILE: "/run/key" }, { "/run/key": `${base64}\n` });
  assert.deepEqual(loadConfig(fromFile).encryptionKey, bytes);
});

Deno.test("BASE_URL loses its trailing slashes and keeps its path", () => {
  assert.equal(loadConfig(source({ BASE_URL: "https://h.example/mesh/" })).baseUrl, "https://h.example/mesh");
  assert.equal(loadConfig(source({ BASE_URL: "https://h.example" })).baseUrl, "https://h.example");
});

Deno.test("the sign-in file: defaults, substitution, unknown keys", () => {
  const path = "./auth-config.json";
  const open = { [path]: '{"emailAndPassword":{"allowSignUp":true}}' };
  assert.equal(loadConfig(source({}, open)).auth.emailAndPassword.allowSignUp, true);
  assert.match(refusal({}, { [path]: '{"emailAndPasswort":{}}' }), /'emailAndPasswort'/);
  assert.match(
    refusal({}, { [path]: '{"emailAndPassword":{"enabled":"${SWITCH}"}}' }),
    /\$\{SWITCH\} is not set/,
  );
  const env = { SWITCH: "true" };
  const switched = { [path]: '{"emailAndPassword":{"allowSignUp":"${SWITCH}"}}' };
  assert.equal(loadConfig(source(env, switched)).auth.emailAndPassword.allowSignUp, true);
  assert.match(refusal({ SWITCH: "maybe" }, switched), /'emailAndPassword.allowSignUp'.*boolean/);
  assert.match(refusal({}, { [path]: "[]" }), /\(AUTH_CONFIG_PATH\): Invalid input: expected object/);
  assert.match(refusal({}, { [path]: "{" }), /Cannot read '.\/auth-config.json' \(AUTH_CONFIG_PATH\)/);
});

Deno.test("the printed settings name every setting and mask the secret ones", () => {
  const rows = describeConfig(source({ ENCRYPTION_KEY: "a".repeat(64), PORT: "4000" }));
  assert.deepEqual(rows.map((row) => row.name), Object.values(settings).map((entry) => entry.env));
  assert.deepEqual(rows.find((row) => row.name === "PORT"), {
    name: "PORT",
    value: "4000",
    origin: "environment",
  });
  assert.equal(rows.find((row) => row.name === "ENCRYPTION_KEY")?.value, "***");
});

Deno.test("the printed settings hold the defaults that are used", () => {
  const rows = describeConfig(source({ PORT: "4000", DATA_DIR: "/srv/mesh" }));
  const shown = Object.fromEntries(rows.map(({ name, value, origin }) => [name, `${value} (${origin})`]));
  assert.equal(shown.BASE_URL, "http://localhost:4000 (default)");
  assert.equal(shown.DATABASE_URL, "file:/srv/mesh/mesh.db (default)");
  assert.equal(shown.ENCRYPTION_KEY, " (default)");
});

Deno.test("the README's table of settings is the one in the code", async () => {
  const readme = await Deno.readTextFile(new URL("../README.md", import.meta.url));
  const rows = [...readme.matchAll(/^\| `([A-Z_]+)`(?: \\\*)? *\| (?:`([^`]*)`)? *\| (.*?) *\|$/gm)];
  const documented = rows.map(([, name, fallback = "", help]) => ({ name, fallback, help }));
  const real = Object.values(settings).map(({ env, fallback, help }) => ({ name: env, fallback, help }));
  assert.deepEqual(documented, real);
});
