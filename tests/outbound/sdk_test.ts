// The official SDK clients over Outbound.fetch: they work, and leave no socket behind when they close.
import assert from "node:assert/strict";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { Client as ClientV1 } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as TransportV1 } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { startFixture } from "../support/upstreams.ts";
import { TestOutbound } from "./support.ts";
import { until } from "../support/until.ts";

const rounds = 10;

for (const era of ["legacy", "modern"] as const) {
  Deno.test(`the SDK v2 client in the ${era} era, opened and closed again and again`, async () => {
    await using fixture = await startFixture({ era });
    using outbound = new TestOutbound();
    for (let round = 0; round < rounds; round++) {
      const client = new Client({ name: "test", version: "1" }, { versionNegotiation: { mode: "auto" } });
      await client.connect(
        new StreamableHTTPClientTransport(new URL(fixture.url), {
          fetch: (input, init) => outbound.fetch(input, init),
        }),
      );
      const { tools } = await client.listTools();
      assert(tools.length > 0);
      const result = await client.callTool({ name: "test_simple_text", arguments: {} });
      assert.equal(result.isError ?? false, false);
      await client.close();
      await until(() => outbound.sockets.open === outbound.sockets.idle);
    }
    assert(outbound.sockets.idle <= 4, `${outbound.sockets.idle} sockets at rest`);
  });
}

Deno.test("the SDK v1 client, opened and closed again and again", async () => {
  await using fixture = await startFixture();
  using outbound = new TestOutbound();
  for (let round = 0; round < rounds; round++) {
    const client = new ClientV1({ name: "test", version: "1" });
    const transport = new TransportV1(new URL(fixture.url), {
      fetch: (input: string | URL, init?: RequestInit) => outbound.fetch(input, init),
    });
    // The SDK's own types do not agree with themselves under exactOptionalPropertyTypes.
    await client.connect(transport as Parameters<typeof client.connect>[0]);
    const result = await client.callTool({ name: "test_simple_text", arguments: {} });
    assert.equal(result.isError ?? false, false);
    await transport.terminateSession();
    await client.close();
    await until(() => outbound.sockets.open === outbound.sockets.idle);
  }
  assert(outbound.sockets.idle <= 4, `${outbound.sockets.idle} sockets at rest`);
});
