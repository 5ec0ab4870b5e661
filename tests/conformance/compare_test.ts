import assert from "node:assert/strict";
import { differences, readResults, tally } from "./compare.ts";

type Check = [id: string, status: string];

async function withResults(scenarios: Record<string, Check[]>, use: (folder: string) => Promise<void>) {
  const folder = await Deno.makeTempDir({ prefix: "mesh-test-" });
  try {
    for (const [name, checks] of Object.entries(scenarios)) {
      await Deno.mkdir(`${folder}/server-${name}-2026-01-02T03-04-05-678Z`);
      const content = JSON.stringify(checks.map(([id, status]) => ({ id, status, details: {} })));
      await Deno.writeTextFile(`${folder}/server-${name}-2026-01-02T03-04-05-678Z/checks.json`, content);
    }
    await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const scenarios: Record<string, Check[]> = {
  "ping": [["ping", "SUCCESS"], ["wire", "SUCCESS"], ["wire", "FAILURE"], ["sent", "INFO"]],
  "server-initialize": [["init", "SUCCESS"]],
};

Deno.test("results are read by scenario and check, without mere information", async () => {
  await withResults(scenarios, async (folder) => {
    const results = await readResults(folder);
    assert.deepEqual([...results.keys()].sort(), ["ping", "server-initialize"]);
    assert.deepEqual(results.get("ping")?.get("wire"), ["FAILURE", "SUCCESS"]);
    assert.equal(results.get("ping")?.has("sent"), false);
    assert.deepEqual(tally(results), { FAILURE: 1, SUCCESS: 3 });
    assert.deepEqual(differences(results, results), []);
  });
});

Deno.test("a changed, a missing and an additional check are differences", async () => {
  const changed: Record<string, Check[]> = {
    "ping": [["ping", "WARNING"], ["wire", "SUCCESS"]],
    "tools-list": [["list", "SUCCESS"]],
  };
  await withResults(scenarios, (before) =>
    withResults(changed, async (after) => {
      assert.deepEqual(differences(await readResults(before), await readResults(after)), [
        { scenario: "ping", check: "ping", before: ["SUCCESS"], after: ["WARNING"] },
        { scenario: "ping", check: "wire", before: ["FAILURE", "SUCCESS"], after: ["SUCCESS"] },
        { scenario: "server-initialize", check: "init", before: ["SUCCESS"], after: [] },
        { scenario: "tools-list", check: "list", before: [], after: ["SUCCESS"] },
      ]);
    }));
});
