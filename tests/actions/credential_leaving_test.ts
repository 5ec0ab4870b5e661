import assert from "node:assert/strict";
import { createServer } from "node:http";
import { deleteConnection } from "../../server/actions/connections.ts";
import { deleteCredential } from "../../server/actions/credentials.ts";
import { removeMember } from "../../server/actions/members.ts";
import { deleteOrganization } from "../../server/actions/organizations.ts";
import type { Services } from "../../server/services.ts";
import type { Caller } from "../../server/upstream/holders.ts";
import { addMember, addOrganization } from "../support/accounts.ts";
import { onEachDatabase } from "../support/databases.ts";
import { onServices, withServices } from "../support/services.ts";
import { startOidcUpstream } from "../support/upstreams/oidc_provider.ts";
import { connect, run, someone } from "./connection_support.ts";
import { connectAt, type Seat, seat } from "./credential_authorizing_support.ts";

/** The headers with which a person's calls go out now. */
async function headersOf(
  services: Services,
  at: Seat,
  connectionId: string,
): Promise<Record<string, string>> {
  const caller = at.actor as Caller;
  const peer = await services.upstream.peerFor(connectionId, caller.organizationId, caller);
  return { ...Object.fromEntries(peer?.headers ?? []), accept: "application/json" };
}

async function statusAt(url: string, headers: Record<string, string>): Promise<number> {
  const response = await fetch(url, { method: "POST", headers, body: "{}" });
  await response.body?.cancel();
  return response.status;
}

onEachDatabase(
  "credentials: what goes with a person, a connection or an organization is given back",
  async (_t, url) => {
    await using upstream = await startOidcUpstream();
    await withServices(url, async (services) => {
      const ann = seat(await someone(services));
      const { organizationId } = ann.actor;
      assert.ok(organizationId);
      const data = { title: "Wiki", connection_url: upstream.mcpUrl, credential_mode: "per_user" };
      const { id: connectionId } = await connect(services, ann.actor, data);
      const join = async () => {
        const bob = seat(await someone(services, ["user"], organizationId));
        await connectAt(services, bob, { upstream, connectionId, account: bob.actor.userId });
        const headers = await headersOf(services, bob, connectionId);
        assert.notEqual(await statusAt(upstream.mcpUrl, headers), 401);
        return { bob, headers };
      };
      const [leaver, stays] = [await join(), await join()];
      await run(services, ann.actor, [removeMember, { memberIdOrEmail: leaver.bob.actor.email }]);
      assert.equal(await statusAt(upstream.mcpUrl, leaver.headers), 401);
      assert.notEqual(await statusAt(upstream.mcpUrl, stays.headers), 401);

      await run(services, ann.actor, [deleteConnection, { id: connectionId }]);
      assert.equal(await statusAt(upstream.mcpUrl, stays.headers), 401);

      const shared = await connect(services, ann.actor, { ...data, credential_mode: "shared" });
      await connectAt(services, ann, { upstream, connectionId: shared.id, account: "ann" });
      const headers = await headersOf(services, ann, shared.id);
      assert.notEqual(await statusAt(upstream.mcpUrl, headers), 401);
      const other = await addOrganization(services.db, "Southwind");
      await addMember(services.db, other.id, { userId: ann.actor.userId, roles: ["owner"] });
      await run(services, ann.actor, [deleteOrganization, { id: organizationId }]);
      assert.equal(await statusAt(upstream.mcpUrl, headers), 401);
      assert.deepEqual(await services.db.selectFrom("upstream_credentials").selectAll().execute(), []);
    });
  },
);

onServices(
  "credentials: a server that does not answer does not keep anybody from disconnecting",
  async (services) => {
    await using upstream = await startOidcUpstream();
    const ann = seat(await someone(services));
    const data = { title: "Wiki", connection_url: upstream.mcpUrl, credential_mode: "per_user" };
    const { id: connectionId } = await connect(services, ann.actor, data);
    for (const trouble of [true, 503]) {
      await connectAt(services, ann, { upstream, connectionId });
      upstream.setDown(trouble);
      assert.ok((await run(services, ann.actor, [deleteCredential, { connectionId }])).success);
      upstream.setDown(false);
    }
    // One that takes the connection and then says nothing.
    await connectAt(services, ann, { upstream, connectionId });
    const silent = createServer(() => {});
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    const { port } = silent.address() as { port: number };
    const { outbound } = services;
    const slow = {
      target: outbound.target.bind(outbound),
      fetch: (_: unknown, init: RequestInit) => outbound.fetch(`http://127.0.0.1:${port}/`, init),
    };
    const stuck = Object.freeze({ ...services, outbound: slow as typeof outbound });
    assert.ok((await run(stuck, ann.actor, [deleteCredential, { connectionId }])).success);
    silent.closeAllConnections();
    await new Promise((resolve) => silent.close(resolve));
  },
);
