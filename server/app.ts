import { type Context, Hono, type MiddlewareHandler } from "hono";
import { setAssetHashes } from "../views/assets.ts";
import { setBasePath } from "../views/paths.ts";
import { bearerActor } from "./access/bearer.ts";
import { api, type ApiEnv } from "./api.ts";
import { health } from "./health.ts";
import { newId } from "./ids.ts";
import { Lifecycle } from "./lifecycle.ts";
import { authApi } from "./login/auth_api.ts";
import { isSameOrigin, originFacts, sessionOf } from "./login/session.ts";
import { asksForSetupToken, isSetUp, newSetupToken } from "./login/setup.ts";
import { setupPage, signUpPage } from "./login/setup_page.tsx";
import { signInPage } from "./login/sign_in_page.tsx";
import { member, ownForms, signedIn, visits } from "./login/visits.ts";
import { Guard } from "./mcp/guard.ts";
import { makeManagement } from "./mcp/management_entry.ts";
import { makeProxy } from "./mcp/proxy.ts";
import { SessionIds } from "./mcp/session_id.ts";
import { authorizePage } from "./oauth/authorize.ts";
import { answerConsent, showConsent } from "./oauth/consent_page.tsx";
import { oauthRoutes } from "./oauth/routes.ts";
import { showActivity } from "./pages/activity.tsx";
import * as newApiKey from "./pages/api_key_new.tsx";
import * as apiKeys from "./pages/api_keys.tsx";
import * as applications from "./pages/applications.tsx";
import { checkConnection } from "./pages/connection_check.tsx";
import * as connectClient from "./pages/connection_connect.tsx";
import * as connectionCredentials from "./pages/connection_credentials.tsx";
import * as connectionLists from "./pages/connection_lists.tsx";
import * as newConnection from "./pages/connection_new.tsx";
import * as connectionSettings from "./pages/connection_settings.tsx";
import * as connectionTools from "./pages/connection_tools.tsx";
import * as connections from "./pages/connections.tsx";
import { showError, showNotFound } from "./pages/error.tsx";
import { pageHeaders } from "./pages/headers.ts";
import { showHome } from "./pages/home.tsx";
import { showLog } from "./pages/log.tsx";
import * as members from "./pages/members.tsx";
import * as myConnection from "./pages/my_connection.tsx";
import { showMyConnections } from "./pages/my_connections.tsx";
import { finishConnecting } from "./pages/oauth_callback.tsx";
import * as oauthClients from "./pages/oauth_clients.tsx";
import * as organizations from "./pages/organizations.tsx";
import * as settings from "./pages/settings.tsx";
import type { Services } from "./services.ts";
import { StaticFiles } from "./static.ts";
import { clientDocument } from "./upstream/oauth_client/client_document.ts";
import { callbackPath, clientDocumentPath } from "./upstream/oauth_client/types.ts";
import { clientAddress, factsOf, type VisitEnv, type VisitMiddleware } from "./visit.ts";

/** What the application is made of. */
export interface AppParts {
  services: Services;
  lifecycle?: Lifecycle;
  /** Asked by the setup page of a mesh that others can reach; null where only this machine can. */
  setupToken?: string | null;
}

/** The token that setting up asks for, to be printed at start; null where it asks for none. */
export async function makeSetupToken({ config, db }: Services): Promise<string | null> {
  return asksForSetupToken(config) && !await isSetUp(db) ? newSetupToken() : null;
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
  setBasePath(new URL(services.config.baseUrl).pathname);

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

  app.route(
    "/",
    oauthRoutes(services, { lifecycle, clientAddress: (c) => clientAddress(c, services.config) }),
  );

  // The mesh as a client of others; its id is this address, which has to be https (CL07).
  app.get(clientDocumentPath, async (c) => {
    const { baseUrl } = services.config;
    return baseUrl.startsWith("https://") ? c.json(clientDocument(baseUrl)) : await showNotFound(c);
  });

  app.get("/static/*", async (c) => {
    const path = c.req.path.slice("/static/".length);
    const wanted = { path, version: c.req.query("v"), ifNoneMatch: c.req.header("if-none-match") };
    return files.answer(wanted) ?? await showNotFound(c);
  });

  app.use(pageHeaders(services.config));
  mountLogin(app, services, setupToken);
  mountPages(app, services);

  app.notFound(showNotFound);
  app.onError((error, c) => showError(c, error, services.log));
  return relayFirst(app, proxy);
}

