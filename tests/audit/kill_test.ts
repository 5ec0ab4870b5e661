import assert from "node:assert/strict";
import { start } from "../support/processes.ts";
import { onEachDatabase } from "../support/databases.ts";
import { folders, openAudit, requestIds, withFolder } from "./support.ts";
import { until } from "../support/until.ts";

const recorder = new URL("recorder.ts", import.meta.url).pathname;

/** Starts a process that records rows of a name without end. */
function startRecorder(url: string, dir: string, { name, bytes = 0, flags = [] }: {
  name: string;
  bytes?: number;
  flags?: string[];
}) {
  return start({
    command: [Deno.execPath(), "run", "-A", "--no-check", ...flags, recorder, url, dir, name, `${bytes}`],
  });
}

/** The request ids that a recorder was promised to have on disk. */
function promisedTo(dir: string, name: string): string[] {
  const text = Deno.readTextFileSync(`${dir}/${name}.promised`);
  return text.slice(0, text.lastIndexOf("\n") + 1).split("\n").filter(Boolean);
}

function promisedCount(dir: string, name: string): number {
  try {
    return promisedTo(dir, name).length;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw error;
  }
}

/** Asserts that each promised row is there once, and at most one row that nobody was promised yet. */
function assertKept(found: string[], dir: string, names: string[]): void {
  assert.equal(new Set(found).size, found.length, "no row is there twice");
  const kept = new Set(found);
  let promised = 0;
  for (const name of names) {
    const ids = promisedTo(dir, name);
    assert.deepEqual(ids.filter((id) => !kept.has(id)), [], "a promised row is missing");
    promised += ids.length;
  }
  assert.ok(found.length - promised <= names.length, `${found.length} rows for ${promised} promises`);
}

onEachDatabase("audit: kill -9 under load loses no row that was promised", async (_t, url) => {
  await withFolder(url, async (db, dir) => {
    const names = ["first", "second", "third"];
    for (const [i, name] of names.entries()) {
      await using child = startRecorder(url, dir, { name, bytes: i * 3000 });
      await until(() => promisedCount(dir, name) > 300 + 300 * i, "rows");
      assert.equal((await child.kill("SIGKILL")).signal, "SIGKILL");
    }
    assert.ok(folders(dir).length > 0, "a killed process leaves its folder");
    const audit = await openAudit(db, dir);
    await audit.flush(); // a start waits for a slow database only so long
    assertKept(await requestIds(db), dir, names);
    await audit.close();
    assert.deepEqual(folders(dir), []);
  });
});

onEachDatabase("audit: processes share a data folder and leave each other's rows alone", async (_t, url) => {
  await withFolder(url, async (db, dir) => {
    await using one = startRecorder(url, dir, { name: "one" });
    await using two = startRecorder(url, dir, { name: "two" });
    await until(() => promisedCount(dir, "one") > 300 && promisedCount(dir, "two") > 300, "rows of both");
    const between = await openAudit(db, dir);
    assert.equal(folders(dir).length, 3, "the folders of living processes stay");
    const seen = promisedCount(dir, "one");
    await until(() => promisedCount(dir, "one") > seen + 300, "more rows");
    await one.kill("SIGKILL");
    const after = await openAudit(db, dir);
    assert.equal(folders(dir).length, 3, "that of the killed one is replayed and removed");
    await two.kill("SIGKILL");
    await after.close();
    await between.close();
    const last = await openAudit(db, dir);
    await last.flush();
    assertKept(await requestIds(db), dir, ["one", "two"]);
    await last.close();
    assert.deepEqual(folders(dir), []);
  });
});
