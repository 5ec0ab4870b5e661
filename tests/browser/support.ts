// A mesh with somebody in front of it.
import type { BrowserContext, Page } from "playwright-core";
import { type Mesh, startMesh } from "../support/app.ts";
import { onPage, type PageOptions } from "../support/browser.ts";
import { type Fixture, startFixture } from "../support/upstreams.ts";
import { setUp, type Visitor } from "../pages/support.ts";

/** A mesh that Ann owns, with a server to connect to. */
export interface Scene {
  page: Page;
  mesh: Mesh;
  fixture: Fixture;
}

/** Registers a test with a page in front of a mesh that nobody owns yet. */
export function onScene(name: string, fn: (scene: Scene) => Promise<void>, options: PageOptions = {}): void {
  onPage(name, async (page) => {
    const mesh = await startMesh();
    const fixture = await startFixture();
    try {
      await fn({ page, mesh, fixture });
    } finally {
      await page.context().close();
      await fixture.stop();
      await mesh.stop();
    }
  }, options);
}

/** Sets the mesh up beside the browser and signs the browser in; gives the one that did it. */
export async function enter({ page, mesh }: Scene): Promise<Visitor> {
  const visitor = await setUp(mesh);
  await share(visitor, page.context(), mesh.url);
  return visitor;
}

/** Gives a browser the cookies of another. */
export async function share(visitor: Visitor, context: BrowserContext, url: string): Promise<void> {
  await context.addCookies([...visitor.cookies].map(([name, value]) => ({ name, value, url })));
}

/** Adds the fixture as a connection; gives the path of its page. */
export async function connect({ fixture }: Scene, visitor: Visitor): Promise<string> {
  const answer = await visitor.post("/connections", { url: fixture.url, title: "Fixture" });
  return answer.headers.get("location") ?? "";
}
