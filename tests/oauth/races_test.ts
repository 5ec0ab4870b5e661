import assert from "node:assert/strict";
import { graceMs } from "../../server/oauth/grants/refresh_token.ts";
import * as oauthConsents from "../../server/storage/oauth_consents.ts";
import { onEachDatabase } from "../support/databases.ts";
import {
  callStatus,
  countIssued,
  obtainCode,
  obtainTokens,
  refused,
  type Scene,
  send,
  tokensOf,
  withScene,
} from "./support.ts";

function refresh({ client, mesh }: Scene, token: string | undefined): Promise<Response> {
  return send(mesh, { grant_type: "refresh_token", client_id: client.id, refresh_token: token });
}

/** Runs `fn` as if so much time had passed. */
async function after<T>(ms: number, fn: () => Promise<T>): Promise<T> {
  const clock = Date.now;
  Date.now = () => clock() + ms;
  try {
    return await fn();
  } finally {
    Date.now = clock;
  }
}

async function count(responses: Response[]): Promise<Record<number, number>> {
  const counts: Record<number, number> = {};
  for (const response of responses) {
    counts[response.status] = (counts[response.status] ?? 0) + 1;
    await response.body?.cancel();
  }
  return counts;
}

onEachDatabase("of several exchanges of one code one is answered, and the others end it", async (_t, url) => { // AS14
  await withScene(async (scene) => {
    for (let round = 0; round < 3; round++) {
      const form = await obtainCode(scene, { params: { prompt: "consent" } });
      const responses = await Promise.all(Array.from({ length: 5 }, () => send(scene.mesh, form)));
      assert.deepEqual(await count(responses), { 200: 1, 400: 4 });
      assert.equal((await countIssued(scene.mesh)).oauth_tokens, 0, "a code seen twice ends what came of it");
    }
  }, { DATABASE_URL: url });
});

onEachDatabase(
  "five refreshes at once with one token all succeed; a late replay ends the family",
  async (_t, url) => { // AS35, Q-11
    await withScene(async (scene) => {
      const first = await obtainTokens(scene);
      const answers = await Promise.all(Array.from({ length: 5 }, () => refresh(scene, first.refresh_token)));
      const tokens = await Promise.all(answers.map(tokensOf));
      assert.equal(new Set(tokens.map(({ refresh_token }) => refresh_token)).size, 5);
      for (const { access_token } of tokens) assert.equal(await callStatus(scene, access_token), 200);
      // Every process goes on with the token that it got.
      const next = await Promise.all(
        tokens.map(async ({ refresh_token }) => await tokensOf(await refresh(scene, refresh_token))),
      );
      assert.equal(new Set(next.map(({ refresh_token }) => refresh_token)).size, 5);
      // The first token is not the one before the last any more.
      await refused(await refresh(scene, first.refresh_token), "invalid_grant");
      for (const { access_token, refresh_token } of [...tokens, ...next]) {
        assert.equal(await callStatus(scene, access_token), 401);
        await refused(await refresh(scene, refresh_token), "invalid_grant");
      }
      assert.equal((await countIssued(scene.mesh)).oauth_tokens, 0);
    }, { DATABASE_URL: url });
  },
);

onEachDatabase(
  "the token before the last is taken again for a short while, and then ends the family",
  async (_t, url) => { // AS35
    await withScene(async (scene) => {
      const first = await obtainTokens(scene);
      const second = await tokensOf(await refresh(scene, first.refresh_token));
      await after(graceMs - 1000, async () => {
        await tokensOf(await refresh(scene, first.refresh_token));
      });
      await after(graceMs + 1000, async () => {
        await refused(await refresh(scene, first.refresh_token), "invalid_grant");
      });
      await refused(await refresh(scene, second.refresh_token), "invalid_grant");
      assert.equal(await callStatus(scene, second.access_token), 401);
    }, { DATABASE_URL: url });
  },
);

onEachDatabase("no token outlives a revocation that runs at the same moment", async (_t, url) => {
  await withScene(async (scene) => {
    const { db } = scene.mesh.services;
    const { organizationId } = scene.browser.person;
    for (let round = 0; round < 3; round++) {
      const { refresh_token } = await obtainTokens(scene, { params: { prompt: "consent" } });
      const [consent] = await oauthConsents.list(db, organizationId);
      const [, ...responses] = await Promise.all([
        oauthConsents.revoke(db, organizationId, consent?.id ?? ""),
        ...Array.from({ length: 4 }, () => refresh(scene, refresh_token)),
      ]);
      for (const response of responses) {
        assert.ok([200, 400].includes(response.status), String(response.status));
        await response.body?.cancel();
      }
      const counts = await countIssued(scene.mesh);
      assert.deepEqual(counts, { oauth_consents: 0, oauth_codes: 0, oauth_tokens: 0 });
    }
  }, { DATABASE_URL: url });
});

onEachDatabase("a replay and a refresh at the same moment leave nothing of the family", async (_t, url) => { // AS35
  await withScene(async (scene) => {
    for (let round = 0; round < 3; round++) {
      const first = await obtainTokens(scene, { params: { prompt: "consent" } });
      const second = await tokensOf(await refresh(scene, first.refresh_token));
      await tokensOf(await refresh(scene, second.refresh_token));
      // The first one is old by now, the second is just before the last.
      const responses = await Promise.all(
        [first, second, first, second].map(({ refresh_token }) => refresh(scene, refresh_token)),
      );
      const counts = await count(responses);
      assert.ok((counts[400] ?? 0) >= 2, JSON.stringify(counts));
      assert.equal((await countIssued(scene.mesh)).oauth_tokens, 0);
    }
  }, { DATABASE_URL: url });
});
