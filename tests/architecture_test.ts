import assert from "node:assert/strict";
import { dirname, join, normalize } from "node:path";

// The house rules that a machine can hold: which way imports point, where certain words may stand, how long things are.

const root = new URL("..", import.meta.url).pathname;
const maxLines = 350;
const maxFunctionLines = 60;
const maxCasts = 5;
/** Files that are lists, longer than the limit by their nature. */
const lists: readonly string[] = [];

interface Source {
  path: string;
  text: string;
  imports: string[];
}

async function sources(...folders: string[]): Promise<Source[]> {
  const found: Source[] = [];
  for (const folder of folders) {
    for await (const path of walk(folder)) {
      const text = await Deno.readTextFile(join(root, path));
      found.push({ path, text, imports: importsOf(path, text) });
    }
  }
  return found;
}

async function* walk(path: string): AsyncGenerator<string> {
  const info = await Deno.stat(join(root, path));
  if (info.isFile) {
    yield path;
    return;
  }
  for await (const entry of Deno.readDir(join(root, path))) {
    if (entry.isDirectory) yield* walk(`${path}/${entry.name}`);
    else if (/\.tsx?$/.test(entry.name)) yield `${path}/${entry.name}`;
  }
}

/** What a file imports at run time, as paths from the root; `import type` does not count. */
function importsOf(path: string, text: string): string[] {
  const found: string[] = [];
  for (const match of text.matchAll(/^(?:import|export)\s(?!type\b)([^;]*?)from\s+"(\.[^"]+)"/gms)) {
    const names = match[1] ?? "";
    const onlyTypes = /^\s*\{/.test(names) &&
      names.replace(/[{}]/g, "").split(",").filter((name) => name.trim() !== "").every((name) =>
        /^\s*type\s/.test(name)
      );
    if (!onlyTypes) found.push(normalize(join(dirname(path), match[2] ?? "")));
  }
  for (const match of text.matchAll(/import\(\s*"(\.[^"]+)"\s*\)/g)) {
    found.push(normalize(join(dirname(path), match[1] ?? "")));
  }
  return found;
}

const program = await sources("main.ts", "server", "views", "migrations");
const everything = [...program, ...await sources("tests")];

