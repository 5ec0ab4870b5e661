import { ApiKeysPage, DeleteApiKeyPage } from "../../views/api_keys.tsx";
import { paths } from "../../views/paths.ts";
import { perform } from "../actions/action.ts";
import { type ApiKey, deleteApiKey, listApiKeys } from "../actions/api_keys.ts";
import { listConnectionUsage } from "../actions/connection_usage.ts";
import { AppError } from "../errors.ts";
import { goTo, type VisitContext } from "../visit.ts";
import { contextOf, infoOf, pageOf, param, shellOf } from "./page.ts";

const pageSize = 50;
const maxIds = 100; // in one question

/** The API keys that the person may see. */
export async function showApiKeys(c: VisitContext): Promise<Response> {
  const place = pageOf(c, pageSize);
  const { items } = await perform(listApiKeys, contextOf(c), {});
  const keys = items.slice(place.offset, place.offset + place.limit);
  const info = infoOf(place, { shown: keys.length, total: items.length });
  const titles = await titlesOf(c, keys);
  return await c.html(<ApiKeysPage shell={await shellOf(c)} keys={keys} info={info} titles={titles} />);
}

/** The titles of the connections that the keys name. */
async function titlesOf(c: VisitContext, keys: ApiKey[]): Promise<Record<string, string>> {
  const named = keys.flatMap(({ permissions }) => Object.keys(permissions));
  const ids = [...new Set(named)].filter((resource) => /^conn_[^*]/.test(resource));
  const titles: Record<string, string> = {};
  for (let start = 0; start < ids.length; start += maxIds) {
    const input = { ids: ids.slice(start, start + maxIds), limit: maxIds };
    const { items } = await perform(listConnectionUsage, contextOf(c), input);
    for (const { id, title } of items) titles[id] = title;
  }
  return titles;
}

/** Asks before a key is deleted. */
export async function showDeleteApiKey(c: VisitContext): Promise<Response> {
  const { items } = await perform(listApiKeys, contextOf(c), {});
  const apiKey = items.find(({ id }) => id === param(c, "id"));
  if (!apiKey) throw new AppError("not_found", `Cannot show the API key: there is no '${param(c, "id")}'`);
  return await c.html(<DeleteApiKeyPage shell={await shellOf(c)} apiKey={apiKey} />);
}

/** Deletes a key: it is refused from its next request on. */
export async function removeApiKey(c: VisitContext): Promise<Response> {
  await perform(deleteApiKey, contextOf(c), { keyId: param(c, "id") });
  return goTo(c, paths.apiKeys, { kind: "good", text: "The API key is deleted." });
}
