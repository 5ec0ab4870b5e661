import { LRUCache } from "lru-cache";
import { isObject } from "../body.ts";
import { describeError } from "../log.ts";
import type { Outbound } from "../outbound.ts";
import { cleanName, type Client } from "./clients.ts";
import { PageError } from "./errors.ts";
import { problemOf } from "../access/redirect_uris.ts";

const maxBytes = 5 * 1024; // AS54
const maxTimeMs = 5000;
const maxRedirectUris = 50;
const maxRunning = 20;

/** How long a document is used again, in milliseconds (AS55). */
const freshMs = { min: 30_000, max: 24 * 3600_000, unsaid: 3600_000 };

/** True for an id that is the URL of a document, whether or not it is a good one. */
export function isDocumentId(id: string): boolean {
  return /^https:\/\//i.test(id);
}

/** Clients that are described at the URL that is their id: OAuth Client ID Metadata Documents. */
export class ClientDocuments {
  readonly #outbound: Outbound;
  readonly #timeoutMs: number;
  readonly #known = new LRUCache<string, Client>({ max: 500 });
  /** One fetch at a time for one document. */
  readonly #running = new Map<string, Promise<Client>>();

  constructor(outbound: Outbound, timeoutMs = maxTimeMs) {
    this.#outbound = outbound;
    this.#timeoutMs = timeoutMs;
  }

  /** The client of a document. Throws PageError with what is wrong with its id or document. */
  async load(id: string): Promise<Client> {
    const problem = problemOfId(id);
    if (problem !== null) throw new PageError(`The application's id is a URL that ${problem}`);
    const known = this.#known.get(id) ?? this.#running.get(id);
    if (known) return await known;
    if (this.#running.size >= maxRunning) {
      throw new PageError(
        "The server is reading too many descriptions of applications now; try again shortly",
      );
    }
    const running = this.#read(id).finally(() => this.#running.delete(id));
    this.#running.set(id, running);
    return await running;
  }

  async #read(id: string): Promise<Client> {
    let text: string;
    let response: Response;
    try {
      response = await this.#outbound.fetch(id, {
        redirect: "manual", // AS51
        headers: { accept: "application/json" },
        maxBytes,
        signal: AbortSignal.timeout(this.#timeoutMs),
      });
      if (response.status !== 200) {
        await response.body?.cancel();
        throw new PageError(`The description of the application at '${id}' answered ${response.status}`);
      }
      text = await response.text();
    } catch (error) {
      if (error instanceof PageError) throw error;
      // Why is for the log: the person who asks may be trying out what this server can reach.
      throw new PageError(
        `The description of the application at '${id}' could not be read`,
        describeError(error),
      );
    }
    const type = response.headers.get("content-type")?.split(";")[0]?.trim().toLowerCase() ?? "";
    if (!/^application\/([\w.+-]+\+)?json$/.test(type)) throw new PageError(`What is at '${id}' is not JSON`);
    const client = readDocument(id, text);
    this.#known.set(id, client, { ttl: freshnessOf(response.headers, Date.now()) });
    return client;
  }
}

/** What is wrong with a URL as an id (AS50), or null. */
export function problemOfId(id: string): string | null {
  if (id.length > 500) return "is longer than 500 characters";
  if (!/^[\x21-\x7e]+$/.test(id) || !URL.canParse(id)) return "cannot be read";
  const url = new URL(id);
  if (url.protocol !== "https:") return "is not https";
  if (url.username !== "" || url.password !== "" || /^https:\/\/[^/?#]*@/i.test(id)) {
    return "has a user name in it";
  }
  if (id.includes("#")) return "has a fragment";
  if (url.pathname === "/") return "has no path";
  if (/\/(\.|%2e){1,2}(?=[/?]|$)/i.test(id)) return "has dots for a part of its path";
  // One client has one id: other spellings of the same URL are none.
  return url.href === id ? null : "is not written in its normal form";
}

/** Reads a document. Throws PageError (AS51, AS52). */
function readDocument(id: string, text: string): Client {
  const bad = (reason: string) => new PageError(`The description of the application at '${id}' ${reason}`);
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    throw bad("is not JSON");
  }
  if (!isObject(document)) throw bad("is not an object");
  if (document.client_id !== id) throw bad("is about another application");
  const name = typeof document.client_name === "string" ? cleanName(document.client_name) : "";
  if (name === "") throw bad("has no client_name");
  if ("client_secret" in document || "client_secret_expires_at" in document) {
    throw bad("holds a secret, which a public document must not");
  }
  if (!mayBePublic(document)) {
    throw bad(
      "asks for a way of client authentication that this server does not support: it supports 'none'",
    );
  }
  const uris = Array.isArray(document.redirect_uris) ? document.redirect_uris.slice(0, maxRedirectUris) : [];
  const redirectUris = uris.filter((uri) => typeof uri === "string" && problemOf(uri) === null);
  if (redirectUris.length === 0) throw bad("names no address in redirect_uris that may be returned to");
  return {
    id,
    name,
    source: "document",
    uri: webUrl(document.client_uri),
    redirectUris,
    grantTypes: ["authorization_code", "refresh_token"],
    secretHash: null,
    organizationId: null,
    ownerId: null,
    permissions: null,
    registeredAt: null,
  };
}

/** A client may prefer another way and name `none` among those that it can use. */
function mayBePublic(document: Record<string, unknown>): boolean {
  const { token_endpoint_auth_method: method, token_endpoint_auth_methods_supported: methods } = document;
  return method === undefined || method === "none" || (Array.isArray(methods) && methods.includes("none"));
}

/** A URL of the web that may be linked to, or null. */
export function webUrl(value: unknown): string | null {
  if (typeof value !== "string" || value.length > 500 || !URL.canParse(value)) return null;
  const url = new URL(value);
  return url.protocol === "https:" && url.username === "" ? url.href : null;
}

/** How long an answer is used again, in milliseconds. RFC 9111 section 4.2.1 */
export function freshnessOf(headers: Headers, now: number): number {
  const control = headers.get("cache-control")?.toLowerCase() ?? "";
  const maxAge = /(?:^|[\s,])max-age="?(\d{1,10})/.exec(control)?.[1];
  const expires = Date.parse(headers.get("expires") ?? "");
  const said = /(?:^|[\s,])no-(store|cache)\b/.test(control)
    ? 0
    : maxAge !== undefined
    ? Number(maxAge) * 1000
    : Number.isNaN(expires)
    ? freshMs.unsaid
    : expires - now;
  return Math.min(freshMs.max, Math.max(freshMs.min, said));
}
