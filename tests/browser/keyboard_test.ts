import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { owner } from "../pages/support.ts";
import { connect, enter, onScene } from "./support.ts";

/** What has the focus, in words. */
async function focused(page: Page): Promise<string> {
  return await page.evaluate(() => {
    const element = document.activeElement;
    const labels = element instanceof HTMLInputElement ? element.labels?.[0]?.textContent : null;
    return element?.ariaLabel ?? labels ?? element?.textContent?.trim() ?? "";
  });
}

onScene("sign-in, the pages and the way out need no mouse", async (scene) => {
  const { page, mesh } = scene;
  await connect(scene, await enter(scene));
  await page.context().clearCookies();
  await page.goto(`${mesh.url}/connections`);
  assert.equal(await focused(page), "E-mail", "the focus is where one continues");
  await page.keyboard.type(owner.email);
  await page.keyboard.press("Tab");
  assert.equal(await focused(page), "Password");
  await page.keyboard.type("not the password");
  await page.keyboard.press("Enter");
  await page.getByRole("alert").waitFor();
  assert.equal(await focused(page), "Password", "and where one tries once more");
  await page.keyboard.type(owner.password);
  await page.keyboard.press("Enter");
  await page.waitForURL(`${mesh.url}/connections`);

  await page.keyboard.press("Tab");
  assert.equal(await focused(page), "Skip to the page");
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement?.id), "main");
  await page.keyboard.press("Tab");
  assert.equal(await focused(page), "Import mcp.json");
  const row = page.getByRole("link", { name: "Fixture" });
  for (let i = 0; i < 10 && await focused(page) !== "Fixture"; i++) await page.keyboard.press("Tab");
  assert.ok(await row.evaluate((link) => link === document.activeElement));
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/connections\/conn_/);

  const menu = page.locator(".side summary[aria-label^='Account of']");
  await menu.focus();
  await page.keyboard.press("Enter");
  const signOut = page.locator(".side").getByRole("button", { name: "Sign out" });
  await signOut.waitFor();
  await page.keyboard.press("Tab");
  await page.keyboard.press("Escape");
  await signOut.waitFor({ state: "hidden" });
  assert.match(await focused(page), /^Account of/, "Escape gives the focus back");
  await page.keyboard.press("Enter");
  await signOut.focus();
  await page.keyboard.press("Enter");
  await page.waitForURL(`${mesh.url}/login`);
});

onScene("what has the focus is in sight, with its label", async (scene) => {
  const { page, mesh } = scene;
  await enter(scene);
  await page.setViewportSize({ width: 390, height: 500 });
  await page.goto(`${mesh.url}/members`);
  await page.getByRole("link", { name: "Add a member" }).click();
  assert.match(await focused(page), /^E-mail/);
  const gap = await page.evaluate(() => {
    const label = document.querySelector<HTMLElement>("label[for=f-email]");
    const bar = document.querySelector<HTMLElement>(".bar");
    return (label?.getBoundingClientRect().top ?? 0) - (bar?.getBoundingClientRect().bottom ?? 0);
  });
  assert.ok(gap >= 0, "the bar does not cover the label");

  const menu = page.getByLabel("Menu", { exact: true });
  const members = page.locator(".bar-panel").getByRole("link", { name: "Members" });
  await menu.focus();
  await page.keyboard.press("Enter");
  await members.waitFor();
  await page.keyboard.press("Shift+Tab");
  await members.waitFor({ state: "hidden" });

  await page.getByLabel("E-mail").fill("nobody@example.com");
  await page.getByRole("button", { name: "Add member" }).click();
  await page.getByText("Nobody has an account with this address").waitFor();
  assert.match(await focused(page), /^E-mail/);
});

onScene("what was done is said once the page stands", async (scene) => {
  const { page, mesh } = scene;
  await enter(scene);
  await page.addInitScript(() => {
    // What a screen reader hears: texts that come into a live region which stands already.
    new MutationObserver((changes) => {
      for (const { target, addedNodes } of changes) {
        const region = target instanceof Element && target.closest("[role=status]");
        if (region && addedNodes[0]?.nodeType === Node.TEXT_NODE && document.readyState !== "loading") {
          document.documentElement.dataset.heard = addedNodes[0].textContent ?? "";
        }
      }
    }).observe(document, { childList: true, subtree: true });
  });
  await page.goto(`${mesh.url}/settings`);
  await page.getByRole("button", { name: "Save" }).first().click();
  await page.locator("html[data-heard='The changes are saved.']").waitFor();
  await page.getByText("The changes are saved.").waitFor();
});

onScene("on a phone the menu opens, leads on, and closes", async (scene) => {
  const { page, mesh } = scene;
  await enter(scene);
  await page.setViewportSize({ width: 390, height: 844 });
  await page.goto(mesh.url);
  const menu = page.getByLabel("Menu", { exact: true });
  const members = page.locator(".bar-panel").getByRole("link", { name: "Members" });
  assert.equal(await members.isVisible(), false);
  await menu.click();
  await members.click();
  await page.waitForURL(`${mesh.url}/members`);
  assert.equal(await members.isVisible(), false);
});
