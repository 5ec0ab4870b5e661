import assert from "node:assert/strict";
import type { Watch } from "../../server/upstream/answer.ts";
import { type Passage, passJson, passSse, passWholeSse } from "../../server/upstream/passing.ts";
import { answer, event, source, textOf, watchFor } from "./support.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const progress = event(`{"jsonrpc":"2.0","method":"notifications/progress","params":{"progress":1}}`);

/** An event stream on its way, and how often it said that it is over. */
function sse<W extends Watch>(watch: W) {
  const from = source();
  let ends = 0;
  const failure = (error: unknown) => new Error(`failed: ${(error as Error).message}`);
  const passage: Passage = passSse(from.reader, { watch, done: () => ends++, failure });
  return { from, passage, watch, stream: passage.stream(), ends: () => ends };
}

function json(watch: Watch, first: string) {
  const from = source();
  let ends = 0;
  const failure = (error: unknown) => new Error(`failed: ${(error as Error).message}`);
  const passage = passJson(from.reader, encoder.encode(first), { watch, done: () => ends++, failure });
  return { from, stream: passage.stream(), ends: () => ends };
}

/** All that is read of a stream that breaks off, and the error. */
async function untilBroken(stream: ReadableStream<Uint8Array>): Promise<{ text: string; error: unknown }> {
  const reader = stream.getReader();
  let text = "";
  try {
    for (let step = await reader.read(); !step.done; step = await reader.read()) {
      text += decoder.decode(step.value);
    }
    return { text, error: null };
  } catch (error) {
    return { text, error };
  }
}

const turn = () => new Promise((resolve) => setTimeout(resolve, 0));

Deno.test("events pass one by one as they come, and the answer's after its row", async () => {
  const row = Promise.withResolvers<void>();
  const watch = watchFor({ settle: () => row.promise });
  const { from, stream, ends } = sse(watch);
  const reader = stream.getReader();
  from.send(": comment\n\n");
  assert.equal(decoder.decode((await reader.read()).value), ": comment\n\n"); // G02
  from.send(progress);
  assert.equal(decoder.decode((await reader.read()).value), progress);
  from.send(event(answer()));
  const last = reader.read();
  assert.equal(await Promise.race([last.then(() => "too early"), turn()]), undefined);
  row.resolve();
  assert.equal(decoder.decode((await last).value), event(answer()));
  from.end();
  assert.equal((await reader.read()).done, true);
  assert.equal(ends(), 1);
});

// G02, L06: ids, retry, comments, line ends, a byte order mark and text beyond ASCII pass as they came.
const verbatim = [
  `id: a-1\nretry: 100\ndata: \n\n: ping\n\nevent: message\nid: a-2\ndata: ${answer("ü漢😀")}\n\n`,
  `\ufeffid: 1\r\ndata: \r\n\r\nid: 2\r\ndata: ${answer("ü")}\r\n\r\n`,
  `data: {"jsonrpc":"2.0",\ndata: "id":1,"result":"two lines"}\n\n`,
  `data: ${answer("é")}\r\r`,
];

Deno.test("a stream passes byte for byte however it is cut", async () => {
  for (const text of verbatim) {
    const bytes = encoder.encode(text);
    for (let size = 1; size <= bytes.length; size++) {
      const watch = watchFor();
      const { from, stream } = sse(watch);
      for (let at = 0; at < bytes.length; at += size) from.send(bytes.slice(at, at + size));
      from.end();
      const passed = new Uint8Array(await new Response(stream).arrayBuffer());
      // The mark at the very beginning may fall away: readers drop it.
      assert.equal(decoder.decode(passed), decoder.decode(bytes), `in pieces of ${size}`);
      assert.equal(watch.settlements[0]?.answer?.id, 1);
      assert.equal(watch.settlements[0]?.failure, null);
    }
  }
});

Deno.test("a stream that has arrived whole passes as one that is still coming", async () => {
  const failure = (error: unknown) => error as Error;
  for (const text of [...verbatim, progress, `${progress}data: cut o`, `id: 1\ndata:\n\n`]) {
    const watches = [watchFor(), watchFor()] as const;
    const { from, stream } = sse(watches[0]);
    from.send(text);
    from.end();
    const body = encoder.encode(text);
    const whole = await passWholeSse(body, { watch: watches[1], done: () => {}, failure });
    assert.equal(decoder.decode(whole), await textOf(stream));
    assert.deepEqual(watches[1].settlements, watches[0].settlements);
    const copied = !watches[1].settlements[0]?.answer || text.endsWith("\r\r");
    if (!copied) assert.equal(whole, body);
  }
  const bad = passWholeSse(encoder.encode(event(`{"result"`)), {
    watch: watchFor(),
    done: () => {},
    failure,
  });
  await assert.rejects(bad, SyntaxError);
});

