// Reads everything that there is to read, as somebody who looks for secrets would.
import { DatabaseSync } from "node:sqlite";
import type { Said } from "./markers.ts";
import type { Person, Site } from "./site.ts";

/** Of pages that differ in the row that they show, or in a query, so many are enough. */
const maxAlike = { rows: 120, queries: 6 };

/** What is there for anybody. */
const published = [
  ...["/health", "/.well-known/jwks.json", "/.well-known/openid-configuration", "/oauth/client.json"],
  ...["/.well-known/oauth-authorization-server", "/.well-known/oauth-protected-resource/mcp"],
];

/** Opens every page to which a link leads, from the first one on; gives how many there were. */
export async function readPages(person: Person): Promise<number> {
  const known = new Set(["/", "/nothing", "/api/tools", "/connections/import", ...published]);
  const alike = new Map<string, number>();
  let read = 0;
  for (const path of known) {
    const kind = path.replace(/\?.*|(?<=^\/activity\/).*/, "");
    const before = alike.get(kind) ?? 0;
    alike.set(kind, before + 1);
    if (before >= (path.includes("?") ? maxAlike.queries : maxAlike.rows)) continue;
    const { html } = await person.browser.get(path);
    read++;
    for (const [, link = ""] of html.matchAll(/(?:href|hx-get)="(\/[^"#]*)/g)) {
      const next = link.replaceAll("&amp;", "&");
      if (!/^\/(?:static|logout)\b/.test(next)) known.add(next);
    }
  }
  return read;
}

/** Runs every action that only reads, with the ids that are known, through the JSON API and as tools. */
export async function readAll(site: Site, person: Person): Promise<number> {
  const { body: { items: connections } } = await site.run(person, "COLLECTION_CONNECTIONS_LIST", {
    limit: 1000,
  });
  const { body: log } = await site.run(person, "MONITORING_LOGS_LIST", { limit: 1000 });
  const inputs: Record<string, unknown[]> = {
    MONITORING_LOG_GET: log.logs.map(({ id }: { id: string }) => ({ id })),
    MONITORING_LOGS_LIST: [{ isError: true, limit: 1000 }],
    COLLECTION_CONNECTIONS_GET: connections.map(({ id }: { id: string }) => ({ id })),
    CREDENTIAL_HOLDERS_LIST: connections.map(({ id }: { id: string }) => ({ connectionId: id })),
    CONNECTION_TEST: connections.map(({ id }: { id: string }) => ({ id })),
  };
  const actions = [
    ...["API_KEY_LIST", "APPLICATION_LIST", "MONITORING_STATS", "CONNECTION_USAGE_LIST", "CREDENTIAL_LIST"],
    ...["OAUTH_CLIENT_LIST", "ORGANIZATION_LIST", "ORGANIZATION_GET", "ORGANIZATION_SETTINGS_GET"],
    ...["ORGANIZATION_MEMBER_LIST", "WORKSPACE_GET", "USER_GET", ...Object.keys(inputs)],
  ];
  let read = 0;
  for (const action of actions) {
    for (const input of inputs[action] ?? [{}]) {
      await site.run(person, action, input);
      read++;
    }
    const [input = {}] = inputs[action] ?? [];
    await site.manage(person, "tools/call", { name: action, arguments: input as Record<string, unknown> });
  }
  await site.manage(person, "tools/list", {});
  return read;
}

/** Every row of every table, as text. */
export function* readDatabase(path: string): Generator<Said> {
  const database = new DatabaseSync(path, { readOnly: true });
  try {
    const tables = database.prepare("select name from sqlite_master where type = 'table'").all();
    for (const { name } of tables) {
      const rows = database.prepare(`select * from "${name}"`).all();
      for (const [index, row] of rows.entries()) {
        const text = Object.values(row).map((value) =>
          value instanceof Uint8Array ? latin(value) : String(value)
        );
        yield {
          where: `row ${index} of ${name}: ${JSON.stringify(row).slice(0, 300)}`,
          text: text.join("\n"),
        };
      }
    }
  } finally {
    database.close();
  }
}

/** The bytes of every file in a folder. */
export function* readFiles(folder: string): Generator<Said> {
  for (const { name, isDirectory } of Deno.readDirSync(folder)) {
    const path = `${folder}/${name}`;
    if (isDirectory) yield* readFiles(path);
    else yield { where: path, text: latin(Deno.readFileSync(path)) };
  }
}

function latin(bytes: Uint8Array): string {
  return new TextDecoder("latin1").decode(bytes);
}
