// The official clients of both generations through the relay, against servers of one era and of both.
import assert from "node:assert/strict";
import { closedPort, startEverything, startFixture } from "../support/upstreams.ts";
import type { Fixture } from "../support/upstreams.ts";
import { type AnyClient, connectClient, type Mode, modes } from "./clients.ts";
import { addConnection, type Mesh, narrowed, rowsOf, site, withMesh } from "./support.ts";
import { until } from "../support/until.ts";

const legacyVersion = "2025-11-25";
const modernVersion = "2026-07-28";

/** What each client agrees on with a server of each era, as it would without anything in between. */
const agreed: Record<"legacy" | "modern" | "both", Partial<Record<Mode, string>>> = {
  legacy: { auto: legacyVersion, legacy: legacyVersion, old: legacyVersion }, // X03
  modern: { auto: modernVersion, pin: modernVersion },
  both: { auto: modernVersion, pin: modernVersion, legacy: legacyVersion, old: legacyVersion }, // X02
};

async function withClient(
  { era, mode }: { era: "legacy" | "modern" | "both"; mode: Mode },
  use: (client: AnyClient, fixture: Fixture, mesh: Mesh) => Promise<void>,
): Promise<void> {
  await using fixture = await startFixture({ era });
  await withMesh(async (mesh) => {
    const to = await site(mesh, fixture.url, { token: "upstream-credential" });
    const client = await connectClient(to, mode);
    try {
      await use(client, fixture, mesh);
    } finally {
      await client.close();
    }
  });
}

for (const era of ["legacy", "modern", "both"] as const) {
  for (const mode of modes) {
    const version = agreed[era][mode];
    if (version === undefined) {
      Deno.test(`a client '${mode}' and a server '${era}' do not agree, through the mesh as without it`, async () => {
        await assert.rejects(withClient({ era, mode }, () => Promise.resolve()));
      });
      continue;
    }
    Deno.test(`a client '${mode}' works with a server '${era}'`, async () => {
      await withClient({ era, mode }, async (client, fixture) => {
        assert.equal(client.version, version);
        assert.equal(client.serverName, "mesh-test-fixture");
        assert.ok((await client.listTools()).includes("echo"));
        const { content } = await client.call("echo", { text: "漢字 😀" });
        assert.equal(content[0].text, "漢字 😀");
        const { structuredContent } = await client.call("whoami");
        assert.equal(structuredContent.authorization, "Bearer upstream-credential"); // G05
        const steps: number[] = [];
        await client.call("test_tool_with_progress", {}, {
          onprogress: ({ progress }) => steps.push(progress),
        });
        assert.deepEqual(steps, [0, 50, 100]);
        const failed = await client.call("test_error_handling");
        assert.equal(failed.isError, true);
        assert.ok(
          fixture.seen.every(({ headers }) => headers.authorization === "Bearer upstream-credential"),
        );
      });
    });

    Deno.test(`a server '${era}' asks a client '${mode}' and gets its answers`, async () => { // L08, M09, M10
      await withClient({ era, mode }, async (client) => {
        const sampled = await client.call("test_sampling", { prompt: "Hi" });
        assert.match(sampled.content[0].text, /from the model/);
        const elicited = await client.call("test_elicitation", { message: "Who?" });
        assert.match(elicited.content[0].text, /action=accept.*Ann/);
        const listed = await client.call("test_input_required_result_list_roots");
        assert.match(listed.content[0].text, /file:\/\/\/here/);
      });
    });

    Deno.test(`a call that a client '${mode}' cancels ends at a server '${era}'`, async () => { // M11, L11
      await withClient({ era, mode }, async (client, fixture) => {
        const cancel = new AbortController();
        const gone = assert.rejects(
          client.call("wait_for_cancel", { label: "c" }, { signal: cancel.signal }),
        );
        await fixture.happened("started c");
        cancel.abort();
        await gone;
        await fixture.happened("cancelled c");
        const { content } = await client.call("echo", { text: "still here" });
        assert.equal(content[0].text, "still here");
      });
    });
  }
}