Deno.test("a list in an event is changed, and no response of the stream passes unread", async () => {
  const rewrite = (response: Record<string, unknown>) => {
    response.result = "less";
    return true;
  };
  const { from, stream } = sse(watchFor({ mustRewrite: true, rewrite }));
  from.send(`: hello\n\nid: 5\ndata: ${answer("all")}\n\n${progress}${event(answer("all", 2))}`);
  from.send(event(`{"jsonrpc":"2.0","id":1,"\\u0072esult":"hidden"}`));
  from.end();
  assert.equal(
    await textOf(stream),
    `: hello\n\nid: 5\ndata: ${answer("less")}\n\n${progress}${event(answer("less", 2))}${
      event(answer("less"))
    }`,
  );
});

Deno.test("a stream that ends without the answer gets an error in its place", async () => {
  const watch = watchFor();
  const { from, stream, ends } = sse(watch);
  from.send(progress + "data: cut o");
  from.end();
  const text = await textOf(stream);
  assert.equal(text, `${progress}data: ${watch.errorText("The stream ended before the answer")}\n\n`);
  assert.equal(watch.settlements[0]?.failure, "The stream ended before the answer");
  assert.equal(ends(), 1);
});

Deno.test("a stream with event ids may end early: the client comes back by GET", async () => {
  const watch = watchFor();
  const { from, stream } = sse(watch);
  from.send("id: 1\nretry: 10\ndata:\n\n");
  from.end();
  assert.equal(await textOf(stream), "id: 1\nretry: 10\ndata:\n\n");
  assert.deepEqual(watch.settlements.map(({ resumable }) => resumable), [true]); // L06

  const modern = sse(watchFor({ cancelOnLeave: true })); // there is no coming back in this era
  modern.from.send("id: 1\ndata:\n\n");
  modern.from.end();
  assert.match(await textOf(modern.stream), /The stream ended before the answer/);
  assert.deepEqual(modern.watch.settlements.map(({ resumable }) => resumable), [false]);
});

Deno.test("an upstream that fails mid-stream becomes an error event, or breaks off what cannot hold one", async () => {
  const waiting = watchFor();
  const failing = sse(waiting);
  failing.from.send(progress);
  const read = untilBroken(failing.stream);
  await turn();
  failing.from.fail(new Error("connection reset"));
  const expected = `${progress}data: ${waiting.errorText("failed: connection reset")}\n\n`;
  assert.deepEqual(await read, { text: expected, error: null });
  assert.equal(waiting.settlements[0]?.failure, "failed: connection reset");
  assert.equal(failing.ends(), 1);

  const numbered = sse(watchFor());
  numbered.from.send(`id: 1\ndata: \n\n`);
  const told = untilBroken(numbered.stream);
  await turn();
  numbered.from.fail(new Error("connection reset"));
  assert.match((await told).text, /failed: connection reset/);
  assert.equal(numbered.watch.settlements[0]?.resumable, false, "whoever is told does not come back");

  const answered = sse(watchFor());
  answered.from.send(event(answer()));
  const afterwards = untilBroken(answered.stream);
  await turn();
  answered.from.fail(new Error("reset"));
  assert.match(String((await afterwards).error), /failed: reset/);

  const listening = sse(watchFor({ id: null }));
  listening.from.fail(new Error("reset"));
  assert.match(String((await untilBroken(listening.stream)).error), /failed: reset/);
});

Deno.test("an event that never ends is broken off, its source freed", async () => {
  const watch = watchFor();
  const { from, stream, ends } = sse(watch);
  const chunk = "x".repeat(1024 * 1024);
  from.send("data: ");
  for (let sent = 0; sent < 70; sent++) from.send(chunk);
  const { error } = await untilBroken(stream);
  assert.match(String(error), /failed: an event of more than \d+ characters/);
  await from.cancelled;
  assert.equal(ends(), 1);
});

Deno.test("a client that leaves ends the call: the source is freed and the row says so", async () => {
  const watch = watchFor({ cancelOnLeave: true });
  const { from, stream, ends } = sse(watch);
  const reader = stream.getReader();
  const reading = reader.read(); // a step is under way, waiting for the source
  await turn();
  await reader.cancel();
  await from.cancelled; // M11
  assert.equal((await reading).done, true);
  assert.deepEqual(watch.settlements.map(({ failure }) => failure), ["The client left before the answer"]);
  assert.equal(ends(), 1);
});

