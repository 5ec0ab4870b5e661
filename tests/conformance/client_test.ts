import assert from "node:assert/strict";
import { type Mesh, startMesh } from "../support/app.ts";
import { run } from "../support/processes.ts";
import { runTask, type Task } from "./client_driver.ts";
import { revisions, suite } from "./compare.ts";

interface Check {
  readonly id: string;
  readonly status: "SUCCESS" | "FAILURE" | "WARNING" | "SKIPPED" | "INFO";
  readonly errorMessage?: string;
}

/** By scenario: its checks, and how it ended for the client: `done`, or why not. */
interface Results {
  readonly checks: Record<string, Check[]>;
  readonly ends: Record<string, string>;
}

/** How many scenarios the suite scores for a client of the revision. */
const scored = { "2025-11-25": 18, "2026-07-28": 32 } as const;

/** What the suite runs beside them without scoring it, and why it is not tried here; empty where it has to pass too. */
const beside: Record<string, string> = {
  "auth/client-credentials-basic": "",
  "auth/client-credentials-jwt": "",
  "json-schema-2020-12-preservation": "",
  "auth/dpop": "an extension: the mesh makes no DPoP proofs",
  "auth/dpop-nonce": "an extension: the mesh makes no DPoP proofs",
  "auth/enterprise-managed-authorization": "an extension: the mesh trades no tokens of an identity provider",
  "auth/wif-jwt-bearer": "an extension: the mesh has no assertions of a workload",
  // Not among what a revision runs at all; skills are read by the client, the mesh passes them on.
  "sep-2640-client-no-prefetch": "an extension: it is about files that a client stores",
  "sep-2640-client-verify-digest": "an extension: it is about files that a client stores",
  "sep-2640-client-verify-size": "an extension: it is about files that a client stores",
  "sep-2640-client-verify-frontmatter": "an extension: it is about files that a client stores",
};

/** Where the client must not get through: what stops it. */
const stopped: Record<string, RegExp> = {
  "auth/resource-mismatch": /its resource metadata is about/, // CL02
  "auth/metadata-issuer-mismatch": /the metadata of its authorization server .* is that of/, // CL04
  "auth/iss-supported-missing": /the answer does not come from/, // CL06
  "auth/iss-wrong-issuer": /the answer does not come from/,
  "auth/iss-unexpected": /the answer does not come from/,
  "auth/iss-normalized": /the answer does not come from/,
  "auth/scope-retry-limit": /test_complete|asks for more than was allowed/, // CL11
};

/** Measures how long a client waits, so it runs when nothing else does. */
const measured = "sse-retry";

/** Checks that may warn: a busy machine is late, and the suite says that this is no fault. */
const warned: Record<string, string> = { "client-sse-retry-timing": "WARNING" };

const atOnce = 4;
/** Less than the suite waits for a client. */
const taskSeconds = 80;

for (const revision of revisions) {
  // CL01-CL16, X01-X05: the suite's servers are connections, its clients are clients of the mesh.
  Deno.test(`conformance ${revision}: the client's scenarios through the mesh`, async (t) => {
    const results = await runSuite(["--requirements", revision], scored[revision] + 7);
    const names = Object.keys(results.checks);
    assert.equal(names.filter((name) => !(name in beside)).length, scored[revision]);
    for (const name of names.filter((name) => !beside[name])) {
      await t.step(name, () => assertPassed(results, name));
    }
  });
}

// 2025-03-26: servers without metadata of the resource, that are their own authorization servers (CL01).
Deno.test("conformance: the client's scenarios of the first authorization through the mesh", async (t) => {
  const results = await runSuite(["--suite", "backcompat"], 2);
  const names = Object.keys(results.checks);
  assert.equal(names.length, 2);
  for (const name of names) await t.step(name, () => assertPassed(results, name));
});

function assertPassed({ checks, ends }: Results, name: string): void {
  const statuses = (checks[name] ?? []).filter(({ status }) => status !== "INFO" && status !== "SKIPPED");
  assert.notEqual(statuses.length, 0);
  const others = statuses.filter(({ id, status }) => status !== "SUCCESS" && warned[id] !== status);
  assert.deepEqual(others, [], ends[name]);
  assert.match(ends[name] ?? "", stopped[name] ?? /^done$/);
}

/** Runs scenarios of the suite, of which so many start a client. */
async function runSuite(selection: string[], tasks: number): Promise<Results> {
  const folder = await Deno.makeTempDir({ prefix: "mesh-conformance-" });
  const mesh = await startMesh();
  try {
    await using driver = startDriver(mesh, tasks);
    const program = [Deno.execPath(), "run", "-A", "--no-config", "--no-lock"] as const;
    const adapter = `${program.join(" ")} ${import.meta.dirname}/client_adapter.ts`;
    const { stdout, stderr } = await run({
      command: [
        ...program,
        suite,
        "client",
        "--command",
        adapter,
        "--timeout",
        "90000",
        "-o",
        folder,
        ...selection,
      ],
      cwd: folder,
      env: { NO_COLOR: "1", CLIENT_DRIVER_URL: driver.url },
    });
    const checks = await readChecks(folder);
    if (Object.keys(checks).length === 0) throw new Error(`The suite gave no results: ${stdout}${stderr}`);
    return { checks, ends: driver.ends };
  } finally {
    await mesh.stop();
    await Deno.remove(folder, { recursive: true });
  }
}

/** Reads the folders that the suite wrote, `SCENARIO-TIME/checks.json`; a scenario may have a folder in its name. */
async function readChecks(folder: string): Promise<Results["checks"]> {
  const results: Record<string, Check[]> = {};
  for (const group of ["", "auth/"]) {
    for await (const { name } of Deno.readDir(`${folder}/${group}`)) {
      const [, scenario] = name.match(/^(.+)-\d{4}-\d\d-\d\dT[\d-]+Z$/) ?? [];
      if (scenario === undefined) continue;
      const text = await Deno.readTextFile(`${folder}/${group}${name}/checks.json`);
      results[`${group}${scenario}`] = JSON.parse(text);
    }
  }
  return results;
}

async function within(seconds: number, work: Promise<void>): Promise<void> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`Not done in ${seconds} seconds`)), seconds * 1000);
  try {
    await Promise.race([work, promise]);
  } finally {
    clearTimeout(timer);
  }
}

interface Driver extends AsyncDisposable {
  readonly url: string;
  readonly ends: Record<string, string>;
}

/** Takes the tasks of the suite's many clients, and lets a few run at once. */
function startDriver(mesh: Mesh, expected: number): Driver {
  const ends: Record<string, string> = {};
  const waiting: { task: Task; begin: () => void }[] = [];
  let left = expected;
  let running = 0;
  const next = () => {
    const at = waiting.findIndex(({ task }) => task.scenario !== measured || left === 1);
    if (running === atOnce || at < 0) return;
    running++;
    waiting.splice(at, 1)[0]?.begin();
  };
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    const task: Task = await request.json();
    await new Promise<void>((begin) => {
      waiting.push({ task, begin });
      next();
    });
    try {
      if (!beside[task.scenario]) await within(taskSeconds, runTask(mesh, task));
      ends[task.scenario] = "done";
      return new Response("done");
    } catch (error) {
      ends[task.scenario] = String(error);
      return new Response(String(error), { status: 500 });
    } finally {
      running--;
      left--;
      next();
    }
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    ends,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}
