import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { parseKey } from "../../server/config.ts";
import type { Db } from "../../server/storage/dialect.ts";
import { keyId, sealerOf } from "../../server/vault/envelope.ts";
import { noticeMs } from "../../server/vault/rotation.ts";
import { onEachDatabase } from "../support/databases.ts";
import { besides, mesh, serve, type Serving } from "../support/executable.ts";
import type { Child } from "../support/processes.ts";
import {
  addDataKeys,
  addTenants,
  calls,
  connect,
  type Connected,
  holdUp,
  makes,
  startGuarded,
} from "./keys_support.ts";
import { until } from "../support/until.ts";

async function inFolders(count: number, fn: (...dirs: string[]) => Promise<void>): Promise<void> {
  const dirs = await Promise.all(
    Array.from({ length: count }, () => Deno.makeTempDir({ prefix: "mesh-keys-" })),
  );
  try {
    await fn(...dirs);
  } finally {
    await Promise.all(dirs.map((dir) => Deno.remove(dir, { recursive: true })));
  }
}

/** So many data keys keep a rotation busy for a second or more. */
const many = { sqlite: 1500, postgres: 500, mysql: 500 };
/** So many organizations have a secret before a rotation begins, and as many get one while it runs. */
const some = 6;

function keyIn(path: string): Uint8Array {
  return parseKey(Deno.readTextFileSync(path).trim());
}

/** Runs a command to its end, and asserts how it ended. */
async function ran(code: number, args: string[], env: Record<string, string>): Promise<Child> {
  const child = mesh(args, env);
  assert.equal((await child.ended).code, code, child.output);
  return child;
}

async function status(env: Record<string, string>) {
  return JSON.parse((await ran(0, ["keys", "rotate", "--status", "--json"], env)).stdout);
}

/** Everything that a command which is refused must leave as it is. */
async function everything(db: Db) {
  return {
    instance: await db.selectFrom("instance").selectAll().orderBy("name").execute(),
    dataKeys: await db.selectFrom("data_keys").selectAll().orderBy("organization_id").execute(),
    rotations: await db.selectFrom("key_rotations").selectAll().orderBy("from_id").execute(),
    log: await db.selectFrom("audit_log").select("id").where("method", "=", "keys/rotate").execute(),
  };
}

onEachDatabase(
  "two meshes open and seal everything before, during and after a rotation",
  (_t, url, kind) =>
    inFolders(3, async (one = "", two = "", elsewhere = "") => {
      await using upstream = startGuarded();
      const master = randomBytes(32);
      const given = { DATABASE_URL: url, ENCRYPTION_KEY: master.toBase64() };
      const meshes = await Promise.all([one, two].map((dir) => serve({ DATA_DIR: dir, ...given })));
      const at = (i: number) => (meshes[i % 2] as Serving).url;
      const [known, fresh] = await besides(url, async (db) => {
        const tenants = await addTenants(db, 2 * some);
        const connected = await connect(db, tenants.slice(0, some), { master, url: upstream.url });
        await addDataKeys(db, many[kind], master);
        return [connected, tenants.slice(some)];
      });
      const opensEverywhere = async (connections: Connected[]) => {
        await Promise.all(meshes.map(async (_mesh, i) => {
          for (const connection of connections) {
            assert.ok(await calls(at(i), connection), connection.organizationId);
          }
        }));
      };
      await opensEverywhere(known.slice(0, some / 2));

      const command = mesh(["keys", "rotate"], { DATA_DIR: elsewhere, ...given });
      await command.line(/Begun: master key/);
      let over = false;
      command.ended.then(() => over = true);
      const made: Connected[] = [];
      let during = 0;
      for (let i = 0; i < fresh.length || !over; i++) {
        const next = fresh[i];
        if (next) made.push(await makes(at(i), next, upstream.url));
        assert.ok(await calls(at(i), known[i % known.length] as Connected));
        const latest = made[i - 1];
        if (latest) assert.ok(await calls(at(i), latest), "the other mesh sealed it");
        if (!over) during++;
      }
      assert.equal((await command.ended).code, 0, command.output);
      assert.ok(during > 0, "nothing happened while it ran");
      await opensEverywhere([...known, ...made]);

      const [, file = ""] = /^New key: (.+)$/m.exec(command.stdout) ?? [];
      const next = keyIn(file);
      assert.equal((await Deno.stat(file)).mode! & 0o777, 0o600);
      await besides(url, async (db) => {
        const rows = await db.selectFrom("data_keys").select("wrapped").execute();
        assert.equal(rows.length, 1 + 2 * some + many[kind]);
        assert.deepEqual(new Set(rows.map(({ wrapped }) => sealerOf(wrapped))), new Set([keyId(next)]));
      });

      // One mesh after the other is given the new key.
      const replaced = { DATABASE_URL: url, ENCRYPTION_KEY: next.toBase64() };
      for (const [i, dir] of [one, two].entries()) {
        await meshes[i]?.child.kill("SIGTERM");
        meshes[i] = await serve({ DATA_DIR: dir, ...replaced });
        await opensEverywhere([...known, ...made]);
      }
      for (const { child } of [...meshes, { child: command }]) {
        for (const key of [master, next]) {
          assert.ok(
            !child.output.includes(key.toBase64()) && !child.output.includes(key.toHex()),
            "a key is printed",
          );
        }
      }
      await Promise.all(meshes.map(({ child }) => child.kill("SIGTERM")));
    }),
);

