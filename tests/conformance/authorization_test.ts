import assert from "node:assert/strict";
import { decide, pendingRequest } from "../../server/oauth/consent.ts";
import { onScene, register, type Scene } from "../oauth/support.ts";
import { start } from "../support/processes.ts";
import { suite } from "./compare.ts";

/** Opens the address that the suite asks for, allows what it asks, and goes back to the suite as a browser does. */
async function approve({ mesh: { services }, browser }: Scene, url: string): Promise<void> {
  const asked = await fetch(url, { redirect: "manual", headers: { cookie: browser.cookie } });
  await asked.text();
  const id = new URL(asked.headers.get("location") ?? "", url).searchParams.get("request") ?? "";
  const question = await pendingRequest(services, id, browser.session);
  assert.ok(question, `it leads to ${asked.headers.get("location")}`);
  const back = await decide(services, {
    requestId: id,
    session: browser.session,
    allow: true,
    organizationId: question.organizations[0]?.id ?? "",
    permissions: question.asks,
  });
  await (await fetch(back)).text();
}

/** Runs the suite's scenarios for authorization servers and gives the statuses of its checks by their ids. */
async function runAuthorization(scene: Scene, args: string[], port: number): Promise<Record<string, string>> {
  const folder = await Deno.makeTempDir({ prefix: "mesh-conformance-" });
  const issuer = scene.mesh.services.config.baseUrl;
  try {
    await using child = start({
      command: [
        ...[Deno.execPath(), "run", "-A", "--no-config", "--no-lock", suite, "authorization"] as const,
        ...["--url", issuer, "--port", String(port), "--output-dir", folder, ...args],
      ],
      cwd: folder,
      env: { NO_COLOR: "1" },
    });
    const [url] = await child.line(/http\S+\/api\/auth\/authorize\?\S+/);
    await approve(scene, url);
    await child.ended;
    const statuses: Record<string, string> = {};
    for await (const { name } of Deno.readDir(folder)) {
      const checks = JSON.parse(await Deno.readTextFile(`${folder}/${name}/checks.json`));
      for (const { id, status, errorMessage } of checks) {
        statuses[id] = errorMessage === undefined ? status : `${status}: ${errorMessage}`;
      }
    }
    return statuses;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function freePort(): number {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  return port;
}

const passed = {
  "authorization-server-metadata": "SUCCESS",
  "authorization-server-metadata-cimd": "SUCCESS",
  "authorization-code-grant": "SUCCESS",
};

onScene("conformance: the authorization server passes with no warning", async (scene) => { // AS01-AS03, AS15, AS16, AS30
  const port = freePort();
  const redirect_uris = [`http://127.0.0.1:${port}/callback`];
  // A client with a secret cannot be tried: the suite sends none to a server that also serves public clients.
  const open = await register(scene.mesh, { redirect_uris });
  const resource = ["--resource", `${scene.mesh.services.config.baseUrl}/mcp/${scene.connectionId}`];
  const runs: string[][] = [["--client-id", open.id], ["--client-id", open.id, ...resource]]; // AS19, AS20
  for (const args of runs) {
    assert.deepEqual(await runAuthorization(scene, args, port), passed, args.join(" "));
  }
});
