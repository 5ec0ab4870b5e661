import assert from "node:assert/strict";
import { startFixture } from "../support/upstreams.ts";
import { type Answer, leads, onMesh, setUp, signedIn, type Visitor } from "./support.ts";

async function connected(visitor: Visitor, url: string): Promise<string> {
  return leads(await visitor.post("/connections", { url, title: "Fixture" }), /^\/connections\/conn_/);
}

/** What stands below the form. */
function result({ html }: Answer): string {
  return html.slice(html.indexOf('id="result"'));
}

onMesh("tester: a form becomes arguments, the answer is shown, and the log has the call", async (mesh) => {
  await using fixture = await startFixture();
  const visitor = await setUp(mesh);
  const path = await connected(visitor, fixture.url);
  const form = { tool: "echo", mode: "form", action: "run", "arg.text": "quiet\r\nheron" };
  const answer = await visitor.post(`${path}/run`, form);
  assert.equal(answer.status, 200);
  assert.match(result(answer), /quiet\nheron/);
  assert.match(answer.html, /<textarea[^>]*name="arg.text"[^>]*>quiet\nheron<\/textarea>/);
  const log = /href="(\/activity\/log_\w+)"/.exec(result(answer))?.[1] ?? "";
  const row = await visitor.get(log);
  assert.match(row.text, /echo on Fixture/);
  assert.match(row.text, /Person Ann Larsen/);
  assert.match(row.html, /quiet\\nheron/);
  assert.match(row.html, new RegExp(`href="${path}\\?tool=echo"`), "and leads back");
});

onMesh("tester: kinds of input, content and failure", async (mesh, t) => {
  await using fixture = await startFixture();
  const visitor = await setUp(mesh);
  const path = await connected(visitor, fixture.url);
  const cases: [string, Record<string, string>, number, RegExp][] = [
    ["a number", { tool: "large_text", "arg.length": "3" }, 200, /xxx/],
    ["no number", { tool: "large_text", "arg.length": "three" }, 422, /length must be a whole number/],
    ["nothing where something is required", { tool: "large_text" }, 422, /length is required/],
    ["JSON", { tool: "echo", mode: "json", json: '{"text":"by json"}' }, 200, /by json/],
    ["no JSON", { tool: "echo", mode: "json", json: '{"text"' }, 422, /This is not JSON/],
    ["no object", { tool: "echo", mode: "json", json: "[1]" }, 422, /not a JSON object/],
    ["an image", { tool: "test_image_content" }, 200, /<img src="data:image\/png;base64,/],
    ["a resource", { tool: "test_embedded_resource" }, 200, /test:\/\/embedded-resource/],
    ["structure", { tool: "whoami" }, 200, /mcp-method/],
    ["an error of the tool", { tool: "test_error_handling" }, 200, /says that it failed.*intentionally/s],
    ["arguments that the server refuses", { tool: "echo", mode: "json", json: '{"text":1}' }, 200, /text/],
  ];
  for (const [name, form, status, expected] of cases) {
    await t.step(name, async () => {
      const answer = await visitor.post(`${path}/run`, { mode: "form", action: "run", ...form });
      assert.equal(answer.status, status, answer.text.slice(-600));
      assert.match(status === 200 ? result(answer) : answer.html, expected);
    });
  }
});

onMesh("tester: arguments change between form and JSON without being lost", async (mesh) => {
  await using fixture = await startFixture();
  const visitor = await setUp(mesh);
  const path = await connected(visitor, fixture.url);
  const json = await visitor.post(`${path}/run`, {
    tool: "echo",
    mode: "form",
    action: "as-json",
    "arg.text": 'a"b',
  });
  assert.match(json.html, /name="json"[^>]*>\{\n {2}&quot;text&quot;: &quot;a\\&quot;b&quot;\n\}</);
  const form = await visitor.post(`${path}/run`, {
    tool: "echo",
    mode: "json",
    action: "as-form",
    json: '{"text":"back"}',
  });
  assert.match(form.html, /name="arg.text"[^>]*>back</);
  assert.equal(
    fixture.seen.filter(({ body }) => body.includes("tools/call")).length,
    0,
    "nothing was called",
  );
  const curl = await visitor.post(`${path}/run`, {
    tool: "echo",
    mode: "form",
    action: "curl",
    "arg.text": "it's",
  });
  assert.match(curl.text, /curl -sS http\S+\/mcp\/conn_\w+ /);
  assert.match(curl.html, /\$MESH_API_KEY/);
  assert.doesNotMatch(curl.html, /mesh_key_/);
});

onMesh("tester: a server that is gone says so, with the connection and the stage", async (mesh) => {
  const fixture = await startFixture();
  const visitor = await setUp(mesh);
  const path = await connected(visitor, fixture.url);
  await fixture.stop();
  const answer = await visitor.post(`${path}/run`, {
    tool: "echo",
    mode: "form",
    action: "run",
    "arg.text": "x",
  });
  assert.equal(answer.status, 200);
  assert.match(result(answer), /502 in .*Fixture cannot be reached \(tcp\)/s);
  const log = /href="(\/activity\/log_\w+)"/.exec(result(answer))?.[1] ?? "";
  assert.match((await visitor.get(log)).text, /failed/);
});

onMesh("tester: an ordinary user runs tools, and is offered nothing more", async (mesh) => {
  await using fixture = await startFixture();
  const { connectionId, person } = await mesh.connect(fixture.url);
  await setUp(mesh);
  const user = await signedIn(mesh, await mesh.member(person.organizationId, ["user"]));
  const path = `/connections/${connectionId}`;
  const page = await user.get(`${path}?tool=echo`);
  assert.doesNotMatch(page.text, /Credentials|Settings Tools|Test Connect/);
  const answer = await user.post(`${path}/run`, {
    tool: "echo",
    mode: "form",
    action: "run",
    "arg.text": "mine",
  });
  assert.match(result(answer), /mine/);
  assert.match(result(answer), /open in log/);
  const curl = await user.post(`${path}/run`, {
    tool: "echo",
    mode: "form",
    action: "curl",
    "arg.text": "x",
  });
  assert.match(curl.text, /curl -sS/);
});
