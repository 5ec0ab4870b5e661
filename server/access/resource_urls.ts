import { isLoopbackHost } from "../config.ts";

const wellKnown = "/.well-known/oauth-protected-resource";

/** The scope that every client needs (RS05); what it may do is chosen by the person, not by scopes. */
export const baseScope = "mcp";

/** The URLs that tokens are for, and where each is described. Made once from BASE_URL. */
export class ResourceUrls {
  readonly #baseUrl: string;
  readonly #base: URL;
  /** The path that a proxy in front adds, "" where there is none. */
  readonly basePath: string;
  readonly #isLoopback: boolean;

  constructor(baseUrl: string) {
    this.#baseUrl = baseUrl;
    this.#base = new URL(baseUrl);
    this.basePath = this.#base.pathname.replace(/\/$/, "");
    this.#isLoopback = this.#base.protocol === "http:" && isLoopbackHost(this.#base.hostname);
  }

  /**
   * What a `resource` parameter means: `self`, `conn_...`, `gw_...`, or null where it is no resource of this mesh.
   * The mesh's own URL is the management server, with and without a slash at the end. RFC 8707 section 2
   */
  idOf(text: string): string | null {
    if (!/^[\x21-\x7e]{1,2000}$/.test(text) || !URL.canParse(text)) return null;
    const url = new URL(text);
    if (/[?#@]/.test(text) || !this.#isOwnOrigin(url)) return null;
    const path = url.pathname;
    if (path !== this.basePath && !path.startsWith(`${this.basePath}/`)) return null;
    return idOfPath(path.slice(this.basePath.length));
  }

  /** The URL of a resource, without a slash at the end. */
  urlOf(id: string): string {
    if (id === "self") return `${this.#baseUrl}/mcp`;
    return `${this.#baseUrl}/mcp/${id.startsWith("gw_") ? "gateway/" : ""}${id}`;
  }

  /**
   * Where the resource that was asked for is described; absolute (RS04, Q-17). Below the base path, so that a proxy
   * that hands on nothing else hands on this too; the form of RFC 9728 section 3.1 is answered as well.
   */
  metadataUrl(request: Request): string {
    const path = this.#below(new URL(request.url).pathname);
    return `${this.#origin(request)}${this.basePath}${wellKnown}${path}`;
  }

  /** The resource that a metadata URL was made from, exactly as its URL was typed (RS02, Q-05), or null. */
  described(request: Request): string | null {
    const own = this.#below(new URL(request.url).pathname);
    if (!own.startsWith(wellKnown)) return null;
    const path = this.#below(own.slice(wellKnown.length));
    return idOfPath(path) === null ? null : `${this.#origin(request)}${this.basePath}${path}`;
  }

  /** A path as this server knows it, whether or not the proxy in front took its own part away. */
  #below(path: string): string {
    const { basePath } = this;
    const isBelow = basePath !== "" && (path === basePath || path.startsWith(`${basePath}/`));
    return isBelow ? path.slice(basePath.length) : path;
  }

  /** BASE_URL's origin, whatever the Host says; the names of this machine are one place, so any of them may be used. */
  #origin(request: Request): string {
    if (!this.#isLoopback) return this.#base.origin;
    const host = request.headers.get("host") ?? "";
    const asked = `http://${host}`;
    if (!/^[\w.:[\]]+$/.test(host) || !URL.canParse(asked)) return this.#base.origin;
    return this.#isOwnOrigin(new URL(asked)) ? new URL(asked).origin : this.#base.origin;
  }

  #isOwnOrigin(url: URL): boolean {
    if (url.origin === this.#base.origin) return true;
    return this.#isLoopback && url.protocol === "http:" && url.port === this.#base.port &&
      isLoopbackHost(url.hostname);
  }
}

function idOfPath(path: string): string | null {
  if (/^\/?$|^\/mcp\/?$/.test(path)) return "self";
  return /^\/mcp\/(conn_[0-9a-z]{1,59})\/?$/.exec(path)?.[1] ??
    /^\/mcp\/gateway\/(gw_[0-9a-z]{1,61})\/?$/.exec(path)?.[1] ?? null;
}
