import { createHash } from "node:crypto";

/** A file as it is sent. */
interface StaticFile {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly type: string;
  /** The beginning of its SHA-256, in the `v` of its URL and in its ETag. */
  readonly hash: string;
}

/** What a browser said of the file that it wants. */
export interface Wanted {
  /** Below `static/`, such as `vendor/htmx.min.js`. */
  path: string;
  version: string | undefined;
  ifNoneMatch: string | undefined;
}

const types: Readonly<Record<string, string>> = {
  css: "text/css; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  svg: "image/svg+xml",
  txt: "text/plain; charset=utf-8",
};

/** The files of the folder `static`, which the executable holds too; read once, so a path can name nothing else. */
export class StaticFiles {
  readonly #files = new Map<string, StaticFile>();

  constructor(folder = new URL("../static/", import.meta.url)) {
    this.#read(folder, "");
  }

  /** The content hash of each file by its path. */
  get hashes(): Record<string, string> {
    return Object.fromEntries([...this.#files].map(([path, { hash }]) => [path, hash]));
  }

  /** The answer to a GET, or null where there is no such file; kept for ever where the URL names this content. */
  answer({ path, version, ifNoneMatch }: Wanted): Response | null {
    const file = this.#files.get(path);
    if (!file) return null;
    const etag = `"${file.hash}"`;
    const headers = {
      "cache-control": version === file.hash ? "public, max-age=31536000, immutable" : "no-cache",
      "content-type": file.type,
      "etag": etag,
      "x-content-type-options": "nosniff",
    };
    const known = ifNoneMatch?.split(",").map((one) => one.trim().replace(/^W\//, ""));
    if (known?.includes(etag)) return new Response(null, { status: 304, headers });
    return new Response(file.bytes, { headers });
  }

  #read(folder: URL, prefix: string): void {
    for (const { name, isDirectory } of Deno.readDirSync(folder)) {
      if (isDirectory) this.#read(new URL(`${name}/`, folder), `${prefix}${name}/`);
      else this.#files.set(`${prefix}${name}`, fileAt(new URL(name, folder)));
    }
  }
}

function fileAt(url: URL): StaticFile {
  const bytes = Deno.readFileSync(url);
  const type = types[url.pathname.split(".").at(-1) ?? ""] ?? "application/octet-stream";
  return { bytes, type, hash: createHash("sha256").update(bytes).digest("hex").slice(0, 16) };
}
