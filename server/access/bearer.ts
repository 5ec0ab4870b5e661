import type { Actor } from "./actor.ts";
import type { Identities } from "./identify.ts";
import { baseScope } from "./resource_urls.ts";

/** Who is asked about a token, and which resource it has to be for. */
export interface Audience {
  readonly identities: Identities;
  /** `self`, `conn_...` or `gw_...`. */
  readonly resource: string;
  /** That of `performance.now`, where the caller knows it. */
  readonly now?: number;
}

/**
 * The actor of a bearer token; null without a valid one, or with one for another resource (RS07). Tokens in the URL
 * and cookies count for nothing (RS13).
 */
export function bearerActor(
  headers: Headers,
  { identities, resource, now }: Audience,
): Actor | null | Promise<Actor | null> {
  const header = headers.get("authorization");
  if (header === null || !(header.startsWith("Bearer ") || bearer.test(header))) return null;
  const actor = identities.byBearer(header.slice(7).trim(), now);
  return actor instanceof Promise
    ? actor.then((found) => onlyFor(found, resource))
    : onlyFor(actor, resource);
}

function onlyFor(actor: Actor | null, resource: string): Actor | null {
  return actor === null || actor.resource === null || actor.resource === resource ? actor : null;
}

const bearer = /^bearer /i;

/**
 * The answer to a request without a valid token; an error code only where a token came (RFC 6750 section 3, RS06).
 * `metadataUrl` says where the resource describes how to get one (RFC 9728 section 5.1).
 */
export function unauthorized(headers: Headers, metadataUrl?: string): Response {
  const parts = ['realm="mesh"'];
  if (bearer.test(headers.get("authorization") ?? "")) {
    parts.push(
      'error="invalid_token"',
      'error_description="The token is unknown, expired or for another resource"',
    );
  }
  if (metadataUrl !== undefined) {
    parts.push(`scope="${baseScope}"`, `resource_metadata="${metadataUrl}"`); // RS05
  }
  const message = "Cannot answer without a valid token: sign in, or send an API key as bearer";
  const challenge = { "www-authenticate": `Bearer ${parts.join(", ")}` };
  return Response.json({ code: "unauthenticated", message }, { status: 401, headers: challenge });
}
