// Fresh, empty databases on all supported servers, for tests.
import mysql from "mysql2/promise";
import connectPostgres from "postgres";
import { acquireServer, missingBinaries, type ServerKind } from "./database_servers.ts";

export type DatabaseKind = "sqlite" | ServerKind;

/** Every kind that the product supports; each runs, is skipped loudly, or (with CI set) fails. */
export const databaseKinds: readonly DatabaseKind[] = ["sqlite", "postgres", "mysql"];

/** Tells why no test can run on this kind here, or null when it can. */
export function whyUnavailable(kind: DatabaseKind): string | null {
  if (kind === "sqlite" || given(kind)) return null;
  const missing = missingBinaries(kind);
  return missing.length ? `${kind} is not installed (no ${missing.join(", no ")})` : null;
}

/** Runs `fn` with the URL of a new, empty database of its own, which is dropped afterwards. */
export async function withDatabase(kind: DatabaseKind, fn: (url: string) => Promise<void>): Promise<void> {
  if (kind === "sqlite") return await withFile(fn);
  const reason = whyUnavailable(kind);
  if (reason) throw new Error(`Cannot create a test database: ${reason}, and TEST_DATABASE_URLS names none`);
  const server = new URL(given(kind) ?? await acquireServer(kind));
  const name = `mesh_test_${crypto.randomUUID().replaceAll("-", "").slice(0, 16)}`;
  const database = new URL(server);
  database.pathname = `/${name}`;
  await administer(kind, server, [`CREATE DATABASE ${name}`]);
  try {
    await fn(database.href);
  } finally {
    await administer(kind, server, [
      kind === "postgres" ? `DROP DATABASE ${name} WITH (FORCE)` : `DROP DATABASE ${name}`,
    ]);
  }
}

/** Registers one test per kind of database, each with an empty database of its own. */
export function onEachDatabase(
  name: string,
  fn: (t: Deno.TestContext, url: string, kind: DatabaseKind) => Promise<void>,
): void {
  for (const kind of databaseKinds) {
    const reason = whyUnavailable(kind);
    const ignore = reason !== null && !Deno.env.get("CI");
    if (reason && ignore) noteSkipped(reason, name);
    Deno.test({
      name: `${name} (${kind})`,
      ignore,
      fn: (t) => withDatabase(kind, (url) => fn(t, url, kind)),
    });
  }
}

const skipped = new Map<string, string[]>();

function noteSkipped(reason: string, name: string): void {
  if (skipped.size === 0) addEventListener("unload", reportSkipped);
  skipped.set(reason, [...skipped.get(reason) ?? [], name]);
}

function reportSkipped(): void {
  for (const [reason, names] of skipped) {
    console.error(
      `\n!!! SKIPPED ${names.length} tests: ${reason}\n${names.map((name) => `!!!   ${name}`).join("\n")}`,
    );
  }
}

function given(kind: ServerKind): string | undefined {
  const schemes = kind === "postgres" ? ["postgres:", "postgresql:"] : ["mysql:"];
  const urls = (Deno.env.get("TEST_DATABASE_URLS") ?? "").split(",").map((url) => url.trim()).filter(Boolean);
  return urls.find((url) => schemes.includes(new URL(url).protocol));
}

async function withFile(fn: (url: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "mesh-test-" });
  try {
    await fn(`file:${folder}/mesh.db`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function administer(kind: ServerKind, server: URL, statements: string[]): Promise<void> {
  if (kind === "postgres") {
    const client = connectPostgres(server.href, { max: 1, onnotice: () => {} });
    try {
      for (const statement of statements) await client.unsafe(statement);
    } finally {
      await client.end();
    }
    return;
  }
  const client = await mysql.createConnection({ uri: server.href });
  try {
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}