Deno.test("a client that leaves while the row is being written changes nothing in it", async () => {
  const row = Promise.withResolvers<void>();
  const settled: unknown[] = [];
  const watch = watchFor({
    cancelOnLeave: true,
    settle: ({ failure }) => {
      settled.push(failure);
      return row.promise;
    },
  });
  const { from, stream, ends } = sse(watch);
  const reader = stream.getReader();
  from.send(event(answer()));
  const reading = reader.read();
  await turn();
  const leaving = reader.cancel();
  row.resolve();
  await Promise.all([reading, leaving, from.cancelled]);
  assert.deepEqual(settled, [null]);
  assert.equal(ends(), 1);
});

Deno.test("a row that cannot be written keeps no source open", async () => {
  const watch = watchFor({ cancelOnLeave: true, settle: () => Promise.reject(new Error("disk full")) });
  const leaving = sse(watch);
  await leaving.stream.cancel();
  await leaving.from.cancelled;
  assert.equal(leaving.ends(), 1);

  const staying = sse(watch);
  staying.from.send(event(answer()));
  const { text, error } = await untilBroken(staying.stream);
  const told = `data: ${watch.errorText("failed: disk full")}\n\n`;
  assert.deepEqual([text, error], [told, null], "no answer without its row");
  await staying.from.cancelled;
  assert.equal(staying.ends(), 1);
});

Deno.test("where the call goes on without its client, it is read to its end", async () => {
  const watch = watchFor({ cancelOnLeave: false });
  const { from, stream, ends } = sse(watch);
  const reader = stream.getReader();
  from.send(progress);
  await reader.read();
  const reading = reader.read();
  await reader.cancel(); // L07
  await reading;
  assert.equal(ends(), 0);
  from.send(progress);
  from.send(event(answer("late")));
  from.end();
  while (ends() === 0) await turn();
  assert.equal(watch.settlements[0]?.answer?.result, "late");
});

Deno.test("a client that never read anything may leave too", async () => {
  for (const cancelOnLeave of [true, false]) {
    const { from, stream, ends } = sse(watchFor({ cancelOnLeave }));
    await stream.cancel();
    if (!cancelOnLeave) from.end();
    while (ends() === 0) await turn();
    assert.equal(ends(), 1);
  }
});

Deno.test("an endless stream may be left, and is no failure", async () => {
  const watch = watchFor({ cancelOnLeave: true, endless: true });
  const { stream, from } = sse(watch);
  await stream.cancel();
  await from.cancelled;
  assert.deepEqual(watch.settlements.map(({ failure }) => failure), [null]);
});

Deno.test("a stop ends a subscription with its result, a call without one, a legacy stream as it is", async () => {
  const listening = watchFor({ endless: true, endText: answer({ resultType: "complete" }) });
  const subscription = sse(listening);
  subscription.from.send(progress);
  const text = textOf(subscription.stream);
  await turn();
  subscription.passage.stop();
  assert.equal(await text, `${progress}data: ${answer({ resultType: "complete" })}\n\n`); // M12
  assert.deepEqual(listening.settlements.map(({ failure }) => failure), [null]);

  const cancelled = watchFor();
  const call = sse(cancelled);
  call.from.send(progress);
  const seen = textOf(call.stream);
  await turn();
  call.passage.stop();
  assert.equal(await seen, progress); // L11
  assert.equal(cancelled.settlements[0]?.failure, "The client cancelled the call");

  const legacy = sse(watchFor({ id: null, endless: true }));
  legacy.from.send(progress);
  const rest = textOf(legacy.stream);
  await turn();
  legacy.passage.stop();
  assert.equal(await rest, progress);
  assert.equal(legacy.ends(), 1);
});

Deno.test("the last piece of a JSON body waits for the row", async () => {
  const row = Promise.withResolvers<void>();
  const { from, stream, ends } = json(watchFor({ settle: () => row.promise }), "begin");
  const reader = stream.getReader();
  from.send("middle");
  assert.equal(decoder.decode((await reader.read()).value), "begin");
  from.send("end");
  assert.equal(decoder.decode((await reader.read()).value), "middle");
  from.end();
  const last = reader.read();
  assert.equal(await Promise.race([last.then(() => "too early"), turn()]), undefined);
  row.resolve();
  assert.equal(decoder.decode((await last).value), "end");
  assert.equal(ends(), 1);
});

Deno.test("a JSON body without end, or one that fails, breaks off with its reason", async () => {
  const watch = watchFor();
  const endless = json(watch, "begin");
  const chunk = "x".repeat(1024 * 1024);
  for (let sent = 0; sent < 70; sent++) endless.from.send(chunk);
  assert.match(String((await untilBroken(endless.stream)).error), /failed: more than 67108864 bytes/);
  await endless.from.cancelled;
  assert.match(watch.settlements[0]?.failure ?? "", /more than/);

  const failing = json(watchFor(), "begin");
  failing.from.fail(new Error("reset"));
  assert.match(String((await untilBroken(failing.stream)).error), /failed: reset/);
  assert.equal(failing.ends(), 1);
});
