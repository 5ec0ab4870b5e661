import { createHash } from "node:crypto";
import { newId } from "../../ids.ts";
import * as upstreamClients from "../../storage/upstream_clients.ts";
import type { UpstreamClientRow } from "../../storage/upstream_clients.ts";
import type { Place } from "../../vault.ts";
import { metadataOf, redirectUriOf } from "./client_document.ts";
import type { Discovery } from "./discovery.ts";
import { failed, quoted } from "./error.ts";
import { ask, isTransient, jsonObject, troubled, type Way } from "./exchange.ts";
import { givenClient, knownMethod, secretMethod } from "./given_client.ts";
import type { ServerMetadata } from "./server_metadata.ts";
import {
  type AuthMethod,
  clientDocumentPath,
  type OauthClient,
  type OauthConnection,
  type OauthParts,
} from "./types.ts";

const maxSecretLength = 2000;
/** A secret that ends so soon is not begun with, in milliseconds. */
const secretMarginMs = 60_000;

/** How the mesh becomes a client: as an admin says, by its own document, by registering itself, or not yet. */
export type Registration = "given" | "document" | "dynamic" | "none";

/** Which way there is to be a client of a server, by priority (CL07). */
export function registrationOf(
  baseUrl: string,
  { server, config }: { server: ServerMetadata; config: OauthConnection["config"] },
): Registration {
  if (config?.client_id) return "given";
  const document = server.documentsSupported && baseUrl.startsWith("https://") &&
    (server.authMethods?.includes("none") ?? true) && config?.registration !== "dynamic";
  if (document) return "document";
  return server.registrationEndpoint === null ? "none" : "dynamic";
}

/**
 * The client to ask as. One that the mesh registered is used again for the same organization, issuer and redirect URI,
 * unless `renew` (CL09). Throws OauthError, kind `registration`, where an admin has to give one.
 */
export async function chooseClient(
  parts: OauthParts,
  way: Way,
  { connection, discovery, renew = false }: {
    connection: OauthConnection;
    discovery: Discovery;
    renew?: boolean;
  },
): Promise<OauthClient> {
  const { server } = discovery;
  const { config } = connection;
  switch (registrationOf(parts.baseUrl, { server, config })) {
    case "given":
      await pinIssuer(parts, way, { connection, discovery });
      return givenClient(way, { connection, server });
    case "document":
      return { clientId: parts.baseUrl + clientDocumentPath, authMethod: "none", secret: null };
    case "dynamic":
      return await registeredClient(parts, way, { connection, server, renew });
    case "none":
      throw failed(way, "registration", {
        reason: `its authorization server ${quoted(server.issuer)} takes no registrations; ` +
          `register the mesh there with the redirect URI ${quoted(redirectUriOf(parts.baseUrl))} and ` +
          `give the connection that client id`,
      });
  }
}

/**
 * Holds a given client to the issuer that it was first used with: a server that names another one later would be handed
 * its secret (CL09). Who names the issuer in the connection has settled the question. Throws OauthError.
 */
export async function pinIssuer(
  parts: OauthParts,
  way: Way,
  { connection, discovery }: { connection: OauthConnection; discovery: Discovery },
): Promise<void> {
  const { config, organizationId, id } = connection;
  if (config?.authorization_server) return;
  const kept = await upstreamClients.keep(parts.db, {
    id: newId("ucl"),
    organization_id: organizationId,
    match_hash: hashOf("given", id, config?.client_id ?? ""),
    issuer: discovery.issuer,
    client_id: config?.client_id ?? "",
    auth_method: "given",
    sealed_secret: null,
    secret_expires_at: null,
    created_at: Date.now(),
  });
  if (kept.issuer === discovery.issuer) return;
  throw failed(way, "registration", {
    reason: `the client id of the connection belongs to ${quoted(kept.issuer)}, and the server now names ` +
      `${quoted(discovery.issuer)}; confirm the new one by setting it as authorization server`,
  });
}

async function registeredClient(
  parts: OauthParts,
  way: Way,
  { connection, server, renew }: { connection: OauthConnection; server: ServerMetadata; renew: boolean },
): Promise<OauthClient> {
  const { organizationId } = connection;
  const matchHash = hashOf(server.issuer, redirectUriOf(parts.baseUrl));
  const known = await upstreamClients.find(parts.db, organizationId, matchHash);
  if (known) {
    const ended = known.secret_expires_at !== null && known.secret_expires_at <= Date.now() + secretMarginMs;
    if (!renew && !ended && known.issuer === server.issuer) return await opened(parts, known);
    await upstreamClients.remove(parts.db, organizationId, known.id);
  }
  const made = await register(parts, way, server);
  const id = newId("ucl");
  const place = secretPlace({ id, organization_id: organizationId });
  const kept = await upstreamClients.keep(parts.db, {
    id,
    organization_id: organizationId,
    match_hash: matchHash,
    issuer: server.issuer,
    client_id: made.clientId,
    auth_method: made.authMethod,
    sealed_secret: made.secret === null ? null : await parts.vault.seal(place, made.secret),
    secret_expires_at: made.secretExpiresAt,
    created_at: Date.now(),
  });
  return await opened(parts, kept);
}