/** The room of the house that a file belongs to. */
function roomOf(path: string): string {
  const rooms: [RegExp, string][] = [
    [/^main\.ts$/, "main"],
    [/^server\/app\.ts$/, "app"],
    [/^server\/(start|services)\.ts$/, "start"],
    [/^server\/cli\//, "cli"],
    [/^server\/pages\//, "pages"],
    [/^server\/api\.ts$/, "api"],
    [/^server\/mcp\/management/, "management"],
    [/^server\/mcp\//, "proxy"],
    [/^server\/oauth\//, "oauth"],
    [/^server\/login\//, "login"],
    [/^server\/actions\//, "actions"],
    [/^server\/access\//, "access"],
    [/^server\/upstream\//, "upstream"],
    [/^server\/storage\//, "storage"],
    [/^server\/(vault|audit|outbound|mailer|telemetry)(\.ts$|\/)/, "ground"],
    [
      /^server\/(errors|body|json|json_digits|config|auth_config|ids|log|lifecycle|health|version|static)\.ts$/,
      "base",
    ],
    [/^server\/(visit|form)\.ts$/, "visit"],
    [/^views\//, "views"],
    [/^migrations\//, "migrations"],
    [/^deno\.json$/, "base"],
  ];
  const room = rooms.find(([pattern]) => pattern.test(path))?.[1];
  assert.ok(room, `no room of the house is meant for '${path}'`);
  return room;
}

const mayImport: Readonly<Record<string, readonly string[]>> = {
  main: ["cli"],
  cli: ["app", "start", "actions", "base", "ground", "storage", "migrations"],
  app: [
    "visit",
    "start",
    "pages",
    "api",
    "management",
    "proxy",
    "oauth",
    "login",
    "access",
    "actions",
    "upstream", // only for what the mesh publishes of itself as a client
    "base",
    "views",
  ],
  start: ["access", "upstream", "storage", "ground", "base"],
  pages: ["visit", "actions", "views", "base", "access"],
  api: ["actions", "access", "base"],
  management: ["actions", "access", "base", "proxy"],
  proxy: ["access", "upstream", "storage", "ground", "base"],
  oauth: ["visit", "access", "storage", "ground", "base", "views"],
  login: ["visit", "access", "storage", "ground", "base", "views"],
  actions: ["access", "upstream", "storage", "ground", "base"],
  access: ["storage", "base"],
  upstream: ["storage", "ground", "base"],
  storage: ["base", "migrations"],
  ground: ["storage", "base"],
  base: ["storage"],
  // What pages of every surface know of the browser that asks.
  visit: ["views", "base"],
  views: ["base"],
  migrations: [],
};

Deno.test("imports point one way", () => {
  const wrong: string[] = [];
  for (const { path, imports } of program) {
    const room = roomOf(path);
    for (const imported of imports) {
      const other = roomOf(imported);
      if (other !== room && !mayImport[room]?.includes(other)) {
        wrong.push(`${path} (${room}) -> ${imported} (${other})`);
      }
    }
  }
  assert.deepEqual(wrong, []);
});

Deno.test("surfaces that present actions reach no ground by themselves", () => {
  const wrong: string[] = [];
  for (const { path, imports } of program) {
    if (!["pages", "api", "management"].includes(roomOf(path))) continue;
    for (const imported of imports) {
      if (/^server\/(storage|upstream|vault)/.test(imported)) wrong.push(`${path} -> ${imported}`);
    }
  }
  assert.deepEqual(wrong, []);
});

/** Asserts that a pattern occurs in the named files alone. */
function onlyIn(files: Source[], pattern: RegExp, allowed: RegExp): void {
  const wrong = files.filter(({ path, text }) => pattern.test(withoutComments(text)) && !allowed.test(path));
  assert.deepEqual(wrong.map(({ path }) => path), []);
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/(^|\s)\/\/.*$/gm, "");
}

Deno.test("the kinds of databases are told apart in one place", () => {
  onlyIn(
    program,
    /\b(sqlite|postgres|mysql)\b/i,
    /^(server\/storage\/(database|dialect)\.ts|migrations\/columns\.ts|server\/config\.ts)$/,
  );
});

Deno.test("there is one fetch, one reader of the environment, and no raw markup", () => {
  onlyIn(program, /(?<![.\w])fetch\(/, /^server\/outbound\.ts$/);
  onlyIn(program, /Deno\.env/, /^server\/config\.ts$/);
  onlyIn(program.filter(({ path }) => path.startsWith("views/")), /\braw\(|dangerouslySetInnerHTML/, /^$/);
});

Deno.test("SQL lives in storage and migrations", () => {
  onlyIn(
    program,
    /\.(selectFrom|insertInto|updateTable|deleteFrom)\(|\bsql`/,
    /^(server\/storage\/|migrations\/)/,
  );
});

Deno.test("files stay short enough to read", () => {
  const long = everything.filter(({ path, text }) =>
    text.split("\n").length - 1 > maxLines && !lists.includes(path)
  );
  assert.deepEqual(long.map(({ path, text }) => `${path}: ${text.split("\n").length - 1}`), []);
});

Deno.test("functions stay short enough to read", () => {
  const long: string[] = [];
  for (const { path, text } of program) {
    let began: { name: string; line: number; indent: string } | null = null;
    text.split("\n").forEach((line, index) => {
      const start =
        /^(\s*)(?:export )?(?:default )?(?:async )?(?:function\*? (\w+)|(?:(?:public|protected|private|static|override|async|get|set) )*(#?\w+)\([^)]*\)(?:: .*)? \{$)/
          .exec(line);
      if (!began && start && !/^\s*(if|for|while|switch|return|catch)\b/.test(line)) {
        began = { name: start[2] ?? start[3] ?? "?", line: index, indent: start[1] ?? "" };
      }
      if (began && line === `${began.indent}}`) {
        const length = index - began.line + 1;
        if (length > maxFunctionLines) long.push(`${path} ${began.name}: ${length}`);
        began = null;
      }
    });
  }
  assert.deepEqual(long, []);
});

Deno.test("casts that switch the compiler off are counted", () => {
  const casts = program.flatMap(({ path, text }) =>
    [...withoutComments(text).matchAll(/\bas (any|unknown as)\b/g)].map(() => path)
  );
  assert.ok(casts.length <= maxCasts, `${casts.length} casts: ${casts.join(", ")}`);
});

Deno.test("file names are snake_case", () => {
  const wrong = everything.filter(({ path }) => !/^[a-z0-9_]+(\.tsx?)$/.test(path.split("/").at(-1) ?? ""));
  assert.deepEqual(wrong.map(({ path }) => path), []);
});

Deno.test("imports from packages are pinned in deno.json and nowhere else", async () => {
  const manifest = JSON.parse(await Deno.readTextFile(join(root, "deno.json")));
  for (const [name, specifier] of Object.entries<string>(manifest.imports)) {
    assert.match(specifier, /^npm:(@[\w-]+\/)?[\w.-]+@\d+\.\d+\.\d+(-[\w.]+)?(\/.*)?$/, name);
  }
  onlyIn(program, /from "(npm|jsr|https?):/, /^$/);
});
