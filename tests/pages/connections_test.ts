import assert from "node:assert/strict";
import { addConnection } from "../support/connections.ts";
import { behaviours, startFixture, startHostile } from "../support/upstreams.ts";
import { type Answer, leads, onMesh, setUp, signedIn } from "./support.ts";

/** The titles of the rows, top to bottom. */
function titles({ html }: Answer): string[] {
  return [...html.matchAll(/class="row-link" href="\/connections\/[^"]+">([^<]+)</g)].map(([, title = ""]) =>
    title
  );
}

onMesh("connections: search, status, order and paging live in the address", async (mesh) => {
  const person = await mesh.organization();
  const { db } = mesh.services;
  const { organizationId } = person;
  for (let i = 0; i < 55; i++) {
    const title = `Server ${String(i).padStart(2, "0")}`;
    await addConnection(db, organizationId, { url: `https://s${i}.example/mcp`, title });
  }
  const quiet = await addConnection(db, organizationId, {
    url: "https://heron.example/mcp",
    title: "a <b>quiet</b> 100%",
  });
  await db.updateTable("connections").set({ status: "inactive", created_at: Date.now() + 1000 }).where(
    "id",
    "=",
    quiet,
  ).execute();
  const visitor = await signedIn(mesh, person);

  const first = await visitor.get("/connections?sort=title");
  assert.equal(titles(first).length, 50);
  assert.match(first.html, /1–50 of 56/);
  assert.match(first.html, /&lt;b&gt;quiet&lt;\/b&gt;/, "titles are text");
  const second = await visitor.get("/connections?sort=title&page=2");
  assert.deepEqual([titles(second).length, titles(second)[0], titles(second).at(-1)], [
    6,
    "Server 49",
    "Server 54",
  ]);
  assert.match(second.html, /href="\/connections\?sort=title"[^>]*>‹ Previous/);

  assert.deepEqual(titles(await visitor.get("/connections?q=SERVER+07")), ["Server 07"]);
  assert.deepEqual(titles(await visitor.get("/connections?q=s7.example")), ["Server 07"], "by its URL");
  assert.equal(titles(await visitor.get("/connections?q=100%25")).length, 1, "% is no wildcard");
  assert.equal(titles(await visitor.get("/connections?q=_erver")).length, 0);
  assert.equal(titles(await visitor.get("/connections?status=inactive")).length, 1);
  assert.equal(titles(await visitor.get("/connections?sort=created"))[0], "a &lt;b&gt;quiet&lt;/b&gt; 100%");
  for (const odd of ["page=0", "page=x", "page=-1", "sort=drop", "status=%27", "page=99999999", "q=%00"]) {
    const answer = await visitor.get(`/connections?${odd}`);
    assert.ok([200, 422].includes(answer.status), `${odd}: ${answer.status}`);
  }
  const part = await visitor.get("/connections?q=server+0", { "hx-request": "true" });
  assert.match(part.html, /^<div id="connection-rows"/);
  assert.equal(part.headers.get("vary"), "HX-Request");
  assert.equal((await visitor.get("/connections")).headers.get("vary"), "HX-Request");
});

onMesh(
  "connections: the most used come first, with their figures; a user sees their own use",
  async (mesh) => {
    await using fixture = await startFixture();
    const owner = await setUp(mesh);
    const add = async (title: string) =>
      leads(await owner.post("/connections", { url: fixture.url, title }), /^\/connections\/conn_/);
    await add("Rare");
    const often = await add("Often");
    await add("Never");
    for (const [path, times] of [[often, 3]] as const) {
      for (let i = 0; i < times; i++) {
        await owner.post(`${path}/run`, {
          tool: "test_simple_text",
          action: "run",
        });
      }
    }
    const list = await owner.get("/connections");
    assert.equal(titles(list)[0], "Often");
    assert.match(list.text, /Often http:\S+ Healthy 4\d (<1|\d+) ms 3 /);
    assert.match(list.html, /Calls a day, oldest first: 0, 0, 0, 0, 0, 0, 3/);
    const { organizationId } = await mesh.services.db.selectFrom("members")
      .select("organization_id as organizationId").executeTakeFirstOrThrow();
    const user = await signedIn(mesh, await mesh.member(organizationId, ["user"]));
    const theirs = await user.get("/connections");
    assert.match(theirs.text, /Often http:\S+ Healthy 4\d – 0 /);
    assert.doesNotMatch(theirs.text, /New connection/);
  },
);

