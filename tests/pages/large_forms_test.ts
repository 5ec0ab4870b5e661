// Texts on which a program that looks at the same characters again and again would work for hours.
import assert from "node:assert/strict";
import { AppError } from "../../server/errors.ts";
import { Entries } from "../../server/form.ts";
import { headersIn } from "../../server/pages/header_lines.ts";
import { ToolResult } from "../../views/components/tool_result.tsx";
import { onMesh, setUp, Visitor } from "./support.ts";

const blanks = " ".repeat(400_000);

function problemOf(text: string): string {
  try {
    headersIn(text);
  } catch (error) {
    assert.ok(error instanceof AppError, String(error));
    return error.fields?.headers ?? "";
  }
  assert.fail("it was accepted");
}

Deno.test("lines of headers are read, however long they are and however many", () => {
  assert.deepEqual(headersIn(" X-Key : a b \n\nx-other:c:d\n"), { "X-Key": "a b", "x-other": "c:d" });
  assert.deepEqual(Object.entries(headersIn("__proto__: a") ?? {}), [["__proto__", "a"]]);
  assert.equal(headersIn(" \n "), null);
  const malformed = "each line is a name, a colon and a value";
  for (const text of ["a", ":b", "a:", "a b: c", "a:b\rc", `a:${blanks}x\u2028y`, `a${blanks}b: c`]) {
    assert.equal(problemOf(text), malformed, text.slice(0, 20));
  }
  const many = Array.from({ length: 100_000 }, (_, i) => `a${i}:b`).join("\n");
  assert.equal(Object.keys(headersIn(many) ?? {}).length, 100_000);
  assert.equal(problemOf(`${many}\nA99999:c`), "'A99999' is there twice");
});

onMesh("a form with far too much in it is refused and nothing else waits for it", async (mesh) => {
  const visitor = await setUp(mesh);
  const form = { url: "http://127.0.0.1:9/mcp", kind: "headers", whose: "per_user" };
  const names = `a${blanks}b`;
  const answer = await visitor.post("/connections", { ...form, personal_headers: names });
  assert.equal(answer.status, 422);
});

Deno.test("fields are taken by the beginning of their names, however many there are", () => {
  const fields = new URLSearchParams(Array.from({ length: 300_000 }, (_, i) => [`arg.${i}`, "a\r\nb"]));
  fields.append("arg.1", "second");
  fields.append("other", "x");
  const found = new Entries(fields).starting("arg.");
  assert.deepEqual([Object.keys(found).length, found["arg.1"]], [300_000, "a\nb"]);
});

onMesh("a form of somebody who is not signed in is short, and none holds files", async (mesh) => {
  const member = await setUp(mesh);
  const guest = new Visitor(mesh.url);
  await guest.get("/login");
  const long = { email: "a@example.com", password: "x".repeat(70_000) };
  assert.equal((await guest.post("/login", long)).status, 413);
  assert.equal((await member.post("/settings/account", { name: "x".repeat(70_000) })).status, 422);
  const body = new FormData();
  for (let i = 0; i < 1000; i++) body.append("a", "");
  const answer = await fetch(`${mesh.url}/login`, { method: "POST", headers: { origin: mesh.url }, body });
  assert.equal(answer.status, 400);
  await answer.text();
});

Deno.test("a picture whose data is mostly blanks is shown, and one that is none is not", () => {
  const show = (data: string) =>
    String(ToolResult({
      status: 200,
      durationMs: 1,
      bytes: 1,
      result: { content: [{ type: "image", mimeType: "image/png", data }] },
    }));
  assert.match(show(`iVBO\n${blanks}Rw0=${blanks}`), /src="data:image\/png;base64,iVBORw0="/);
  assert.doesNotMatch(show(`iVBO${blanks}!`), /<img/);
  assert.doesNotMatch(show(blanks), /<img/);
});
