import assert from "node:assert/strict";
import {
  dataOf,
  hasId,
  PiecedData,
  type SseEvent,
  SseSplitter,
  withData,
} from "../../server/upstream/sse.ts";

/** The events of a text that arrives in pieces of so many characters. */
function split(text: string, size: number, maxLength = 1_000_000): SseEvent[] {
  const splitter = new SseSplitter(maxLength);
  const events: SseEvent[] = [];
  for (let at = 0; at < text.length; at += size) events.push(...splitter.push(text.slice(at, at + size)));
  const last = splitter.end();
  return last ? [...events, last] : events;
}

const texts = (events: SseEvent[]) => events.map(({ text }) => text);

// HTML Living Standard section 9.2.6: three kinds of line ends, which may be mixed.
const streams: [name: string, events: string[]][] = [
  ["LF", ["data: 1\n\n", "id: 2\ndata: 2\n\n", ": comment\n\n"]],
  ["CRLF", ["data: 1\r\n\r\n", "event: message\r\ndata: 2\r\n\r\n"]],
  ["CR", ["data: 1\r\r", "data: 2\r\r"]],
  ["mixed", ["data: 1\n\r\n", "data: 2\r\n\n", "data: 3\r\n\r", "data: 4\r\r\n"]],
  ["blank lines between events", ["data: 1\n\n", "\n\n", "data: 2\n\n"]],
  ["empty data", ["id: 1\ndata:\n\n", "retry: 100\ndata: \n\n"]],
  ["several data lines", ["data: {\ndata: }\n\n"]],
  ["beyond ASCII", ["data: \u{1f600}é\n\n", "data: 漢字\r\n\r\n"]],
];

for (const [name, events] of streams) {
  Deno.test(`the splitter finds whole events whatever the pieces: ${name}`, () => {
    const text = events.join("");
    for (let size = 1; size <= text.length; size++) {
      assert.deepEqual(texts(split(text, size)), events, `in pieces of ${size}`);
    }
  });
}

Deno.test("an event without the blank line that ends it is dropped, as the standard says", () => {
  for (const rest of ["data: lost", "data: lost\n", "data: lost\r\n", "data: lost\r"]) {
    assert.deepEqual(texts(split(`data: kept\n\n${rest}`, 3)), ["data: kept\n\n"]);
  }
});

Deno.test("a line end that may be half of another waits, and the end of the stream decides", () => {
  const splitter = new SseSplitter(1000);
  assert.deepEqual(splitter.push("data: 1\r\r"), []);
  assert.equal(splitter.empty, false);
  assert.deepEqual(splitter.end(), { text: "data: 1\r\r", part: "whole" });
  assert.equal(splitter.empty, true);
});

Deno.test("an event longer than may be held passes in pieces that add up to it", () => {
  const long = `data: {"result":"${"x".repeat(5000)}"}\n\n`;
  for (const size of [1, 7, 100, 999, 10_000]) {
    const events = split(`data: a\n\n${long}data: b\n\n`, size, 1000);
    const whole = events.filter(({ part }) => part === "whole").map(({ text }) => text);
    const pieces = events.filter(({ part }) => part !== "whole");
    if (size < 10_000) {
      assert.deepEqual(whole, ["data: a\n\n", "data: b\n\n"]);
      assert.equal(pieces.map(({ text }) => text).join(""), long);
      assert.deepEqual(pieces.map(({ part }) => part).filter((part) => part === "last"), ["last"]);
      assert.ok(pieces.every(({ text }) => text.length <= 1000 + size));
    } else {
      // What arrives whole is whole, whatever its length.
      assert.deepEqual(whole, ["data: a\n\n", long, "data: b\n\n"]);
    }
  }
});

Deno.test("no piece ends within a character", () => {
  for (let before = 0; before < 4; before++) {
    const long = `data: ${"y".repeat(before)}${"😀😀x".repeat(100)}\n\n`;
    const splitter = new SseSplitter(50);
    const pieces = [...long].flatMap((char) => splitter.push(char)); // as a decoder gives them
    assert.ok(pieces.length > 5);
    const bytes = pieces.map(({ text }) => new TextDecoder().decode(new TextEncoder().encode(text)));
    assert.equal(bytes.join(""), long);
  }
});

Deno.test("the splitter says while an event passes in pieces", () => {
  const splitter = new SseSplitter(10);
  splitter.push("data: 0123456789");
  assert.equal(splitter.inPieces, true);
  assert.equal(splitter.empty, false);
  splitter.push("\n\n");
  assert.equal(splitter.inPieces, false);
  assert.equal(splitter.empty, true);
});

Deno.test("data is the joined lines, with one blank after the colon taken away", () => {
  assert.equal(dataOf("data: one\n\n"), "one");
  assert.equal(dataOf("data:one\n\n"), "one");
  assert.equal(dataOf("data:  one\n\n"), " one");
  assert.equal(dataOf("id: 1\ndata: one\r\ndata: two\rdata: three\n\n"), "one\ntwo\nthree");
  assert.equal(dataOf("data\ndata: x\n\n"), "\nx");
  assert.equal(dataOf(": comment\nevent: ping\n\n"), "");
  assert.equal(dataOf("database: no\n\n"), "");
});

Deno.test("data is found in pieces, and is the same JSON", () => {
  const events = [
    'data: {"a":"b: data: c"}\n\n',
    'data:{"a":"b"}\n\n',
    'event: message\r\nid: 1\r\ndata: {\r\ndata: "a":1,\r\ndata:"b":[]\r\ndata\r\ndata: }\r\n\r\n',
    ": data: 1\rdatabase: 2\rdata: 3\r data: 4\r\r",
  ];
  for (const event of events) {
    for (let size = 1; size <= event.length; size++) {
      const reading = new PiecedData();
      let data = "";
      for (let at = 0; at < event.length; at += size) data += reading.push(event.slice(at, at + size));
      assert.deepEqual(JSON.parse(data), JSON.parse(dataOf(event)), `in pieces of ${size}: ${event}`);
    }
  }
});

Deno.test("an event gets other data and keeps the rest", () => {
  assert.equal(
    withData("event: message\r\nid: 7\r\nretry: 5\r\ndata: old\r\ndata: older\r\n: note\r\n\r\n", "new"),
    "event: message\nid: 7\nretry: 5\n: note\ndata: new\n\n",
  );
});

Deno.test("an event has an id only where a line says so", () => {
  for (const event of ["id: 1\n\n", "data: x\nid:1\n\n", "event: e\rid: 1\r\r", "data: x\nid\n\n"]) {
    assert.equal(hasId(event), true, event);
  }
  for (const event of ["data: id: 1\n\n", ": id: 1\n\n", "identity: 1\n\n", "data: x\n\n"]) {
    assert.equal(hasId(event), false, event);
  }
});
