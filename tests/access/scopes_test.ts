import assert from "node:assert/strict";
import type { Actor } from "../../server/access/actor.ts";
import { scopeToAsk } from "../../server/access/scopes.ts";

const client: Actor = {
  kind: "token",
  userId: "usr_1",
  name: "Ann",
  email: "ann@example.com",
  organizationId: "org_1",
  roles: ["user"],
  limits: { conn_1: ["echo"] },
  keyId: null,
  clientId: "client_1",
  resource: "conn_1",
};

Deno.test("a client is told what it lacks, unless that is more than a header holds", () => {
  const ask = (actions: string[]) => scopeToAsk(client, { resource: "conn_1", actions });
  assert.equal(ask(["rm"]), "mcp mcp:echo mcp:rm");
  assert.equal(ask(["echo"]), null);
  assert.equal(ask(["r".repeat(10_000_000)]), null);
});
