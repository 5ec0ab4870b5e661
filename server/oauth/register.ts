import { createHash } from "node:crypto";
import type { Context, Handler } from "hono";
import { clientSecretPrefix, hashToken } from "../access/identify.ts";
import { networkOf } from "../access/network.ts";
import { AppError } from "../errors.ts";
import { newId, newSecret } from "../ids.ts";
import type { Services } from "../services.ts";
import type { Db } from "../storage/dialect.ts";
import * as oauthClients from "../storage/oauth_clients.ts";
import * as throttles from "../storage/throttles.ts";
import { webUrl } from "./client_documents.ts";
import { cleanName } from "./clients.ts";
import { answerError, OAuthError } from "./errors.ts";
import { readJsonObject } from "./parameters.ts";
import { problemOf } from "../access/redirect_uris.ts";

/** How long a registration waits for somebody to allow the client something, in milliseconds (AS41). */
export const unusedMs = 24 * 3600_000;
/** How many such registrations are kept; the oldest make room. */
export const maxUnused = 5000;
/** How many registrations a network may make in which time; services register from few addresses. */
const allowance = { count: 100, windowMs: 10 * 60_000 };
const maxRedirectUris = 20;

const authMethods = ["none", "client_secret_basic", "client_secret_post"] as const;
const grantTypes = ["authorization_code", "refresh_token"] as const;

/** What a client may be, of all that it asked to be. */
interface Registration {
  name: string;
  uri: string | null;
  redirectUris: string[];
  grantTypes: string[];
  authMethod: typeof authMethods[number];
  applicationType: "native" | "web" | null;
}

/** Registers a client that nobody knows: RFC 7591. It can do nothing until a person allows it something. */
export function registrationEndpoint(
  services: Services,
  { clientAddress }: { clientAddress: (c: Context) => string },
): Handler {
  return async (c) => {
    try {
      await takeTurn(services.db, clientAddress(c));
      const registration = readRegistration(await readJsonObject(c.req.raw));
      const answer = await keep(services.db, registration);
      c.header("cache-control", "no-store");
      return c.json(answer, 201);
    } catch (error) {
      return answerError(c, services, error);
    }
  };
}

/** Throws `rate_limited` with the seconds to wait. */
async function takeTurn(db: Db, clientAddress: string): Promise<void> {
  const now = Date.now();
  const name = JSON.stringify(["oauth-register", networkOf(clientAddress)]);
  const counted = {
    id: createHash("sha256").update(name).digest("base64url"),
    next: (row: throttles.ThrottleRow) => {
      const began = now - row.updatedAt < allowance.windowMs && row.failures > 0 ? row.updatedAt : now;
      const failures = began === now ? 1 : row.failures + 1;
      const blockedUntil = failures < allowance.count ? 0 : began + allowance.windowMs;
      return { failures, blockedUntil, updatedAt: began };
    },
  };
  const blockedUntil = await throttles.take(db, [counted], now);
  if (blockedUntil === 0) return;
  const retryAfterSeconds = Math.max(1, Math.ceil((blockedUntil - now) / 1000));
  throw new AppError("rate_limited", `Too many registrations: try again in ${retryAfterSeconds} s`, {
    retryAfterSeconds,
  });
}

/** Reads what a client says of itself; members that mean nothing here are ignored (AS40). */
function readRegistration(body: Record<string, unknown>): Registration {
  const method = body.token_endpoint_auth_method ?? "client_secret_basic"; // RFC 7591 section 2
  const authMethod = authMethods.find((known) => known === method);
  if (!authMethod) {
    throw new OAuthError(
      "invalid_client_metadata",
      `'token_endpoint_auth_method' is none of ${authMethods.join(", ")}`,
    );
  }
  const asked = stringsOf(body, "grant_types");
  const known = grantTypes.filter((type) => asked === null || asked.includes(type));
  if (!known.includes("authorization_code")) {
    throw new OAuthError("invalid_client_metadata", "'grant_types' does not hold authorization_code");
  }
  if (stringsOf(body, "response_types")?.includes("code") === false) {
    throw new OAuthError("invalid_client_metadata", "'response_types' does not hold code");
  }
  const type = body.application_type;
  const applicationType = type === "web" || type === "native" ? type : null;
  return {
    name: cleanName(typeof body.client_name === "string" ? body.client_name : ""),
    uri: webUrl(body.client_uri),
    redirectUris: readRedirectUris(body, applicationType),
    grantTypes: known,
    authMethod,
    applicationType,
  };
}

/** Those that may be registered: clients name several, for all their homes, and mean any of them. */
function readRedirectUris(
  body: Record<string, unknown>,
  applicationType: Registration["applicationType"],
): string[] {
  const asked = stringsOf(body, "redirect_uris") ?? [];
  const [first] = asked;
  if (first === undefined) {
    throw new OAuthError("invalid_redirect_uri", "'redirect_uris' is missing or empty");
  }
  if (asked.length > maxRedirectUris) {
    throw new OAuthError("invalid_redirect_uri", `'redirect_uris' has more than ${maxRedirectUris} entries`);
  }
  const good = [...new Set(asked)].filter((uri) => problemOf(uri, applicationType) === null);
  if (good.length > 0) return good;
  throw new OAuthError(
    "invalid_redirect_uri",
    `'${first.slice(0, 200)}' ${problemOf(first, applicationType)}`,
  );
}

function stringsOf(body: Record<string, unknown>, name: string): string[] | null {
  const value = body[name] ?? null;
  if (value === null) return null;
  if (Array.isArray(value) && value.every((item) => typeof item === "string")) return value;
  const code = name === "redirect_uris" ? "invalid_redirect_uri" : "invalid_client_metadata";
  throw new OAuthError(code, `'${name}' is not a list of strings`);
}

async function keep(db: Db, registration: Registration) {
  const now = Date.now();
  const id = newId("client");
  const secret = registration.authMethod === "none" ? null : newSecret(clientSecretPrefix);
  const name = registration.name || "An application without a name";
  await oauthClients.insert(db, {
    id,
    organizationId: null,
    name,
    secretHash: secret === null ? null : hashToken(secret),
    redirectUris: registration.redirectUris,
    grantTypes: registration.grantTypes,
    authMethod: registration.authMethod,
    clientUri: registration.uri,
    ownerId: null,
    permissions: null,
    createdAt: now,
    unusedUntil: now + unusedMs,
    lastUsedAt: null,
  });
  await oauthClients.removeUnusedBeyond(db, maxUnused);
  return {
    client_id: id,
    client_id_issued_at: Math.floor(now / 1000),
    ...(secret === null ? {} : { client_secret: secret, client_secret_expires_at: 0 }),
    client_name: name,
    ...(registration.uri === null ? {} : { client_uri: registration.uri }),
    redirect_uris: registration.redirectUris,
    grant_types: registration.grantTypes,
    response_types: ["code"],
    token_endpoint_auth_method: registration.authMethod,
    ...(registration.applicationType === null ? {} : { application_type: registration.applicationType }),
  };
}
