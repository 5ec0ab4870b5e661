// People connect their own accounts, in a real browser, which holds the policies of the pages.
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { owner, type Visitor } from "../pages/support.ts";
import { screenshot } from "../support/browser.ts";
import { type OidcUpstream, startOidcUpstream } from "../support/upstreams/oidc_provider.ts";
import { enter, onScene, type Scene } from "./support.ts";

/** What the browser calls the mesh: servers send people back to its own name, where they are signed in. */
function homeOf({ mesh }: Scene): string {
  return mesh.services.config.baseUrl;
}

/** Makes a connection whose server signs people in; gives its id. */
async function addSignIn(visitor: Visitor, upstream: OidcUpstream, whose = "per_user"): Promise<string> {
  const form = { url: upstream.mcpUrl, title: "Linear", kind: "oauth", whose };
  const answer = await visitor.post("/connections", form);
  return /conn_\w+/.exec(answer.headers.get("location") ?? "")?.[0] ?? assert.fail(answer.text);
}

/** Follows a link where nobody is signed in yet, and signs in. */
async function arrive(scene: Scene, path: string): Promise<void> {
  const { page } = scene;
  await page.context().clearCookies();
  await page.goto(homeOf(scene) + path);
  await page.getByLabel("E-mail").fill(owner.email);
  await page.getByLabel("Password").fill(owner.password);
  await page.getByRole("button", { name: "Sign in" }).click();
}

function main(page: Page) {
  return page.getByRole("main");
}

/** Runs `fn` with an authorization server and the MCP server behind it. */
async function withUpstream(fn: (upstream: OidcUpstream) => Promise<void>): Promise<void> {
  const upstream = await startOidcUpstream();
  try {
    await fn(upstream);
  } finally {
    await upstream.close();
  }
}

for (const javaScriptEnabled of [true, false]) {
  const how = javaScriptEnabled ? "with" : "without";
  onScene(
    `the link of a client leads through sign-in to a connected account, ${how} JavaScript`,
    (scene) =>
      withUpstream(async (upstream) => {
        const { page } = scene;
        const id = await addSignIn(await enter(scene), upstream);
        await arrive(scene, `/my-connections/${id}`);
        await page.getByRole("heading", { name: "Connect Linear" }).waitFor();
        const words = await main(page).innerText();
        assert.match(words, /Mesh asks for your own account at Linear/);
        assert.match(words, /Mesh of Northwind asks, and the client sees nothing/);
        await page.getByRole("button", { name: "Connect Linear" }).click();
        await page.getByRole("heading", { name: "Linear is connected" }).waitFor();
        assert.match(await main(page).innerText(), /You can go back to your client and try again/);
        await main(page).getByRole("link", { name: "My connections" }).click();
        const row = page.getByRole("row").nth(1);
        assert.match(await row.innerText(), /Linear[^]*Connected/);
        await row.getByRole("button", { name: "Reconnect Linear" }).click();
        await page.getByText("Linear is connected.").waitFor();
        assert.equal(new URL(page.url()).pathname, "/my-connections");
        await page.getByRole("link", { name: "Disconnect Linear" }).click();
        assert.match(await main(page).innerText(), /fails until you connect it again/);
        await page.getByRole("button", { name: "Disconnect" }).click();
        await page.getByText("Linear is disconnected.").waitFor();
        assert.match(await page.getByRole("row").nth(1).innerText(), /Not connected/);
      }),
    { javaScriptEnabled },
  );
}

onScene(
  "somebody who says no at the server is told that nothing was connected",
  (scene) =>
    withUpstream(async (upstream) => {
      const { page } = scene;
      const id = await addSignIn(await enter(scene), upstream);
      await arrive(scene, `/my-connections/${id}`);
      await page.context().addCookies([{ name: "person", value: "!ann", url: upstream.issuer }]);
      await page.getByRole("button", { name: "Connect Linear" }).click();
      await page.getByRole("heading", { name: "Nothing was connected" }).waitFor();
      await page.getByRole("link", { name: "My connections" }).click();
      assert.match(await page.getByRole("row").nth(1).innerText(), /Linear[^]*Not connected/);
    }),
  { expectedErrors: /502/ },
);

onScene(
  "a server that is down is said where one stands, with what to do",
  (scene) =>
    withUpstream(async (upstream) => {
      const { page } = scene;
      const id = await addSignIn(await enter(scene), upstream);
      await arrive(scene, `/my-connections/${id}`);
      upstream.setDown(503);
      await page.getByRole("button", { name: "Connect Linear" }).click();
      const message = page.getByRole("alert");
      await message.waitFor();
      assert.match(await message.innerText(), /Linear/);
      assert.equal(await page.getByRole("button", { name: "Connect Linear" }).isVisible(), true);
    }),
  { expectedErrors: /502/ },
);

