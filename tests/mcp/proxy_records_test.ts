// A client that has its whole answer has its row on disk.
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { behaviours, startHostile } from "../support/upstreams.ts";
import { legacy, type Mesh, modern, post, replying, resultFor, rowsOf, site, withMesh } from "./support.ts";

/** The text of every file of the journal, read without giving anything else a turn. */
function journalOf({ dataDir }: Mesh): string {
  let text = "";
  const folders = [`${dataDir}/journal`];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    for (const entry of Deno.readDirSync(folder)) {
      const path = `${folder}/${entry.name}`;
      if (entry.isDirectory) folders.push(path);
      else text += Deno.readTextFileSync(path);
    }
  }
  return text;
}

/** True where the row of a client is in the journal or has left that for the database, at this very moment. */
function isRecorded(mesh: Mesh, userAgent: string): boolean {
  if (journalOf(mesh).includes(userAgent)) return true;
  const database = new DatabaseSync(`${mesh.dataDir}/mesh.db`, { readOnly: true });
  try {
    return database.prepare("select 1 from audit_log where user_agent = ?").get(userAgent) !== undefined;
  } finally {
    database.close();
  }
}

/** Calls and, at the very moment when the answer is whole, says whether its row is written. */
async function recordedWith(
  mesh: Mesh,
  [to, sent]: Parameters<typeof post>,
  whole = /"end":true\}/,
): Promise<boolean> {
  const userAgent = crypto.randomUUID();
  const response = await post(to, sent, { headers: { "user-agent": userAgent } });
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk, { stream: true });
    if (whole.test(text.slice(-200))) return isRecorded(mesh, userAgent);
  }
  throw new Error(`The answer was never whole: ${text.slice(-200)}`);
}

const long = "x".repeat(600_000);
const call = { name: "echo", arguments: { a: 1 } };

const forms: [name: string, make: Parameters<typeof replying>[0]][] = [
  ["JSON", (request) => ({ body: resultFor(request, { end: true }) })],
  ["long JSON", (request) => ({ body: resultFor(request, { long, end: true }) })],
  [
    "events",
    (request) => ({ type: "text/event-stream", body: `data: ${resultFor(request, { end: true })}\n\n` }),
  ],
  ["a long event", (request) => ({
    type: "text/event-stream",
    body: `: hello\n\ndata: ${resultFor(request, { long: long + long, end: true })}\n\n`,
  })],
];

for (const [name, make] of forms) {
  Deno.test(`an answer that is whole is recorded: ${name}`, async () => {
    await using upstream = startHostile(replying(make));
    await withMesh(async (mesh) => {
      const to = await site(mesh, upstream.url);
      for (const era of [legacy, modern]) {
        for (let round = 0; round < 5; round++) {
          assert.equal(await recordedWith(mesh, [to, era("tools/call", call)]), true);
        }
      }
      const outcomes = (await rowsOf(mesh, to)).map(({ outcome }) => outcome);
      assert.deepEqual(outcomes, Array(10).fill("ok"));
    });
  });
}

Deno.test("an answer that is whole is recorded: a stream that stays open after it", async () => {
  await using upstream = startHostile(async ({ request, send, closed }) => {
    await send("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n: hello\n\n");
    await send(`data: ${resultFor(request, { end: true })}\n\n`);
    await closed;
  });
  await withMesh(async (mesh) => {
    const to = await site(mesh, upstream.url);
    for (let round = 0; round < 5; round++) {
      assert.equal(await recordedWith(mesh, [to, modern("tools/call", call)]), true);
    }
    assert.deepEqual((await rowsOf(mesh, to)).map(({ outcome }) => outcome), Array(5).fill("ok"));
  });
});

Deno.test("denials, failures and answers of a filter are recorded before they are told", async () => {
  await using upstream = startHostile(behaviours.good);
  await withMesh(async (mesh) => {
    const to = await site(mesh, upstream.url);
    const key = await mesh.key(to.person, { [to.connectionId]: ["echo"] });
    const denied = legacy("tools/call", { name: "rm" });
    assert.equal(await recordedWith(mesh, [{ ...to, key }, denied], /\}$/), true);
    upstream.behave(behaviours.garbage);
    assert.equal(await recordedWith(mesh, [{ ...to, key }, legacy("tools/list")], /\}$/), true);
    assert.deepEqual((await rowsOf(mesh, to)).map(({ method, outcome }) => [method, outcome]), [
      ["tools/list", "failed"],
      ["tools/call", "denied"],
    ]);
  });
});

