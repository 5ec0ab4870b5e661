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

onScene(
  "a test that finds the server there again says so everywhere, and brings its tools",
  async (scene) => {
    const { page, mesh } = scene;
    const connection = await connect(scene, await enter(scene));
    await mesh.services.db.updateTable("connections")
      .set({ status: "error", status_reason: "it did not answer", tools: null, prompts: null }).execute();
    await page.goto(`${mesh.url}${connection}`);
    await mark(page);
    const head = page.locator("main header");
    await head.getByText("Not reachable").waitFor();
    await page.getByText("The tools are not known yet").waitFor();
    await page.getByRole("button", { name: "Test" }).click();
    await page.locator("#tool-names").getByRole("link", { name: "echo" }).waitFor();
    await head.getByText("Healthy").waitFor();
    assert.match(await page.locator("#connection-tabs [aria-current]").innerText(), /^Tools\s*\d+$/);
    assert.ok(await isMarked(page));

    await page.goto(`${mesh.url}${connection}/settings`);
    await page.getByLabel("Title").fill("Not saved yet");
    await page.getByRole("button", { name: "Test" }).click();
    await page.locator("#test-panel").getByText(/The server answered/).waitFor();
    assert.equal(await page.getByLabel("Title").inputValue(), "Not saved yet", "what was entered stays");
    assert.equal(await page.locator("#connection-tabs [aria-current]").innerText(), "Settings");
  },
);

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

onScene("paging leads the focus to the new rows, and their count is said", async (scene) => {
  const { page, mesh } = scene;
  const visitor = await enter(scene);
  for (let i = 0; i < 60; i++) await visitor.post("/settings/account", { name: `Ann ${i}` });
  await page.goto(`${mesh.url}/activity`);
  await page.getByRole("link", { name: "Next ›" }).press("Enter");
  await page.waitForURL(/page=2/);
  await page.locator("#said").getByText(/^51–\d+ of \d+$/).waitFor({ state: "attached" });
  assert.equal(await page.evaluate(() => document.activeElement?.id), "activity-rows");
});

onScene("the key figures are of what the list is narrowed to", async (scene) => {
  const { page, mesh } = scene;
  const visitor = await enter(scene);
  const connection = await connect(scene, visitor);
  await visitor.post(`${connection}/run`, { tool: "test_simple_text", mode: "form", action: "run" });
  await page.goto(`${mesh.url}/activity`);
  await mark(page);
  const figure = page.locator("#activity-figures .figure-value").first();
  assert.notEqual(await figure.innerText(), "1");
  await page.getByLabel("Connection:").selectOption({ label: "Fixture" });
  await page.locator("#activity-figures .figure-value").first().getByText("1", { exact: true }).waitFor();
  await page.getByLabel("From:").fill("2020-01-01");
  await page.getByText("Since 2020-01-01").waitFor();
  assert.ok(await isMarked(page));
});

onScene("a server that cannot be reached is said, not swallowed", async (scene) => {
  const { page, mesh } = scene;
  const connection = await connect(scene, await enter(scene));
  await page.goto(`${mesh.url}${connection}?tool=test_simple_text`);
  await page.context().setOffline(true);
  await page.getByRole("button", { name: "Run tool" }).click();
  await page.getByRole("alert").getByText(/^Mesh did not answer/).waitFor();
  await page.context().setOffline(false);
  await page.getByRole("button", { name: "Run tool" }).click();
  await page.locator("#said").getByText(/^Result in/).waitFor({ state: "attached" });
  assert.equal(await page.getByRole("alert").count(), 0);
}, { expectedErrors: /ERR_INTERNET_DISCONNECTED|Failed to fetch/ });

onScene("a refused form leads the focus to what is wrong", async (scene) => {
  const { page, mesh } = scene;
  await enter(scene);
  await page.goto(`${mesh.url}/api-keys/new`);
  await page.getByLabel("Name").fill("K");
  await page.getByRole("button", { name: "Make the key" }).click();
  await page.getByText("Choose a connection, or say that it may call none").waitFor();
  assert.equal(await page.evaluate(() => document.activeElement?.id), "scope-selected");
  await page.goto(`${mesh.url}/members`);
  await page.getByLabel("E-mail").fill("nobody@example.com");
  await page.getByRole("button", { name: "Add member" }).click();
  await page.getByText("Nobody has an account with this address").waitFor();
  assert.equal(await page.evaluate(() => document.activeElement?.id), "f-email");
});

onScene("the open tool is in sight, and the way back from a call keeps the filters", async (scene) => {
  const { page, mesh } = scene;
  const visitor = await enter(scene);
  const connection = await connect(scene, visitor);
  await page.goto(`${mesh.url}${connection}?tool=protocol_error_job`);
  const open = page.locator("#tool-names [aria-current]");
  const place = await open.boundingBox();
  assert.ok(place && place.y + place.height <= (page.viewportSize()?.height ?? 0));
  await page.goto(`${mesh.url}/activity?q=CONNECTION`);
  await page.locator(".row-link").first().click();
  await page.getByRole("link", { name: "Back to the activity" }).click();
  await page.waitForURL(/\/activity\?q=CONNECTION$/);
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