onMesh("connections: made, found wrong, mended, switched off and deleted", async (mesh) => {
  await using fixture = await startFixture({ authorization: "Bearer quiet-heron" });
  const visitor = await setUp(mesh);
  const path = leads(await visitor.post("/connections", { url: fixture.url }), /^\/connections\/conn_\w+$/);
  const page = await visitor.get(path);
  assert.match(page.text, /127\.0\.0\.1:\d+ is added, but it does not answer as it should yet/);
  assert.match(page.text, /asks for a credential \(401\)/);
  const test = await visitor.post(`${path}/test`);
  assert.match(test.text, /It answers over HTTP : passed .*It accepts the credentials : failed/);

  const wrong = await visitor.post(`${path}/credentials`, { token: "wrong" });
  leads(wrong, `${path}/credentials`);
  assert.match(
    (await visitor.get(`${path}/credentials`)).text,
    /saved, but 127\.0\.0\.1:\d+ does not answer/,
  );
  leads(
    await visitor.post(`${path}/credentials`, { token: "quiet-heron", headers: "X-Team: north\nX-Area: b" }),
    /credentials$/,
  );
  const credentials = await visitor.get(`${path}/credentials`);
  assert.match(credentials.text, /The changes are saved\./);
  assert.match(credentials.text, /Remove X-Team/);
  assert.doesNotMatch(credentials.html, /quiet-heron|north/, "what was stored is never shown");
  await visitor.post(`${path}/run`, { tool: "whoami", action: "run" });
  assert.equal(fixture.seen.at(-1)?.headers["x-team"], "north");
  assert.equal(fixture.seen.at(-1)?.headers.authorization, "Bearer quiet-heron");

  leads(
    await visitor.post(`${path}/credentials`, { remove_header: "X-Team", headers: "x-area: c" }),
    /credentials$/,
  );
  await visitor.post(`${path}/run`, { tool: "whoami", action: "run" });
  const seen = fixture.seen.at(-1)?.headers ?? {};
  assert.deepEqual([seen["x-team"], seen["x-area"]], [undefined, "c"]);

  const settings = { title: "Fixture", description: "For tests", url: fixture.url };
  leads(await visitor.post(`${path}/settings`, { ...settings, status: "inactive" }), `${path}/settings`);
  assert.match((await visitor.get(path)).text, /This connection is off/);
  assert.match(
    (await visitor.post(`${path}/run`, { tool: "whoami", action: "run" })).text,
    /is switched off/,
  );
  leads(await visitor.post(`${path}/settings`, { ...settings, status: "active" }), `${path}/settings`);
  assert.match((await visitor.get(path)).text, /Healthy/);

  const confirm = await visitor.get(`${path}/delete`);
  assert.match(confirm.text, /Delete connection “Fixture” .*It was called 3 times in the last 7 days/);
  leads(await visitor.post(`${path}/delete`), "/connections");
  assert.match((await visitor.get("/connections")).text, /Fixture is deleted/);
  assert.equal((await visitor.get(path)).status, 404);
});

onMesh(
  "connections: a secret in the address is a mask in the form, and stays when that is sent",
  async (mesh) => {
    await using upstream = startHostile(behaviours.good);
    const visitor = await setUp(mesh);
    const path = leads(
      await visitor.post("/connections", { url: `${upstream.url}?apiKey=blue-otter`, title: "Keyed" }),
      /^\/connections\//,
    );
    const settings = await visitor.get(`${path}/settings`);
    assert.match(settings.html, /value="[^"]*\?apiKey=\*\*\*"/);
    assert.match(settings.text, /it stays while the rest does/);
    leads(
      await visitor.post(`${path}/settings`, {
        title: "Kept",
        url: `${upstream.url}?apiKey=***`,
        status: "active",
      }),
      `${path}/settings`,
    );
    const { organization_id, id } = await mesh.services.db.selectFrom("connections").selectAll()
      .where("title", "=", "Kept").executeTakeFirstOrThrow();
    const target = await mesh.services.upstream.target(organization_id, id);
    assert.equal(target?.url, `${upstream.url}?apiKey=blue-otter`);
    const moved = await visitor.post(`${path}/settings`, {
      title: "Kept",
      url: `${upstream.url}/b?apiKey=***`,
    });
    assert.equal(moved.status, 422);
    assert.match(moved.text, /give the whole address anew/);
    for (const page of ["/", "/connections", path, `${path}/settings`, `${path}/connect`, "/log"]) {
      assert.doesNotMatch((await visitor.get(page)).html, /blue-otter/, page);
    }
  },
);

onMesh("connections: what a hostile server lists is shown as text", async (mesh) => {
  const html = "<img src=x onerror=alert(1)>";
  await using upstream = startHostile(behaviours.good);
  const visitor = await setUp(mesh);
  const path = leads(
    await visitor.post("/connections", { url: upstream.url, title: html }),
    /^\/connections\//,
  );
  const id = path.split("/").at(-1) ?? "";
  const odd = [{
    name: html,
    inputSchema: { type: "object", properties: { [html]: { description: html, enum: [html] } } },
  }];
  await mesh.services.db.updateTable("connections").set({
    tools: JSON.stringify(odd),
    resources: JSON.stringify([{ uri: "javascript:alert(1)", name: html, size: "x" }, {}]),
    prompts: JSON.stringify([{ name: html, arguments: [null, { name: html }, "x"] }]),
  }).where("id", "=", id).execute();
  for (
    const page of ["", `?tool=${encodeURIComponent(html)}`, "/resources", "/prompts", "/settings", "/connect"]
  ) {
    const answer = await visitor.get(path + page);
    assert.equal(answer.status, 200, page);
    assert.doesNotMatch(answer.html, /<img src=x|href="javascript:/, page);
  }
});

onMesh(
  "import: an mcp.json is looked at first, then made as chosen; its secrets go to the vault",
  async (mesh) => {
    await using fixture = await startFixture();
    const visitor = await setUp(mesh);
    const servers = {
      linear: { url: fixture.url, headers: { "Authorization": "Bearer quiet-heron", "X-Team": "north" } },
      other: { type: "http", url: fixture.url },
      files: { command: "npx", args: ["-y", "files"] },
      broken: { url: "ftp://x" },
    };
    const json = JSON.stringify({ mcpServers: servers });
    const look = await visitor.post("/connections/import", { json, action: "preview" });
    assert.equal(look.status, 200);
    assert.match(look.text, /linear http:\S+ Authorization, X-Team Ready/);
    assert.match(look.text, /files npx -y files nothing Cannot be taken over/);
    assert.match(look.text, /Create 2 connections/);
    assert.match((await visitor.get("/connections")).text, /No connections yet/);
    const made = await visitor.post("/connections/import", { json, action: "create", server: ["linear"] });
    assert.match(made.text, /linear .*Created/);
    assert.doesNotMatch(made.html, /quiet-heron|north/);
    const list = await visitor.get("/connections");
    assert.deepEqual(titles(list), ["linear"]);
  },
);
