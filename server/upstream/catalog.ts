import type { Client, JSONValue } from "@modelcontextprotocol/client";
import { z } from "zod";
import { conceal, mayHold } from "../audit/concealment.ts";
import type { Outbound } from "../outbound.ts";
import { type Bounds, Conversation, type Peer } from "./conversation.ts";
import { ConversationError, type Failure } from "./failure.ts";
import { secretsIn } from "./sent_secrets.ts";

/** What an upstream serves, or why that is not known. Times in milliseconds. */
export type CatalogResult = Catalog | (Failure & { ok: false; latencyMs: number });

/** The lists of an upstream as it sent them; null where a list could not be had, with a note that says why. */
export interface Catalog {
  ok: true;
  /** From the first byte sent to the end of the handshake. */
  latencyMs: number;
  protocolVersion: string | null;
  tools: NamedItem[];
  resources: Item[] | null;
  resourceTemplates: Item[] | null;
  prompts: NamedItem[] | null;
  notes: string[];
}

type Item = Record<string, unknown>;
type NamedItem = Item & { name: string };

const bounds: Bounds = { totalMs: 20_000, maxBytes: 20_000_000 };
const maxItems = 10_000;
const maxPages = 1000;
/** Of all lists together as JSON, so that a row fits into what a database takes at once. */
const maxStoredBytes = 8_000_000;

const item = z.record(z.string(), z.unknown());
const named = z.looseObject({ name: z.string().min(1).max(1000) });

/** Asks an upstream for all that it lists, following every page. A failure is a result, not an exception. */
export async function readCatalog(
  outbound: Outbound,
  peer: Peer,
  limits: Bounds = bounds,
): Promise<CatalogResult> {
  const began = performance.now();
  const elapsed = () => Math.round((performance.now() - began) * 100) / 100;
  let conversation: Conversation | undefined;
  let latencyMs: number | undefined;
  try {
    conversation = await Conversation.open(outbound, peer, limits);
    latencyMs = elapsed();
    return { ok: true, latencyMs, ...hidden(await lists(conversation, peer.title), secretsIn(peer)) };
  } catch (error) {
    if (!(error instanceof ConversationError)) throw error;
    return { ok: false, latencyMs: latencyMs ?? elapsed(), ...error.failure };
  } finally {
    await conversation?.close();
  }
}

/** The lists without what the server was sent in confidence: others than it was sent for will read them. */
function hidden<T extends object>(read: T, secrets: readonly string[]): T {
  const json = JSON.stringify(read);
  if (!mayHold(json, secrets)) return read;
  return JSON.parse(json, (_, value) => typeof value === "string" ? conceal(value, secrets) : value);
}

async function lists(conversation: Conversation, title: string): Promise<Omit<Catalog, "ok" | "latencyMs">> {
  const { capabilities, protocolVersion } = conversation;
  const notes: string[] = [];
  const all = <T extends Item>(method: string, key: string, schema: z.ZodType<T>) =>
    conversation.run("list", (client) => readAll(client, { title, method, key, schema }));
  /** A list beside the tools: without it the connection is of use all the same. */
  async function beside<T extends Item>(
    method: string,
    key: string,
    schema: z.ZodType<T>,
  ): Promise<T[] | null> {
    try {
      return await all(method, key, schema);
    } catch (error) {
      if (!(error instanceof ConversationError) || error.failure.code === "timeout") throw error;
      notes.push(`${method} failed: ${error.failure.message}`);
      return null;
    }
  }
  const read = {
    protocolVersion,
    tools: capabilities.tools ? await all("tools/list", "tools", named) : [],
    resources: capabilities.resources ? await beside("resources/list", "resources", item) : [],
    resourceTemplates: capabilities.resources
      ? await beside("resources/templates/list", "resourceTemplates", item)
      : [],
    prompts: capabilities.prompts ? await beside("prompts/list", "prompts", named) : [],
    notes,
  };
  if (new TextEncoder().encode(JSON.stringify(read)).length <= maxStoredBytes) return read;
  throw new ConversationError({
    stage: "list",
    code: "too_large",
    message: `${title} lists more than ${
      maxStoredBytes / 1_000_000
    } MB of tools, resources and prompts (list)`,
    advice: "Have it serve fewer, or split it into several servers",
  });
}

interface Wanted<T extends Item> {
  title: string;
  method: string;
  key: string;
  schema: z.ZodType<T>;
}

/** All pages of one list. Throws ConversationError where it has no end, is too long, or is none. */
async function readAll<T extends Item>(
  client: Client,
  { title, method, key, schema }: Wanted<T>,
): Promise<T[]> {
  const page = z.looseObject({ [key]: z.array(schema), nextCursor: z.string().nullish() });
  const refuse = (code: string, reason: string) =>
    new ConversationError({
      stage: "list",
      code,
      message: `${title} ${reason} (${method})`,
      advice: "Tell those who maintain the server",
    });
  const items: T[] = [];
  const seen = new Set<string>();
  let cursor: string | undefined;
  for (let pages = 0; pages < maxPages; pages++) {
    const params: Record<string, JSONValue> = cursor === undefined ? {} : { cursor };
    // Our own schema: an item is kept as the upstream sent it, whatever else it holds.
    const result = await client.request({ method, params }, z.looseObject({}));
    const checked = page.safeParse(result);
    if (!checked.success) throw refuse("not_mcp", "sent a list that is not as the specification says");
    items.push(...checked.data[key] as T[]);
    if (items.length > maxItems) throw refuse("too_many", `lists more than ${maxItems} items`);
    const next = checked.data.nextCursor as string | null | undefined;
    if (next === undefined || next === null || next === "") return items;
    if (seen.has(next)) throw refuse("endless", "repeats a page of its list without end");
    seen.add(next);
    cursor = next;
  }
  throw refuse("endless", `sends its list in more than ${maxPages} pages`);
}
