import type { Lifecycle } from "./lifecycle.ts";
import { isAlive } from "./storage/database.ts";
import { type Db, kindOf } from "./storage/dialect.ts";
import { version } from "./version.ts";

/** What `/health` answers. */
export interface Health {
  status: "ok" | "draining" | "unavailable";
  version: string;
  uptimeSeconds: number;
  database: { dialect: string; ok: boolean };
}

const began = performance.now();

/** Whether the process can do its work now: the database answers and no stop is under way. */
export async function health(db: Db, lifecycle: Lifecycle): Promise<Health> {
  const ok = await isAlive(db);
  return {
    status: lifecycle.draining ? "draining" : ok ? "ok" : "unavailable",
    version,
    uptimeSeconds: Math.floor((performance.now() - began) / 1000),
    database: { dialect: kindOf(db), ok },
  };
}
