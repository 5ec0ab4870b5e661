import assert from "node:assert/strict";
import { answerOf, modern, post } from "../mcp/support.ts";
import { onEachDatabase } from "../support/databases.ts";
import { obtainTokens, send, tokensOf, withScene } from "./support.ts";

onEachDatabase("a client gets from a question to a tool call, and refreshes", async (_t, url) => {
  await withScene(async (scene) => {
    const first = await obtainTokens(scene);
    assert.match(first.access_token, /^mesh_at_[\w-]{43}$/);
    assert.match(first.refresh_token ?? "", /^mesh_rt_[\w-]{43}$/);
    assert.equal(first.expires_in, 3600);
    const call = modern("tools/call", { name: "test_simple_text", arguments: {} });
    const answer = await answerOf(await post({ url: scene.resource, key: first.access_token }, call));
    assert.equal(answer.result.content[0].type, "text");
    const second = await tokensOf(
      await send(scene.mesh, {
        grant_type: "refresh_token",
        client_id: scene.client.id,
        refresh_token: first.refresh_token,
      }),
    );
    assert.notEqual(second.access_token, first.access_token);
    assert.notEqual(second.refresh_token, first.refresh_token);
  }, { DATABASE_URL: url });
});
