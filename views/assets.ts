import { at } from "./paths.ts";

const hashes = new Map<string, string>();

/** Remembers the content hash of each static file, by its path below `static/`, so that `asset()` can name it. */
export function setAssetHashes(map: Readonly<Record<string, string>> | ReadonlyMap<string, string>): void {
  hashes.clear();
  for (const [path, hash] of map instanceof Map ? map : Object.entries(map)) hashes.set(path, hash);
}

/** Gives the URL of a static file, such as `asset("app.css")`: `/static/app.css?v=<hash>`, without `v` while no hash is known. */
export function asset(path: string): string {
  const hash = hashes.get(path);
  const url = at(`/static/${path}`);
  return hash === undefined ? url : `${url}?v=${encodeURIComponent(hash)}`;
}
