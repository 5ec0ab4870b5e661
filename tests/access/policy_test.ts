import assert from "node:assert/strict";
import type { Actor } from "../../server/access/actor.ts";
import { can, canReach, covers, isManager, mayGrant, toolAction } from "../../server/access/policy.ts";
import { type Permissions, readOnlyManagement } from "../../server/access/roles.ts";

function person(roles: string[]): Actor {
  return {
    kind: "session",
    userId: "usr_1",
    name: "Ann",
    email: "ann@example.com",
    organizationId: "org_1",
    roles,
    limits: null,
    keyId: null,
    clientId: null,
    resource: null,
  };
}

function key(limits: Permissions, roles = ["owner"]): Actor {
  return { ...person(roles), kind: "key", keyId: "key_1", limits };
}

Deno.test("what each role may do", () => {
  const table: [role: string, resource: string, action: string, allowed: boolean][] = [
    ["owner", "self", "ORGANIZATION_DELETE", true],
    ["owner", "conn_1", "any tool", true],
    ["admin", "self", "ORGANIZATION_UPDATE", true],
    ["admin", "self", "ORGANIZATION_CREATE", true],
    ["admin", "self", "ORGANIZATION_DELETE", false],
    ["admin", "conn_1", "ORGANIZATION_DELETE", true], // an upstream's tool of the same name
    ["user", "self", "COLLECTION_CONNECTIONS_LIST", true],
    ["user", "self", "COLLECTION_CONNECTIONS_GET", true],
    ["user", "self", "MONITORING_STATS", true],
    ["user", "self", "API_KEY_CREATE", true],
    ["user", "self", "API_KEY_DELETE", true],
    ["user", "self", "CREDENTIAL_SET", true],
    ["user", "self", "CREDENTIAL_AUTHORIZE", true],
    ["user", "self", "COLLECTION_CONNECTIONS_CREATE", false],
    ["user", "self", "COLLECTION_CONNECTIONS_UPDATE", false],
    ["user", "self", "CONNECTION_CONFIGURE", false],
    ["user", "self", "ORGANIZATION_CREATE", false],
    ["user", "self", "ORGANIZATION_UPDATE", false],
    ["user", "self", "ORGANIZATION_MEMBER_ADD", false],
    ["user", "self", "ORGANIZATION_MEMBER_UPDATE_ROLE", false],
    ["user", "conn_1", "any tool", true],
    ["user", "gw_1", "any tool", true],
    ["user", "*", "anything", false],
    ["nobody knows it", "self", "ORGANIZATION_GET", false],
    ["constructor", "self", "ORGANIZATION_GET", false],
  ];
  for (const [role, resource, action, allowed] of table) {
    assert.equal(can(person([role]), resource, action), allowed, `${role} ${resource} ${action}`);
  }
  assert.equal(can(person([]), "self", "ORGANIZATION_GET"), false);
  assert.equal(can(person(["user", "owner"]), "self", "ORGANIZATION_DELETE"), true);
  assert.equal(can(person(["admin", "user"]), "self", "ORGANIZATION_DELETE"), false);
});

Deno.test("a key's power is the intersection of its own and its owner's", () => {
  const table: [limits: Permissions, resource: string, action: string, allowed: boolean][] = [
    [{}, "self", "ORGANIZATION_GET", false],
    [readOnlyManagement, "self", "ORGANIZATION_GET", true],
    [readOnlyManagement, "self", "API_KEY_CREATE", false],
    [readOnlyManagement, "conn_1", "x_GET", false],
    [{ conn_1: ["read"] }, "conn_1", "read", true],
    [{ conn_1: ["read"] }, "conn_1", "write", false],
    [{ conn_1: ["read"] }, "conn_2", "read", false],
    [{ conn_1: ["read"] }, "conn_1", "prompt:read", false],
    [{ conn_1: ["*"] }, "conn_1", "prompt:read", true],
    [{ conn_1: ["*"] }, "self", "ORGANIZATION_GET", false],
    [{ "*": ["read"] }, "conn_2", "read", true],
    [{ "conn_*": ["read"] }, "conn_2", "read", true],
    [{ "conn_*": ["read"] }, "gw_2", "read", false],
    [{ "conn_*": ["*"] }, "self", "ORGANIZATION_GET", false],
    [{ conn_1: ["re*"] }, "conn_1", "read", false], // a tool name is literal
    [{ conn_1: ["re*"] }, "conn_1", "re*", true],
    [{ conn_1: ["prompt:a*z"] }, "conn_1", "prompt:az", true],
    [{ conn_1: ["prompt:a*z"] }, "conn_1", "prompt:ab", false],
    [{ conn_1: ["resource:file:///a/*"] }, "conn_1", "resource:file:///a/b", true],
    [{ conn_1: ["resource:file:///a/*"] }, "conn_1", "resource:file:///b", false],
    [{ conn_1: ["resource:*x*x*"] }, "conn_1", "resource:x", false],
    [{ conn_1: ["resource:*x*x*"] }, "conn_1", "resource:axbxc", true],
    [{ self: ["*_GET"] }, "self", "_GET", true],
    [{ self: ["*_GET"] }, "self", "ORGANIZATION_GET_ALL", false],
  ];
  for (const [limits, resource, action, allowed] of table) {
    assert.equal(
      can(key(limits), resource, action),
      allowed,
      `${JSON.stringify(limits)} ${resource} ${action}`,
    );
  }
  assert.equal(can(key({ "*": ["*"] }, ["admin"]), "self", "ORGANIZATION_DELETE"), false);
  assert.equal(can(key({ "*": ["*"] }, ["user"]), "self", "ORGANIZATION_UPDATE"), false);
  assert.equal(can(key({ "*": ["*"] }, []), "conn_1", "read"), false);
});

