// A mesh with a connection, a person who is signed in, and a client that asks them, over real HTTP.
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import type { Session } from "../../server/access/identify.ts";
import type { Permissions } from "../../server/access/roles.ts";
import { cookieName, createSession } from "../../server/login/session.ts";
import { type ConsentQuestion, decide, pendingRequest } from "../../server/oauth/consent.ts";
import type { TokenAnswer } from "../../server/oauth/tokens.ts";
import type { Schema } from "../../server/storage/schema.ts";
import { addConnection, type Mesh, modern, type Person, post } from "../mcp/support.ts";
import { startMesh } from "../support/app.ts";
import { withDatabase } from "../support/databases.ts";
import { type Fixture, startFixture } from "../support/upstreams.ts";

/** Somebody's browser. */
export interface Browser {
  readonly person: Person;
  readonly session: Session;
  readonly cookie: string;
}

/** A client that has registered itself. */
export interface TestClient {
  readonly id: string;
  readonly secret: string | undefined;
  readonly redirectUri: string;
}

export interface Scene {
  readonly mesh: Mesh;
  readonly fixture: Fixture;
  readonly connectionId: string;
  readonly browser: Browser;
  readonly client: TestClient;
  /** The URL of the connection, as a client is told it. */
  readonly resource: string;
}

export const webRedirect = "https://client.example/callback";

/** Runs `fn` with a scene; `env` holds settings by their environment names. */
export async function withScene(
  fn: (scene: Scene) => Promise<void>,
  env: Record<string, string> = {},
): Promise<void> {
  const [mesh, fixture] = [await startMesh(env), await startFixture()];
  try {
    const person = await mesh.organization();
    const connectionId = await addConnection(mesh, person, { url: fixture.url });
    const browser = await signIn(mesh, person);
    const client = await register(mesh);
    const resource = `${mesh.url}/mcp/${connectionId}`;
    await fn({ mesh, fixture, connectionId, browser, client, resource });
  } finally {
    await mesh.stop();
    await fixture.stop();
  }
}

/** Registers a test with a scene on a database file. */
export function onScene(
  name: string,
  fn: (scene: Scene) => Promise<void>,
  env: Record<string, string> = {},
): void {
  Deno.test(name, () => withDatabase("sqlite", (url) => withScene(fn, { DATABASE_URL: url, ...env })));
}

/** A browser in which the person has signed in. */
export async function signIn({ services }: Mesh, person: Person): Promise<Browser> {
  const token = await createSession(services, { userId: person.userId, userAgent: null, previous: null });
  const session = await services.identities.bySession(token);
  assert.ok(session);
  return { person, session, cookie: `${cookieName(services.config)}=${token}` };
}

/** Registers a client by itself; public, unless the metadata says otherwise. */
export async function register(mesh: Mesh, metadata: Record<string, unknown> = {}): Promise<TestClient> {
  const response = await sendRegistration(mesh, metadata);
  assert.equal(response.status, 201);
  const body = await response.json();
  return { id: body.client_id, secret: body.client_secret, redirectUri: body.redirect_uris[0] };
}

/** The answer to a registration. */
export async function sendRegistration(mesh: Mesh, metadata: Record<string, unknown>): Promise<Response> {
  return await fetch(`${mesh.url}/api/auth/register`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      client_name: "Test client",
      redirect_uris: [webRedirect],
      token_endpoint_auth_method: "none",
      grant_types: ["authorization_code", "refresh_token"],
      ...metadata,
    }),
  });
}

/** A verifier and its challenge. */
export function proofKey(): { verifier: string; challenge: string } {
  const verifier = randomBytes(32).toString("base64url");
  return { verifier, challenge: createHash("sha256").update(verifier).digest("base64url") };
}

/** Parameters; undefined leaves one out, an array repeats it. */
export type Params = Record<string, string | readonly string[] | undefined>;

export function encode(params: Params): URLSearchParams {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    for (const one of typeof value === "string" ? [value] : value ?? []) query.append(name, one);
  }
  return query;
}

/** A good authorization request of the scene's client for the scene's connection. */
export function goodRequest({ client, resource }: Scene, challenge: string): Params {
  return {
    response_type: "code",
    client_id: client.id,
    redirect_uri: client.redirectUri,
    code_challenge: challenge,
    code_challenge_method: "S256",
    state: "state-1",
    resource,
  };
}

