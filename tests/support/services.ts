// The services of a server as it makes them at start, for a database of a test.
import { loadConfig } from "../../server/config.ts";
import type { Services } from "../../server/services.ts";
import { startServices, stopServices } from "../../server/start.ts";
import { withDatabase } from "./databases.ts";

/** Settings by their names in the environment; `auth` is the content of auth-config.json. */
export interface TestSettings {
  env?: Record<string, string>;
  auth?: Record<string, unknown>;
}

/** Runs `fn` with real services on the database of a URL and a data folder of their own. */
export async function withServices(
  url: string,
  fn: (services: Services) => Promise<void>,
  settings: TestSettings = {},
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "mesh-test-" });
  const env: Record<string, string> = {
    DATABASE_URL: url,
    DATABASE_POOL_MAX: "8",
    DATA_DIR: folder,
    LOG_LEVEL: "silent",
    // Checks in the background would come in between.
    HEALTH_CHECK_SECONDS: "0",
    // Rows of a test are of any age.
    AUDIT_RETENTION_DAYS: "0",
    ...settings.env,
  };
  const config = loadConfig({
    env: (name) => env[name],
    readFile: () => settings.auth ? JSON.stringify(settings.auth) : null,
  });
  const services = await startServices(config);
  try {
    await fn(services);
    await services.identities.idle();
  } finally {
    await stopServices(services);
    await Deno.remove(folder, { recursive: true });
  }
}

/** Registers a test on SQLite with real services. */
export function onServices(
  name: string,
  fn: (services: Services) => Promise<void>,
  settings: TestSettings = {},
): void {
  Deno.test(name, () => withDatabase("sqlite", (url) => withServices(url, fn, settings)));
}
