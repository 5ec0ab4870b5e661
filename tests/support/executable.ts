// The program as its own process, as a user starts it.
import { openDatabase } from "../../server/storage/database.ts";
import type { Db } from "../../server/storage/dialect.ts";
import { addKey, addMember, addOrganization, addUser } from "./accounts.ts";
import { addConnection } from "./connections.ts";
import { type Child, freePort, start } from "./processes.ts";

const quiet = {
  AUTH_CONFIG_PATH: "./none.json",
  NO_COLOR: "1",
  // Checks in the background would come in between, and rows of a test are of any age.
  HEALTH_CHECK_SECONDS: "0",
  AUDIT_RETENTION_DAYS: "0",
};
const root = new URL("../..", import.meta.url).pathname;

/** Starts the command line with these arguments and settings; nothing of this process's environment is inherited. */
export function mesh(args: string[], env: Record<string, string>, cwd = env.DATA_DIR ?? root): Child {
  const command = [Deno.execPath(), "run", "-A", "--no-check", `${root}main.ts`, ...args] as [
    string,
    ...string[],
  ];
  const cache = Deno.env.get("DENO_DIR");
  return start({
    command,
    cwd,
    env: { ...quiet, ...cache ? { DENO_DIR: cache } : {}, ...env },
    clearEnv: true,
  });
}

/** A mesh that answers on its own port. */
export interface Serving {
  child: Child;
  url: string;
}

/** Starts `mesh serve` on a free port and waits until it says that it is ready. */
export async function serve(env: Record<string, string>): Promise<Serving> {
  const port = freePort();
  const child = mesh(["serve"], { PORT: String(port), ...env });
  await child.line(/is ready at/);
  return { child, url: `http://127.0.0.1:${port}` };
}

/** Runs `fn` with the database of a mesh, beside the mesh. */
export async function besides<T>(databaseUrl: string, fn: (db: Db) => Promise<T>): Promise<T> {
  const db = await openDatabase(databaseUrl, 2);
  try {
    return await fn(db);
  } finally {
    await db.destroy();
  }
}

/** An owner's key and a connection to the upstream, in a database that a mesh has migrated. */
export async function seed(databaseUrl: string, upstreamUrl: string) {
  return await besides(databaseUrl, async (db) => {
    const organization = await addOrganization(db, "Northwind");
    const user = await addUser(db, "Ann");
    await addMember(db, organization.id, { userId: user.id, roles: ["owner"] });
    const permissions = { "*": ["*"] };
    const { secret } = await addKey(db, organization.id, { userId: user.id, permissions });
    const connectionId = await addConnection(db, organization.id, { url: upstreamUrl });
    return { organizationId: organization.id, key: secret, connectionId };
  });
}