const relayed = /^https?:\/\/[^/?#]+\/mcp\/(conn_[0-9a-z]+)\/?(?:\?|$)/;

/** Asks the relay before the router: finding one route among many is a tenth of what a call costs. */
function relayFirst(app: Hono<VisitEnv>, proxy: ReturnType<typeof makeProxy>): Hono<VisitEnv> {
  const route = app.fetch;
  app.fetch = (request, env, context) => {
    const id = request.method === "OPTIONS" ? undefined : relayed.exec(request.url)?.[1];
    return id === undefined ? route(request, env, context) : proxy(request, id);
  };
  return app;
}

/** The pages for those who are not signed in, and the way out. */
function mountLogin(app: Hono<VisitEnv>, services: Services, setupToken: string | null): void {
  const visit = visits(services);
  const form = ownForms(services);
  const options = { setupToken, facts: (c: Context) => factsOf(c, services.config) };
  const setup = setupPage(options);
  const signUp = signUpPage(options);
  const signIn = signInPage(options);

  app.on("GET", ["/api/auth/authorize", "/authorize"], visit, authorizePage(services));
  app.get("/consent", visit, showConsent);
  app.post("/consent", visit, form, answerConsent);

  app.get(callbackPath, visit, finishConnecting);

  app.get("/setup", visit, setup.showSetup);
  app.post("/setup", visit, form, setup.setUp);
  app.get("/sign-up", visit, signUp.showSignUp);
  app.post("/sign-up", visit, form, signUp.signUp);
  app.get("/login", visit, signIn.showSignIn);
  app.post("/login", visit, form, signIn.signIn);
  app.post("/logout", visit, form, signIn.signOut);
}

/** The pages: of what is called, and of who calls. */
function mountPages(app: Hono<VisitEnv>, services: Services): void {
  const visit = visits(services);
  const form = ownForms(services);
  const steps: Steps = {
    page: [visit, member],
    send: [visit, member, form],
    own: [visit, signedIn],
    sendOwn: [visit, signedIn, form],
  };
  mountConnections(app, steps);
  mountPeople(app, steps);
}

/**
 * What a request for a page goes through: `page` shows something to a member of an organization and `send` takes a
 * form of theirs; `own` and `sendOwn` are for whoever is signed in.
 */
interface Steps {
  page: [VisitMiddleware, VisitMiddleware];
  send: [VisitMiddleware, VisitMiddleware, VisitMiddleware];
  own: [VisitMiddleware, VisitMiddleware];
  sendOwn: [VisitMiddleware, VisitMiddleware, VisitMiddleware];
}

function mountConnections(app: Hono<VisitEnv>, { page, send }: Steps): void {
  app.get("/", ...page, showHome);

  app.get("/connections", ...page, connections.showConnections);
  app.post("/connections", ...send, newConnection.createConnection);
  app.get("/connections/new", ...page, newConnection.showNewConnection);
  app.get("/connections/import", ...page, newConnection.showImport);
  app.post("/connections/import", ...send, newConnection.importConnections);
  app.get("/connections/:id", ...page, connectionTools.showConnection);
  app.post("/connections/:id/run", ...send, connectionTools.runTool);
  app.post("/connections/:id/test", ...send, checkConnection);
  app.get("/connections/:id/resources", ...page, connectionLists.showResources);
  app.get("/connections/:id/prompts", ...page, connectionLists.showPrompts);
  app.get("/connections/:id/activity", ...page, connectionLists.showConnectionActivity);
  app.get("/connections/:id/credentials", ...page, (c) => connectionCredentials.showCredentials(c));
  app.post("/connections/:id/credentials", ...send, connectionCredentials.saveCredentials);
  app.get(
    "/connections/:id/credentials/:owner/disconnect",
    ...page,
    connectionCredentials.showEndCredential,
  );
  app.post("/connections/:id/credentials/:owner/disconnect", ...send, connectionCredentials.endCredential);
  app.get("/connections/:id/settings", ...page, (c) => connectionSettings.showConnectionSettings(c));
  app.post("/connections/:id/settings", ...send, connectionSettings.saveConnectionSettings);
  app.get("/connections/:id/delete", ...page, (c) => connectionSettings.showDeleteConnection(c));
  app.post("/connections/:id/delete", ...send, connectionSettings.removeConnection);
  app.get("/connections/:id/connect", ...page, connectClient.showConnect);
  app.post("/connections/:id/connect", ...send, connectClient.createConnectionKey);

  app.get("/my-connections", ...page, showMyConnections);
  app.get("/my-connections/:id", ...page, myConnection.showMyConnection);
  app.post("/my-connections/:id/connect", ...send, myConnection.connect);
  app.post("/my-connections/:id/token", ...send, myConnection.saveMyCredential);
  app.get("/my-connections/:id/disconnect", ...page, myConnection.showDisconnect);
  app.post("/my-connections/:id/disconnect", ...send, myConnection.disconnect);
  app.post("/my-connections/:id/organization", ...send, myConnection.moveToMyConnection);

  app.get("/activity", ...page, showActivity);
  app.get("/activity/:id", ...page, showLog);
}

function mountPeople(app: Hono<VisitEnv>, { page, send, own, sendOwn }: Steps): void {
  app.get("/api-keys", ...page, apiKeys.showApiKeys);
  app.post("/api-keys", ...send, newApiKey.createApiKey);
  app.get("/api-keys/new", ...page, newApiKey.showNewApiKey);
  app.get("/api-keys/:id/delete", ...page, apiKeys.showDeleteApiKey);
  app.post("/api-keys/:id/delete", ...send, apiKeys.removeApiKey);

  app.get("/applications", ...page, applications.showApplications);
  app.get("/applications/:id/revoke", ...page, applications.showRevokeApplication);
  app.post("/applications/:id/revoke", ...send, applications.revokeApplication);
  app.post("/applications/clients", ...send, oauthClients.createOauthClient);
  app.get("/applications/clients/new", ...page, oauthClients.showNewOauthClient);
  app.get("/applications/clients/:id/delete", ...page, oauthClients.showDeleteOauthClient);
  app.post("/applications/clients/:id/delete", ...send, oauthClients.removeOauthClient);

  app.get("/members", ...page, (c) => members.showMembers(c));
  app.post("/members", ...send, members.addMember);
  app.post("/members/:id/role", ...send, members.changeRole);
  app.get("/members/:id/remove", ...page, members.showRemoveMember);
  app.post("/members/:id/remove", ...send, members.removeMember);

  app.get("/settings", ...own, settings.showSettings);
  app.post("/settings/organization", ...send, settings.saveOrganization);
  app.post("/settings/account", ...sendOwn, settings.saveAccount);
  app.post("/settings/theme", ...sendOwn, settings.saveTheme);
  app.get("/organizations/new", ...own, (c) => organizations.showNewOrganization(c));
  app.post("/organizations", ...sendOwn, organizations.createOrganization);
  app.post("/organizations/active", ...sendOwn, organizations.chooseOrganization);
}

/** Finds out who asks the JSON API: the owner of a bearer token, or of a session whose own pages ask. */
function identify(services: Services): MiddlewareHandler<ApiEnv> {
  const audience = { identities: services.identities, resource: "self" };
  return async function identifyActor(c, next) {
    const { headers } = c.req.raw;
    if (headers.has("authorization")) c.set("actor", await bearerActor(headers, audience));
    else if (isSameOrigin(originFacts(headers), services.config.baseUrl)) {
      c.set("actor", (await sessionOf(c, services))?.actor ?? null);
    }
    await next();
  };
}
