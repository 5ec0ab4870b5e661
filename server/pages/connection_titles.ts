import { perform } from "../actions/action.ts";
import { listConnectionUsage } from "../actions/connection_usage.ts";
import type { VisitContext } from "../visit.ts";
import { contextOf } from "./page.ts";

const maxIds = 100; // in one question

/** The titles of those of the resources that are connections of the organization. */
export async function titlesOf(c: VisitContext, resources: readonly string[]): Promise<Map<string, string>> {
  const ids = [...new Set(resources)].filter((resource) => /^conn_[^*]/.test(resource));
  const titles = new Map<string, string>();
  for (let start = 0; start < ids.length; start += maxIds) {
    const input = { ids: ids.slice(start, start + maxIds), figures: false, limit: maxIds };
    const { items } = await perform(listConnectionUsage, contextOf(c), input);
    for (const { id, title } of items) titles.set(id, title);
  }
  return titles;
}
