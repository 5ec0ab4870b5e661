import assert from "node:assert/strict";
import { perform } from "../../server/actions/action.ts";
import { listApiKeys } from "../../server/actions/api_keys.ts";
import { listConnectionUsage } from "../../server/actions/connection_usage.ts";
import { addMemberByEmail } from "../../server/actions/member_by_email.ts";
import { updateUser } from "../../server/actions/users.ts";
import { getWorkspace } from "../../server/actions/workspace.ts";
import type { Services } from "../../server/services.ts";
import { addMember, addOrganization, addUser } from "../support/accounts.ts";
import { addConnection } from "../support/connections.ts";
import { onServices } from "../support/services.ts";
import { refused, run, someone, withKey } from "./connection_support.ts";

onServices("WORKSPACE_GET: who, where, and what is there", async (services) => {
  const ann = await someone(services);
  const second = await addOrganization(services.db, "Second");
  await addMember(services.db, second.id, { userId: ann.userId, roles: ["user"] });
  await someone(services); // elsewhere
  const own = { id: ann.organizationId, name: "Northwind" };
  const workspace = await run(services, ann, [getWorkspace, {}]);
  assert.deepEqual(workspace, {
    user: { id: ann.userId, name: "Ann", email: ann.email },
    organization: own,
    organizations: [own, { id: second.id, name: "Second" }],
    role: ["owner"],
    counts: { connections: 0, members: 1, apiKeys: 0, applications: 0, needReconnect: 0 },
  });
  const key = await run(services, withKey(ann, { self: ["*_GET"] }), [getWorkspace, {}]);
  assert.deepEqual(key.organizations, [own], "a key knows of its own organization only");
  const nowhere = await run(services, { ...ann, organizationId: null, roles: [] }, [getWorkspace, {}]);
  assert.deepEqual([nowhere.organization, nowhere.counts], [null, null]);
});

onServices("USER_UPDATE: one's own name, whatever one's role", async (services) => {
  const user = await someone(services, ["user"]);
  const changed = await run(services, user, [updateUser, { name: "  Ann Other " }]);
  assert.deepEqual([changed.user.id, changed.user.name], [user.userId, "Ann Other"]);
  await refused(run(services, user, [updateUser, { name: " " }]), "invalid", /name: it is required/);
  await refused(run(services, user, [updateUser, { name: "a\nb" }]), "invalid", /control characters/);
});

onServices(
  "ORGANIZATION_MEMBER_ADD_BY_EMAIL: somebody who has an account, by those who manage",
  async (services) => {
    const owner = await someone(services);
    const admin = await someone(services, ["admin"], owner.organizationId);
    const user = await someone(services, ["user"], owner.organizationId);
    const bob = await addUser(services.db, "Bob");
    const add = (email: string, role: string[]) => [addMemberByEmail, { email, role }] as const;
    await refused(run(services, user, [...add(bob.email, ["user"])]), "forbidden", /permission/);
    await refused(run(services, admin, [...add(bob.email, ["owner"])]), "forbidden", /only an owner/);
    await refused(
      run(services, owner, [...add("x@example.com", ["user"])]),
      "invalid",
      /nobody has an account/,
    );
    await refused(run(services, owner, [...add(bob.email, [])]), "invalid", /role/);
    const { member } = await run(services, admin, [...add(` ${bob.email.toUpperCase()} `, ["user"])]);
    assert.deepEqual([member.userId, member.role, member.organizationId], [
      bob.id,
      ["user"],
      owner.organizationId,
    ]);
    await refused(run(services, owner, [...add(bob.email, ["user"])]), "conflict", /a member already/);
  },
);

onServices(
  "CONNECTION_USAGE_LIST: searches title, URL and description, within the organization",
  async (services) => {
    const ann = await someone(services, ["user"]);
    const other = await someone(services);
    const add = (organizationId: string, title: string) =>
      addConnection(services.db, organizationId, { url: `https://${title}.example/mcp`, title });
    const [one, two] = [await add(ann.organizationId, "One"), await add(ann.organizationId, "Two")];
    const foreign = await add(other.organizationId, "One");
    const list = async (input: Record<string, unknown>) =>
      (await run(services, ann, [listConnectionUsage, input])).items.map(({ id }) => id).sort();
    assert.deepEqual(await list({}), [one, two].sort());
    assert.deepEqual(await list({ search: "ONE.example" }), [one]);
    assert.deepEqual(await list({ ids: [one, foreign] }), [one]);
    assert.deepEqual(await list({ ids: [] }), []);
    assert.deepEqual(await list({ status: "error" }), []);
    await refused(run(services, ann, [listConnectionUsage, { search: "a\0" }]), "invalid", /search/);
  },
);

onServices("what a page reads to show itself leaves no row; what fails or changes does", async (services) => {
  const ann = await someone(services);
  const request = { id: "req_page", userAgent: null, viewing: true };
  const page = Object.freeze({ ...services, actor: ann, request });
  await perform(listApiKeys, page, {});
  assert.deepEqual(await rowsOf(services), []);
  await perform(updateUser, page, { name: "Ann" });
  const nobody = Object.freeze({ ...page, actor: { ...ann, roles: [] } });
  await assert.rejects(perform(listApiKeys, nobody, {}), /permission/);
  await assert.rejects(perform(listConnectionUsage, page, { limit: 0 }), /limit/);
  await perform(listApiKeys, { ...page, request: { ...request, viewing: false } }, {});
  assert.deepEqual(await rowsOf(services), [
    "API_KEY_LIST denied",
    "API_KEY_LIST ok",
    "CONNECTION_USAGE_LIST failed",
    "USER_UPDATE ok",
  ]);
});

async function rowsOf({ db, audit }: Services): Promise<string[]> {
  await audit.flush();
  const rows = await db.selectFrom("audit_log").select(["tool_name", "outcome"]).execute();
  return rows.map((row) => `${row.tool_name} ${row.outcome}`).sort();
}
