// `deno task bench`: a raw upstream, nginx passing through to it, and the mesh in front of it with everything on
// (authentication, policy, credential from the vault, audit), loaded in turn in one run.
// Prints a table; `--json FILE` also writes the figures. Each is loaded for `--seconds N` (2) in each of `--rounds N`
// (5) rounds, and the medians count: of the figures, and of what one round says of two paths. Loopback only.
import { Vault } from "../../server/vault.ts";
import { parseKey } from "../../server/config.ts";
import * as connections from "../../server/storage/connections.ts";
import { placeOf } from "../../server/upstream/credentials.ts";
import { type Child, findOnPath, freePort, start } from "../support/processes.ts";
import { besides, seed } from "../support/executable.ts";
import { type Figures, generator, load, type Shot } from "./load.ts";

const root = new URL("../..", import.meta.url).pathname;
const option = (name: string) => Deno.args[Deno.args.indexOf(name) + 1];
const seconds = Deno.args.includes("--seconds") ? Number(option("--seconds")) : 2;
const rounds = Deno.args.includes("--rounds") ? Number(option("--rounds")) : 5;
const counts = [1, 16, 64];
const body = JSON.stringify({
  jsonrpc: "2.0",
  id: 1,
  method: "tools/call",
  params: { name: "echo", arguments: { message: "Hello from the benchmark" } },
});
const plain = { "content-type": "application/json", "accept": "application/json, text/event-stream" };

interface Row extends Figures {
  path: string;
  connections: number;
  /** One for each round, in their order. */
  runs: Figures[];
}

async function main(): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "mesh-bench-" });
  const children: Child[] = [];
  try {
    const upstreamPort = freePort();
    children.push(
      start({
        command: [
          Deno.execPath(),
          "run",
          "-A",
          "--no-check",
          `${root}tests/bench/upstream.ts`,
          `${upstreamPort}`,
        ],
      }),
    );
    await children[0]?.port(upstreamPort);
    const nginx = await startNginx(dir, upstreamPort);
    if (nginx) children.push(nginx.child);
    await startMesh(dir).then((mesh) => mesh.child.kill("SIGTERM")); // the first start compiles; the second is measured
    const mesh = await startMesh(dir);
    children.push(mesh.child);
    const idleMiB = residentMiB(mesh.child.pid);
    const direct = `http://127.0.0.1:${upstreamPort}`;
    const shots: Record<string, Shot> = { direct: { url: `${direct}/mcp`, headers: plain, body } };
    if (nginx) shots.nginx = { url: `${nginx.url}/mcp`, headers: plain, body };
    shots.mesh = await meshShot(dir, mesh.url, `${direct}/mcp`);
    shots["direct, event stream"] = { url: `${direct}/sse`, headers: plain, body };
    shots["mesh, event stream"] = await meshShot(dir, mesh.url, `${direct}/sse`);
    const { rows, loadedMiB } = await measure(shots, mesh.child.pid);
    await report(rows, { startMs: mesh.startMs, idleMiB, loadedMiB });
  } finally {
    // Not SIGKILL, which would leave the worker of nginx behind.
    for (const child of children) await child.kill("SIGTERM");
    await Deno.remove(dir, { recursive: true });
  }
}

async function startNginx(dir: string, upstreamPort: number): Promise<{ child: Child; url: string } | null> {
  if (!findOnPath(["nginx"])) return null;
  const port = freePort();
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) =>
    `${name}_temp_path ${dir}/${name};`
  );
  await Deno.writeTextFile(
    `${dir}/nginx.conf`,
    `daemon off; worker_processes 1; pid ${dir}/nginx.pid; error_log ${dir}/nginx.log;
events { worker_connections 1024; }
http { access_log off; ${temporary.join(" ")}
  upstream raw { server 127.0.0.1:${upstreamPort}; keepalive 128; keepalive_requests 100000000; }
  server { listen 127.0.0.1:${port}; keepalive_requests 100000000;
    location / { proxy_pass http://raw; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; } } }`,
  );
  const child = start({ command: [findOnPath(["nginx"]) ?? "nginx", "-c", `${dir}/nginx.conf`] });
  await child.port(port);
  return { child, url: `http://127.0.0.1:${port}` };
}

const encryptionKey = "5f".repeat(32);