/** The answer of the authorization endpoint to a browser; no redirect is followed. */
export async function authorize(
  { mesh, browser }: Scene,
  params: Params,
  { headers = {}, signedIn = true }: { headers?: Record<string, string>; signedIn?: boolean } = {},
): Promise<Response> {
  const response = await fetch(`${mesh.url}/api/auth/authorize?${encode(params)}`, {
    redirect: "manual",
    headers: { ...signedIn && { cookie: browser.cookie }, accept: "text/html", ...headers },
  });
  return response;
}

/** The question on the consent page that a request leads to. */
export async function ask(scene: Scene, params: Params): Promise<ConsentQuestion> {
  const response = await authorize(scene, params);
  await response.text();
  assert.equal(response.status, 303, response.headers.get("location") ?? "");
  const id = /^\/consent\?request=(ask_\w+)$/.exec(response.headers.get("location") ?? "")?.[1];
  assert.ok(id, `it leads to ${response.headers.get("location")}`);
  const question = await pendingRequest(scene.mesh.services, id, scene.browser.session);
  assert.ok(question);
  return question;
}

/** Allows what is asked, or less, and gives the parameters that the client gets back. */
export async function allow(
  scene: Scene,
  params: Params,
  permissions?: Permissions,
): Promise<URLSearchParams> {
  const question = await ask(scene, params);
  const [organization] = question.organizations;
  assert.ok(organization);
  const url = await decide(scene.mesh.services, {
    requestId: question.requestId,
    session: scene.browser.session,
    organizationId: organization.id,
    permissions: permissions ?? question.asks,
    allow: true,
  });
  return new URL(url).searchParams;
}

/** A code of the scene's client, and all that it is exchanged with. */
export async function obtainCode(
  scene: Scene,
  { params = {}, permissions }: { params?: Params; permissions?: Permissions } = {},
): Promise<Params & { code: string; code_verifier: string }> {
  const { verifier, challenge } = proofKey();
  const answer = await allow(scene, { ...goodRequest(scene, challenge), ...params }, permissions);
  const code = answer.get("code");
  assert.ok(code);
  return {
    grant_type: "authorization_code",
    client_id: scene.client.id,
    redirect_uri: scene.client.redirectUri,
    code,
    code_verifier: verifier,
  };
}

/** The answer of an endpoint for programs to a form. */
export async function send(
  mesh: Mesh,
  form: Params,
  { path = "/api/auth/token", headers = {} }: { path?: string; headers?: Record<string, string> } = {},
): Promise<Response> {
  return await fetch(mesh.url + path, { method: "POST", headers, body: encode(form) });
}

/** Tokens of the scene's client for the scene's connection. */
export async function obtainTokens(
  scene: Scene,
  options: { params?: Params; permissions?: Permissions } = {},
): Promise<TokenAnswer> {
  return await tokensOf(await send(scene.mesh, await obtainCode(scene, options)));
}

/** The tokens in an answer. */
export async function tokensOf(response: Response): Promise<TokenAnswer> {
  const body = await response.json();
  assert.equal(response.status, 200, JSON.stringify(body));
  return body;
}

/** Asserts a refusal by the endpoints for programs and gives its description. */
export async function refused(response: Response, error: string, status = 400): Promise<string> {
  const body = await response.json();
  assert.equal(body.error, error, JSON.stringify(body));
  assert.equal(response.status, status);
  assert.equal(response.headers.get("cache-control"), "no-store");
  return body.error_description;
}

/** The status of a call of the connection with a token. */
export async function callStatus({ resource }: Pick<Scene, "resource">, token: string): Promise<number> {
  const sent = modern("tools/list");
  const response = await post({ url: resource, key: token }, sent);
  await response.body?.cancel();
  return response.status;
}

const issued = ["oauth_consents", "oauth_codes", "oauth_tokens"] as const satisfies (keyof Schema)[];

/** How many consents, codes and tokens there are: what was refused has added none. */
export async function countIssued(
  { services: { db } }: Pick<Mesh, "services">,
): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const table of issued) {
    const row = await db.selectFrom(table).select((eb) => eb.fn.countAll<number>().as("count"))
      .executeTakeFirstOrThrow();
    counts[table] = Number(row.count);
  }
  return counts;
}