onEachDatabase(
  "a rotation that was killed is resumed by the same command, also by two at once",
  (_t, url, kind) =>
    inFolders(1, async (dir = "") => {
      const old = randomBytes(32);
      const env = { DATA_DIR: dir, DATABASE_URL: url, ENCRYPTION_KEY: old.toBase64() };
      await (await serve(env)).child.kill("SIGTERM");
      await besides(url, (db) => addDataKeys(db, 300, old));
      const goOn = await holdUp(url, kind, 300);
      const first = mesh(["keys", "rotate"], env);
      await first.line(/re-wrapped 200 of \d+ data keys/);
      await first.kill("SIGKILL");
      await goOn();
      const between = await status(env);
      assert.equal(between.rotations[0].state, "running");
      assert.ok(between.wrapped >= 200 && between.wrapped < between.dataKeys, `${between.wrapped}`);
      assert.equal(between.key, keyId(old));

      const { child, url: served } = await serve(env);
      assert.equal((await fetch(`${served}/health/ready`)).status, 200);
      const both = await Promise.all([1, 2].map(() => ran(0, ["keys", "rotate"], env)));
      const outputs = both.map(({ stdout }) => stdout).sort();
      assert.match(outputs[0] ?? "", /^Resuming: master key '.+' -> '.+'$/m);
      assert.match(outputs[1] ?? "", /^(Resuming: master key|The master key is '.+' already)/m);
      const after = await status(env);
      assert.deepEqual(
        after.rotations.map(({ from, to, state }: Record<string, string>) => [from, to, state]),
        [
          [keyId(old), between.rotations[0].to, "finished"],
        ],
      );
      assert.equal(after.wrapped, after.dataKeys);
      const file = `${dir}/encryption.key.${after.key}.new`;
      const named = [...Deno.readDirSync(dir)].filter(({ name }) => name.startsWith("encryption.key"));
      assert.deepEqual(named.map(({ name }) => `${dir}/${name}`), [file], "one new key, whoever wrote it");
      await child.kill("SIGTERM");
      const next = { ...env, ENCRYPTION_KEY: keyIn(file).toBase64() };
      await (await serve(next)).child.kill("SIGTERM");
    }),
);

