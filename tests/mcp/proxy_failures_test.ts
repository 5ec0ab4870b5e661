import assert from "node:assert/strict";
import { type Behaviour, behaviours, closedPort, startHostile } from "../support/upstreams.ts";
import {
  addConnection,
  answerOf,
  legacy,
  messagesOf,
  modern,
  post,
  replying,
  resultFor,
  rowsOf,
  site,
  withMesh,
} from "./support.ts";

interface Failure {
  what: string;
  behaviour: Behaviour;
  status: number;
  stage: string;
  message: RegExp;
  upstreamStatus: number | null;
}

const refused = { status: 502, stage: "http" };
const body = { status: 502, stage: "body", upstreamStatus: 200 };
const none = { status: 502, upstreamStatus: null };

/** What comes instead of an answer, before anything of it was passed on. */
const failures: Failure[] = [
  { what: "garbage", behaviour: behaviours.garbage, ...body, message: /answered something that is not JSON/ },
  {
    what: "a page",
    behaviour: behaviours.html,
    ...refused,
    upstreamStatus: 200,
    message: /'text\/html' instead of JSON/,
  },
  {
    what: "nothing",
    behaviour: replying(() => ({})),
    ...refused,
    upstreamStatus: 200,
    message: /answered nothing instead/,
  },
  {
    what: "no content type",
    behaviour: replying((request) => ({ type: null, body: resultFor(request, {}) })),
    ...refused,
    upstreamStatus: 200,
    message: /something without a content type/,
  },
  {
    what: "a server error",
    behaviour: behaviours.serverError,
    ...refused,
    upstreamStatus: 500,
    message: /answered POST with 500/,
  },
  {
    what: "a refusal of the credential",
    behaviour: behaviours.unauthorized,
    ...refused,
    upstreamStatus: 401,
    message: /did not accept the connection's credential \(401\)\. Ask an admin/,
  },
  {
    what: "a refusal of the right",
    behaviour: replying(() => ({ status: "403 Forbidden", body: `{"error":"no"}` })),
    ...refused,
    upstreamStatus: 403,
    message: /did not accept the connection's credential \(403\)/,
  },
  {
    what: "another's answer",
    behaviour: behaviours.foreignId,
    ...body,
    message: /not the answer to the request/,
  },
  {
    what: "an error that names no request",
    behaviour: replying(() => ({
      body: `{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"No luck"}}`,
    })),
    ...body,
    message: /No luck/,
  },
  {
    what: "a compressed body",
    behaviour: replying((request) => ({
      headers: { "content-encoding": "gzip" },
      body: resultFor(request, {}),
    })),
    ...refused,
    upstreamStatus: 200,
    message: /compressed body that nobody asked for/,
  },
  {
    what: "a closed connection",
    behaviour: behaviours.dropBeforeHeaders,
    ...none,
    stage: "headers",
    message: /closed the connection without an answer/,
  },
  {
    what: "something that is not HTTP",
    behaviour: behaviours.notHttp,
    ...none,
    stage: "headers",
    message: /Cannot reach 'Weather'/,
  },
  { what: "half a body", behaviour: behaviours.dropMidBody, ...none, stage: "body", message: /broke off/ },
  {
    what: "half a body without its length",
    behaviour: async ({ send }) =>
      void await send(
        'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{"jso',
      ),
    ...body,
    message: /broke off/,
  },
  {
    what: "JSON nested without end",
    behaviour: replying(({ message }) => ({
      body: `{"jsonrpc":"2.0","id":${message.id},"result":${"[".repeat(60_000)}${"]".repeat(60_000)}}`,
    })),
    ...body,
    message: /not JSON/,
  },
  {
    what: "500 MB",
    behaviour: behaviours.largeBody(500_000_000),
    ...body,
    message: /answered more than 67108864 bytes/,
  },
];

