import assert from "node:assert/strict";
import { answer, type Flow, onFlow } from "../oauth/flow_support.ts";
import { register } from "../oauth/support.ts";
import { type Child, freePort, start } from "../support/processes.ts";
import { suite } from "./compare.ts";

/** Runs the suite's scenarios for authorization servers and gives the statuses of its checks by their ids. */
async function runAuthorization(flow: Flow, args: string[], port: number): Promise<Record<string, string>> {
  const folder = await Deno.makeTempDir({ prefix: "mesh-conformance-" });
  const issuer = flow.mesh.services.config.baseUrl;
  try {
    await using child = await begun(folder, ["--url", issuer, "--port", String(port), ...args]);
    const [url] = await child.line(/http\S+\/api\/auth\/authorize\?\S+/);
    assert.ok(url);
    await answer(flow, url);
    await flow.page.getByText("OK. You can close this page.").waitFor();
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

/** The suite once it runs: on a busy machine its start has been seen to hang, before it said a word. */
async function begun(folder: string, args: string[], again = true): Promise<Child> {
  const child = start({
    command: [
      ...[Deno.execPath(), "run", "-A", "--no-config", "--no-lock", suite, "authorization"] as const,
      ...["--output-dir", folder, ...args],
    ],
    cwd: folder,
    env: { NO_COLOR: "1" },
  });
  try {
    await child.line(/Running/, 45_000);
    return child;
  } catch (error) {
    await child.kill("SIGKILL");
    if (!again) throw error;
    return await begun(folder, args, false);
  }
}

const passed = {
  "authorization-server-metadata": "SUCCESS",
  "authorization-server-metadata-cimd": "SUCCESS",
  "authorization-code-grant": "SUCCESS",
};

onFlow("conformance: the authorization server passes with no warning", async (flow) => { // AS01-AS03, AS15, AS16, AS30
  const { mesh, visitor, url } = flow;
  const port = freePort();
  const redirect_uris = [`http://127.0.0.1:${port}/callback`];
  // A client with a secret cannot be tried: the suite sends none to a server that also serves public clients.
  const own = await register(mesh, { redirect_uris });
  const made = await visitor.post("/applications/clients", {
    name: "The suite",
    redirect_uris: redirect_uris.join(),
    secret: "no",
    alone: "",
  });
  const [admins = ""] = /client_\w{26}/.exec(made.html) ?? [];
  const runs = [["--client-id", own.id], ["--client-id", admins, "--resource", url]]; // AS19, AS20
  for (const args of runs) {
    assert.deepEqual(await runAuthorization(flow, args, port), passed, args.join(" "));
  }
}, { expectedErrors: /ERR_CONNECTION_REFUSED/ }); // the suite has gone when the browser asks for an icon