Deno.test("a row says who called what, with what and how it went", async () => {
  const usage = { content: [{ type: "text", text: "no" }], isError: true };
  await using upstream = startHostile(replying((request) => ({ body: resultFor(request, usage) })));
  await withMesh(async (mesh) => {
    const to = await site(mesh, upstream.url, { title: "Files" });
    const sent = legacy("tools/call", { name: "read", arguments: { path: "/ä", password: "hunter2" } });
    const response = await post(to, sent, { headers: { "user-agent": "agent/1" } });
    const body = await response.text();
    const [row, ...others] = await rowsOf(mesh, to);
    assert.deepEqual(others, []);
    const expected = {
      organizationId: to.person.organizationId,
      connectionId: to.connectionId,
      connectionTitle: "Files",
      toolName: "read",
      method: "tools/call",
      input: { path: "/ä", password: "***" },
      output: usage,
      isError: true,
      outcome: "failed",
      errorMessage: "no",
      userId: to.person.userId,
      userAgent: "agent/1",
      upstreamStatus: 200,
      requestBytes: new TextEncoder().encode(sent.body).length,
      responseBytes: new TextEncoder().encode(body).length,
    };
    const found = Object.fromEntries(
      Object.keys(expected).map((name) => [name, row?.[name as keyof typeof row]]),
    );
    assert.deepEqual(found, expected);
    assert.match(row?.keyId ?? "", /^key_/);
    assert.ok((row?.durationMs ?? 0) > 0);
  });
});

Deno.test("what is no call leaves no row unless it fails", async () => {
  await using upstream = startHostile(behaviours.good);
  await withMesh(async (mesh) => {
    const to = await site(mesh, upstream.url);
    const quiet = [
      legacy("initialize", {}),
      legacy("notifications/initialized", undefined, { id: null }),
      legacy("tools/list"),
      legacy("ping"),
      modern("server/discover"),
    ];
    for (const sent of quiet) await (await post(to, sent)).text();
    upstream.behave(replying(() => ({ status: "400 Bad Request" }))); // an older server, asked for its era (X03)
    await (await post(to, modern("server/discover"))).text();
    upstream.behave(behaviours.good);
    assert.deepEqual(await rowsOf(mesh, to), []);
    for (const method of ["prompts/get", "resources/read", "something/new"]) {
      await (await post(to, legacy(method, { name: "n", uri: "a:b" }))).text();
    }
    const rows = await rowsOf(mesh, to);
    assert.deepEqual(rows.map(({ method, toolName, input }) => [method, toolName, input]), [
      ["something/new", "*", null],
      ["resources/read", "resource:a:b", { uri: "a:b" }],
      ["prompts/get", "prompt:n", null],
    ]);
    upstream.behave(behaviours.serverError);
    for (const sent of quiet) await (await post(to, sent)).text();
    const failed = (await rowsOf(mesh, to)).filter(({ outcome }) => outcome === "failed");
    assert.deepEqual(failed.map(({ method }) => method).sort(), [
      "initialize",
      "ping",
      "server/discover",
      "tools/list",
    ]);
  });
});

Deno.test("an error is an error in the log, whatever status it came with", async () => {
  await using upstream = startHostile(behaviours.good);
  await withMesh(async (mesh) => {
    const to = await site(mesh, upstream.url);
    const stray = `{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"No session"}}`;
    const own = `{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"No such tool"}}`;
    for (
      const [status, body] of [["400 Bad Request", stray], ["404 Not Found", own], ["200 OK", own]] as const
    ) {
      upstream.behave(replying(() => ({ status, body })));
      const response = await post(to, legacy("tools/call", call));
      assert.equal(await response.text(), body, "it passes untouched");
    }
    assert.deepEqual((await rowsOf(mesh, to)).map(({ outcome, errorMessage }) => [outcome, errorMessage]), [
      ["failed", "No such tool"],
      ["failed", "No such tool"],
      ["failed", "No session"],
    ]);
  });
});
