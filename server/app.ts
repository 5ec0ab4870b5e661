import { type Context, Hono, type MiddlewareHandler } from "hono";
import { setAssetHashes } from "../views/assets.ts";
import { api, type ApiEnv } from "./api.ts";
import { health } from "./health.ts";
import { newId } from "./ids.ts";
import { Lifecycle } from "./lifecycle.ts";
import { authApi } from "./login/auth_api.ts";
import { isSameOrigin, originFacts, sessionOf } from "./login/session.ts";
import { setupPage } from "./login/setup_page.tsx";
import { signInPage } from "./login/sign_in_page.tsx";
import { member, ownForms, visits } from "./login/visits.ts";
import { bearerActor, Guard } from "./mcp/guard.ts";
import { makeManagement } from "./mcp/management_entry.ts";
import { makeProxy } from "./mcp/proxy.ts";
import { SessionIds } from "./mcp/session_id.ts";
import * as newConnection from "./pages/connection_new.tsx";
import * as connectionTools from "./pages/connection_tools.tsx";
import * as connections from "./pages/connections.tsx";
import { showError, showNotFound } from "./pages/error.tsx";
import { pageHeaders } from "./pages/headers.ts";
import type { Services } from "./services.ts";
import { StaticFiles } from "./static.ts";
import { factsOf, type VisitEnv } from "./visit.ts";

/** What the application is made of. */
export interface AppParts {
  services: Services;
  lifecycle?: Lifecycle;
  /** Asked by the setup page of a mesh that others can reach; null where only this machine can. */
  setupToken?: string | null;
}

/** The route table: every mount and its middleware, top to bottom. */
export function makeApp(
  { services, lifecycle = new Lifecycle(), setupToken = null }: AppParts,
): Hono<VisitEnv> {
  const app = new Hono<VisitEnv>({ strict: false });
  const guard = new Guard(services.config);
  const sessions = new SessionIds(services.vault.deriveKey("mcp session ids"));
  const proxy = makeProxy({ services, guard, sessions, lifecycle });
  const management = makeManagement({ services, guard, lifecycle });
  const files = new StaticFiles();
  setAssetHashes(files.hashes);

  // MCP: no middleware, as every step here is paid by every call.
  app.options("/mcp/*", (c) => guard.preflight(c.req.raw.headers));
  app.all("/mcp", (c) => management(c.req.raw));
  app.all("/mcp/:connectionId", (c) => proxy(c.req.raw, c.req.param("connectionId")));

  app.use(async (c, next) => {
    c.set("requestId", newId("req"));
    await next();
    c.header("x-request-id", c.get("requestId"));
  });

  app.get("/health/live", async (c) => c.json(await health(services.db, lifecycle)));
  app.on("GET", ["/health", "/health/ready"], async (c) => {
    const report = await health(services.db, lifecycle);
    return c.json(report, report.status === "ok" ? 200 : 503);
  });

  app.route("/api/tools", new Hono<ApiEnv>().use(identify(services)).route("/", api(services)));
  app.route("/api/auth", authApi(services, { setupToken, facts: (c) => factsOf(c, services.config) }));

  app.get("/static/*", async (c) => {
    const path = c.req.path.slice("/static/".length);
    const wanted = { path, version: c.req.query("v"), ifNoneMatch: c.req.header("if-none-match") };
    return files.answer(wanted) ?? await showNotFound(c);
  });

  app.use(pageHeaders(services.config));
  mountPages(app, services, setupToken);

  app.notFound(showNotFound);
  app.onError((error, c) => showError(c, error, services.log));
  return app;
}

/** The pages. `page` shows something to a member of an organization, `send` takes a form of theirs. */
function mountPages(app: Hono<VisitEnv>, services: Services, setupToken: string | null): void {
  const visit = visits(services);
  const form = ownForms(services);
  const page = [visit, member] as const;
  const send = [visit, member, form] as const;
  const options = { setupToken, facts: (c: Context) => factsOf(c, services.config) };
  const setup = setupPage(options);
  const signIn = signInPage(options);

  app.get("/setup", visit, setup.showSetup);
  app.post("/setup", visit, form, setup.setUp);
  app.get("/login", visit, signIn.showSignIn);
  app.post("/login", visit, form, signIn.signIn);
  app.post("/logout", visit, form, signIn.signOut);

  app.get("/connections", ...page, connections.showConnections);
  app.post("/connections", ...send, newConnection.createConnection);
  app.get("/connections/new", ...page, newConnection.showNewConnection);
  app.get("/connections/:id", ...page, connectionTools.showConnection);
  app.post("/connections/:id/run", ...send, connectionTools.runTool);
}

/** Finds out who asks the JSON API: the owner of a bearer token, or of a session whose own pages ask. */
function identify(services: Services): MiddlewareHandler<ApiEnv> {
  return async function identifyActor(c, next) {
    const { headers } = c.req.raw;
    if (headers.has("authorization")) c.set("actor", await bearerActor(headers, services.identities));
    else if (isSameOrigin(originFacts(headers), services.config.baseUrl)) {
      c.set("actor", (await sessionOf(c, services))?.actor ?? null);
    }
    await next();
  };
}
