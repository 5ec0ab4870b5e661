import assert from "node:assert/strict";
import { Journal } from "../../server/audit/journal.ts";
import { textsOf } from "../../server/audit/segment.ts";
import { run } from "../support/processes.ts";

async function withRoot(fn: (root: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "mesh-test-" });
  try {
    await fn(`${dir}/journal`);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** Reads and forgets everything. */
function drain(journal: Journal, limits = { lines: 64, bytes: 4096 }): string[] {
  const all: string[] = [];
  for (let chunk = journal.read(limits); chunk; chunk = journal.read(limits)) {
    assert.ok(chunk.count <= limits.lines);
    const texts = textsOf(chunk.lines);
    assert.equal(texts.length, chunk.count);
    all.push(...texts);
    journal.advance(chunk.lines.length);
  }
  assert.equal(journal.moved, journal.appended);
  return all;
}

function filesIn(folder: string): string[] {
  return [...Deno.readDirSync(folder)].map((entry) => entry.name).sort();
}

function ownFolder(root: string): string {
  const [name] = [...Deno.readDirSync(root)].filter((entry) => entry.isDirectory).map((entry) => entry.name);
  return `${root}/${name}`;
}

Deno.test("journal: lines come out as they went in, however they are read", async () => {
  await withRoot(async (root) => {
    const journal = await Journal.open(root);
    const lines = Array.from(
      { length: 500 },
      (_, i) => `${i} ${"ä😀".repeat(i % 7 === 0 ? 30_000 : i % 40)}`,
    );
    for (const line of lines) journal.append(`${line}\n`);
    assert.equal(journal.appended, new TextEncoder().encode(lines.join("\n")).length + 1);
    const first = journal.read({ lines: 1, bytes: 16 });
    assert.ok(
      first?.count === 1 && textsOf(first.lines)[0] === lines[0],
      "a line longer than the limit is given whole",
    );
    assert.ok(
      journal.read({ lines: 1, bytes: 16 })?.lines.length === first.lines.length,
      "until it is forgotten",
    );
    const all = drain(journal);
    assert.deepEqual(all.map((line) => line.length), lines.map((line) => line.length));
    assert.ok(all.every((line, i) => line === lines[i]));
    journal.append("one more\n");
    assert.deepEqual(drain(journal), ["one more"]);
    assert.equal(journal.read({ lines: 1, bytes: 1 }), null);
    journal.close();
    assert.deepEqual(filesIn(root), ["lock"]);
  });
});

Deno.test("journal: what was moved gives its disk back", async () => {
  await withRoot(async (root) => {
    const journal = await Journal.open(root);
    const line = `${"x".repeat(99_999)}\n`;
    for (let i = 0; i < 200; i++) journal.append(line);
    const folder = ownFolder(root);
    assert.deepEqual(filesIn(folder), ["00000001.jsonl", "00000002.jsonl", "00000003.jsonl", "lock"]);
    assert.equal(drain(journal).length, 200);
    assert.deepEqual(filesIn(folder), ["00000003.jsonl", "lock"]);
    assert.equal(Deno.statSync(`${folder}/00000003.jsonl`).size, 0);
    journal.append("after\n");
    assert.equal(Deno.readTextFileSync(`${folder}/00000003.jsonl`), "after\n");
    assert.deepEqual(drain(journal), ["after"]);
    journal.close();
  });
});

Deno.test("journal: its files and folders are their owner's alone", async () => {
  await withRoot(async (root) => {
    const journal = await Journal.open(root);
    journal.append("x\n");
    const folder = ownFolder(root);
    const modes = [root, folder, `${folder}/lock`, `${folder}/00000001.jsonl`].map((path) =>
      (Deno.statSync(path).mode ?? 0) & 0o777
    );
    assert.deepEqual(modes, [0o700, 0o700, 0o600, 0o600]);
    journal.close();
  });
});

Deno.test("journal: one that is closed with lines is taken over by the next, in order", async () => {
  await withRoot(async (root) => {
    const one = await Journal.open(root);
    for (const line of ["a", "b", "c"]) one.append(`${line}\n`);
    one.advance(one.read({ lines: 1, bytes: 4096 })?.lines.length ?? 0);
    const two = await Journal.open(root);
    assert.equal(two.appended, 0, "a living journal is left alone");
    two.append("of two\n");
    one.close();
    assert.throws(() => one.append("late\n"), /closed/);
    assert.equal(await two.adopt(), 6);
    assert.equal(await two.adopt(), 0);
    two.append("of two again\n");
    assert.deepEqual(drain(two), ["of two", "a", "b", "c", "of two again"]);
    two.close();
    assert.deepEqual(filesIn(root), ["lock"]);
  });
});

Deno.test("journal: a folder without lines, or without a lock, is tidied up", async () => {
  await withRoot(async (root) => {
    await Deno.mkdir(`${root}/empty`, { recursive: true });
    await Deno.mkdir(`${root}/unlocked`);
    await Deno.writeTextFile(`${root}/unlocked/00000001.jsonl`, "x\n");
    await Deno.writeTextFile(`${root}/rejected.jsonl`, "kept\n");
    const journal = await Journal.open(root);
    assert.deepEqual(drain(journal), ["x"]);
    journal.close();
    assert.deepEqual(filesIn(root), ["lock", "rejected.jsonl"]);
  });
});

Deno.test("journal: a line that the disk took in part is taken back, and its caller told", async () => {
  await withRoot(async (root) => {
    const appender = new URL("appender.ts", import.meta.url).pathname;
    const deno = [Deno.execPath(), "run", "-A", "--no-check", "--no-code-cache", appender, root];
    // 2000 blocks of 512 bytes; without the trap the limit would end the process by a signal.
    const limited = 'trap "" XFSZ; ulimit -f 2000; exec "$@"';
    const { code, stdout, stderr } = await run({ command: ["sh", "-c", limited, "sh", ...deno] });
    assert.equal(code, 0, stderr);
    const { promised, failed, appended } = JSON.parse(stdout);
    assert.equal(failed.length, 3);
    const folder = ownFolder(root);
    assert.deepEqual(filesIn(folder), ["00000001.jsonl", "00000002.jsonl", "00000003.jsonl", "lock"]);
    const journal = await Journal.open(root);
    assert.equal(journal.appended, appended, "no torn line stands in any file");
    assert.deepEqual(drain(journal).map((line) => JSON.parse(line).i), promised);
    journal.close();
  });
});