Deno.test("whatever an upstream does instead of answering, the error says who and where", async (t) => {
  await using upstream = startHostile(behaviours.good);
  await withMesh(async (mesh) => {
    const to = await site(mesh, upstream.url, { title: "Weather" });
    for (const { what, behaviour, status, stage, message, upstreamStatus } of failures) {
      await t.step(what, async () => {
        upstream.behave(behaviour);
        const response = await post(to, legacy("tools/call", { name: "forecast" }, { id: what }));
        const { id, error } = await response.json();
        assert.deepEqual([response.status, id, error.code], [status, what, -32603]); // G03, M15
        assert.match(error.message, /'Weather'/);
        assert.match(error.message, message);
        assert.equal(error.data.stage, stage);
        assert.equal(response.headers.get("www-authenticate"), null); // RS10
        const [row] = await rowsOf(mesh, to);
        assert.deepEqual([row?.outcome, row?.errorMessage], ["failed", error.message]);
        assert.equal(row?.upstreamStatus, upstreamStatus);
        assert.equal(row?.requestId, response.headers.get("x-request-id"));
      });
    }
    assert.equal((await rowsOf(mesh, to)).length, failures.length);
    upstream.behave(behaviours.good);
    assert.ok(
      (await answerOf(await post(to, legacy("tools/call", { name: "echo" })))).result,
      "it serves on",
    );
    await upstream.idle();
    assert.equal(mesh.services.outbound.sockets.open, 0, "and holds no socket of what failed");
    assert.ok(upstream.sentBytes < 64 * 1024 * 1024);
  });
});

Deno.test("an upstream that is not there, or may not be reached, is named with the reason", async () => {
  await withMesh(async (mesh) => {
    const to = await site(mesh, closedPort(), { title: "Gone" });
    const addresses: [url: string, stage: string, message: RegExp][] = [
      [closedPort(), "tcp", /Cannot reach 'Gone'/],
      ["http://10.1.2.3/mcp", "refused", /OUTBOUND_ALLOW/],
      ["http://169.254.169.254/latest", "refused", /169\.254\.169\.254/],
      ["http://[::ffff:10.0.0.1]/mcp", "refused", /OUTBOUND_ALLOW/],
    ];
    for (const [url, stage, message] of addresses) {
      const id = await addConnection(mesh, to.person, { url, title: "Gone" });
      const response = await post(
        { ...to, url: `${mesh.url}/mcp/${id}` },
        modern("tools/call", { name: "x" }),
      );
      const { error } = await response.json();
      assert.equal(response.status, 502);
      assert.equal(error.data.stage, stage, url);
      assert.match(error.message, message);
    }
    assert.ok((await rowsOf(mesh, to)).every(({ outcome }) => outcome === "failed"));
  });
});

Deno.test("a redirect is not followed, wherever it leads", async () => {
  await using target = startHostile(behaviours.good);
  await using upstream = startHostile(behaviours.good);
  await withMesh(async (mesh) => {
    const to = await site(mesh, upstream.url, { title: "Moved", token: "upstream-credential" });
    for (
      const location of [target.url, "http://10.0.0.1/", "http://169.254.169.254/latest/meta-data", "/other"]
    ) {
      for (const status of ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"]) {
        upstream.behave(behaviours.redirectTo(location, status));
        const response = await post(to, legacy("tools/call", { name: "x" }));
        const { error } = await response.json();
        assert.equal(response.status, 502);
        assert.match(error.message, /^'Moved' answered with a redirect \(30\d\), which is not followed/);
        assert.equal(response.headers.get("location"), null);
      }
    }
    assert.equal(target.requests.length, 0);
  });
});

const impatient = { UPSTREAM_TIMEOUT_SECONDS: "1" };
const lessPatient = { UPSTREAM_TIMEOUT_SECONDS: "2" };

Deno.test("while an upstream is silent nobody else waits", async () => {
  await using well = startHostile(behaviours.good);
  await withMesh(async (mesh) => {
    for (const behaviour of [behaviours.hang, behaviours.hangMidBody]) {
      await using upstream = startHostile(behaviour);
      const to = await site(mesh, upstream.url);
      const other = await addConnection(mesh, to.person, { url: well.url });
      const waiting = post(to, legacy("tools/call", { name: "x" }));
      await upstream.received();
      const url = `${mesh.url}/mcp/${other}`;
      const meanwhile = await post({ ...to, url }, legacy("tools/call", { name: "x" }));
      assert.ok((await answerOf(meanwhile)).result);
      assert.equal(upstream.connections, 1, "the silent one is still waited for");
      await upstream.stop();
      assert.equal((await answerOf(await waiting)).result, undefined);
    }
  });
});

