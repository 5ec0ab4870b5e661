import assert from "node:assert/strict";
import type { Action } from "../../server/actions/action.ts";
import { getLog } from "../../server/actions/audit_log.ts";
import { listConnectionUsage } from "../../server/actions/connection_usage.ts";
import { testConnection } from "../../server/actions/connection_use.ts";
import { deleteConnection, getConnection, listConnections } from "../../server/actions/connections.ts";
import { onEachDatabase } from "../support/databases.ts";
import { company, refusal, run } from "../support/people.ts";
import { withServices } from "../support/services.ts";

onEachDatabase("ids that no database holds are those of nothing", async (_t, url) => {
  await withServices(url, async (services) => {
    const { owner } = await company(services, "Blue");
    for (const id of ["conn_\0", "\ud800", "conn_%", "' or 1=1"]) {
      assert.deepEqual(await run(services, owner, { action: getConnection, input: { id } }), { item: null });
      for (const action of [testConnection, deleteConnection] as readonly Action[]) {
        const { code } = await refusal(run(services, owner, { action, input: { id } }));
        assert.equal(code, "not_found", action.name);
      }
      const { code } = await refusal(run(services, owner, { action: getLog, input: { id } }));
      assert.equal(code, "not_found");
      const used = await refusal(run(services, owner, { action: listConnectionUsage, input: { ids: [id] } }));
      assert.equal(used.code, "invalid");
    }
    const listed = await run(services, owner, { action: listConnections, input: { binding: "\ud800" } });
    assert.equal(listed.totalCount, 0);
    for (const binding of ["\0", ["a", { name: "b\0" }]]) {
      const { code } = await refusal(run(services, owner, { action: listConnections, input: { binding } }));
      assert.equal(code, "invalid");
    }
  });
});
