import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { greetingStatus } from "../mcp/support.ts";
import { owner } from "../pages/support.ts";
import { onScene, type Scene } from "./support.ts";

/** The pathname that the page shows. */
function place(page: Page): string {
  return new URL(page.url()).pathname;
}

async function fill(page: Page, fields: Record<string, string>): Promise<void> {
  for (const [label, value] of Object.entries(fields)) {
    await page.getByRole("main").getByLabel(label, { exact: true }).fill(value);
  }
}

async function press(page: Page, name: string): Promise<void> {
  await page.getByRole("main").getByRole("button", { name, exact: true }).click();
}

async function setUp(page: Page, url: string): Promise<void> {
  await page.goto(url);
  assert.equal(place(page), "/setup");
  await fill(page, {
    "Your name": owner.name,
    "E-mail": owner.email,
    "Password": owner.password,
    "Organization": owner.organization,
  });
  await press(page, "Create account");
  await page.waitForURL(`${url}/`);
}

async function addConnection(page: Page, upstream: string): Promise<string> {
  await page.getByRole("main").getByRole("link", { name: "New connection" }).click();
  await fill(page, { URL: upstream, Title: "Fixture" });
  await press(page, "Add connection");
  await page.waitForURL(/\/connections\/conn_/);
  await page.getByText(/Fixture is connected and offers \d+ tools/).waitFor();
  return place(page);
}

async function runTool(page: Page, text: string): Promise<void> {
  await page.getByRole("link", { name: "echo" }).click();
  await page.waitForURL(/tool=echo/);
  await fill(page, { text });
  await press(page, "Run tool");
  await page.locator("#result").getByText(text).waitFor();
  assert.match(await page.locator("#result").innerText(), /200 in .*(ms|s) · \d/);
}

async function findInLog(page: Page, text: string): Promise<void> {
  await page.getByRole("link", { name: "open in log" }).click();
  await page.waitForURL(/\/activity\/log_/);
  assert.equal(await page.getByRole("heading", { level: 1 }).innerText(), "echo");
  assert.match(await page.locator("#log-input").innerText(), new RegExp(text));
  const log = page.url();
  await page.getByRole("link", { name: "Back to the activity" }).click();
  const row = page.getByRole("row").filter({ hasText: "echo on Fixture" });
  assert.match(await row.innerText(), /Ann Larsen/);
  await row.getByRole("link").click();
  await page.waitForURL(log);
}

/** Makes a key, which is shown once, and gives it. */
async function makeKey(page: Page, url: string): Promise<string> {
  await page.goto(`${url}/api-keys`);
  await page.getByRole("main").getByRole("link", { name: "New API key" }).click();
  await fill(page, { Name: "Laptop" });
  await page.getByRole("checkbox", { name: "Fixture" }).check();
  await press(page, "Make the key");
  const secret = await page.locator("#new-key").innerText();
  assert.match(secret, /^mesh_key_[\w-]{43}$/);
  const configuration = await page.locator("#client-claude-code").innerText();
  assert.ok(configuration.includes(secret));
  await page.getByRole("link", { name: "All API keys" }).click();
  await page.getByText("All tools of Fixture").waitFor();
  assert.ok(!(await page.content()).includes(secret), "it is shown once");
  return secret;
}

async function signOutAndIn(page: Page, url: string): Promise<void> {
  await page.locator(".side summary[aria-label^='Account of']").click();
  await page.locator(".side").getByRole("button", { name: "Sign out" }).click();
  await page.waitForURL(`${url}/login`);
  await page.goto(`${url}/members`);
  assert.equal(place(page), "/login");
  await fill(page, { "E-mail": owner.email, "Password": owner.password });
  await press(page, "Sign in");
  await page.waitForURL(`${url}/members`);
}

async function journey({ page, mesh, fixture }: Scene): Promise<void> {
  await setUp(page, mesh.url);
  const connection = await addConnection(page, fixture.url);
  await runTool(page, "a quiet heron");
  await findInLog(page, "a quiet heron");
  const key = await makeKey(page, mesh.url);
  const proxy = `${mesh.url}/mcp/${connection.split("/").at(-1)}`;
  assert.equal(await greetingStatus(proxy, key), 200);
  await page.goto(`${mesh.url}/api-keys`);
  await page.getByRole("main").getByRole("link", { name: "Delete key Laptop" }).click();
  await press(page, "Delete API key");
  await page.getByText("No API keys yet").waitFor();
  assert.equal(await greetingStatus(proxy, key), 401);
  await signOutAndIn(page, mesh.url);
}

onScene("from setup to a call in the log, a key and back, with JavaScript", journey);
onScene("from setup to a call in the log, a key and back, without JavaScript", journey, {
  javaScriptEnabled: false,
});