Deno.test("clients of both eras use one connection at once", async () => { // X01, X02
  await using fixture = await startFixture();
  await withMesh(async (mesh) => {
    const to = await site(mesh, fixture.url);
    const clients = await Promise.all(modes.map((mode) => connectClient(to, mode)));
    const texts = await Promise.all(
      [...clients, ...clients].map((client, index) => client.call("echo", { text: `${index}` })),
    );
    assert.deepEqual(texts.map(({ content }) => content[0].text), texts.map((_, index) => `${index}`));
    for (const client of clients) await client.end();
    assert.deepEqual(fixture.sessions(), []); // L03
  });
});

Deno.test("a client finds the era of each connection behind one mesh", async () => { // X01
  await using modern = await startFixture({ era: "modern" });
  await using legacy = await startFixture({ era: "legacy" });
  await withMesh(async (mesh) => {
    const to = await site(mesh, modern.url);
    const id = await addConnection(mesh, to.person, { url: legacy.url });
    const versions: (string | undefined)[] = [];
    for (const url of [to.url, `${mesh.url}/mcp/${id}`, to.url]) {
      const client = await connectClient({ ...to, url }, "auto");
      versions.push(client.version);
      await client.close();
    }
    assert.deepEqual(versions, [modernVersion, legacyVersion, modernVersion]);
  });
});

for (const mode of ["auto", "legacy", "old"] as const) {
  Deno.test(`the reference server works for a client '${mode}'`, async () => {
    await using everything = await startEverything();
    await withMesh(async (mesh) => {
      const to = await site(mesh, everything.url);
      const client = await connectClient(to, mode);
      assert.equal(client.version, legacyVersion);
      const { content } = await client.call("echo", { message: "hello" });
      assert.match(content[0].text, /hello/);
      const steps: number[] = [];
      await client.call("trigger-long-running-operation", { duration: 0.3, steps: 3 }, {
        onprogress: ({ progress }) => steps.push(progress),
      });
      assert.ok(steps.length > 0);
      await client.end();
      const rows = await rowsOf(mesh, to);
      assert.deepEqual(rows.map(({ toolName, outcome }) => [toolName, outcome]), [
        ["trigger-long-running-operation", "ok"],
        ["echo", "ok"],
      ]);
    });
  });
}

for (const mode of modes) {
  Deno.test(`a client '${mode}' sees and calls what its key allows`, async () => {
    await using fixture = await startFixture();
    await withMesh(async (mesh) => {
      const client = await connectClient(await narrowed(mesh, await site(mesh, fixture.url), ["echo"]), mode);
      assert.deepEqual(await client.listTools(), ["echo"]);
      assert.ok(!(await client.call("echo", { text: "x" })).isError);
      const denied = await client.call("whoami");
      assert.equal(denied.isError, true);
      assert.match(denied.content[0].text, /permission 'whoami'/);
      await client.end();
    });
  });

  Deno.test(`a client '${mode}' learns which connection failed it`, async () => {
    await withMesh(async (mesh) => {
      const to = await site(mesh, closedPort(), { title: "Weather" });
      await assert.rejects(
        connectClient(to, mode),
        (error: Error & { data?: { text?: string } }) =>
          /Weather|502/.test(`${error.message} ${JSON.stringify(error.data ?? {})}`),
      );
    });
  });
}

Deno.test("clients that come and go leave no socket behind", async () => {
  await using fixture = await startFixture();
  await withMesh(async (mesh) => {
    const to = await site(mesh, fixture.url);
    for (let round = 0; round < 5; round++) {
      for (const mode of modes) {
        const client = await connectClient(to, mode);
        await client.call("echo", { text: "x" });
        await client.end();
      }
    }
    const { sockets } = mesh.services.outbound;
    await until(() => mesh.services.outbound.sockets.open === mesh.services.outbound.sockets.idle);
    assert.ok(sockets.open <= 64);
    assert.equal(await mesh.lifecycle.drain(10_000), true);
  });
});