onEachDatabase(
  "the key file of a mesh that runs is replaced, and once more",
  (_t, url) =>
    inFolders(1, async (dir = "") => {
      const env = { DATA_DIR: dir, DATABASE_URL: url };
      const { child } = await serve(env);
      const path = `${dir}/encryption.key`;
      const ids = [keyId(keyIn(path))];
      for (let i = 0; i < 2; i++) {
        const { stdout, stderr } = await ran(0, ["keys", "rotate", "--json"], env);
        const report = JSON.parse(stdout);
        assert.match(stderr, /^Begun: .+\nre-wrapped 1 of 1 data keys\n$/);
        const id = keyId(keyIn(path));
        assert.deepEqual([report.from, report.to, report.keyFile], [ids[i], id, path]);
        assert.equal(keyId(keyIn(report.oldKeyFile)), ids[i]);
        ids.push(id);
      }
      assert.equal(new Set(ids).size, 3);
      await child.kill("SIGTERM");
      assert.doesNotMatch(child.stderr, /"level":"(warn|error)"/);
      await (await serve(env)).child.kill("SIGTERM");
      const forgotten = await ran(0, ["keys", "forget-old", "--force"], env);
      assert.match(forgotten.stdout, new RegExp(`^Forgotten: '${ids[0]}', '${ids[1]}'; backups`, "m"));
      await (await serve(env)).child.kill("SIGTERM");
    }),
);

onEachDatabase(
  "a wrong key is refused, and nothing is changed",
  (_t, url) =>
    inFolders(2, async (dir = "", other = "") => {
      const env = { DATA_DIR: dir, DATABASE_URL: url };
      await (await serve(env)).child.kill("SIGTERM");
      const right = keyIn(`${dir}/encryption.key`);
      const wrong = randomBytes(32);
      const broken = `${other}/broken`;
      await Deno.writeTextFile(broken, "half a ke");
      const before = await besides(url, everything);
      const cases: [string[], Record<string, string>, RegExp][] = [
        [
          ["rotate"],
          { DATA_DIR: other, ENCRYPTION_KEY: wrong.toHex() },
          /sealed with the key '(.+)', and .* '(.+)'; /,
        ],
        [
          ["forget-old", "--force"],
          { DATA_DIR: other, ENCRYPTION_KEY: wrong.toHex() },
          /Cannot open the vault/,
        ],
        [["rotate"], { DATA_DIR: other }, /neither ENCRYPTION_KEY nor '.+' holds it/],
        [
          ["rotate", "--new-key-file", broken],
          { DATA_DIR: dir },
          /Cannot use the key file '.+': it must be 32 bytes/,
        ],
        [["rotate", `--new-key-file=${other}/none`], { DATA_DIR: dir }, /there is no file '.+none'/],
      ];
      for (const [args, given, reason] of cases) {
        const { stderr } = await ran(1, ["keys", ...args], { DATABASE_URL: url, ...given });
        assert.match(stderr, /^mesh: Cannot [^\n]+\n$/);
        const [, expected, actual] = reason.exec(stderr) ?? assert.fail(stderr);
        if (expected) assert.deepEqual([expected, actual], [keyId(right), keyId(wrong)]);
      }
      assert.deepEqual(await besides(url, everything), before);
      assert.deepEqual([...Deno.readDirSync(other)].map(({ name }) => name), ["broken"]);
      assert.equal(keyId(keyIn(`${dir}/encryption.key`)), keyId(right));
    }),
);

