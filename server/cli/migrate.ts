import { migrations } from "../../migrations/mod.ts";
import { loadConfig } from "../config.ts";
import { appliedMigrations, migrate, openDatabase, refuseNewer } from "../storage/database.ts";

/** `mesh migrate`: runs the missing steps; with `--status` only names them. */
export async function runMigrations(args: readonly string[]): Promise<number> {
  const config = loadConfig();
  const db = await openDatabase(config.databaseUrl, config.databasePoolMax);
  try {
    await refuseNewer(db);
    const done = args.includes("--status") ? [] : await migrate(db);
    const applied = await appliedMigrations(db);
    const pending = migrations.map(({ name }) => name).filter((name) => !applied.includes(name));
    if (args.includes("--json")) console.log(JSON.stringify({ applied, pending, appliedNow: done }, null, 2));
    else {
      for (const name of applied) console.log(`${name}  ${done.includes(name) ? "applied now" : "applied"}`);
      for (const name of pending) console.log(`${name}  pending`);
    }
    return 0;
  } finally {
    await db.destroy();
  }
}
