import assert from "node:assert/strict";
import { leads, owner, Visitor } from "../pages/support.ts";
import { serve, type Serving } from "../support/executable.ts";

/** Starts a mesh that others than this machine reach, and reads the token that it prints, "" where it prints none. */
async function start(dir: string): Promise<Serving & { token: string }> {
  const serving = await serve({ DATA_DIR: dir, HOST: "0.0.0.0" });
  await fetch(`${serving.url}/health`).then((answer) => answer.body?.cancel());
  return { ...serving, token: /the token (\S+)/.exec(serving.child.stdout)?.[1] ?? "" };
}

Deno.test("beyond this machine the start prints the token of the setup, until somebody owns the mesh", async () => {
  const dir = await Deno.makeTempDir({ prefix: "mesh-setup-" });
  try {
    const first = await start(dir);
    assert.match(first.token, /^mesh_setup_[\w-]{43}$/);
    const visitor = new Visitor(first.url);
    await visitor.get("/setup");
    // Where it is reached is not where its links lead, so a browser would say so.
    const headers = { origin: /ready at (\S+)/.exec(first.child.stdout)?.[1] ?? "" };
    leads(await visitor.post("/setup", { ...owner, token: first.token }, headers), "/");
    await first.child.kill("SIGTERM");
    const second = await start(dir);
    assert.equal(second.token, "");
    await second.child.kill("SIGTERM");
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
