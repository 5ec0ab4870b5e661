import type { Permissions } from "../../server/access/roles.ts";
import { makeApp } from "../../server/app.ts";
import { type Config, loadConfig } from "../../server/config.ts";
import { Lifecycle } from "../../server/lifecycle.ts";
import { serverErrors } from "../../server/log.ts";
import type { Services } from "../../server/services.ts";
import { startServices, stopServices } from "../../server/start.ts";
import { freePort } from "./processes.ts";
import { addKey, addMember, addOrganization, addUser } from "./accounts.ts";

/** A person in an organization of a running mesh. */
export interface Person {
  userId: string;
  organizationId: string;
  email: string;
}

/** A whole mesh on a loopback port of its own, in this process. */
export interface Mesh {
  url: string;
  services: Services;
  lifecycle: Lifecycle;
  dataDir: string;
  /** Adds an organization with its owner. */
  organization(name?: string): Promise<Person>;
  /** Adds somebody with these roles to an organization. */
  member(organizationId: string, roles?: string[]): Promise<Person>;
  /** A key of the person; without permissions it may do everything that its owner may. */
  key(person: Person, permissions?: Permissions | null): Promise<string>;
  /** Runs an action through the JSON API and returns its output; throws with the body where it is refused. */
  run<T = Record<string, unknown>>(key: string, action: string, input?: unknown): Promise<T>;
  /** A connection to an upstream and a key that may use it. */
  connect(
    upstreamUrl: string,
    data?: Record<string, unknown>,
  ): Promise<{ connectionId: string; key: string; person: Person }>;
  stop(): Promise<void>;
}

/** Starts a mesh; `env` holds settings by their environment names, `instead` services in place of its own. */
export async function startMesh(
  env: Record<string, string> = {},
  instead: Partial<Services> = {},
): Promise<Mesh> {
  const dataDir = env.DATA_DIR ?? await Deno.makeTempDir({ prefix: "mesh_test_" });
  const config = testConfig({ LOG_LEVEL: "error", DATA_DIR: dataDir, ...env });
  const own = await startServices(config);
  const services = Object.freeze({ ...own, ...instead });
  const lifecycle = new Lifecycle();
  const app = makeApp({ services, lifecycle });
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: config.port, onListen: () => {}, onError: serverErrors(services.log) },
    (request, info) => app.fetch(request, info),
  );
  const url = `http://127.0.0.1:${config.port}`;
  return {
    ...scenario(services, url),
    url,
    services,
    lifecycle,
    dataDir,
    stop: async () => {
      const closed = server.shutdown();
      await lifecycle.drain(5_000);
      await closed;
      await stopServices(own);
      if (env.DATA_DIR === undefined) await Deno.remove(dataDir, { recursive: true });
    },
  };
}

/** Settings from literals alone: neither the environment nor a file of the machine counts. */
export function testConfig(env: Record<string, string>): Config {
  const port = env.PORT ?? String(freePort());
  // Checks in the background would come in between, and rows of a test are of any age.
  const quiet = { AUTH_CONFIG_PATH: "none", HEALTH_CHECK_SECONDS: "0", AUDIT_RETENTION_DAYS: "0" };
  const all: Record<string, string> = { PORT: port, ...quiet, ...env };
  return loadConfig({
    env: (name) => all[name],
    readFile: (path) => path === all.AUTH_CONFIG_PATH ? all.AUTH_CONFIG ?? null : null,
  });
}

function scenario(services: Services, url: string) {
  const { db } = services;
  async function member(organizationId: string, roles = ["user"]): Promise<Person> {
    const user = await addUser(db, "Ann");
    await addMember(db, organizationId, { userId: user.id, roles });
    return { userId: user.id, organizationId, email: user.email };
  }
  async function organization(name = "Northwind"): Promise<Person> {
    return await member((await addOrganization(db, name)).id, ["owner"]);
  }
  async function key(person: Person, permissions: Permissions | null = { "*": ["*"] }): Promise<string> {
    return (await addKey(db, person.organizationId, { userId: person.userId, permissions })).secret;
  }
  async function run<T = Record<string, unknown>>(
    key: string,
    action: string,
    input: unknown = {},
  ): Promise<T> {
    const response = await fetch(`${url}/api/tools/${action}`, {
      method: "POST",
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
      body: JSON.stringify(input),
    });
    if (!response.ok) throw new Error(`${action} answered ${response.status}: ${await response.text()}`);
    return await response.json() as T;
  }
  async function connect(upstreamUrl: string, data: Record<string, unknown> = {}) {
    const person = await organization();
    const secret = await key(person);
    const { item } = await run<{ item: { id: string } }>(secret, "COLLECTION_CONNECTIONS_CREATE", {
      data: { title: "Upstream", connection_type: "HTTP", connection_url: upstreamUrl, ...data },
    });
    return { connectionId: item.id, key: secret, person };
  }
  return { organization, member, key, run, connect };
}
