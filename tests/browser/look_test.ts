// Every page, narrow and wide, light and dark: what a machine can see of how it looks.
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import type { Visitor } from "../pages/support.ts";
import { screenshot } from "../support/browser.ts";
import { addConsent, addOauthClient } from "../support/accounts.ts";
import { linkFor } from "./oauth_support.ts";
import { connect, enter, onScene, type Scene } from "./support.ts";

/** A mesh with something on every page; gives the paths by a name for their pictures. */
async function furnish(scene: Scene, visitor: Visitor): Promise<Record<string, string>> {
  const { fixture, mesh } = scene;
  const connection = await connect(scene, visitor);
  const id = connection.split("/").at(-1) ?? "";
  const long = "A connection with a title that is rather longer than most titles are";
  await visitor.post("/connections", { url: "http://127.0.0.1:9/mcp", title: "Broken" });
  const off = await visitor.post("/connections", { url: `${fixture.url}?${"x".repeat(200)}`, title: long });
  const settings = `${off.headers.get("location")}/settings`;
  await visitor.post(settings, { title: long, url: `${fixture.url}?${"x".repeat(200)}`, status: "inactive" });
  await visitor.post(`${connection}/run`, {
    tool: "echo",
    action: "run",
    mode: "form",
    "arg.text": "x".repeat(300),
  });
  await visitor.post(`${connection}/run`, { tool: "test_error_handling", action: "run", mode: "form" });
  const key = {
    name: "x".repeat(120),
    scope: "selected",
    connection: id,
    management: "read",
    expires_days: "7",
  };
  await visitor.post("/api-keys", { ...key, [`tool.${id}`]: ["echo", "whoami"] });
  const log = /\/activity\/log_\w+/.exec((await visitor.get("/activity?q=echo")).html)?.[0] ?? "";
  const apiKey = /\/api-keys\/key_\w+/.exec((await visitor.get("/api-keys")).html)?.[0] ?? "";
  const member = await mesh.services.db.selectFrom("members").select("id").executeTakeFirstOrThrow();
  return {
    "home": "/",
    "connections": "/connections",
    "connections-none": "/connections?q=nothing",
    "connection-new": "/connections/new",
    "connection-import": "/connections/import",
    "tools": connection,
    "tool": `${connection}?tool=echo`,
    "tool-json": `${connection}?tool=json_schema_2020_12_tool`,
    "resources": `${connection}/resources`,
    "prompts": `${connection}/prompts`,
    "connection-activity": `${connection}/activity`,
    "credentials": `${connection}/credentials`,
    "connection-settings": `${connection}/settings`,
    "connection-delete": `${connection}/delete`,
    "connect": `${connection}/connect`,
    "off": settings.replace("/settings", ""),
    "activity": "/activity",
    "activity-none": "/activity?q=nothing&from=2026-01-01",
    "log": log,
    "api-keys": "/api-keys",
    "api-key-new": "/api-keys/new",
    "api-key-delete": `${apiKey}/delete`,
    ...await furnishApplications(scene, { visitor, connection: id }),
    ...await furnishCredentials(scene, visitor),
    "members": "/members",
    "member-remove": `/members/${member.id}/remove`,
    "settings": "/settings",
    "organization-new": "/organizations/new",
    "not-found": "/nothing",
  };
}

/** Connections that want an account of each person: one not connected, one that needs attention. */
async function furnishCredentials(
  { fixture, mesh: { services } }: Scene,
  visitor: Visitor,
): Promise<Record<string, string>> {
  const add = async (title: string, form: Record<string, string>): Promise<string> => {
    const made = await visitor.post("/connections", { url: fixture.url, title, whose: "per_user", ...form });
    return /conn_\w+/.exec(made.headers.get("location") ?? "")?.[0] ?? assert.fail(made.text);
  };
  const token = await add("GitHub", { kind: "token" });
  const headers = await add("Jira", { kind: "headers", personal_headers: "X-Email\nX-Api-Key" });
  const signIn = await add("Linear", { kind: "oauth" });
  await services.db.updateTable("connections").set({ credential_mode: "shared" }).where("id", "=", signIn)
    .execute();
  await visitor.get("/my-connections");
  await visitor.post(`/my-connections/${token}/token`, { token: "quiet-heron" });
  await services.db.updateTable("upstream_credentials")
    .set({ state: "attention", reason: "the server did not accept the credential" }).execute();
  const { user_id } = await services.db.selectFrom("members").select("user_id").executeTakeFirstOrThrow();
  return {
    "my-connections": "/my-connections",
    "my-connection-token": `/my-connections/${token}`,
    "my-connection-headers": `/my-connections/${headers}`,
    "my-connection-disconnect": `/my-connections/${token}/disconnect`,
    "credentials-people": `/connections/${token}/credentials`,
    "credentials-shared": `/connections/${signIn}/credentials`,
    "credentials-end": `/connections/${token}/credentials/${user_id}/disconnect`,
    "tools-shared": `/connections/${signIn}`,
  };
}