onEachDatabase(
  "a mesh that was down starts with its old key, until that is forgotten",
  (_t, url) =>
    inFolders(3, async (one = "", down = "", files = "") => {
      const keys = [1, 2, 3].map(() => randomBytes(32));
      const [first = "", second = "", third = ""] = keys.map((key) => key.toBase64());
      const [firstId, secondId, thirdId] = keys.map(keyId);
      for (const [i, key] of [second, third].entries()) await Deno.writeTextFile(`${files}/${i}`, key);
      const env = (dir: string, key: string) => ({ DATA_DIR: dir, DATABASE_URL: url, ENCRYPTION_KEY: key });
      await (await serve(env(one, first))).child.kill("SIGTERM");

      await ran(0, ["keys", "rotate", "--new-key-file", `${files}/0`], env(one, first));
      const again = await ran(
        0,
        ["keys", "rotate", "--new-key-file", `${files}/0`, "--json"],
        env(one, second),
      );
      assert.equal(JSON.parse(again.stdout).to, secondId, "the same command again begins nothing");
      const behind = await ran(0, ["keys", "rotate", "--json"], env(one, first));
      assert.match(behind.stderr, /is '.+' already/);
      const { keyFile } = JSON.parse(behind.stdout);
      assert.equal(keyId(keyIn(keyFile)), secondId, "whoever has lost the new key gets it again");
      await ran(0, ["keys", "rotate", `--new-key-file=${files}/1`], env(one, second));

      const late = await serve(env(down, first));
      await late.child.line(/this process was given a master key that has been replaced/);
      await besides(url, async (db) => {
        await db.updateTable("key_rotations").set({ finished_at: Date.now() - 2 * noticeMs }).execute();
      });
      await besides(url, async (db) => {
        const noted = db.selectFrom("key_rotations").select("from_id").where(
          "old_key_used_by",
          "is not",
          null,
        );
        await until(async () => (await noted.execute()).length > 0);
      });
      assert.equal((await status(env(one, third))).rotations[0].oldKeyUsedBy, Deno.hostname());
      const refused = await ran(1, ["keys", "forget-old"], env(one, third));
      assert.match(
        refused.stderr,
        /^mesh: Cannot forget the old key: \d+ s ago a process on '.+' was still given '.+'/,
      );
      await late.child.kill("SIGTERM");
      await ran(1, ["keys", "forget-old", "--force"], env(one, second));
      const forgotten = await ran(0, ["keys", "forget-old", "--force", "--json"], env(one, third));
      assert.deepEqual(JSON.parse(forgotten.stdout), { key: thirdId, forgotten: [firstId, secondId] });
      for (const key of [first, second]) {
        const child = await ran(1, ["serve"], env(down, key));
        assert.match(
          child.stderr,
          /^mesh: Cannot open the vault: .+ replaced and is forgotten; .+nothing was changed\n$/,
        );
        assert.ok(
          child.stderr.includes(`'${thirdId}'`) && child.stderr.includes(`'${keyId(parseKey(key))}'`),
        );
      }
      await (await serve(env(down, third))).child.kill("SIGTERM");
    }),
);

Deno.test("keys: usage", () =>
  inFolders(1, async (dir = "") => {
    const cases: [string[], number, RegExp][] = [
      [["keys"], 2, /there is no command 'keys'/],
      [["keys", "turn"], 2, /there is no command 'keys turn'/],
      [["constructor"], 2, /there is no command 'constructor'/],
      [["keys", "--help"], 0, /mesh keys rotate[\s\S]+mesh keys forget-old/],
      [["keys", "rotate", "--help"], 0, /--new-key-file FILE/],
      [["keys", "rotate", "--fast"], 2, /takes no '--fast'/],
      [["keys", "rotate", "--new-key-file"], 2, /takes no '--new-key-file'/],
      [["keys", "rotate", "--json=yes"], 2, /takes no '--json=yes'/],
      [["keys", "rotate", "--status"], 0, /^This mesh has no master key yet$/m],
      [["keys", "rotate"], 1, /this database is empty; start the mesh first/],
      [["keys", "forget-old"], 1, /this database is empty; start the mesh first/],
    ];
    for (const [args, code, output] of cases) {
      const child = await ran(code, args, { DATA_DIR: dir });
      assert.match(child.output, output);
    }
    assert.ok(![...Deno.readDirSync(dir)].some(({ name }) => name.includes("key")));
  }));