async function startMesh(dir: string): Promise<{ child: Child; url: string; startMs: number }> {
  const port = freePort();
  const began = performance.now();
  const child = start({
    command: [Deno.execPath(), ...await startArguments()],
    cwd: root,
    env: {
      PORT: `${port}`,
      DATA_DIR: dir,
      ENCRYPTION_KEY: encryptionKey,
      LOG_LEVEL: "warn",
      AUTH_CONFIG_PATH: `${dir}/none`,
    },
  });
  const url = `http://127.0.0.1:${port}`;
  for (;;) {
    try {
      if ((await fetch(`${url}/health`)).ok) break;
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // not listening yet
      if (performance.now() - began > 60_000) throw new Error(`The mesh does not start: ${child.output}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return { child, url, startMs: performance.now() - began };
}

/** The arguments of the `start` task, without the task runner in between, which would hide the program's signals. */
async function startArguments(): Promise<string[]> {
  const { tasks } = JSON.parse(await Deno.readTextFile(`${root}deno.json`));
  return String(tasks.start).split(" ").slice(1);
}

/** A connection with a sealed token, and a key whose permissions name its one tool. */
async function meshShot(dir: string, url: string, upstream: string): Promise<Shot> {
  const databaseUrl = `file:${dir}/mesh.db`;
  const { organizationId, connectionId, key } = await seed(databaseUrl, upstream);
  await besides(databaseUrl, async (db) => {
    const place = placeOf({ id: connectionId, organization_id: organizationId }, "sealed_token");
    const sealed = await new Vault(db, parseKey(encryptionKey)).seal(place, "token-of-the-upstream");
    await connections.update(db, organizationId, { id: connectionId, changes: { sealed_token: sealed } });
  });
  return { url: `${url}/mcp/${connectionId}`, headers: { ...plain, authorization: `Bearer ${key}` }, body };
}

async function measure(
  shots: Record<string, Shot>,
  meshPid: number,
): Promise<{ rows: Row[]; loadedMiB: number }> {
  const rows: Row[] = [];
  let loadedMiB = 0;
  const watching = setInterval(() => loadedMiB = Math.max(loadedMiB, residentMiB(meshPid)), 100);
  for (const shot of Object.values(shots)) {
    await load(shot, { connections: 16, seconds: Math.min(2, seconds) });
  }
  for (const count of counts) {
    const runs: Record<string, Figures[]> = {};
    for (let round = 0; round < rounds; round++) {
      for (const [path, shot] of Object.entries(shots)) {
        (runs[path] ??= []).push(await load(shot, { connections: count, seconds }));
      }
    }
    for (const [path, all] of Object.entries(runs)) rows.push(rowOf(path, count, all));
  }
  clearInterval(watching);
  return { rows, loadedMiB };
}

function rowOf(path: string, connections: number, runs: Figures[]): Row {
  const middle = (name: keyof Figures) => median(runs.map((run) => run[name]));
  return {
    path,
    connections,
    requestsPerSecond: middle("requestsPerSecond"),
    p50: middle("p50"),
    p99: middle("p99"),
    errors: runs.reduce((sum, run) => sum + run.errors, 0),
    runs,
  };
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[sorted.length >> 1] ?? 0;
}

/** The median of what each round says of two paths. */
function compared(one: Row, other: Row, by: (one: Figures, other: Figures) => number): number {
  return median(one.runs.map((run, round) => by(run, other.runs[round] ?? run)));
}

/** Resident memory of a process and its children in MiB: `deno task` is a parent of the program. */
function residentMiB(pid: number): number {
  let largest = 0;
  for (const id of [pid, ...childrenOf(pid)]) {
    const status = Deno.readTextFileSync(`/proc/${id}/status`);
    largest = Math.max(largest, Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024);
  }
  return largest;
}

function childrenOf(pid: number): number[] {
  const ids = Deno.readTextFileSync(`/proc/${pid}/task/${pid}/children`).trim().split(/\s+/).filter(Boolean)
    .map(Number);
  return ids.concat(ids.flatMap(childrenOf));
}

async function report(
  rows: Row[],
  facts: { startMs: number; idleMiB: number; loadedMiB: number },
): Promise<void> {
  const find = (path: string, count: number) =>
    rows.find((row) => row.path === path && row.connections === count);
  const lines = rows.map((row) => {
    const base = row.path.endsWith("event stream") ? "direct, event stream" : "direct";
    const share = (other: Row | undefined) =>
      other ? compared(row, other, (a, b) => a.requestsPerSecond / b.requestsPerSecond).toFixed(2) : "-";
    return `| ${row.path} | ${row.connections} | ${Math.round(row.requestsPerSecond)} | ${
      row.p50.toFixed(3)
    } | ${row.p99.toFixed(2)} | ${share(find(base, row.connections))} | ${
      share(find("nginx", row.connections))
    } | ${row.errors} |`;
  });
  console.log("| path | connections | requests/s | p50 ms | p99 ms | of direct | of nginx | errors |");
  console.log("|---|---:|---:|---:|---:|---:|---:|---:|");
  console.log(lines.join("\n"));
  const [mesh, direct] = [find("mesh", 1), find("direct", 1)];
  if (!mesh || !direct) throw new Error("There are no figures for one connection");
  const added = compared(mesh, direct, (a, b) => a.p50 - b.p50);
  console.log(`\nadded to the median at 1 connection: ${added.toFixed(3)} ms`);
  console.log(
    `start to healthy: ${Math.round(facts.startMs)} ms; resident: ${Math.round(facts.idleMiB)} MiB idle, ` +
      `${
        Math.round(facts.loadedMiB)
      } MiB under load; generator: ${generator}, ${rounds} rounds of ${seconds} s`,
  );
  const figures = { generator, seconds, rounds, ...facts, addedMedianMs: added, rows };
  if (Deno.args.includes("--json")) {
    await Deno.writeTextFile(option("--json") ?? "bench.json", JSON.stringify(figures, null, 2));
  } else console.log(JSON.stringify(figures));
}

await main();
