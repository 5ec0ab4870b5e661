import { failed, type OauthError, quoted } from "./error.ts";
import { problemOfEndpoint, readDocument, texts, type Way } from "./exchange.ts";

/** What an authorization server says of itself, as far as a client needs it. RFC 8414 */
export interface ServerMetadata {
  /** As it is written in the document, for comparison (CL06). */
  readonly issuer: string;
  readonly authorizationEndpoint: string | null;
  readonly tokenEndpoint: string;
  readonly registrationEndpoint: string | null;
  readonly revocationEndpoint: string | null;
  readonly userinfoEndpoint: string | null;
  readonly issParameterSupported: boolean;
  /** Whether a client's id may be the URL of its description. */
  readonly documentsSupported: boolean;
  readonly authMethods: readonly string[] | null;
  readonly assertionAlgorithms: readonly string[] | null;
  readonly scopes: readonly string[] | null;
  readonly challengeMethods: readonly string[] | null;
}

/** Whose metadata is wanted, and whether what it names may be of this machine (CL13). */
interface Wanted {
  readonly issuer: string;
  readonly loopback: boolean;
}

/** Reads the metadata of an issuer in all of its places (CL04); null where there is none. Throws OauthError. */
export async function findServer(way: Way, wanted: Wanted): Promise<ServerMetadata | null> {
  const { issuer } = wanted;
  const problem = problemOfEndpoint(issuer, wanted);
  if (problem !== null) {
    throw failed(way, "discovery", { reason: `its authorization server ${quoted(issuer)} ${problem}` });
  }
  let failing: OauthError | null = null;
  for (const url of metadataUrls(issuer)) {
    const found = await readDocument(way, url);
    if ("document" in found) return readMetadata(way, wanted, found.document);
    if ("failing" in found) failing ??= found.failing;
  }
  if (failing) throw failing;
  return null;
}

/** Where the metadata of an issuer may be, in order. RFC 8414 section 3.1, OpenID Connect Discovery section 4 */
export function metadataUrls(issuer: string): string[] {
  const { origin, pathname } = new URL(issuer);
  const [oauth, openid] = ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"];
  const path = pathname.replace(/\/$/, "");
  if (path === "") return [`${origin}${oauth}`, `${origin}${openid}`];
  return [`${origin}${oauth}${path}`, `${origin}${openid}${path}`, `${origin}${path}${openid}`];
}

function readMetadata(way: Way, wanted: Wanted, document: Record<string, unknown>): ServerMetadata {
  const expected = wanted.issuer;
  const { issuer } = document;
  if (typeof issuer !== "string" || !isSameIssuer(issuer, expected)) {
    const named = typeof issuer === "string" ? quoted(issuer) : "nobody";
    throw failed(way, "discovery", {
      reason: `the metadata of its authorization server ${quoted(expected)} is that of ${named}`,
    });
  }
  const needed = (name: string) => neededEndpoint(way, wanted, { name, value: document[name] });
  const optional = (value: unknown) => optionalEndpoint(wanted, value);
  const tokenEndpoint = needed("token_endpoint");
  if (tokenEndpoint === null) {
    throw failed(way, "discovery", {
      reason: `its authorization server ${quoted(issuer)} names no token endpoint`,
    });
  }
  return {
    issuer,
    tokenEndpoint,
    authorizationEndpoint: needed("authorization_endpoint"),
    registrationEndpoint: optional(document.registration_endpoint),
    revocationEndpoint: optional(document.revocation_endpoint),
    userinfoEndpoint: optional(document.userinfo_endpoint),
    issParameterSupported: document.authorization_response_iss_parameter_supported === true,
    documentsSupported: document.client_id_metadata_document_supported === true,
    authMethods: texts(document.token_endpoint_auth_methods_supported),
    assertionAlgorithms: texts(document.token_endpoint_auth_signing_alg_values_supported),
    scopes: texts(document.scopes_supported),
    challengeMethods: texts(document.code_challenge_methods_supported),
  };
}

// Both spellings of a server without a path have their metadata at the same URL, so neither can pose as the other.
function isSameIssuer(issuer: string, expected: string): boolean {
  if (issuer === expected) return true;
  return isBare(issuer) && isBare(expected) && issuer.replace(/\/$/, "") === expected.replace(/\/$/, "");
}

function isBare(issuer: string): boolean {
  return /^https?:\/\/[^/?#]+\/?$/.test(issuer);
}

function neededEndpoint(
  way: Way,
  wanted: Wanted,
  { name, value }: { name: string; value: unknown },
): string | null {
  if (typeof value !== "string") return null;
  const problem = problemOfEndpoint(value, wanted);
  if (problem === null) return value;
  throw failed(way, "discovery", {
    reason: `the ${name} of its authorization server, ${quoted(value)}, ${problem}`,
  });
}

/** An endpoint that one can do without; one that may not be called is none. */
function optionalEndpoint(wanted: Wanted, value: unknown): string | null {
  return typeof value === "string" && problemOfEndpoint(value, wanted) === null ? value : null;
}

/** The endpoints that servers of 2025-03-26 have where they say nothing of themselves. */
export function defaultServer(origin: string): ServerMetadata {
  return {
    issuer: origin,
    authorizationEndpoint: `${origin}/authorize`,
    tokenEndpoint: `${origin}/token`,
    registrationEndpoint: `${origin}/register`,
    revocationEndpoint: null,
    userinfoEndpoint: null,
    issParameterSupported: false,
    documentsSupported: false,
    // Its first servers read a client's credentials from the body alone.
    authMethods: ["none", "client_secret_post"],
    assertionAlgorithms: null,
    scopes: null,
    challengeMethods: ["S256"],
  };
}