Deno.test("an upstream that falls silent is given up, at whatever stage", async () => {
  await using upstream = startHostile(behaviours.hang);
  await withMesh(async (mesh) => {
    const to = await site(mesh, upstream.url, { title: "Sleepy" });
    const call = () => post(to, legacy("tools/call", { name: "x" }));
    for (const behaviour of [behaviours.hang, behaviours.hangMidBody]) {
      upstream.behave(behaviour);
      const response = await call();
      assert.equal(response.status, 504);
      assert.match((await response.json()).error.message, /^Cannot reach 'Sleepy' \(stage timeout\)/);
    }
    upstream.behave(behaviours.hangMidStream);
    const response = await call();
    assert.equal(response.status, 200);
    const [progress, last] = messagesOf(await response.text());
    assert.equal(progress.method, "notifications/progress");
    assert.match(last.error.message, /^Cannot reach 'Sleepy' \(stage timeout\)/);
    assert.equal(last.id, 1);
    await upstream.idle();
    const rows = await rowsOf(mesh, to);
    assert.deepEqual(rows.map(({ outcome }) => outcome), ["failed", "failed", "failed"]);
  }, impatient);
});

Deno.test("progress keeps a call alive for longer than any silence may last", async () => {
  await using upstream = startHostile(behaviours.slowStream({ events: 10, pauseMilliseconds: 250 }));
  await withMesh(async (mesh) => {
    const to = await site(mesh, upstream.url);
    const messages = messagesOf(await (await post(to, legacy("tools/call", { name: "x" }))).text());
    assert.equal(messages.length, 11);
    assert.equal(messages.at(-1).result.content[0].text, "slow but done");
  }, lessPatient);
});

Deno.test("a stream that breaks off ends with an error for the call", async () => {
  await using upstream = startHostile(behaviours.dropMidStream);
  await withMesh(async (mesh) => {
    const to = await site(mesh, upstream.url);
    for (const sent of [legacy("tools/call", { name: "x" }), modern("tools/call", { name: "x" })]) {
      const messages = messagesOf(await (await post(to, sent)).text());
      assert.equal(messages.length, 2);
      assert.equal(messages[1].id, 1);
      assert.equal(messages[1].error.message, "The stream ended before the answer");
    }
    assert.deepEqual((await rowsOf(mesh, to)).map(({ outcome }) => outcome), ["failed", "failed"]);
  });
});

for (
  const [name, behaviour, limit] of [
    ["a body", behaviours.endlessBody, 64],
    ["an event", behaviours.endlessEvent, 64],
  ] as const
) {
  Deno.test(`${name} without end is cut off at a bound, and memory stays flat`, async () => {
    await using upstream = startHostile(behaviour);
    await withMesh(async (mesh) => {
      const to = await site(mesh, upstream.url, { title: "Flood" });
      const response = await post(to, legacy("tools/call", { name: "x" }));
      assert.equal(response.status, 200);
      let received = 0;
      await assert.rejects(async () => {
        for await (const chunk of response.body ?? []) received += chunk.length;
      });
      await upstream.idle();
      assert.ok(received > 0 && upstream.sentBytes < (limit + 16) * 1024 * 1024, `${upstream.sentBytes}`);
      const [row] = await rowsOf(mesh, to);
      assert.equal(row?.outcome, "failed");
      assert.match(row?.errorMessage ?? "", /^'Flood' answered .*more than 67108864/);
    });
  });
}

Deno.test("a list too long to be filtered is not passed unfiltered", async () => {
  const long = `"x":"${"x".repeat(21 * 1024 * 1024)}"`;
  const list = (id: unknown) => `{"jsonrpc":"2.0","id":${id},"result":{"tools":[{"name":"secret",${long}}]}}`;
  await using upstream = startHostile(behaviours.good);
  await withMesh(async (mesh) => {
    const to = await site(mesh, upstream.url, { title: "Long" });
    const key = await mesh.key(to.person, { [to.connectionId]: ["echo"] });
    upstream.behave(replying(({ message }) => ({ body: list(message.id) })));
    const asJson = await post({ ...to, key }, legacy("tools/list"));
    assert.equal(asJson.status, 502);
    assert.match((await asJson.json()).error.message, /^'Long' answered more than 20971520 bytes/);
    upstream.behave(
      replying(({ message }) => ({ type: "text/event-stream", body: `data: ${list(message.id)}\n\n` })),
    );
    const asEvents = await post({ ...to, key }, legacy("tools/list"));
    let text = "";
    await assert.rejects(async () => {
      for await (
        const chunk of (asEvents.body ?? new ReadableStream()).pipeThrough(new TextDecoderStream())
      ) text += chunk;
    });
    assert.equal(text.includes("secret"), false);
  });
});
