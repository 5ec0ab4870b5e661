import assert from "node:assert/strict";
import { onPage, screenshot, whyNoBrowser, withPage } from "./browser.ts";

const document = (body: string) =>
  `data:text/html,<!doctype html><title>Here</title>${encodeURIComponent(body)}`;

onPage("a page runs its scripts and can be pictured", async (page) => {
  await page.goto(document("<h1>1</h1><script>document.querySelector('h1').textContent = '2'</script>"));
  assert.equal(await page.textContent("h1"), "2");
  const path = await screenshot(page, "a page: support");
  assert.match(path, /a-page-support\.png$/);
  assert.ok((await Deno.stat(path)).size > 0);
  await Deno.remove(path);
});

onPage("without JavaScript scripts do not run", async (page) => {
  await page.goto(document("<h1>1</h1><script>document.querySelector('h1').textContent = '2'</script>"));
  assert.equal(await page.textContent("h1"), "1");
}, { javaScriptEnabled: false });

Deno.test({ name: "an error on the page fails its test", ignore: whyNoBrowser() !== null }, async () => {
  const visit = (expectedErrors?: RegExp) =>
    withPage(async (page) => {
      await page.goto(document("<script>throw new Error('broken')</script>"));
    }, expectedErrors && { expectedErrors });
  await assert.rejects(visit(), /The page had errors:\nbroken/);
  await visit(/broken/);
});
