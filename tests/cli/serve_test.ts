import assert from "node:assert/strict";
import type { Db } from "../../server/storage/dialect.ts";
import { legacy, post } from "../mcp/support.ts";
import { onEachDatabase } from "../support/databases.ts";
import { besides, mesh, seed, serve } from "../support/executable.ts";
import { freePort } from "../support/processes.ts";
import { until } from "../support/until.ts";
import { behaviours, startHostile } from "../support/upstreams.ts";

async function inFolder(fn: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "mesh-serve-" });
  try {
    await fn(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

function call(url: string, { connectionId, key, id }: { connectionId: string; key: string; id: number }) {
  const call = legacy("tools/call", { name: "echo", arguments: { id } }, { id });
  return post({ url: `${url}/mcp/${connectionId}`, key }, call);
}

/** The ids of the calls in the log, read at once. */
async function calledIds(db: Db, organizationId: string): Promise<number[]> {
  const rows = await db.selectFrom("audit_log").select("input").where("organization_id", "=", organizationId)
    .execute();
  return rows.map(({ input }) => JSON.parse(input ?? "").id);
}

Deno.test("without settings it serves, keeps its data to itself and stops on SIGTERM with 0", () =>
  inFolder(async (dir) => {
    const { child, url } = await serve({ DATA_DIR: dir });
    const health = await fetch(`${url}/health`);
    assert.equal(health.status, 200);
    const { status, version, uptimeSeconds, database } = await health.json();
    assert.equal(status, "ok");
    assert.match(version, /^\d+\.\d+\.\d+$/);
    assert.equal(typeof uptimeSeconds, "number");
    assert.deepEqual(database, { dialect: "sqlite", ok: true });
    for (const name of ["encryption.key", "mesh.db", "mesh.db-wal"]) {
      assert.equal((await Deno.stat(`${dir}/${name}`)).mode! & 0o777, 0o600, name);
    }
    assert.deepEqual(await child.kill("SIGTERM"), { code: 0, signal: null });
    assert.equal(child.stdout.trim().split("\n").length, 1, "one line says where it listens");
  }));

Deno.test("a bad setting stops the start with one line and exit code 1", () =>
  inFolder(async (dir) => {
    const child = mesh(["serve"], { DATA_DIR: dir, PORT: "many" });
    assert.equal((await child.ended).code, 1);
    assert.equal(
      child.stderr,
      "mesh: Cannot use PORT 'many' (environment): it must be a whole number from 0 to 65535\n",
    );
    assert.deepEqual([...Deno.readDirSync(dir)], []);
  }));

Deno.test("what keeps it from starting is told in one line that names the setting, and nothing is left behind", () =>
  inFolder(async (dir) => {
    const file = `${dir}/file`;
    await Deno.writeTextFile(file, "");
    const password = "marked-value";
    const cases: [Record<string, string>, RegExp][] = [
      [{ OUTBOUND_ALLOW: "10.0.0.0/99" }, /OUTBOUND_ALLOW: "10\.0\.0\.0\/99" is neither/],
      [{ AUTH_CONFIG_PATH: dir }, /AUTH_CONFIG_PATH.*directory/],
      [{ ENCRYPTION_KEY_FILE: dir }, /ENCRYPTION_KEY_FILE.*directory/],
      [{ ENCRYPTION_KEY_FILE: `${dir}/none` }, /ENCRYPTION_KEY_FILE names/],
      [{ DATA_DIR: `${file}/data` }, /DATABASE_URL/],
      [
        { DATABASE_URL: `postgres://mesh:${password}@127.0.0.1:1/mesh` },
        /DATABASE_URL.*ECONNREFUSED/,
      ],
      [
        { DATABASE_URL: `mysql://mesh:${password}@127.0.0.1:1/mesh` },
        /DATABASE_URL.*ECONNREFUSED/,
      ],
    ];
    for (const [env, reason] of cases) {
      const child = mesh(["serve"], { DATA_DIR: `${dir}/data`, PORT: String(freePort()), ...env }, dir);
      assert.equal((await child.ended).code, 1);
      assert.match(child.output, /^mesh: [^\n]+\n$/);
      assert.match(child.output, reason);
      assert.ok(!child.output.includes(password));
      assert.deepEqual([...Deno.readDirSync(dir)].map(({ name }) => name), ["file"]);
    }
  }));

Deno.test("the port 0 is one that the system chooses, and the URL names it", () =>
  inFolder(async (dir) => {
    const child = mesh(["serve"], { DATA_DIR: dir, PORT: "0" });
    const [line] = await child.line(/is ready at http:\S+/);
    const health = await fetch(`${/http:\S+/.exec(line)?.[0]}/health`);
    assert.equal((await health.json()).status, "ok");
    await child.kill("SIGTERM");
  }));

Deno.test("a port that is taken stops the start with one line", () =>
  inFolder(async (dir) => {
    await using upstream = startHostile(behaviours.good);
    const child = mesh(["serve"], { DATA_DIR: dir, PORT: new URL(upstream.url).port });
    assert.equal((await child.ended).code, 1);
    assert.match(child.stderr, /^mesh: Cannot listen on 127\.0\.0\.1:\d+: .*set PORT to another port\n$/m);
  }));

Deno.test("usage: unknown commands and options are 2, help and version are 0", () =>
  inFolder(async (dir) => {
    const cases: [string[], number, RegExp][] = [
      [["--version"], 0, /^\d+\.\d+\.\d+\n$/],
      [["--help"], 0, /mesh migrate/],
      [["migrate", "--help"], 0, /--status/],
      [["dance"], 2, /there is no command 'dance'/],
      [["--version", "--json"], 0, /^\{"version":"/],
      [["config", "-h"], 0, /^mesh config/],
      [["healthcheck", "--json"], 1, /./],
      [["serve", "--fast"], 2, /takes no '--fast'/],
      [["config"], 0, /^PORT\s+3000 \(default\)$/m],
      [["migrate", "--status"], 0, /0001_initial {2}pending/],
      [["migrate"], 0, /0001_initial {2}applied now/],
      [["healthcheck"], 1, /./],
    ];
    for (const [args, code, output] of cases) {
      const child = mesh(args, {
        DATA_DIR: dir,
        ...args[0] === "healthcheck" ? { PORT: String(freePort()) } : {},
      });
      assert.equal((await child.ended).code, code, args.join(" "));
      assert.match(child.output, output);
    }
  }));

function speaksIpv6(): boolean {
  try {
    Deno.listen({ hostname: "::1", port: 0 }).close();
    return true;
  } catch {
    return false;
  }
}

Deno.test("the executable checks its own health, wherever it listens", () =>
  inFolder(async (dir) => {
    const hosts = ["127.0.0.1", "127.0.0.2", "0.0.0.0", "localhost"];
    for (const HOST of [...hosts, ...speaksIpv6() ? ["[::1]", "::1", "::"] : []]) {
      const { child, url } = await serve({ DATA_DIR: dir, HOST });
      const check = mesh(["healthcheck"], { DATA_DIR: dir, HOST, PORT: new URL(url).port });
      assert.equal((await check.ended).code, 0, HOST);
      assert.equal(JSON.parse(check.stdout).status, "ok");
      await child.kill("SIGTERM");
    }
  }));

onEachDatabase(
  "a second process with another key, or none, is refused and changes nothing",
  (_t, url) =>
    inFolder(async (dir) => {
      const first = await serve({ DATA_DIR: dir, DATABASE_URL: url });
      await inFolder(async (other) => {
        const lost = mesh(["serve"], { DATA_DIR: other, DATABASE_URL: url, PORT: String(freePort()) });
        assert.equal((await lost.ended).code, 1);
        assert.match(lost.stderr, /^mesh: Cannot open the vault: .*restore that key, nothing was changed\n$/);
        const key = { ENCRYPTION_KEY: "00".repeat(32) };
        const wrong = mesh(["serve"], {
          DATA_DIR: other,
          DATABASE_URL: url,
          PORT: String(freePort()),
          ...key,
        });
        assert.equal((await wrong.ended).code, 1);
        assert.match(
          wrong.stderr,
          /^mesh: Cannot open the vault: .*start it with the first one, nothing was changed\n$/,
        );
        assert.deepEqual([...Deno.readDirSync(other)], []);
      });
      const replica = await serve({ DATA_DIR: dir, DATABASE_URL: url });
      assert.equal((await fetch(`${replica.url}/health/ready`)).status, 200);
      await Promise.all([first.child.kill("SIGTERM"), replica.child.kill("SIGTERM")]);
    }),
);

onEachDatabase(
  "two processes that start at once on a new database both serve",
  (_t, url) =>
    inFolder(async (dir) => {
      const key = { ENCRYPTION_KEY: "5f".repeat(32) };
      const both = await Promise.all([1, 2].map(() => serve({ DATA_DIR: dir, DATABASE_URL: url, ...key })));
      for (const one of both) assert.equal((await fetch(`${one.url}/health`)).status, 200);
      await Promise.all(both.map(({ child }) => child.kill("SIGTERM")));
    }),
);

Deno.test("SIGTERM lets a running call finish, and new ones are not taken", () =>
  inFolder(async (dir) => {
    let release = () => {};
    const released = new Promise<void>((resolve) => release = resolve);
    await using upstream = startHostile(async (exchange) => {
      if (exchange.request.message.id === 1) await released;
      await behaviours.good(exchange);
    });
    const { child, url } = await serve({ DATA_DIR: dir });
    const { connectionId, key } = await seed(`file:${dir}/mesh.db`, upstream.url);
    const running = call(url, { connectionId, key, id: 1 });
    await upstream.received();
    const ended = child.kill("SIGTERM");
    await child.line(/"stopping"/);
    const health = await fetch(`${url}/health`);
    assert.deepEqual([health.status, (await health.json()).status], [503, "draining"]);
    const refused = await call(url, { connectionId, key, id: 2 });
    assert.match(await refused.text(), /the mesh is stopping/);
    // What the running call may wait for still gets through.
    const to = { url: `${url}/mcp/${connectionId}`, key };
    const reply = { headers: {}, body: JSON.stringify({ jsonrpc: "2.0", id: 9, result: {} }) };
    assert.equal((await post(to, reply)).status, 200);
    release();
    const answer = await running;
    assert.equal(answer.status, 200);
    assert.ok((await answer.json()).result);
    assert.equal((await ended).code, 0);
    await assert.rejects(fetch(`${url}/health/live`));
    assert.equal(upstream.requests.length, 2);
  }));

onEachDatabase(
  "kill -9 under load: every answer that a client has has its row",
  (_t, url) =>
    inFolder(async (dir) => {
      await using upstream = startHostile(behaviours.good);
      const settings = { DATA_DIR: dir, DATABASE_URL: url };
      const first = await serve(settings);
      const { connectionId, key, organizationId } = await seed(url, upstream.url);
      const answered: number[] = [];
      let next = 0;
      const clients = Array.from({ length: 16 }, async () => {
        for (;;) {
          const id = next++;
          try {
            const answer = await call(first.url, { connectionId, key, id });
            await answer.json();
            assert.equal(answer.status, 200);
            answered.push(id);
          } catch (error) {
            if (error instanceof assert.AssertionError) throw error;
            return; // the process is gone
          }
          if (answered.length === 400) await first.child.kill("SIGKILL");
        }
      });
      await Promise.all(clients);
      assert.ok(answered.length >= 400);
      const second = await serve(settings);
      // The second moves what the first has left in its journal, and a busy machine takes its time.
      let rows: number[] = [];
      await until(async () => {
        rows = await besides(url, (db) => calledIds(db, organizationId));
        return answered.every((id) => rows.includes(id));
      }, "a row for each answer");
      assert.equal(new Set(rows).size, rows.length, "no row twice");
      assert.equal((await fetch(`${second.url}/health`)).status, 200);
      await second.child.kill("SIGTERM");
    }),
);
