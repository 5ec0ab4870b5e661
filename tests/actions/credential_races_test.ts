import assert from "node:assert/strict";
import type { Actor } from "../../server/access/actor.ts";
import { deleteConnection, updateConnection } from "../../server/actions/connections.ts";
import { finishAuthorizing } from "../../server/actions/credential_authorizing.ts";
import { setCredential } from "../../server/actions/credentials.ts";
import { removeMember } from "../../server/actions/members.ts";
import type { Outbound } from "../../server/outbound.ts";
import type { Services } from "../../server/services.ts";
import * as connections from "../../server/storage/connections.ts";
import * as upstreamCredentials from "../../server/storage/upstream_credentials.ts";
import type { Vault } from "../../server/vault.ts";
import { onEachDatabase } from "../support/databases.ts";
import { withServices } from "../support/services.ts";
import { startFixture } from "../support/upstreams.ts";
import { startOidcUpstream } from "../support/upstreams/oidc_provider.ts";
import { connect, refused, run, someone } from "./connection_support.ts";
import { begin, runAt, seat } from "./credential_authorizing_support.ts";

/** The services of somebody whose code is being exchanged while `meanwhile` happens. */
function during(services: Services, meanwhile: () => Promise<unknown>): Services {
  const { outbound } = services;
  const slow = {
    target: (...args: Parameters<Outbound["target"]>) => outbound.target(...args),
    fetch: async (...[url, init]: Parameters<Outbound["fetch"]>) => {
      const response = await outbound.fetch(url, init);
      if (String(url).endsWith("/token")) await meanwhile();
      return response;
    },
  };
  return Object.freeze({ ...services, outbound: slow as Outbound });
}

async function leave(services: Services, by: Actor, userId: string): Promise<void> {
  const { id } = await services.db.selectFrom("members").select("id").where("user_id", "=", userId)
    .executeTakeFirstOrThrow();
  await run(services, by, [removeMember, { memberIdOrEmail: id }]);
}

onEachDatabase("authorizing: what happens while the code is exchanged counts", async (_t, url) => {
  await using upstream = await startOidcUpstream();
  await withServices(url, async (services) => {
    const ann = seat(await someone(services));
    const { organizationId } = ann.actor;
    assert.ok(organizationId);
    const update = (id: string, data: Record<string, unknown>) =>
      run(services, ann.actor, [updateConnection, { id, data }]);
    const cases: [string, RegExp, (id: string, userId: string) => Promise<unknown>][] = [
      ["not_found", /deleted meanwhile/, (id) => run(services, ann.actor, [deleteConnection, { id }])],
      ["conflict", /changed meanwhile/, (id) => update(id, { credential_mode: "shared" })],
      ["conflict", /changed meanwhile/, (id) => update(id, { connection_url: `${upstream.mcpUrl}?a=1` })],
      ["conflict", /changed meanwhile/, (_, userId) => leave(services, ann.actor, userId)],
    ];
    for (const [code, message, happens] of cases) {
      const bob = seat(await someone(services, ["user"], organizationId));
      const data = { title: "Wiki", connection_url: upstream.mcpUrl, credential_mode: "per_user" };
      const { id } = await connect(services, ann.actor, data);
      const answer = await begin(services, bob, { upstream, connectionId: id });
      const slow = during(services, () => happens(id, bob.actor.userId));
      await refused(runAt(slow, bob, [finishAuthorizing, answer]), code as "conflict", message);
      assert.deepEqual(await upstreamCredentials.listOfConnection(services.db, organizationId, id), []);
    }
  });
});

onEachDatabase(
  "credentials: a token is not kept for a connection that was changed meanwhile",
  async (_t, url) => {
    await using upstream = await startFixture();
    await withServices(url, async (services) => {
      const ann = await someone(services);
      const data = { connection_url: upstream.url, credential_mode: "per_user", credential_type: "static" };
      const { id } = await connect(services, ann, data);
      const { vault } = services;
      const slow = {
        open: (...args: Parameters<Vault["open"]>) => vault.open(...args),
        seal: async (...args: Parameters<Vault["seal"]>) => {
          await run(services, ann, [updateConnection, { id, data: { personal_headers: ["X-Key"] } }]);
          return await vault.seal(...args);
        },
      };
      const context = Object.freeze({ ...services, vault: slow as Vault });
      await refused(
        run(context, ann, [setCredential, { connectionId: id, token: "t" }]),
        "conflict",
        /changed meanwhile/,
      );
      assert.deepEqual(await upstreamCredentials.listOfConnection(services.db, ann.organizationId, id), []);
    });
  },
);

onEachDatabase("authorizing: one of many that come back with the same answer ends it", async (_t, url) => {
  await using upstream = await startOidcUpstream();
  await withServices(url, async (services) => {
    const ann = seat(await someone(services));
    const { id } = await connect(services, ann.actor, { connection_url: upstream.mcpUrl });
    const answer = await begin(services, ann, { upstream, connectionId: id });
    const all = await Promise.allSettled(
      Array.from({ length: 6 }, () => runAt(services, ann, [finishAuthorizing, answer])),
    );
    assert.equal(all.filter(({ status }) => status === "fulfilled").length, 1);
    assert.equal(upstream.tokenRequests.authorization_code, 1);
    const { organizationId } = ann.actor;
    assert.equal(
      (await upstreamCredentials.listOfConnection(services.db, organizationId ?? "", id)).length,
      1,
    );
    const row = await connections.find(services.db, organizationId ?? "", id);
    assert.deepEqual([row?.status, row?.status_reason], ["active", null]);
  });
});

/** A server that notes what it is sent, and while it is held answers nobody. */
class Slow {
  readonly keys = new Set<string | null>();
  #asked = Promise.withResolvers<void>();
  #free = Promise.withResolvers<void>();
  readonly #server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    this.keys.add(request.headers.get("x-key"));
    this.#asked.resolve();
    await this.#free.promise;
    return new Response(null, { status: 500 });
  });
  readonly url = `http://127.0.0.1:${this.#server.addr.port}/mcp`;

  constructor() {
    this.letGo();
  }

  /** Answers nobody from now on; resolves when the next has asked. */
  hold(): Promise<void> {
    this.#asked = Promise.withResolvers();
    this.#free = Promise.withResolvers();
    return this.#asked.promise;
  }

  letGo(): void {
    this.#free.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#server.shutdown();
  }
}

onEachDatabase(
  "connections: a secret stays with the address that it was given for, however changes overlap",
  async (_t, url) => {
    await using honest = new Slow();
    await using other = new Slow();
    await withServices(url, async (services) => {
      const ann = await someone(services);
      const headers = (value: string) => ({ connection_headers: { headers: { "X-Key": value } } });
      const { id } = await connect(services, ann, {
        connection_url: honest.url,
        ...headers("for the honest"),
      });
      const update = (data: Record<string, unknown>) => run(services, ann, [updateConnection, { id, data }]);
      const otherAsked = other.hold();
      const moving = update({ connection_url: other.url });
      await otherAsked;
      const honestAsked = honest.hold();
      const keeping = update(headers("***"));
      await honestAsked;
      other.letGo();
      await moving;
      honest.letGo();
      await refused(keeping, "invalid", /stands for a stored secret, and there is none/);
      const left = await connections.find(services.db, ann.organizationId ?? "", id);
      assert.deepEqual([left?.connection_url, left?.sealed_headers], [other.url, null]);
      assert.deepEqual([...honest.keys], ["for the honest"]);
      assert.deepEqual([...other.keys], [null]);
    });
  },
);
