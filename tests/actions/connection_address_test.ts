import assert from "node:assert/strict";
import { listConnectionUsage } from "../../server/actions/connection_usage.ts";
import { getConnection, listConnections, updateConnection } from "../../server/actions/connections.ts";
import { listCredentials } from "../../server/actions/credentials.ts";
import * as auditLog from "../../server/storage/audit_log.ts";
import * as connections from "../../server/storage/connections.ts";
import { onEachDatabase } from "../support/databases.ts";
import { withServices } from "../support/services.ts";
import { startFixture } from "../support/upstreams.ts";
import { connect, refused, run, someone } from "./connection_support.ts";

const known = "blue-otter-of-the-north";

onEachDatabase("connections: a secret in the address is sealed, used, and never shown", async (_t, url) => {
  const asked: string[] = [];
  await using upstream = await startFixture({
    guard: (request) => {
      asked.push(request.url);
      return Promise.resolve(undefined);
    },
  });
  await withServices(url, async (services) => {
    const ann = await someone(services);
    const member = await someone(services, ["user"], ann.organizationId);
    const given = `${upstream.url}?apiKey=${known}`;
    const shown = `${upstream.url}?apiKey=***`;
    const made = await connect(services, ann, { connection_url: given, credential_mode: "per_user" });
    assert.deepEqual([made.connection_url, made.status], [shown, "active"]);
    assert.ok(asked.length > 0 && asked.every((url) => url === given), asked.join("\n"));

    const row = await connections.find(services.db, ann.organizationId, made.id);
    assert.ok(row && !JSON.stringify(row).includes(known));
    const target = await services.upstream.target(ann.organizationId, made.id);
    assert.equal(target?.url, given);

    // Nor can it be found out by asking which addresses hold what.
    const guess = { field: ["connection_url"], operator: "contains", value: "apiKey=blue" };
    const found = await run(services, member, [listConnections, { where: guess }]);
    assert.equal(found.totalCount, 0);
    const searched = await run(services, member, [listConnectionUsage, { search: "blue-otter" }]);
    assert.equal(searched.totalCount, 0);
    const read = [
      await run(services, member, [getConnection, { id: made.id }]),
      await run(services, member, [listConnections, {}]),
      await run(services, member, [listConnectionUsage, {}]),
      await run(services, member, [listCredentials, {}]),
    ];
    for (const answer of read) {
      assert.ok(JSON.stringify(answer).includes("apiKey=***") && !JSON.stringify(answer).includes(known));
    }

    await services.audit.flush();
    const rows = await auditLog.list(services.db, ann.organizationId, { filter: {}, limit: 100, offset: 0 });
    assert.ok(rows.length > 0 && !JSON.stringify(rows).includes(known));
  });
});

onEachDatabase("connections: an address that was read and is sent back keeps its secret", async (_t, url) => {
  await using upstream = await startFixture();
  await withServices(url, async (services) => {
    const ann = await someone(services);
    const given = `${upstream.url}?apiKey=${known}`;
    const { id, connection_url: shown } = await connect(services, ann, { connection_url: given });
    const address = async () => (await services.upstream.target(ann.organizationId, id))?.url;
    const update = (connection_url: string) =>
      run(services, ann, [updateConnection, { id, data: { title: "Renamed", connection_url } }]);

    await update(shown ?? "");
    assert.equal(await address(), given);
    // A mask is no secret of another address, as whoever may change this one must not learn it so.
    const elsewhere = [
      "http://127.0.0.1:1/mcp?apiKey=***",
      `${upstream.url}/other?apiKey=***`,
      `${shown}&a=1`,
    ];
    for (const other of elsewhere) {
      await refused(update(other), "invalid", /stands for a secret of the stored address/);
      assert.equal(await address(), given);
    }
    await refused(connect(services, ann, { connection_url: shown }), "invalid", /stands for a secret/);

    const { item } = await update(`${upstream.url}?apiKey=another-${known}`);
    assert.equal(item?.connection_url, shown);
    assert.equal(await address(), `${upstream.url}?apiKey=another-${known}`);
    const { item: plain } = await update(upstream.url);
    assert.equal(plain?.connection_url, upstream.url);
    const row = await connections.find(services.db, ann.organizationId, id);
    assert.equal(row?.sealed_url, null, "there is nothing left to keep");
  });
});
