import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { connect, enter, onScene } from "./support.ts";

/** Marks the document, so that a page that was loaded anew can be told from one that was changed. */
async function mark(page: Page): Promise<void> {
  await page.evaluate(() => document.body.dataset.marked = "yes");
}

async function isMarked(page: Page): Promise<boolean> {
  return await page.evaluate(() => document.body.dataset.marked === "yes");
}

onScene("a search swaps the rows and the address, nothing else", async (scene) => {
  const { page, mesh } = scene;
  const visitor = await enter(scene);
  await connect(scene, visitor);
  await visitor.post("/connections", { url: "http://127.0.0.1:9/mcp", title: "Other" });
  await page.goto(`${mesh.url}/connections`);
  await mark(page);
  const answered = page.waitForResponse(/\?q=fix&/);
  await page.getByRole("searchbox").pressSequentially("fix");
  await page.waitForURL(/\?q=fix&sort=used$|\?q=fix$/);
  await page.getByRole("link", { name: "Other" }).waitFor({ state: "detached" });
  assert.equal(await page.getByRole("row").count(), 2, "the head and one row");
  assert.ok(await isMarked(page));
  assert.equal(await page.getByRole("searchbox").inputValue(), "fix");
  assert.match(await (await answered).text(), /^<div id="connection-rows"/);
  await page.getByLabel("Status").first().selectOption("error");
  await page.getByText("No connection matches").waitFor();
  await page.reload();
  await page.getByText("No connection matches").waitFor();
  assert.equal(await page.getByRole("searchbox").inputValue(), "fix", "the address says it all");
});

// htmx 4 swaps answers of 4xx, earlier ones did not.
onScene("a refused form comes back into the page at 422", async (scene) => {
  const { page, mesh } = scene;
  const connection = await connect(scene, await enter(scene));
  await page.goto(`${mesh.url}${connection}?tool=echo`);
  await page.getByRole("button", { name: "As JSON" }).click();
  const json = page.getByLabel("Arguments as JSON");
  await json.waitFor();
  await mark(page);
  await json.fill("{");
  const answered = page.waitForResponse(/\/run$/);
  await page.getByRole("button", { name: "Run tool" }).click();
  assert.equal((await answered).status(), 422);
  await page.getByText(/This is not JSON/).waitFor();
  assert.equal(await page.getByLabel("Arguments as JSON").inputValue(), "{");
  await page.getByLabel("Arguments as JSON").fill('{"text": "mended"}');
  await page.getByRole("button", { name: "Run tool" }).click();
  await page.locator("#result").getByText("mended").waitFor();
  assert.ok(await isMarked(page), "the page was not loaded anew");
});

onScene("a test of a connection fills its panel, with the stages that it reached", async (scene) => {
  const { page, mesh, fixture } = scene;
  const connection = await connect(scene, await enter(scene));
  await page.goto(`${mesh.url}${connection}`);
  await mark(page);
  await page.getByRole("button", { name: "Test" }).click();
  await page.locator("#test-panel").getByText(/The server answered in .* offers \d+ tools/).waitFor();
  await fixture.stop();
  await page.getByRole("button", { name: "Test" }).click();
  await page.locator("#test-panel").getByText(/cannot be reached/).waitFor();
  const stages = page.locator(".stages li");
  assert.match(await stages.nth(0).innerText(), /not needed/);
  assert.match(await stages.nth(1).innerText(), /failed/);
  assert.ok(await isMarked(page));
});

onScene("the theme changes at once and is remembered", async (scene) => {
  const { page, mesh } = scene;
  await enter(scene);
  await page.goto(`${mesh.url}/settings`);
  const kept = page.waitForResponse(/\/settings\/theme$/);
  await page.getByText("Dark", { exact: true }).click();
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), "dark");
  assert.equal((await kept).status(), 204);
  await page.goto(`${mesh.url}/`);
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), "dark");
});

onScene("a session that has ended leads to the sign-in from a part of a page too", async (scene) => {
  const { page, mesh } = scene;
  const visitor = await enter(scene);
  await connect(scene, visitor);
  await page.goto(`${mesh.url}/connections`);
  await page.context().clearCookies();
  await page.getByRole("searchbox").fill("x");
  await page.waitForURL(/\/login\?next=%2Fconnections/);
});

onScene("a command is copied", async (scene) => {
  const { page, mesh } = scene;
  const connection = await connect(scene, await enter(scene));
  await page.goto(`${mesh.url}${connection}?tool=echo`);
  await page.getByLabel("text", { exact: true }).fill("x");
  await page.getByRole("button", { name: "Copy as curl" }).click();
  const text = page.locator("#curl-text");
  await text.waitFor();
  assert.match(await text.innerText(), /^curl -sS .*\/mcp\/conn_/);
  await page.locator("#result").getByRole("button", { name: "Copy" }).click();
  await page.locator("#result").getByText(/Copied|Selected/).waitFor();
});

onScene("what went away meanwhile is said in the page, not swallowed", async (scene) => {
  const { page, mesh } = scene;
  const visitor = await enter(scene);
  const connection = await connect(scene, visitor);
  await page.goto(`${mesh.url}${connection}?tool=test_simple_text`);
  await mark(page);
  await visitor.post(`${connection}/delete`);
  await page.getByRole("button", { name: "Run tool" }).click();
  await page.getByRole("heading", { name: "There is no such page" }).waitFor();
  assert.ok(await isMarked(page));
  await page.locator(".side").getByRole("link", { name: "Home" }).waitFor();
});
