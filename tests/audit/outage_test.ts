import assert from "node:assert/strict";
import { Journal } from "../../server/audit/journal.ts";
import { Mover } from "../../server/audit/mover.ts";
import { Log } from "../../server/log.ts";
import { openDatabase } from "../../server/storage/database.ts";
import type { Db } from "../../server/storage/dialect.ts";
import { onEachDatabase, withDatabase } from "../support/databases.ts";
import { start } from "../support/processes.ts";
import { entry, lineOf, openAudit, requestIds, withFolder, withoutTable } from "./support.ts";
import { until } from "../support/until.ts";

/** A way to a server on this machine that can be cut, stalled and mended. */
class Line {
  readonly port: number;
  readonly #to: number;
  readonly #open = new Set<Deno.TcpConn>();
  #listener: Deno.TcpListener;
  #ending: Promise<unknown>;
  #stalled = false;

  constructor(to: number) {
    this.#to = to;
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.port = this.#listener.addr.port;
    this.#ending = this.#accept(this.#listener);
  }

  /** Takes connections and bytes, and passes none on. */
  stall(): void {
    this.#stalled = true;
  }

  mend(): void {
    this.#stalled = false;
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: this.port });
    this.#ending = this.#accept(this.#listener);
  }

  async cut(): Promise<void> {
    this.#listener.close();
    for (const end of this.#open) end.close();
    this.#open.clear();
    await this.#ending;
  }

  async #accept(listener: Deno.TcpListener): Promise<void> {
    const passing: Promise<void>[] = [];
    for await (const near of listener) {
      const far = await Deno.connect({ hostname: "127.0.0.1", port: this.#to });
      this.#open.add(near).add(far);
      passing.push(this.#pass(near, far), this.#pass(far, near));
    }
    await Promise.all(passing);
  }

  async #pass(from: Deno.TcpConn, to: Deno.TcpConn): Promise<void> {
    const buffer = new Uint8Array(16 * 1024);
    try {
      for (let count = await from.read(buffer); count !== null; count = await from.read(buffer)) {
        for (let sent = 0; sent < count && !this.#stalled;) {
          sent += await to.write(buffer.subarray(sent, count));
        }
      }
    } catch {
      // One of the ends was closed: by the client, by the server or by `cut`.
    }
    for (const end of [from, to]) if (this.#open.delete(end)) end.close();
  }
}

/** Registers a test on the kinds of database that are behind a network, through a line of its own. */
function onEachServer(
  name: string,
  fn: (parts: { line: Line; db: Db; direct: Db; dir: string }) => Promise<void>,
): void {
  onEachDatabase(name, async (_t, url, kind) => {
    if (kind === "sqlite") return; // a file is always within reach
    await withFolder(url, async (direct, dir) => {
      const through = new URL(url);
      const line = new Line(Number(through.port));
      through.port = `${line.port}`;
      const db = await openDatabase(through.href, 3);
      await fn({ line, db, direct, dir });
      await db.destroy();
      await line.cut();
    });
  });
}

const ids = Array.from({ length: 500 }, (_, i) => `req_${String(i).padStart(4, "0")}`);

onEachServer("audit: a database that cannot be reached delays rows, and loses none", async (parts) => {
  const { line, db, direct, dir } = parts;
  const audit = await openAudit(db, dir);
  audit.record(entry("req_0000"));
  await audit.flush();
  await line.cut();
  for (const id of ids.slice(1)) assert.equal(audit.record(entry(id)), undefined);
  await assert.rejects(audit.flush(), /does not take rows/);
  assert.deepEqual(await requestIds(direct), ["req_0000"]);
  line.mend();
  await until(async () => (await requestIds(direct)).length === ids.length, "all rows");
  assert.deepEqual(await requestIds(direct), ids);
  await audit.close();
});

onEachServer("audit: a database that says nothing any more is given up and tried again", async (parts) => {
  const { line, db, direct, dir } = parts;
  const journal = await Journal.open(`${dir}/journal`);
  const options = { db, journal, log: new Log("silent"), maxBacklog: 1e9 };
  const mover = new Mover({ ...options, timeoutMs: 300 });
  const put = (id: string) => journal.append(lineOf(id));
  put("req_0000");
  await mover.flush();
  line.stall();
  for (const id of ids.slice(1)) put(id);
  await assert.rejects(mover.flush(), /does not take rows/);
  await line.cut();
  line.mend();
  await until(async () => (await requestIds(direct)).length === ids.length, "all rows");
  await mover.close();
  journal.close();
});

Deno.test("audit: rows that wait for the database wait on disk, not in memory", async () => {
  await withDatabase("sqlite", (url) =>
    withFolder(url, async (db, dir) => {
      const recorder = new URL("recorder.ts", import.meta.url).pathname;
      // A heap of 64 MiB would not hold the 100 MiB that are written while nothing can be moved.
      const deno = [
        Deno.execPath(),
        "run",
        "-A",
        "--no-check",
        "--v8-flags=--max-old-space-size=64",
      ] as const;
      const bringBack = await withoutTable(db);
      await using child = start({ command: [...deno, recorder, url, dir, "big", "2000"] });
      const waiting = () => folderBytes(`${dir}/journal`);
      await until(() => waiting() > 100 * 1024 * 1024, "100 MiB of rows");
      await bringBack();
      await until(async () => (await requestIds(db)).length > 100, "rows in the database");
      await child.kill("SIGKILL");
      assert.equal(child.stderr.includes("out of memory"), false);
      const promised = Deno.readTextFileSync(`${dir}/big.promised`).split("\n").filter(Boolean);
      const audit = await openAudit(db, dir);
      await audit.flush();
      const kept = new Set(await requestIds(db));
      assert.deepEqual(promised.filter((id) => !kept.has(id)), []);
      await audit.close();
    }));
});

function folderBytes(path: string): number {
  let bytes = 0;
  try {
    for (const entry of Deno.readDirSync(path)) {
      const inside = `${path}/${entry.name}`;
      bytes += entry.isDirectory ? folderBytes(inside) : Deno.statSync(inside).size;
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error; // moved while it was looked at
  }
  return bytes;
}
