// Each level of a value makes its lines longer: nested ten thousand deep, 20 kB of a server become 200 MB if indented.

/** Writes a value of JSON with indentation, as JSON.stringify does, but only about the first `most` characters. */
export function indentedBeginning(value: unknown, most: number): string {
  const parts: string[] = [];
  let left = most;
  function put(text: string): void {
    if (left < 0) return;
    parts.push(text);
    left -= text.length;
  }
  function write(one: unknown, indent: string): void {
    if (typeof one === "string") return put(JSON.stringify(one.slice(0, Math.max(0, left) + 1)));
    if (typeof one !== "object" || one === null) return put(JSON.stringify(one) ?? "null");
    if (Array.isArray(one)) return writeAll(one.entries(), { indent, brackets: "[]" });
    writeAll(Object.entries(one).filter(([, inner]) => inner !== undefined), { indent, brackets: "{}" });
  }
  function writeAll(
    members: Iterable<[string | number, unknown]>,
    { indent, brackets: [open = "", close = ""] }: { indent: string; brackets: string },
  ): void {
    const inner = `${indent}  `;
    let count = 0;
    put(open);
    for (const [name, value] of members) {
      if (left < 0) return;
      put(
        `${count++ === 0 ? "" : ","}\n${inner}${typeof name === "string" ? `${JSON.stringify(name)}: ` : ""}`,
      );
      write(value, inner);
    }
    put(count === 0 ? close : `\n${indent}${close}`);
  }
  write(value, "");
  return parts.join("");
}

const maxIndented = 100_000; // characters
const maxIndentedDepth = 50;

/** Writes a whole value of JSON to be read and changed by a person: indented, unless that would be very much longer. */
export function editableJson(value: unknown): string {
  const text = JSON.stringify(value) ?? "";
  return text.length > maxIndented || depthOf(text) > maxIndentedDepth
    ? text
    : JSON.stringify(value, null, 2);
}

function depthOf(json: string): number {
  let [depth, deepest] = [0, 0];
  for (const [mark] of json.matchAll(/"(?:[^"\\]|\\.)*"|[[\]{}]/g)) {
    if (mark === "[" || mark === "{") deepest = Math.max(deepest, ++depth);
    else if (mark === "]" || mark === "}") depth--;
  }
  return deepest;
}
