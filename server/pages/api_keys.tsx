import { ApiKeyRows, ApiKeysPage, DeleteApiKeyPage } from "../../views/api_keys.tsx";
import { paths } from "../../views/paths.ts";
import { perform } from "../actions/action.ts";
import { deleteApiKey, listApiKeys } from "../actions/api_keys.ts";
import { AppError } from "../errors.ts";
import { goTo, type VisitContext, wantsPart } from "../visit.ts";
import { titlesOf } from "./connection_titles.ts";
import { contextOf, infoOf, pageOf, param, shellOf, toLastPage } from "./page.ts";

const pageSize = 50;

/** The API keys that the person may see. */
export async function showApiKeys(c: VisitContext): Promise<Response> {
  const place = pageOf(c, pageSize);
  const q = (c.req.query("q") ?? "").trim().slice(0, 200);
  const { items: all } = await perform(listApiKeys, contextOf(c), {});
  const items = all.filter((key) => matches(key, q.toLowerCase()));
  const last = toLastPage(c, place, items.length);
  if (last) return last;
  const keys = items.slice(place.offset, place.offset + place.limit);
  const info = infoOf(place, { shown: keys.length, total: items.length });
  const titles = await titlesOf(c, keys.flatMap(({ permissions }) => Object.keys(permissions)));
  const list = { keys, info, q, titles: Object.fromEntries(titles) };
  if (wantsPart(c)) return await c.html(<ApiKeyRows {...list} />);
  return await c.html(<ApiKeysPage {...list} shell={await shellOf(c)} />);
}

function matches({ name, ownerName }: { name: string; ownerName?: string | null }, wanted: string): boolean {
  return [name, ownerName].some((text) => text?.toLowerCase().includes(wanted) ?? false);
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
