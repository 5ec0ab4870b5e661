import { isObject } from "../../body.ts";
import { holds } from "../../audit/concealment.ts";
import { AppError } from "../../errors.ts";
import { failed, type OauthError, type OauthKind, quoted } from "./error.ts";
import { scopeIn } from "./challenge.ts";
import { type Answer, ask, isTransient, jsonObject, retryAfter, type Way } from "./exchange.ts";
import type { OauthClient } from "./types.ts";

/** What a token endpoint grants, checked. */
export interface TokenAnswer {
  readonly accessToken: string;
  readonly refreshToken: string | null;
  readonly scope: string | null;
  /** Milliseconds since 1970 by our own clock; null where nothing believable is said. */
  readonly expiresAt: number | null;
  readonly idToken: string | null;
  /** All of it, for what only some servers say. */
  readonly body: Readonly<Record<string, unknown>>;
}

/** Where a client proves itself. */
export interface Endpoint {
  readonly url: string;
  readonly issuer: string;
  readonly client: OauthClient;
}

const maxTokenLength = 32 * 1024;
/** Longer lives are mistakes: other units, or a time in place of a duration. */
const longestLifeSeconds = 10 * 366 * 24 * 3600;
/** Words that servers have for the errors of RFC 6749 section 5.2, some of them with status 200. */
const kinds: Readonly<Record<string, OauthKind>> = {
  invalid_grant: "invalid_grant",
  bad_verification_code: "invalid_grant",
  bad_refresh_token: "invalid_grant",
  invalid_refresh_token: "invalid_grant",
  invalid_code: "invalid_grant",
  code_already_used: "invalid_grant",
  token_expired: "invalid_grant",
  token_revoked: "invalid_grant",
  invalid_client: "invalid_client",
  invalid_client_id: "invalid_client",
  bad_client_secret: "invalid_client",
  incorrect_client_credentials: "invalid_client",
  insufficient_scope: "insufficient",
  temporarily_unavailable: "transient",
  server_error: "transient",
  slow_down: "transient",
  ratelimited: "transient",
  rate_limited: "transient",
  internal_error: "transient",
};
const invalidWhat: Partial<Record<OauthKind, string>> = {
  invalid_grant: "no longer accepts the grant",
  invalid_client: "no longer knows the client",
  transient: "cannot answer now",
};

const confidentialNames = [
  "code",
  "code_verifier",
  "refresh_token",
  "client_assertion",
  "client_secret",
] as const;

/** Asks a token endpoint. `secrets` of the request are kept out of messages, as a server may repeat them. */
export async function requestToken(
  way: Way,
  { url, issuer, client }: Endpoint,
  parameters: Readonly<Record<string, string | null>>,
): Promise<TokenAnswer> {
  const startedAt = Date.now();
  const { body, headers } = await proven(way, { url, issuer, client }, parameters);
  const answer = await ask(way, url, {
    method: "POST",
    headers: { ...headers, accept: "application/json" },
    body,
  });
  const basic = headers.authorization?.replace(/^Basic /, "");
  const secrets = [...body.values(), client.secret, headers.authorization, basic];
  const confidential = confidentialNames.map((name) => body.get(name)).concat(client.secret, basic ?? null);
  return readAnswer(way, { answer, host: new URL(url).host, secrets, confidential, startedAt });
}

async function proven(way: Way, endpoint: Endpoint, parameters: Readonly<Record<string, string | null>>) {
  try {
    return await authenticated(endpoint, parameters);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    throw failed(way, "registration", {
      reason: "the private key of the connection is unusable",
      cause: error,
    });
  }
}

/** The body of a request to an endpoint, and the headers, with what proves who asks (CL16). */
export async function authenticated(
  { url, issuer, client }: Endpoint,
  parameters: Readonly<Record<string, string | null>>,
): Promise<{ body: URLSearchParams; headers: Record<string, string> }> {
  const body = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) if (value !== null) body.set(name, value);
  const headers: Record<string, string> = {};
  switch (client.authMethod) {
    case "client_secret_basic":
      headers.authorization = basic(client);
      break;
    case "client_secret_post":
      body.set("client_id", client.clientId);
      body.set("client_secret", client.secret ?? "");
      break;
    case "private_key_jwt": {
      const { signAssertion } = await import("./assertion.ts");
      const audience = client.assertionAudience === "token_endpoint" ? url : issuer;
      body.set("client_id", client.clientId);
      body.set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
      body.set("client_assertion", await signAssertion(client, audience));
      break;
    }
    case "none":
      body.set("client_id", client.clientId);
  }
  return { body, headers };
}

