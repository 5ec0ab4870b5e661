import assert from "node:assert/strict";
import { freePort, run, start } from "./processes.ts";

const deno = Deno.execPath();

Deno.test("run gives code and both outputs, and feeds standard input", async () => {
  const script =
    "const all = await new Response(Deno.stdin.readable).text(); console.log(all); console.error('x'); Deno.exit(3)";
  const result = await run({ command: [deno, "eval", script], input: "hello" });
  assert.deepEqual(result, { code: 3, stdout: "hello\n", stderr: "x\n" });
});

Deno.test("start waits for a port and a line; leaving the block kills by pid", async () => {
  const port = freePort();
  const script = `Deno.serve({ port: ${port}, hostname: "127.0.0.1" }, () => new Response("up"))`;
  let ended;
  {
    await using child = start({ command: [deno, "eval", script] });
    await child.port(port);
    assert.ok(await child.line(/Listening on (\S+)/));
    ended = child.ended;
  }
  assert.equal((await ended).signal, "SIGKILL");
});

Deno.test("a child that ends before its line is an error with its output", async () => {
  await using child = start({ command: [deno, "eval", "console.log('bye')"] });
  await assert.rejects(
    child.line(/never/),
    /The child ended before there was output matching \/never\/[^]*bye/,
  );
});

Deno.test("a cleared environment keeps only what is given", async () => {
  const { stdout } = await run({
    command: [deno, "eval", "console.log(Object.keys(Deno.env.toObject()).sort().join())"],
    clearEnv: true,
    env: { MARK: "1" },
  });
  assert.match(stdout, /MARK/);
  assert.doesNotMatch(stdout, /SHLVL/);
});
