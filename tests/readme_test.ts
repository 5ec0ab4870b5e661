import assert from "node:assert/strict";
import { serve } from "./support/executable.ts";
import { run } from "./support/processes.ts";
import { startEverything } from "./support/upstreams.ts";

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

Deno.test("every package that the program imports has its reason in the README", async () => {
  const manifest = JSON.parse(await Deno.readTextFile(new URL("../deno.json", import.meta.url)));
  const names = Object.keys(manifest.imports);
  assert.deepEqual(names.filter((name) => !readme.includes(name)), []);
});

Deno.test("the two commands are the contract's", () => {
  assert.match(readme, /^npx -y deno@2\.9\.6 task start$/m);
  assert.match(readme, /^npx -y deno@2\.9\.6 task test$/m);
});