Deno.test("a resource named like a property of every object is just unknown", () => {
  for (const resource of ["constructor", "__proto__", "toString", "hasOwnProperty", "", "_", "conn"]) {
    assert.equal(can(key({ conn_1: ["*"] }), resource, "read"), false, resource);
    assert.equal(canReach(key({ conn_1: ["*"] }), resource), false, resource);
  }
});

Deno.test("a connection is reached where anything of it is allowed", () => {
  assert.equal(canReach(key({ conn_1: ["read"] }), "conn_1"), true);
  assert.equal(canReach(key({ conn_1: [] }), "conn_1"), false);
  assert.equal(canReach(key(readOnlyManagement), "conn_1"), false);
  assert.equal(canReach(key({ "*": ["read"] }), "conn_1"), true);
  assert.equal(canReach(person(["user"]), "conn_1"), true);
  assert.equal(canReach(person([]), "conn_1"), false);
});

Deno.test("a key makes no key that can do more than itself", () => {
  const table: [limits: Permissions, wanted: Permissions, allowed: boolean][] = [
    [{ conn_1: ["read"] }, {}, true],
    [{ conn_1: ["read"] }, { conn_1: ["read"] }, true],
    [{ conn_1: ["read"] }, { conn_1: ["read", "write"] }, false],
    [{ conn_1: ["read"] }, { conn_1: ["*"] }, false],
    [{ conn_1: ["*"] }, { conn_1: ["*"] }, true],
    [{ conn_1: ["*"] }, { conn_2: ["read"] }, false],
    [{ conn_1: ["*"] }, { "conn_*": ["read"] }, false],
    [{ conn_1: ["*"] }, { "*": ["read"] }, false],
    [{ "conn_*": ["*"] }, { conn_1: ["read"] }, true],
    [{ "conn_*": ["*"] }, { "conn_*": ["*"] }, true],
    [{ "conn_*": ["*"] }, { "gw_*": ["*"] }, false],
    [{ "*": ["*"] }, { self: ["*"], "conn_*": ["*"], "*": ["*"] }, true],
    [{ self: ["*_GET"] }, { self: ["*_GET", "ORGANIZATION_GET", "ORGANIZATION_*_GET"] }, true],
    [{ self: ["*_GET"] }, { self: ["*"] }, false],
    [{ self: ["*_GET"] }, { self: ["*GET"] }, false],
    [{ self: ["*_GET"] }, { conn_1: ["*_GET"] }, false],
    [{ conn_1: ["*_GET"] }, { self: ["*_GET"] }, false],
    [{ conn_1: ["prompt:a*"] }, { conn_1: ["prompt:ab*", "prompt:a*"] }, true],
    [{ conn_1: ["prompt:a*"] }, { conn_1: ["prompt:*"] }, false],
    [{ conn_1: ["prompt:*"] }, { conn_1: ["resource:*"] }, false],
    [{ "*": ["A*"] }, { self: ["AB"] }, true],
    [{ "*": ["A*"] }, { conn_1: ["AB"] }, false],
    [{ conn_1: ["read"] }, readOnlyManagement, false],
  ];
  for (const [limits, wanted, allowed] of table) {
    const name = `${JSON.stringify(limits)} ${JSON.stringify(wanted)}`;
    assert.equal(mayGrant(key(limits), wanted), allowed, name);
    assert.equal(covers(limits, wanted), allowed, name);
  }
  assert.equal(mayGrant(person(["user"]), { "*": ["*"] }), true);
});

Deno.test("a wildcard never grants what its owner could not call", () => {
  // What is granted by a wider entry holds for every action that the narrower one matches.
  const limits = { self: ["A*C"], conn_1: ["prompt:a*c"] };
  for (const action of ["A*C", "AXC", "A*XC", "AX*C", "AC"]) {
    assert.equal(covers(limits, { self: [action] }), true, action);
    assert.equal(can(key(limits), "self", action.replaceAll("*", "QQ")), true, action);
  }
  for (const action of ["A*", "*C", "*", "A*CX", "XA*C"]) {
    assert.equal(covers(limits, { self: [action] }), false, action);
  }
});

Deno.test("owners and admins manage the organization", () => {
  assert.equal(isManager(person(["owner"])), true);
  assert.equal(isManager(person(["user", "admin"])), true);
  assert.equal(isManager(person(["user"])), false);
});

Deno.test("a tool that is named like a prompt's or resource's action takes everything", () => {
  assert.deepEqual(["read", "prompts", "prompt:x", "resource:"].map(toolAction), [
    "read",
    "prompts",
    "*",
    "*",
  ]);
});