// RFC 6749 section 2.3.1: both parts are form-encoded before they are joined.
function basic({ clientId, secret }: OauthClient): string {
  const encoded = [clientId, secret ?? ""].map((part) =>
    new URLSearchParams([["", part]]).toString().slice(1)
  );
  return `Basic ${btoa(encoded.join(":"))}`;
}

interface Read {
  answer: Answer;
  host: string;
  /** What was sent, most of it in confidence. */
  secrets: readonly (string | null | undefined)[];
  /** Of that, what is nobody else's business. */
  confidential: readonly (string | null)[];
  startedAt: number;
}

function readAnswer(way: Way, read: Read): TokenAnswer {
  const { answer, host, startedAt } = read;
  const body = bodyOf(answer);
  const error = body === null ? null : errorIn(body);
  if (error !== null || answer.status !== 200 && answer.status !== 201 || body === null) {
    throw failureOf(way, { ...read, error, description: body?.error_description });
  }
  const token = body.access_token;
  if (typeof token !== "string" || !isToken(token)) {
    throw failed(way, "refused", { reason: `${host} answered without an access token` });
  }
  if (!isBearer(body.token_type)) {
    const type = quoted(String(body.token_type), read.secrets);
    throw failed(way, "refused", {
      reason: `${host} gives tokens of the type ${type}, and the mesh knows Bearer`,
    });
  }
  const { refresh_token: refreshToken, id_token: idToken } = body;
  return {
    accessToken: token,
    refreshToken: typeof refreshToken === "string" && isToken(refreshToken) ? refreshToken : null,
    scope: scopeOf(body.scope, [...read.confidential, token, refreshToken, idToken]),
    expiresAt: expiryOf(body.expires_in, startedAt),
    idToken: typeof idToken === "string" ? idToken : null,
    body,
  };
}

/** The scopes that are granted; null where nothing is said, or where what is said repeats secrets. */
function scopeOf(said: unknown, secrets: readonly unknown[]): string | null {
  const scope = scopeIn(Array.isArray(said) ? said.join(" ") : said);
  const known = secrets.filter((secret) => typeof secret === "string");
  return scope !== null && holds(scope, known) ? null : scope;
}

// Some servers answer as a form, whatever they are asked for.
function bodyOf({ text, headers }: Answer): Record<string, unknown> | null {
  const json = jsonObject(text);
  if (json) return json;
  const type = headers.get("content-type") ?? "";
  const isForm = type.startsWith("application/x-www-form-urlencoded") ||
    /^(?:access_token|error)=[^<>\s]*$/.test(text.trim());
  return isForm ? Object.fromEntries(new URLSearchParams(text.trim())) : null;
}

function errorIn(body: Record<string, unknown>): string | null {
  const { error, ok } = body;
  if (typeof error === "string" && error !== "") return error;
  if (isObject(error)) return typeof error.code === "string" ? error.code : "unknown";
  return ok === false ? "unknown" : null;
}

/** What an answer without a token means. What is no answer of OAuth may pass: a proxy, a page of maintenance. */
function failureOf(
  way: Way,
  { answer, host, secrets, error, description }: Read & { error: string | null; description: unknown },
): OauthError {
  const { status, headers } = answer;
  const wait = retryAfter(headers, Date.now());
  const retry = wait === null ? {} : { retryAfterSeconds: wait };
  if (error === null || isTransient(status)) {
    return failed(way, "transient", { reason: `${host} did not answer as it should (${status})`, ...retry });
  }
  const kind = kinds[error] ?? (status === 401 ? "invalid_client" : "refused");
  const words = typeof description === "string" && description !== "" ? description : error;
  const what = invalidWhat[kind] ?? "refused";
  return failed(way, kind, { reason: `${host} ${what}: ${quoted(words, secrets)}`, ...retry });
}

// What is sent in a header: RFC 6750 section 2.1, read generously.
function isToken(value: string): boolean {
  return value.length <= maxTokenLength && /^[\x21-\x7e]+$/.test(value);
}

// RFC 6749 section 7.1: a token of a type that one does not understand is not used. Servers that leave the type out,
// or name whose token it is, mean Bearer.
function isBearer(type: unknown): boolean {
  return type === undefined || type === null ||
    typeof type === "string" && /^(?:bearer|user|bot|)$/i.test(type.trim());
}

function expiryOf(said: unknown, startedAt: number): number | null {
  const seconds = typeof said === "string" && said.trim() !== "" ? Number(said) : said;
  if (typeof seconds !== "number" || !(seconds >= 1 && seconds <= longestLifeSeconds)) return null;
  return startedAt + Math.floor(seconds * 1000);
}
