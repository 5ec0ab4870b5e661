import assert from "node:assert/strict";
import * as jose from "jose";
import { startMesh } from "./support/app.ts";
import { serve } from "./support/executable.ts";
import { run } from "./support/processes.ts";
import { startEverything, startFixture } from "./support/upstreams.ts";

const readme = await Deno.readTextFile(new URL("../README.md", import.meta.url));

Deno.test("the README's curl commands lead from a new mesh to a tool call through the proxy", async () => {
  const dir = await Deno.makeTempDir({ prefix: "mesh-readme-" });
  try {
    await using everything = await startEverything();
    const { child, url } = await serve({ DATA_DIR: dir });
    const script = [...readme.matchAll(/```bash\n(.*?)```/gs)].map((match) => match[1] ?? "")
      .find((block) => block.includes("tools/call"));
    assert.ok(script, "the README has the block");
    const mine = script.replace("http://localhost:3000", url).replace(
      "http://localhost:3001/mcp",
      everything.url,
    );
    const { code, stdout, stderr } = await run({
      command: ["bash", "-euo", "pipefail", "-c", mine],
      cwd: dir,
    });
    assert.equal(code, 0, stderr);
    assert.match(stdout, /Echo: hello/);
    await child.kill("SIGTERM");
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("the README's check of the identity token lets nobody in but the one organization", async () => {
  const sample = [...readme.matchAll(/```js\n(.*?)```/gs)].map((match) => match[1] ?? "")
    .find((block) => block.includes("jwtVerify"));
  assert.ok(sample, "the README has the block");
  await using server = await startFixture();
  const mesh = await startMesh();
  try {
    const options = { identity_token: true };
    const ours = await mesh.connect(server.url, { options });
    const first = server.seen.at(-1);
    const theirs = await mesh.connect(server.url, { options });
    const second = server.seen.at(-1);
    assert.notEqual(ours.person.organizationId, theirs.person.organizationId);
    const body = sample.replace(/^ *import .*$/m, "")
      .replaceAll("https://mesh.example.com", mesh.url.replace("127.0.0.1", "localhost"))
      .replace("https://tools.example.com/mcp", server.url)
      .replace("org_...", ours.person.organizationId);
    const check = new Function(
      "{ createRemoteJWKSet, jwtVerify }",
      "request",
      `return (async () => { ${body}; return payload; })()`,
    );
    const checked = (seen?: { headers: Record<string, string> }) =>
      check(
        jose,
        new Request(server.url, { headers: { "x-mesh-token": seen?.headers["x-mesh-token"] ?? "" } }),
      );
    assert.equal((await checked(first)).sub, ours.person.userId);
    await assert.rejects(checked(second), /^Error: It is the token of another organization$/);
  } finally {
    await mesh.stop();
  }
});

Deno.test("every package that the program imports has its reason in the README", async () => {
  const manifest = JSON.parse(await Deno.readTextFile(new URL("../deno.json", import.meta.url)));
  const names = Object.keys(manifest.imports);
  assert.deepEqual(names.filter((name) => !readme.includes(name)), []);
});

Deno.test("the two commands are the contract's", () => {
  assert.match(readme, /^npx -y deno@2\.9\.6 task start$/m);
  assert.match(readme, /^npx -y deno@2\.9\.6 task test$/m);
});
