import { z } from "zod";
import { publicUrl } from "../audit/public_url.ts";
import { AppError, messageOf } from "../errors.ts";
import { type Context, defineAction } from "./action.ts";
import { connectionDetail, connectionInput } from "./connection_fields.ts";
import { create } from "./connections.ts";
import { parseWithComments } from "./json_with_comments.ts";

const maxServers = 20;

/** One server of an mcp.json, in the words of any client. */
const entrySchema = z.looseObject({
  url: z.string().optional(),
  serverUrl: z.string().optional(), // Windsurf
  httpUrl: z.string().optional(), // Gemini CLI
  type: z.string().optional(),
  command: z.string().optional(),
  args: z.array(z.string()).optional(),
  headers: z.record(z.string(), z.string()).optional(),
});

type Entry = z.output<typeof entrySchema> & { name: string };

/** The servers of an mcp.json, whatever client wrote it. */
const document = z.string().min(1).max(200_000).transform((text, context): Entry[] => {
  try {
    return entriesOf(parseWithComments(text));
  } catch (error) {
    context.addIssue({ code: "custom", message: messageOf(error) });
    return z.NEVER;
  }
});

const outcome = z.object({
  name: z.string(),
  address: z.string().describe("Its URL, or its command"),
  secrets: z.array(z.string()).describe("Names of the headers that go to the vault"),
  outcome: z.enum(["ready", "created", "unsupported", "failed"]),
  message: z.string().nullable(),
  item: connectionDetail.nullable(),
});

export const importConnections = defineAction({
  name: "CONNECTION_IMPORT",
  title: "Import connections",
  description: "Makes a connection of each server in an mcp.json, as Claude, Cursor and VS Code write it, " +
    `at most ${maxServers} at a time, and reports on each.`,
  input: z.object({
    json: document.describe("The text of the mcp.json"),
    names: z.array(z.string()).max(maxServers).optional().describe("Only the servers of these names"),
    preview: z.boolean().default(false).describe("true: only says what would be made"),
  }),
  output: z.object({ items: z.array(outcome), created: z.int() }),
  // A file that was not accepted may hold secrets under any name.
  logged: () => ({ json: "***" }),
  loggedInput: ({ names, preview }) => ({ json: "***", names, preview }),
  loggedOutput: ({ items, created }) => ({
    items: items.map(({ item, ...report }) => ({
      ...report,
      address: withoutValues(report.address),
      item: item && { ...item, connection_url: item.connection_url && withoutValues(item.connection_url) },
    })),
    created,
  }),
  run: async (ctx, { json, names, preview }) => {
    const wanted = json.filter(({ name }) => names?.includes(name) ?? true);
    const items = await Promise.all(wanted.map((entry) => importOne(ctx, entry, preview)));
    return { items, created: items.filter((item) => item.outcome === "created").length };
  },
});

/** The address of a server without what may be a secret of any name: arguments, queries and who asks. */
function withoutValues(address: string): string {
  return address.replace(/([?#=\s]).*$/s, "$1***").replace(/:\/\/[^\/]*@/, "://***@");
}

/** Finds the map of servers: under `mcpServers`, `servers` (VS Code), `mcp.servers` (its settings), or alone. */
function entriesOf(value: unknown): Entry[] {
  const root = objectOf(value);
  const servers = root &&
    (objectOf(root.mcpServers) ?? objectOf(root.servers) ?? objectOf(objectOf(root.mcp)?.servers) ??
      (isEntry(root) ? { [nameOf(root)]: root } : root));
  const entries = Object.entries(servers ?? {});
  if (entries.length === 0 || !entries.some(([, entry]) => isEntry(objectOf(entry)))) {
    throw new Error("it names no servers; they are expected under 'mcpServers' or 'servers'");
  }
  if (entries.length > maxServers) throw new Error(`it names more than ${maxServers} servers`);
  return entries.map(([name, entry]) => {
    const parsed = entrySchema.safeParse(entry);
    if (!parsed.success) throw new Error(`the server '${name.slice(0, 100)}' is not written as expected`);
    return { ...parsed.data, name };
  });
}

function objectOf(value: unknown): Record<string, unknown> | null {
  return value !== null && typeof value === "object" && !Array.isArray(value)
    ? value as Record<string, unknown>
    : null;
}

function isEntry(value: Record<string, unknown> | null): boolean {
  return value !== null &&
    ["url", "serverUrl", "httpUrl", "command"].some((key) => typeof value[key] === "string");
}

function nameOf(entry: Record<string, unknown>): string {
  const url = entry.url ?? entry.serverUrl ?? entry.httpUrl;
  if (typeof entry.name === "string") return entry.name;
  return typeof url === "string" && URL.canParse(url) ? new URL(url).hostname : "server";
}

async function importOne(ctx: Context, entry: Entry, preview: boolean): Promise<z.input<typeof outcome>> {
  const url = urlOf(entry);
  const known = {
    name: entry.name,
    address: url === undefined ? [entry.command ?? "", ...entry.args ?? []].join(" ") : publicUrl(url),
    secrets: Object.keys(entry.headers ?? {}),
  };
  const reason = whyUnsupported(entry);
  if (reason !== null) return { ...known, outcome: "unsupported", message: reason, item: null };
  const parsed = connectionInput.safeParse(fieldsOf(entry));
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const message = `${issue?.path.join(".")}: ${issue?.message}`;
    return { ...known, outcome: "failed", message, item: null };
  }
  if (preview) return { ...known, outcome: "ready", message: null, item: null };
  try {
    const item = await create(ctx, parsed.data);
    return { ...known, outcome: "created", message: item.status_reason, item };
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return { ...known, outcome: "failed", message: error.message, item: null };
  }
}

function whyUnsupported(entry: Entry): string | null {
  const type = entry.type?.toLowerCase() ?? "";
  if (entry.command !== undefined || type === "stdio") {
    return "It is started by a command; STDIO servers are not served yet";
  }
  if (type === "sse") return "It speaks the older SSE transport, which is not served yet; HTTP is";
  if (type !== "" && !["http", "streamable-http", "streamablehttp", "streamable_http"].includes(type)) {
    return `Its type '${type.slice(0, 50)}' is not served; 'http' is`;
  }
  const values = [urlOf(entry) ?? "", ...Object.values(entry.headers ?? {})];
  // Placeholders of VS Code, Cursor and Claude Code: ${input:key}, ${env:KEY}, ${KEY}.
  const placeholder = values.map((value) => /\$\{[^}]*\}/.exec(value)?.[0]).find((found) =>
    found !== undefined
  );
  if (placeholder === undefined) return null;
  const name = placeholder.replace(/:-.*\}$/s, "}"); // what it stands for by default may be the secret itself
  return `It holds the placeholder '${name.slice(0, 100)}'; write the value in its place`;
}

function urlOf({ url, serverUrl, httpUrl }: Entry): string | undefined {
  return url ?? serverUrl ?? httpUrl;
}

/** The fields of a connection; an Authorization header becomes its token. */
function fieldsOf(entry: Entry): z.input<typeof connectionInput> {
  const headers = Object.entries(entry.headers ?? {});
  const isToken = ([name]: [string, string]) => name.toLowerCase() === "authorization";
  const token = headers.find(isToken)?.[1];
  const others = headers.filter((header) => !isToken(header));
  return {
    title: entry.name,
    connection_type: "HTTP",
    connection_url: urlOf(entry) ?? "",
    connection_token: token?.replace(/^bearer +/i, "") ?? null,
    connection_headers: others.length === 0 ? null : { headers: Object.fromEntries(others) },
  };
}
