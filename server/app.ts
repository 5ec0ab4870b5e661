import { Hono } from "hono";
import { newId } from "./ids.ts";
import { health } from "./health.ts";
import { Lifecycle } from "./lifecycle.ts";
import { Guard } from "./mcp/guard.ts";
import { makeProxy } from "./mcp/proxy.ts";
import { SessionIds } from "./mcp/session_id.ts";
import type { Services } from "./services.ts";

/** What the routes know of a request beside the request itself. */
export interface AppEnv {
  Bindings: { remoteAddr?: { hostname: string } };
  Variables: { requestId: string };
}

/** What the application is made of. */
export interface AppParts {
  services: Services;
  lifecycle?: Lifecycle;
  /** Asked by the setup page of a mesh that others can reach; null where only this machine can. */
  setupToken?: string | null;
}

/** The route table: every mount and its middleware, top to bottom. */
export function makeApp({ services, lifecycle = new Lifecycle() }: AppParts): Hono<AppEnv> {
  const guard = new Guard(services.config);
  const sessions = new SessionIds(services.vault.deriveKey("mcp session ids"));
  const proxy = makeProxy({ services, guard, sessions, lifecycle });
  const app = new Hono<AppEnv>({ strict: false });

  // The relay: no middleware, as every step here is paid by every call.
  app.options("/mcp/*", (c) => guard.preflight(c.req.raw.headers));
  app.all("/mcp/:connectionId", (c) => proxy(c.req.raw, c.req.param("connectionId")));

  app.use(async (c, next) => {
    c.set("requestId", newId("req"));
    await next();
    c.header("x-request-id", c.get("requestId"));
  });

  app.get("/health", async (c) => {
    const report = await health(services.db, lifecycle);
    return c.json(report, report.status === "ok" ? 200 : 503);
  });
  app.get("/health/ready", async (c) => {
    const report = await health(services.db, lifecycle);
    return c.json(report, report.status === "ok" ? 200 : 503);
  });
  app.get("/health/live", async (c) => c.json(await health(services.db, lifecycle)));

  return app;
}
