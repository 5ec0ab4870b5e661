import { LRUCache } from "lru-cache";
import { AppError } from "../errors.ts";
import type { Db } from "../storage/dialect.ts";
import * as organizations from "../storage/organizations.ts";
import type { Header } from "./credentials.ts";
import { type IdentifiedCaller, identityHeader, type IdentityTokens } from "./identity_token.ts";
import { expand } from "./templates.ts";

/** What decides, once a connection, how its headers are completed. */
export interface ExtrasTarget {
  readonly id: string;
  readonly organizationId: string;
  readonly url: string;
  /** True where a header may hold a template. */
  readonly templated: boolean;
  readonly identityToken: boolean;
}

/** What the class needs; a part of the services. */
export interface ExtrasParts {
  readonly db: Db;
  readonly identityTokens: IdentityTokens;
}

/** How long an organization's slug is taken as it is. */
const freshMs = 1000;

/** Completes the headers of a connection for each caller: templates are filled, and a token says who calls. */
export class Extras {
  readonly #db: Db;
  readonly #tokens: IdentityTokens;
  readonly #slugs = new LRUCache<string, string>({ max: 1000, ttl: freshMs });

  constructor({ db, identityTokens }: ExtrasParts) {
    this.#db = db;
    this.#tokens = identityTokens;
  }

  /** The headers as they are sent, at once while everything is at hand. */
  complete(
    headers: readonly Header[],
    target: ExtrasTarget,
    caller: IdentifiedCaller,
  ): readonly Header[] | Promise<readonly Header[]> {
    if (!target.templated && !target.identityToken) return headers;
    const slug = this.#slugs.get(target.organizationId);
    const given = { headers, target, caller };
    if (slug !== undefined) return this.#fill(given, slug);
    return this.#findSlug(target.organizationId).then((found) => this.#fill(given, found));
  }

  #fill(
    { headers, target, caller }: {
      headers: readonly Header[];
      target: ExtrasTarget;
      caller: IdentifiedCaller;
    },
    slug: string,
  ): readonly Header[] | Promise<readonly Header[]> {
    const organization = { id: target.organizationId, slug };
    const filled = target.templated
      ? expand(headers, { user: { ...caller, id: caller.userId }, organization, connection: target })
      : headers;
    if (!target.identityToken) return filled;
    const token = this.#tokens.headerFor({ id: target.id, url: target.url, organization }, caller);
    return token instanceof Promise
      ? token.then((text) => withToken(filled, text))
      : withToken(filled, token);
  }

  async #findSlug(organizationId: string): Promise<string> {
    const organization = await organizations.find(this.#db, organizationId);
    if (!organization) throw new AppError("not_found", `Cannot find the organization '${organizationId}'`);
    this.#slugs.set(organizationId, organization.slug);
    return organization.slug;
  }
}

function withToken(headers: readonly Header[], token: string): readonly Header[] {
  return [...headers.filter(([name]) => name !== identityHeader), [identityHeader, token]];
}