/** Applications that ask and applications that were allowed something. */
async function furnishApplications(
  scene: Scene,
  { visitor, connection }: { visitor: Visitor; connection: string },
): Promise<Record<string, string>> {
  const { db } = scene.mesh.services;
  const { organization_id, user_id } = await db.selectFrom("members").selectAll().executeTakeFirstOrThrow();
  const bob = await scene.mesh.member(organization_id, ["user"]);
  const consent = await addConsent(db, organization_id, { userId: user_id, clientName: "Claude Code" });
  await addConsent(db, organization_id, {
    userId: bob.userId,
    clientId: `https://client.example/${"x".repeat(100)}`,
    clientName: "x".repeat(100),
    resource: connection,
    permissions: { [connection]: ["echo", "whoami", "prompt:*"] },
  });
  const client = await addOauthClient(db, organization_id, {
    redirectUris: ["https://claude.ai/api/mcp/auth_callback", `https://client.example/${"x".repeat(200)}`],
    permissions: { self: ["*_LIST", "*_GET"], [connection]: ["*"] },
    ownerId: user_id,
  });
  const ask = async (resource: string, redirectUri: string) => {
    const link = await linkFor(scene, { redirectUri, connection: resource, name: "Quiet Agent" });
    return (await visitor.get(link.slice(scene.mesh.url.length))).headers.get("location") ?? "";
  };
  return {
    "consent": await ask(connection, "http://localhost:3118/callback"),
    "consent-mesh": await ask("", "https://client.example/callback"),
    "applications": "/applications",
    "application-revoke": `/applications/${consent}/revoke`,
    "oauth-client-new": "/applications/clients/new",
    "oauth-client-delete": `/applications/clients/${client}/delete`,
  };
}

/** What is wrong with the page that is shown, for eyes or for those who hear it. */
function problems(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const found: string[] = [];
    const root = document.scrollingElement ?? document.documentElement;
    if (root.scrollWidth > innerWidth) found.push(`${root.scrollWidth} wide, the window has ${innerWidth}`);
    const heads = document.querySelectorAll("h1").length;
    if (heads !== 1) found.push(`${heads} first headings`);
    if (document.querySelectorAll("main").length !== 1) found.push("not one main part");
    const ids = [...document.querySelectorAll("[id]")].map(({ id }) => id);
    const twice = ids.filter((id, index) => ids.indexOf(id) !== index);
    if (twice.length > 0) found.push(`ids twice: ${twice.join(" ")}`);
    const controls = document.querySelectorAll<HTMLInputElement>(
      "input:not([type=hidden]), select, textarea",
    );
    for (const control of controls) {
      if (!control.labels?.length && !control.ariaLabel) found.push(`no label: ${control.name}`);
    }
    for (const element of document.querySelectorAll<HTMLElement>("a[href], button, summary")) {
      if (!element.innerText.trim() && !element.ariaLabel && !element.textContent?.trim()) {
        found.push(`no name: ${element.outerHTML.slice(0, 100)}`);
      }
    }
    return found;
  });
}

const widths = [1280, 390];

onScene("every page at its widths, light and dark", async (scene) => {
  const { page, mesh } = scene;
  const paths = await furnish(scene, await enter(scene));
  const wrong: string[] = [];
  for (const [name, path] of Object.entries(paths)) {
    await page.goto(mesh.url + path);
    for (const width of widths) {
      await page.setViewportSize({ width, height: 844 });
      for (const scheme of ["light", "dark"] as const) {
        await page.emulateMedia({ colorScheme: scheme });
        for (const problem of await problems(page)) wrong.push(`${name} at ${width}, ${scheme}: ${problem}`);
        if (Deno.env.get("SCREENSHOTS")) await screenshot(page, `${name}-${width}-${scheme}`);
      }
    }
  }
  assert.deepEqual(wrong, []);
});

onScene("setup and sign-in at their widths", async (scene) => {
  const { page, mesh } = scene;
  for (const path of ["/setup", "/login?next=%2Fmembers"]) {
    if (path.startsWith("/login")) await enter(scene).then(() => page.context().clearCookies());
    for (const width of widths) {
      await page.setViewportSize({ width, height: 844 });
      await page.goto(mesh.url + path);
      assert.deepEqual(await problems(page), []);
      if (Deno.env.get("SCREENSHOTS")) {
        await screenshot(page, `${path.replace(/\W.*/, "").slice(1) || path.slice(1)}-${width}`);
      }
    }
  }
});
