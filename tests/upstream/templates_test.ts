// Templates of header values: what is filled in, what stays, and that no person's name can forge anything.
import assert from "node:assert/strict";
import { AppError } from "../../server/errors.ts";
import { checkSecrets } from "../../server/upstream/credentials.ts";
import { expand, hasTemplates, templateNames, templateProblem } from "../../server/upstream/templates.ts";

const facts = {
  user: { id: "usr_1", email: "ann+x@example.com", name: "Ann Lee", roles: ["admin", "a,b"] },
  organization: { id: "org_1", slug: "acme" },
  connection: { id: "conn_1" },
};

function filled(value: string, name = facts.user.name): string {
  const [[header, result]] = expand([["x-who", value]], { ...facts, user: { ...facts.user, name } }) as [
    [string, string],
  ];
  assert.equal(header, "x-who");
  return result;
}

Deno.test("each name is filled in, as often as it is there", () => {
  assert.equal(filled("{user.id}"), "usr_1");
  assert.equal(filled("<{user.email}> {user.name}"), "<ann+x@example.com> Ann Lee");
  assert.equal(filled("{organization.slug}/{organization.id}/{connection.id}"), "acme/org_1/conn_1");
  assert.equal(filled("{user.id}{user.id}"), "usr_1usr_1");
  assert.equal(filled("roles {user.roles}"), "roles admin,a%2Cb");
  for (const name of templateNames) {
    assert.notEqual(filled(`{${name}}`), `{${name}}`);
    assert.equal(templateProblem(`{${name}}`), null);
    assert(hasTemplates([["a", "b"], ["c", `x {${name}}`]]));
  }
});

Deno.test("no roles leave nothing, and no blank at an end", () => {
  const nobody = { ...facts, user: { ...facts.user, roles: [] } };
  assert.deepEqual(expand([["a", "{user.roles}"], ["b", "x {user.roles}"]], nobody), [["a", ""], ["b", "x"]]);
});

Deno.test("other braces stay as they are", () => {
  const values = [
    `{"a":{"b":1},"users":[]}`,
    "{}",
    "{{name}}",
    "{user}",
    "{ user.id }",
    "{User.id}",
    "{users.id}",
    "{'user.id'}",
    "${env}",
    "%7Buser.id%7D",
    "}{",
  ];
  for (const value of values) {
    assert.equal(filled(value), value);
    assert.equal(templateProblem(value), null, value);
    assert.equal(hasTemplates([["a", value]]), false, value);
  }
  const headers = [["a", values[0]!]] as const;
  assert.equal(expand(headers, facts)[0], headers[0], "untouched headers are not copied");
});

Deno.test("a doubled brace is one that is meant", () => {
  assert.equal(filled("{{user.id}"), "{user.id}");
  assert.equal(filled("{{user.anything}: {user.id}"), "{user.anything}: usr_1");
  assert.equal(filled("{{{user.id}"), "{{user.id}");
  assert.equal(templateProblem("{{user.anything}"), null);
  assert(hasTemplates([["a", "{{user.id}"]]));
});

Deno.test("what looks like a template and is none is refused when it is saved, and stays where it was saved before", () => {
  for (
    const value of ["{user.nam}", "{user.email }", "{organization.}", "{connection.url}", "{user.__proto__}"]
  ) {
    assert.match(templateProblem(value)!, /^'\{.*\}' is not known; known are \{user\.id\} \{user\.email\}/);
    assert.equal(filled(value), value);
  }
  assert.match(templateProblem("{user.id")!, /a '\{' is not closed/);
  assert.match(templateProblem("{user.id {user.id}")!, /a '\{' is not closed/);
  assert.equal(filled("{user.id {user.id}"), "{user.id usr_1");
  assert.throws(
    () => checkSecrets({ token: null, headers: { "X-Who": "{user.nam}" } }),
    (error) =>
      error instanceof AppError && error.code === "invalid" &&
      /^'\{user\.nam\}' is not known/.test(error.fields?.["data.connection_headers.headers.X-Who"] ?? ""),
  );
  checkSecrets({ token: "{user.nam}", headers: { "X-Who": "{user.name}", "X-Json": `{"user.x":1}` } });
});

Deno.test("a person's name cannot begin another header, nor another field of the same", () => {
  const names: [name: string, sent: string][] = [
    ["Ann\r\nX-Admin: 1", "Ann%0D%0AX-Admin%3A 1"],
    [`Ann", role="owner`, "Ann%22%2C role%3D%22owner"],
    ["Ann;a=b", "Ann%3Ba%3Db"],
    ["Žofie Łem 李 🙂", "%C5%BDofie %C5%81em %E6%9D%8E %F0%9F%99%82"],
    [" Ann ", "%20Ann%20"],
    ["O'Brien (CEO)!*", "O%27Brien %28CEO%29%21%2A"],
    ["100%20", "100%2520"],
    ["\ud800", "%EF%BF%BD"],
    ["{user.id}", "%7Buser.id%7D"],
    ["$& $1", "%24%26 %241"],
  ];
  for (const [name, sent] of names) {
    assert.equal(filled("{user.name}", name), sent);
    assert.equal(decodeURIComponent(sent), name.toWellFormed());
    assert.match(filled("n={user.name}, x", name), /^n=[\w%~@+. -]+, x$/);
  }
});

Deno.test("a value that grows too long is refused", () => {
  const huge = { ...facts, user: { ...facts.user, name: "é".repeat(4000) } };
  assert.throws(
    () => expand([["x-who", "{user.name}"]], huge),
    (error) => error instanceof AppError && /'x-who'/.test(error.message) && !/%C3/.test(error.message),
  );
});

Deno.test("the mesh's own token is no header for a connection to set", () => {
  assert.throws(
    () => checkSecrets({ token: null, headers: { "X-Mesh-Token": "x" } }),
    /sets this header itself/,
  );
});
