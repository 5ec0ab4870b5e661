import assert from "node:assert/strict";
import { createApiKey, updateApiKey } from "../../server/actions/api_keys.ts";
import { createOauthClient } from "../../server/actions/oauth_clients.ts";
import { isFull } from "../../server/storage/held.ts";
import { onEachDatabase } from "../support/databases.ts";
import { company, refusal, run } from "../support/people.ts";
import { withServices } from "../support/services.ts";

onEachDatabase(
  "what a person, or an organization, keeps of what is listed whole has an end",
  async (_t, url) => {
    await withServices(url, async (services) => {
      const { organization, owner, user } = await company(services, "Blue");
      const long = { self: Array.from({ length: 48 }, (_, i) => `${i}`.padEnd(2000, "x")) };
      const create = () =>
        run(services, user, { action: createApiKey, input: { name: "k", permissions: long } });
      const place = { organizationId: organization.id, userId: user.userId };
      let { id: keyId } = await create();
      for (let made = 1; !await isFull(services.db, "api_keys", place); made++) {
        assert.ok(made < 25, "it never ends");
        keyId = (await create()).id;
      }
      assert.equal((await refusal(create())).code, "conflict");
      const change = (input: object) =>
        run(services, user, { action: updateApiKey, input: { keyId, ...input } });
      assert.equal((await refusal(change({ metadata: { more: "x".repeat(100) } }))).code, "conflict");
      const narrow = { self: ["USER_GET"] };
      assert.deepEqual((await change({ permissions: narrow })).item.permissions, narrow);
      await create();
      assert.equal(await isFull(services.db, "api_keys", place), true);
      assert.equal((await change({ name: "other" })).item.name, "other");
      await run(services, owner, { action: createApiKey, input: { name: "k", permissions: long } });

      const register = () =>
        run(services, owner, { action: createOauthClient, input: { name: "c", permissions: long } });
      const clients = { organizationId: organization.id };
      for (let made = 0; !await isFull(services.db, "oauth_clients", clients); made++) {
        assert.ok(made < 25, "it never ends");
        await register();
      }
      assert.equal((await refusal(register())).code, "conflict");
    });
  },
);
