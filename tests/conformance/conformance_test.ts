import assert from "node:assert/strict";
import { startMesh } from "../support/app.ts";
import { startForwarder } from "../support/forwarder.ts";
import { startFixture } from "../support/upstreams.ts";
import { differences, type Results, revisions, runSuite, tally } from "./compare.ts";

type Revision = (typeof revisions)[number];

/** What the fixture reaches by itself: every check of the revision, those that are not scored included. */
const reached: Record<Revision, Record<string, number>> = {
  "2025-11-25": { SUCCESS: 84 },
  "2026-07-28": { SKIPPED: 1, SUCCESS: 196 },
};

// Each run has a fixture of its own: the scenarios add tools and prompts to it.
async function direct(revision: Revision): Promise<Results> {
  await using fixture = await startFixture();
  return await runSuite({ url: fixture.url, revision });
}

async function throughTheMesh(revision: Revision): Promise<Results> {
  await using fixture = await startFixture();
  const mesh = await startMesh();
  try {
    const { connectionId, key } = await mesh.connect(fixture.url);
    // The suite cannot be told to send a token.
    await using forwarder = startForwarder(`${mesh.url}/mcp/${connectionId}`, {
      authorization: `Bearer ${key}`,
    });
    return await runSuite({ url: forwarder.url, revision });
  } finally {
    await mesh.stop();
  }
}

for (const revision of revisions) {
  // G01-G04, L01-L06, M01-M06, M09-M14, X02: whatever the suite sees of the server, it sees through the mesh.
  Deno.test(`conformance ${revision}: through the mesh as directly`, async () => {
    const expected = await direct(revision);
    assert.deepEqual(tally(expected), reached[revision]);
    assert.deepEqual(differences(expected, await throughTheMesh(revision)), []);
  });
}
