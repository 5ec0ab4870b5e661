// A bare URL, a client that has nothing else, and a person in front of a browser.
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { Outbound } from "../../server/outbound.ts";
import { Authority } from "../outbound/certificates.ts";
import { owner, setUp, type Visitor } from "../pages/support.ts";
import { type Mesh, startMesh } from "../support/app.ts";
import { onPage, type PageOptions } from "../support/browser.ts";
import { type Callback, startCallback } from "../support/callback.ts";
import { startFixture } from "../support/upstreams.ts";

/** What a flow starts with. */
export interface Flow {
  readonly mesh: Mesh;
  readonly page: Page;
  /** All that the client is given. */
  readonly url: string;
  /** Where the client waits for its answer. */
  readonly callback: Callback;
  /** A client's description, at a URL of the web. */
  readonly document: { readonly url: string };
  /** The owner's other browser, in which they are signed in. */
  readonly visitor: Visitor;
}

const authority = new Authority("the web");

/** Registers a test with a flow on a mesh that Ann owns, with one connection; nobody is signed in in the page. */
export function onFlow(
  name: string,
  fn: (flow: Flow) => Promise<void>,
  options: PageOptions = {},
): void {
  onPage(name, async (page) => {
    await using callback = startCallback();
    await using site = startSite(callback);
    await using fixture = await startFixture();
    const outbound = new Outbound({
      allow: [],
      loopbackAllowed: true,
      resolve: () => Promise.resolve(["127.0.0.1"]),
      caCerts: [authority.cert],
    });
    const mesh = await startMesh({}, { outbound });
    try {
      const visitor = await setUp(mesh);
      const made = await visitor.post("/connections", { url: fixture.url, title: "Fixture" });
      const id = made.headers.get("location")?.split("/").at(-1);
      const url = `${mesh.services.config.baseUrl}/mcp/${id}`;
      await fn({ mesh, page, url, callback, document: site, visitor });
    } finally {
      await page.context().close();
      await mesh.stop();
      outbound.close();
    }
  }, options);
}

/** A site of the web that describes a client. */
function startSite(callback: Callback): { url: string } & AsyncDisposable {
  const certificate = authority.issue(["agent.example"]);
  const server: Deno.HttpServer<Deno.NetAddr> = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {}, ...certificate },
    (): Response =>
      Response.json({
        client_id: url,
        client_name: "Described Agent",
        redirect_uris: [callback.url.replace(/:\d+/, "")],
        token_endpoint_auth_method: "none",
      }),
  );
  const url = `https://agent.example:${server.addr.port}/oauth/client.json`;
  return { url, [Symbol.asyncDispose]: () => server.shutdown() };
}

/** The person follows the client's link, signs in where they are asked to, and allows it. */
export async function answer({ page }: Pick<Flow, "page">, link: string | URL): Promise<void> {
  await page.goto(String(link));
  const email = page.getByLabel("E-mail");
  await email.or(page.getByRole("button", { name: "Allow" })).first().waitFor();
  if (await email.isVisible()) {
    await email.fill(owner.email);
    await page.getByLabel("Password").fill(owner.password);
    await page.getByRole("button", { name: "Sign in" }).click();
  }
  await page.getByRole("button", { name: "Allow" }).click();
}

/** As `answer`; gives what the client hears. */
export async function allow(flow: Flow, link: string | URL): Promise<URLSearchParams> {
  await answer(flow, link);
  await flow.page.getByText("Back in the application").waitFor();
  return await flow.callback.next();
}

/** The person takes back what they allowed. */
export async function revoke({ page, mesh }: Flow, name: string): Promise<void> {
  await page.goto(`${mesh.services.config.baseUrl}/applications`);
  await page.getByRole("row").filter({ hasText: name }).getByRole("link", { name: "Revoke" }).click();
  await page.getByRole("button", { name: "Revoke application" }).click();
  await page.getByText(`${name} is cut off.`).waitFor();
}

/** An hour passes: access tokens have expired, refresh tokens have not. */
export async function expireAccess({ mesh: { services } }: Flow): Promise<void> {
  await services.db.updateTable("oauth_tokens").set({ expires_at: Date.now() - 1 }).where(
    "kind",
    "=",
    "access",
  )
    .execute();
  services.identities.forget();
}

/** Asserts that the answer of a tool is that of the fixture. */
export function isGreeting(result: unknown): void {
  assert.match(JSON.stringify(result), /a quiet heron/);
}

/** The call that every flow ends in. */
export const call = { name: "echo", arguments: { text: "a quiet heron" } };
