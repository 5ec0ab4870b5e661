// Runs the official conformance suite and compares what it finds directly and through something in between.
import { run } from "../support/processes.ts";

/** The official suite. */
export const suite = "npm:@modelcontextprotocol/conformance@0.2.0-alpha.12";

/** The revisions whose requirements the suite has: one of the legacy, one of the modern era. */
export const revisions = ["2025-11-25", "2026-07-28"] as const;

/** By scenario, by check: the statuses that the check had, sorted (a check may occur several times). */
export type Results = ReadonlyMap<string, ReadonlyMap<string, readonly string[]>>;

export interface Difference {
  readonly scenario: string;
  readonly check: string;
  readonly before: readonly string[];
  readonly after: readonly string[];
}

/** Runs every scenario that the revision requires against the server; throws when there is no result at all. */
export async function runSuite(
  { url, revision }: { url: string; revision: (typeof revisions)[number] },
): Promise<Results> {
  const folder = await Deno.makeTempDir({ prefix: "mesh-conformance-" });
  try {
    const { code, stdout, stderr } = await run({
      command: [
        ...[Deno.execPath(), "run", "-A", "--no-config", "--no-lock", suite] as const,
        ...["server", "--url", url, "--requirements", revision, "-o", folder],
      ],
      cwd: folder,
      env: { NO_COLOR: "1" },
    });
    const results = await readResults(folder);
    if (results.size === 0) {
      throw new Error(`The suite ended with ${code} and no results: ${stdout}${stderr}`);
    }
    return results;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Reads the folder that the suite wrote: one subfolder a scenario, `server-NAME-TIME/checks.json`. */
export async function readResults(folder: string): Promise<Results> {
  const results = new Map<string, Map<string, string[]>>();
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const [, scenario] = name.match(/^server-(.+)-\d{4}-\d\d-\d\dT[\d-]+Z$/) ?? [];
    if (!isDirectory || scenario === undefined) continue;
    const checks: { id: string; status: string }[] = JSON.parse(
      await Deno.readTextFile(`${folder}/${name}/checks.json`),
    );
    const statuses = Map.groupBy(checks.filter(({ status }) => status !== "INFO"), ({ id }) => id);
    const sorted = [...statuses].map(([id, found]) =>
      [id, found.map(({ status }) => status).sort()] as const
    );
    results.set(scenario, new Map(sorted));
  }
  return results;
}

/** How often each status occurs in all. */
export function tally(results: Results): Record<string, number> {
  const statuses = [...results.values()].flatMap((checks) => [...checks.values()].flat());
  const counts = Map.groupBy(statuses, (status) => status);
  return Object.fromEntries([...counts].map(([status, found]) => [status, found.length]).sort());
}

/** Lists every check whose statuses are not the same in both, those that only one has included. */
export function differences(before: Results, after: Results): Difference[] {
  const found: Difference[] = [];
  for (const scenario of union(before, after)) {
    const [earlier, later] = [before, after].map((results) => results.get(scenario) ?? new Map());
    for (const check of union(earlier, later)) {
      const pair = { before: earlier?.get(check) ?? [], after: later?.get(check) ?? [] };
      if (pair.before.join() !== pair.after.join()) found.push({ scenario, check, ...pair });
    }
  }
  return found;
}

function union(...maps: (ReadonlyMap<string, unknown> | undefined)[]): string[] {
  return [...new Set(maps.flatMap((map) => [...map?.keys() ?? []]))].sort();
}
