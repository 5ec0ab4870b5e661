// Throwaway database servers, started once per test process and shared by all its test files.
//
// Deno runs each test file in its own thread, so neither the file that starts a server nor its thread may own
// it. A keeper (a detached shell) does: it runs the server until the test process is gone, however that
// ended, and then removes the server's folder.

import mariadb from "mysql2/promise";
import connectPostgres from "postgres";
import { exists, findOnPath, freePort } from "./processes.ts";

const pollMilliseconds = 25;
const startMilliseconds = 60_000;

export type ServerKind = "postgres" | "mysql";

interface Installation {
  readonly accounts: readonly string[];
  readonly stopSignal: string;
  readonly binaries: Readonly<Record<string, string | undefined>>;
  readonly url: (port: number) => string;
  readonly prepare: (folder: string) => string[];
  readonly serve: (folder: string, port: number) => string[];
}

const installations: Record<ServerKind, () => Installation> = { postgres, mysql };

function postgres(): Installation {
  const binaries = { initdb: findPostgres("initdb"), server: findPostgres("postgres") };
  return {
    accounts: ["postgres", "nobody"],
    stopSignal: "QUIT",
    binaries,
    url: (port) => `postgres://mesh@127.0.0.1:${port}/postgres`,
    prepare: (folder) => [
      binaries.initdb ?? "initdb",
      ...["-D", `${folder}/data`, "-U", "mesh", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"],
    ],
    serve: (folder, port) => [
      binaries.server ?? "postgres",
      ...["-D", `${folder}/data`, "-p", `${port}`],
      ...settings("-c", {
        listen_addresses: "127.0.0.1",
        unix_socket_directories: "",
        fsync: "off",
        full_page_writes: "off",
        synchronous_commit: "off",
        max_connections: "200",
        shared_buffers: "64MB",
        autovacuum: "off",
      }),
    ],
  };
}

function mysql(): Installation {
  const binaries = {
    install: findOnPath(["mariadb-install-db", "mysql_install_db"]),
    server: findOnPath(["mariadbd", "mysqld"]),
  };
  return {
    accounts: ["mysql", "nobody"],
    stopSignal: "KILL",
    binaries,
    url: (port) => `mysql://mesh@127.0.0.1:${port}/mysql`,
    prepare: (folder) => [
      binaries.install ?? "mariadb-install-db",
      ...["--no-defaults", `--datadir=${folder}/data`, "--skip-test-db"],
      ...["--auth-root-authentication-method=normal", "--innodb-log-file-size=16M"],
    ],
    serve: (folder, port) => [
      binaries.server ?? "mariadbd",
      ...["--no-defaults", "--skip-log-bin", "--skip-name-resolve", "--performance-schema=OFF"],
      ...[
        `--datadir=${folder}/data`,
        `--tmpdir=${folder}/data`,
        `--socket=${folder}/socket`,
        `--pid-file=${folder}/server.pid`,
      ],
      ...[`--port=${port}`, "--bind-address=127.0.0.1", `--init-file=${folder}/accounts.sql`],
      // As Debian configures it: a server without settings would fall back to latin1.
      ...["--character-set-server=utf8mb4", "--collation-server=utf8mb4_general_ci"],
      ...["--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=0", "--innodb-flush-method=nosync"],
      // Otherwise every table and index that a migration makes waits for the disk.
      "--debug-no-sync",
      ...["--innodb-log-file-size=16M", "--innodb-buffer-pool-size=64M", "--max-connections=200"],
    ],
  };
}

/** Names the programs of a database kind that are not installed here, an empty list when it can be started. */
export function missingBinaries(kind: ServerKind): string[] {
  return Object.entries(installations[kind]().binaries).filter(([, path]) => !path).map(([name]) => name);
}

/** Gives the administrator's URL of the run's server of this kind; the first caller of the test process starts it. */
export async function acquireServer(kind: ServerKind): Promise<string> {
  const folder = `${runFolder()}/${kind}`;
  await Deno.mkdir(runFolder(), { recursive: true, mode: 0o755 });
  try {
    // Atomic also between the threads of `deno test --parallel`.
    await Deno.mkdir(folder, { mode: 0o755 });
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    return await awaitOutcome(folder);
  }
  try {
    const url = await startServer(kind, folder);
    await publish(folder, { url });
    return url;
  } catch (cause) {
    await publish(folder, { error: `Cannot start ${kind} for the tests: ${cause}` });
    throw new Error(`Cannot start ${kind} for the tests`, { cause });
  }
}

interface Outcome {
  url?: string;
  error?: string;
}

async function publish(folder: string, outcome: Outcome): Promise<void> {
  await Deno.writeTextFile(`${folder}/outcome.part`, JSON.stringify(outcome));
  await Deno.rename(`${folder}/outcome.part`, `${folder}/outcome.json`);
}

async function awaitOutcome(folder: string): Promise<string> {
  const outcome: Outcome = JSON.parse(
    await until(`an outcome in "${folder}"`, () => Deno.readTextFile(`${folder}/outcome.json`)),
  );
  if (!outcome.url) throw new Error(outcome.error);
  return outcome.url;
}

async function startServer(kind: ServerKind, folder: string): Promise<string> {
  const installation = installations[kind]();
  const account = Deno.uid() === 0 ? await unprivileged(installation.accounts) : null;
  await Deno.writeTextFile(
    `${folder}/accounts.sql`,
    "CREATE USER IF NOT EXISTS 'mesh'@'127.0.0.1';\nGRANT ALL ON *.* TO 'mesh'@'127.0.0.1' WITH GRANT OPTION;\n",
  );
  await Deno.mkdir(`${folder}/data`, { mode: 0o700 });
  if (account) {
    for (const path of [folder, `${folder}/data`]) await Deno.chown(path, account.uid, account.gid);
  }
  await run(demote(account, installation.prepare(folder)), folder);
  const port = freePort();
  await startKeeper({
    folder,
    signal: installation.stopSignal,
    command: demote(account, installation.serve(folder, port)),
  });
  try {
    await until(`answers on port ${port}`, () => ask[kind](installation.url(port)));
  } catch (cause) {
    throw new Error(await Deno.readTextFile(`${folder}/log`), { cause });
  }
  return installation.url(port);
}

/** One query on a connection of its own: a server listens a while before it answers. */
const ask: Record<ServerKind, (url: string) => Promise<void>> = {
  async postgres(url) {
    const client = connectPostgres(url, { max: 1, connect_timeout: 5, onnotice: () => {} });
    try {
      await client.unsafe("select 1");
    } finally {
      await client.end({ timeout: 1 });
    }
  },
  async mysql(url) {
    const client = await mariadb.createConnection({ uri: url });
    try {
      await client.query("select 1");
    } finally {
      await client.end();
    }
  },
};

const keeper = `
watched=$1 signal=$2 folder=$3; shift 3
"$@" >"$folder/log" 2>&1 & server=$!
while kill -0 "$watched" 2>/dev/null; do sleep 0.3; done
kill -"$signal" "$server"; wait
rm -rf "$folder"; rmdir "$(dirname "$folder")"
`;

async function startKeeper(
  { folder, signal, command }: { folder: string; signal: string; command: string[] },
): Promise<void> {
  const detach = `(${findOnPath(["setsid"]) ?? ""} sh -c "$0" keeper "$@" </dev/null >/dev/null 2>&1 &)`;
  await run(["sh", "-c", detach, keeper, `${Deno.pid}`, signal, folder, ...command], folder);
}

interface Account {
  name: string;
  uid: number;
  gid: number;
}

async function unprivileged(names: readonly string[]): Promise<Account> {
  const lines = (await Deno.readTextFile("/etc/passwd")).split("\n").map((line) => line.split(":"));
  for (const name of names) {
    const fields = lines.find(([candidate]) => candidate === name);
    if (fields) return { name, uid: Number(fields[2]), gid: Number(fields[3]) };
  }
  throw new Error(`None of the accounts ${names.join(", ")} exists`);
}

/** Wraps a command so that it runs as the account and dies with the keeper. */
function demote(account: Account | null, command: string[]): string[] {
  const setpriv = findOnPath(["setpriv"]);
  const leash = ["--pdeathsig", "KILL"];
  if (!account) return setpriv ? [setpriv, ...leash, ...command] : command;
  if (!setpriv) return ["runuser", "-u", account.name, "--", ...command];
  return [
    setpriv,
    ...leash,
    "--reuid",
    `${account.uid}`,
    "--regid",
    `${account.gid}`,
    "--clear-groups",
    ...command,
  ];
}

async function run([program, ...args]: string[], cwd: string): Promise<void> {
  const { success, stdout, stderr } = await new Deno.Command(program ?? "", { args, cwd }).output();
  if (success) return;
  const decoder = new TextDecoder();
  throw new Error(
    `"${program} ${args.join(" ")}" failed: ${decoder.decode(stdout)}${decoder.decode(stderr)}`,
  );
}

async function until<T>(what: string, attempt: () => Promise<T>): Promise<T> {
  const deadline = Date.now() + startMilliseconds;
  for (;;) {
    try {
      return await attempt();
    } catch (cause) {
      if (Date.now() > deadline) throw new Error(`Timed out waiting for ${what}`, { cause });
      await new Promise((resolve) => setTimeout(resolve, pollMilliseconds));
    }
  }
}

function runFolder(): string {
  return `${Deno.env.get("TMPDIR") ?? "/tmp"}/mesh-test-${Deno.pid}-${processStart()}`;
}

/** The start time tells this process from an earlier one that had the same pid. */
function processStart(): string {
  if (Deno.build.os !== "linux") return "0";
  const stat = Deno.readTextFileSync(`/proc/${Deno.pid}/stat`);
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "0";
}

function settings(flag: string, values: Record<string, string>): string[] {
  return Object.entries(values).flatMap(([name, value]) => [flag, `${name}=${value}`]);
}

function findPostgres(name: string): string | undefined {
  const root = "/usr/lib/postgresql";
  const versions = exists(root) ? [...Deno.readDirSync(root)].map((entry) => entry.name) : [];
  const newestFirst = versions.sort((a, b) => Number(b) - Number(a));
  return newestFirst.map((version) => `${root}/${version}/bin/${name}`).find(exists) ?? findOnPath([name]);
}
