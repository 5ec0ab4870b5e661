// An application asks, a person answers: in a real browser, which holds the policies of the pages.
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { owner, type Visitor } from "../pages/support.ts";
import { startCallback } from "../support/callback.ts";
import { linkFor } from "./oauth_support.ts";
import { connect, enter, onScene, type Scene } from "./support.ts";

async function signIn(page: Page): Promise<void> {
  await page.getByLabel("E-mail").fill(owner.email);
  await page.getByLabel("Password").fill(owner.password);
  await page.getByRole("button", { name: "Sign in" }).click();
}

/** Sets the mesh up elsewhere, so that nobody is signed in here; gives the path of a connection. */
async function furnish(scene: Scene, more: { signedIn?: boolean } = {}): Promise<string> {
  const visitor: Visitor = await enter(scene);
  if (!more.signedIn) await scene.page.context().clearCookies();
  return await connect(scene, visitor);
}

for (const javaScriptEnabled of [true, false]) {
  const how = javaScriptEnabled ? "with" : "without";
  onScene(
    `a link leads through sign-in and consent back to the application, ${how} JavaScript`,
    async (scene) => {
      const { page } = scene;
      await using callback = startCallback();
      await page.goto(
        await linkFor(scene, { redirectUri: callback.url, connection: await furnish(scene) }),
      );
      await signIn(page);
      await page.getByRole("heading", { name: "Quiet Agent wants to connect" }).waitFor();
      const words = await page.getByRole("main").innerText();
      assert.match(
        words,
        /It registered itself; nobody has checked its name\. It will return to localhost:\d+/,
      );
      assert.match(words, /Call \d+ tools of Fixture\s+\d+ of them write/);
      assert.match(words, /Act as you, Ann Larsen/);
      assert.match(words, /Any program on this computer could ask in this name/); // AS17
      assert.equal(await page.getByRole("checkbox", { name: "echo", exact: true }).isVisible(), false);
      await page.getByRole("radio", { name: "Only what I choose" }).check();
      await page.getByRole("button", { name: "Allow" }).click();
      await page.getByText("Choose at least one thing").waitFor();
      await page.getByRole("checkbox", { name: "echo" }).first().check();
      await page.getByRole("button", { name: "Allow" }).click();
      await page.getByText("Back in the application").waitFor();
      const answer = await callback.next();
      assert.match(answer.get("code") ?? "", /^mesh_ac_/);
      assert.equal(answer.get("state"), "state-1");
      await page.goto(`${scene.mesh.url}/applications`);
      assert.match(await page.getByRole("row").nth(1).innerText(), /Quiet Agent[^]*1 tool of Fixture/);
    },
    { javaScriptEnabled },
  );
}

onScene("no is told to the application, and the question is not asked twice", async (scene) => {
  const { page } = scene;
  await using callback = startCallback({ host: "127.0.0.1" });
  const connection = await furnish(scene, { signedIn: true });
  await page.goto(await linkFor(scene, { redirectUri: callback.url, connection }));
  const asked = page.url();
  await page.getByRole("button", { name: "Cancel" }).click();
  await page.getByText("Back in the application").waitFor();
  assert.equal((await callback.next()).get("error"), "access_denied");
  await page.goto(asked);
  await page.getByRole("heading", { name: "This request has ended" }).waitFor();
});

onScene("an IPv6 address of this machine is a place to return to", async (scene) => {
  const { page } = scene;
  await using callback = startCallback({ host: "[::1]" });
  await furnish(scene, { signedIn: true });
  await page.goto(await linkFor(scene, { redirectUri: callback.url }));
  await page.getByRole("button", { name: "Allow" }).click();
  await page.getByText("Back in the application").waitFor();
});

// Chromium holds form-action against every address that a form's answer leads on to.
onScene("a callback may send the browser on to another page of the application", async (scene) => {
  const { page } = scene;
  await using end = startCallback({ host: "127.0.0.1", body: "All done" });
  await using callback = startCallback({ then: end.url });
  await furnish(scene, { signedIn: true });
  await page.goto(await linkFor(scene, { redirectUri: callback.url }));
  await page.getByRole("button", { name: "Allow" }).click();
  await page.getByText("All done").waitFor();
});

onScene("an application's own scheme is handed to the system", async (scene) => {
  const { page } = scene;
  await furnish(scene, { signedIn: true });
  const redirectUri = "cursor://anysphere.cursor-mcp/oauth/callback";
  await page.goto(await linkFor(scene, { redirectUri }));
  assert.match(await page.getByRole("main").innerText(), /It will return to cursor:, whichever application/);
  const left = page.waitForEvent("requestfailed", (request) => request.url().startsWith("cursor://"));
  const answered = page.waitForResponse((response) => response.request().method() === "POST");
  await page.getByRole("button", { name: "Allow" }).click();
  const answer = await answered;
  assert.equal(answer.status(), 303); // AS18
  assert.match(answer.headers().location ?? "", /^cursor:\/\/anysphere\.cursor-mcp\/oauth\/callback\?code=/);
  await left;
});

onScene("a web client's window hears from the window that it opened", async (scene) => {
  const { page, mesh } = scene;
  const body = "<script>opener?.postMessage(location.search, location.origin)</script>Back";
  await using callback = startCallback({ body });
  await furnish(scene);
  const link = await linkFor(scene, { redirectUri: callback.url });
  await page.goto(callback.url);
  const opened = page.waitForEvent("popup");
  const told = page.evaluate((url) =>
    new Promise<string>((resolve) => {
      addEventListener("message", ({ data }) => resolve(data));
      open(url);
    }), link);
  const popup = await opened;
  assert.match(popup.url(), new RegExp(`^${mesh.url}/login`));
  await signIn(popup);
  await popup.getByRole("button", { name: "Allow" }).click();
  assert.match(await told, /^\?code=mesh_ac_/);
});