onScene(
  "an administrator connects for everybody, and sees how it stands",
  (scene) =>
    withUpstream(async (upstream) => {
      const { page } = scene;
      const id = await addSignIn(await enter(scene), upstream, "shared");
      await arrive(scene, `/connections/${id}`);
      await page.getByText("Nobody has signed in at Linear yet").waitFor();
      assert.equal(await page.getByText("Connect to authorize").count(), 0, "it is said once");
      await page.getByRole("link", { name: "Choose whose account it uses" }).click();
      await main(page).getByRole("link", { name: "Connect Linear" }).click();
      assert.match(await main(page).innerText(), /Everybody calls as that account/);
      await page.getByRole("button", { name: "Connect Linear" }).click();
      await page.getByRole("heading", { name: "Linear is connected" }).waitFor();
      await page.goto(`${homeOf(scene)}/connections/${id}/credentials`);
      const access = page.locator(".card", { has: page.getByRole("heading", { name: "Shared access" }) });
      assert.match(await access.innerText(), /Connected/);
    }),
);

onScene("a form shows what its kind of credential needs, and no more", async (scene) => {
  const { page, mesh } = scene;
  await enter(scene);
  await page.goto(`${mesh.url}/connections/new`);
  const visible = async () => {
    const labels = await page.locator("main form label:visible").allInnerTexts();
    return labels.map((label) => label.trim());
  };
  assert.deepEqual(await visible(), ["URL", "Title", "Credential"]);
  const kind = page.getByLabel("Credential", { exact: true });
  const whose = ["Shared", "Each person their own"];
  const expected: Record<string, string[]> = {
    none: ["Headers"],
    token: [...whose, "Token", "Headers"],
    headers: [...whose, "Headers"],
    oauth: [...whose, "Headers"],
    client_credentials: ["Client id", "Client secret", "Scopes", "Headers"],
    auto: [],
  };
  for (const [value, labels] of Object.entries(expected)) {
    await kind.selectOption(value);
    assert.deepEqual(await visible(), ["URL", "Title", "Credential", ...labels], value);
  }
  await kind.selectOption("headers");
  await page.getByText("Each person their own").click();
  assert.ok((await visible()).includes("Headers that each person gives a value for"));
});

onScene("connecting with a token needs no mouse, and the focus is where one continues", async (scene) => {
  const { page, mesh, fixture } = scene;
  const visitor = await enter(scene);
  const form = { url: fixture.url, title: "GitHub", kind: "token", whose: "per_user" };
  await visitor.post("/connections", form);
  await page.goto(`${mesh.url}/my-connections`);
  const focused = () => page.evaluate(() => document.activeElement?.textContent?.trim() ?? "");
  await page.locator("#main").focus();
  for (let i = 0; i < 10 && await focused() !== "Connect GitHub"; i++) await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Connect GitHub" }).waitFor();
  const field = page.getByLabel("Your token for GitHub");
  assert.ok(await field.evaluate((input) => input === document.activeElement));
  await page.keyboard.type("quiet-heron-7");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "GitHub is connected" }).waitFor();
  assert.ok(!(await page.content()).includes("quiet-heron-7"));
});

onScene("nothing scrolls sideways on a small phone, light and dark", async (scene) => {
  const { page, mesh, fixture } = scene;
  const visitor = await enter(scene);
  const url = `${fixture.url}?${"x".repeat(200)}`;
  const made = await visitor.post("/connections", {
    url,
    title: "x".repeat(150),
    kind: "token",
    whose: "per_user",
  });
  const id = /conn_\w+/.exec(made.headers.get("location") ?? "")?.[0] ?? "";
  await visitor.post(`/my-connections/${id}/token`, { token: "quiet-heron-7" });
  await mesh.services.db.updateTable("upstream_credentials")
    .set({ state: "attention", reason: `${"x".repeat(300)} did not accept the token (401)` }).execute();
  const paths = [
    "/my-connections",
    `/my-connections/${id}`,
    `/my-connections/${id}/disconnect`,
    `/connections/${id}/credentials`,
    `/connections/${id}/settings`,
    "/connections/new",
  ];
  for (const width of [1280, 390, 360]) {
    await page.setViewportSize({ width, height: 800 });
    for (const path of paths) {
      await page.goto(mesh.url + path);
      for (const fold of await page.locator("main details").all()) {
        await fold.evaluate((details) => void ((details as HTMLDetailsElement).open = true));
      }
      for (const scheme of ["light", "dark"] as const) {
        await page.emulateMedia({ colorScheme: scheme });
        const wide = await page.evaluate(() => document.documentElement.scrollWidth);
        assert.ok(wide <= width, `${path} is ${wide} wide at ${width}, ${scheme}`);
        if (Deno.env.get("SCREENSHOTS")) {
          await screenshot(
            page,
            `credentials${path.replace(id, "").replaceAll("/", "-")}-${width}-${scheme}`,
          );
        }
      }
    }
  }
});
