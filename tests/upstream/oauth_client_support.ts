// The mesh as an OAuth client in tests: its parts, a connection, and a person who follows links.
import assert from "node:assert/strict";
import { Outbound } from "../../server/outbound.ts";
import type { Services } from "../../server/services.ts";
import {
  beginAuthorization,
  discoverAuthorization,
  finishAuthorization,
  type Granted,
  type OauthConfig,
  type OauthConnection,
  OauthError,
  type OauthKind,
  type OauthParts,
  type PendingFlow,
} from "../../server/upstream/oauth_client.ts";
import { newId } from "../../server/ids.ts";
import { type Site, startSite } from "./oauth_client_site.ts";

const organizationId = newId("org");

/** The client's parts on real services; `baseUrl` stands in for the mesh's own. */
export function partsOf(services: Services, baseUrl = "http://127.0.0.1:3000"): OauthParts {
  const { outbound, db, vault, log } = services;
  return { outbound, db, vault, log, baseUrl };
}

/** A connection to a server, with what its admin has said. */
export function connectionTo(url: string, config: OauthConfig | null = null): OauthConnection {
  return { id: newId("conn"), organizationId, title: "Tracker", url, config };
}

/** What the browser brings back, as the callback page reads it. */
export function answerIn(url: string) {
  const { searchParams } = new URL(url);
  const text = (name: string) => searchParams.get(name) ?? undefined;
  return {
    state: text("state"),
    code: text("code"),
    iss: text("iss"),
    error: text("error"),
    errorDescription: text("error_description"),
  };
}

/** Goes all the way: begins, lets `follow` be the browser, finishes. */
export async function connect(
  parts: OauthParts,
  { connection, follow, ...rest }: {
    connection: OauthConnection;
    follow: (url: string) => Promise<string>;
    challenge?: string;
    scopes?: string;
  },
): Promise<Granted & { url: URL; flow: PendingFlow }> {
  const { url, flow } = await beginAuthorization(parts, { connection, state: "some-state", ...rest });
  const back = await follow(url);
  assert.ok(back.startsWith(flow.redirectUri), back);
  const answer = answerIn(back);
  assert.equal(answer.state, "some-state");
  return { ...await finishAuthorization(parts, { connection, flow, answer }), url: new URL(url), flow };
}

/** Asserts that something fails with an OauthError of this kind; gives it. */
export async function rejectsAs(
  promise: Promise<unknown>,
  kind: OauthKind,
  message: RegExp = /^Cannot get access to Tracker: /,
): Promise<OauthError> {
  const error = await promise.then(() => assert.fail("It did not fail"), (reason) => reason);
  assert.ok(error instanceof OauthError, String(error?.stack));
  assert.equal(error.kind, kind, error.message);
  assert.match(error.message, message);
  return error;
}

/** What a look-up needs, which is without services. */
export const lookUp = {
  outbound: new Outbound({ allow: [], loopbackAllowed: true }),
  baseUrl: "http://127.0.0.1:3000",
};

/** Looks up who gives access to a server. */
export function discover(url: string, { challenge, config = null }: {
  challenge?: string;
  config?: OauthConfig | null;
} = {}) {
  return discoverAuthorization(lookUp, { connection: connectionTo(url, config), challenge });
}

/** Registers a test with a site to look up, closed afterwards together with the connections to it. */
export function onSite(
  name: string,
  routes: Parameters<typeof startSite>[0],
  fn: (site: Site) => Promise<void>,
): void {
  Deno.test(name, async () => {
    await using site = await startSite(routes);
    await fn(site);
    lookUp.outbound.close();
  });
}
