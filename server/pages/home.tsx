import { type AttentionItem, HomePage } from "../../views/home.tsx";
import { adviceWords, needing } from "../../views/credential_words.ts";
import { paths } from "../../views/paths.ts";
import { perform } from "../actions/action.ts";
import { listApiKeys } from "../actions/api_keys.ts";
import { listConnectionUsage } from "../actions/connection_usage.ts";
import { listCredentials } from "../actions/credentials.ts";
import type { VisitContext } from "../visit.ts";
import { dayMs, figuresOf } from "./figures.ts";
import { contextOf, shellOf } from "./page.ts";

const soonMs = 7 * dayMs;
const maxItems = 5; // of each kind

/** The start page: the way to the first call, the figures of the day, what needs attention. */
export async function showHome(c: VisitContext): Promise<Response> {
  const now = Date.now();
  const shell = await shellOf(c);
  const { stats } = await figuresOf(c, { span: { from: now - dayMs, to: now } });
  const { items: keys } = await perform(listApiKeys, contextOf(c), {});
  const steps = {
    connection: (shell.counts?.connections ?? 0) > 0,
    key: keys.length > 0,
    client: keys.some(({ lastUsedAt }) => lastUsedAt !== null),
  };
  const own = (shell.counts?.needReconnect ?? 0) > 0 ? await ended(c) : [];
  const failing = await unreachable(c);
  const attention = [...own, ...expiring(keys, now), ...failing.items];
  const further = failing.total - failing.items.length;
  return await c.html(<HomePage {...{ shell, steps, stats, attention }} furtherUnreachable={further} />);
}

/** What the person has to connect again. */
async function ended(c: VisitContext): Promise<AttentionItem[]> {
  const { items } = await perform(listCredentials, contextOf(c), {});
  return needing(items).slice(0, maxItems).map((item) => ({
    tone: "bad",
    text: adviceWords(item),
    href: paths.myConnection(item.connection_id),
    action: "Reconnect",
  }));
}

async function unreachable(c: VisitContext): Promise<{ items: AttentionItem[]; total: number }> {
  const failing = { status: "error" as const, figures: false, limit: maxItems };
  const { items, totalCount } = await perform(listConnectionUsage, contextOf(c), failing);
  const shown = items.map(({ id, title, status_reason, sharedAccess }) => ({
    tone: "bad" as const,
    text: sharedAccess === "not_connected"
      ? `Nobody has signed in at ${title} yet, so calls to it fail`
      : status_reason ?? `${title} does not answer`,
    href: paths.connection(id),
    action: "Show the connection",
  }));
  return { items: shown, total: totalCount };
}

function expiring(keys: { name: string; expiresAt: string | null }[], now: number): AttentionItem[] {
  const ending = keys.filter(({ expiresAt }) => {
    const left = expiresAt === null ? Infinity : Date.parse(expiresAt) - now;
    return left < soonMs && left > -soonMs;
  });
  return ending.slice(0, maxItems).map(({ name, expiresAt }) => ({
    tone: "warn",
    text: Date.parse(expiresAt ?? "") > now
      ? `The API key “${name}” expires on ${expiresAt?.slice(0, 10)}`
      : `The API key “${name}” expired on ${expiresAt?.slice(0, 10)}`,
    href: paths.apiKeys,
    action: "Show the keys",
  }));
}