async function opened({ vault }: OauthParts, row: UpstreamClientRow): Promise<OauthClient> {
  return {
    clientId: row.client_id,
    authMethod: knownMethod(row.auth_method) ?? "none",
    secret: row.sealed_secret === null ? null : await vault.open(secretPlace(row), row.sealed_secret),
    registrationId: row.id,
  };
}

function secretPlace(row: Pick<UpstreamClientRow, "id" | "organization_id">): Place {
  return {
    organizationId: row.organization_id,
    table: "upstream_clients",
    column: "sealed_secret",
    rowId: row.id,
  };
}

function hashOf(...parts: string[]): string {
  return createHash("sha256").update(JSON.stringify(parts)).digest("base64url");
}

interface Registered {
  clientId: string;
  authMethod: AuthMethod;
  secret: string | null;
  secretExpiresAt: number | null;
}

/** Registers the mesh. RFC 7591 */
async function register(parts: OauthParts, way: Way, server: ServerMetadata): Promise<Registered> {
  const url = server.registrationEndpoint ?? "";
  const { host } = new URL(url);
  const answer = await ask(way, url, {
    method: "POST",
    headers: { "content-type": "application/json", "accept": "application/json" },
    // No scope: the registration serves every connection to this issuer.
    body: JSON.stringify({
      ...metadataOf(parts.baseUrl),
      token_endpoint_auth_method: wantedMethod(server.authMethods),
    }),
  });
  if (isTransient(answer.status)) throw troubled(answer, way, host);
  const body = jsonObject(answer.text);
  if ((answer.status !== 201 && answer.status !== 200) || typeof body?.client_id !== "string") {
    throw refusedRegistration(parts, way, { host, status: answer.status, body });
  }
  return readRegistration(way, server, { ...body, client_id: body.client_id });
}

// In the server's own order of preference, which our defaultServer states too.
function wantedMethod(supported: readonly string[] | null): AuthMethod {
  const usable = supported?.map(knownMethod).find((method) =>
    method !== null && method !== "private_key_jwt"
  );
  return usable ?? "client_secret_basic";
}

function refusedRegistration(
  parts: OauthParts,
  way: Way,
  { host, status, body }: { host: string; status: number; body: Record<string, unknown> | null },
): Error {
  const error = typeof body?.error === "string" ? body.error : null;
  const description = typeof body?.error_description === "string" ? body.error_description : error;
  const why = description === null ? `${status}` : `${status}, ${quoted(description)}`;
  return failed(way, "registration", {
    reason: `${host} did not register the mesh (${why}); register it there with the redirect URI ` +
      `${quoted(redirectUriOf(parts.baseUrl))} and give the connection that client id`,
  });
}

function readRegistration(
  way: Way,
  server: ServerMetadata,
  body: Record<string, unknown> & { client_id: string },
): Registered {
  const { client_id: clientId, token_endpoint_auth_method: said } = body;
  const secret = typeof body.client_secret === "string" && body.client_secret !== ""
    ? body.client_secret
    : null;
  const authMethod = typeof said === "string" ? knownMethod(said) : unsaidMethod(secret, server.authMethods);
  const unusable = authMethod === null || authMethod === "private_key_jwt" ||
    (authMethod !== "none" && secret === null);
  if (unusable || clientId === "" || clientId.length > 2000 || (secret?.length ?? 0) > maxSecretLength) {
    throw failed(way, "registration", {
      reason: `its authorization server ${quoted(server.issuer)} registered the mesh in a way that ` +
        `it cannot use; give the connection a client id`,
    });
  }
  const ends = Number(body.client_secret_expires_at ?? 0);
  return {
    clientId,
    authMethod,
    secret: authMethod === "none" ? null : secret,
    secretExpiresAt: secret !== null && Number.isFinite(ends) && ends > 0 ? ends * 1000 : null,
  };
}

function unsaidMethod(secret: string | null, supported: readonly string[] | null): AuthMethod {
  if (secret === null) return "none";
  const named = supported?.some((method) => method.startsWith("client_secret_")) ?? true;
  return named ? secretMethod(supported) : "none";
}

/** Forgets a registration of which the authorization server knows nothing any more; the next one is new (CL12). */
export async function forgetClient(
  { db }: Pick<OauthParts, "db">,
  organizationId: string,
  { registrationId }: OauthClient,
): Promise<void> {
  if (registrationId) await upstreamClients.remove(db, organizationId, registrationId);
}
