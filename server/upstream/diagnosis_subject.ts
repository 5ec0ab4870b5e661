import type { Outbound } from "../outbound.ts";
import type { ConnectionRow } from "../storage/connections.ts";
import type { Vault } from "../vault.ts";
import type { Subject } from "./diagnosis.ts";
import type { Caller } from "./holders.ts";
import { oauthConnectionOf } from "./oauth_settings.ts";
import type { RelayTarget, Upstream } from "./upstream.ts";

/** What testing a connection takes; a part of the services. */
export interface SubjectServices {
  readonly outbound: Outbound;
  readonly vault: Vault;
  readonly upstream: Upstream;
  readonly config: { readonly baseUrl: string };
}

/**
 * A connection as `diagnose` takes it: tested as this caller, or as nobody in particular. Null where it has no address.
 * Throws where its secrets do not open.
 */
export async function subjectOf(
  services: SubjectServices,
  row: ConnectionRow,
  caller: Caller | null,
): Promise<Subject | null> {
  const { upstream } = services;
  const target = await upstream.target(row.organization_id, row.id);
  if (target === null) return null;
  const as = caller ?? nobody(row.organization_id);
  const subject = {
    title: target.title,
    url: target.url,
    target: target.target,
    oauth: target.credentialType === "oauth",
    discover: discoverer(services, row, target),
  };
  if (caller === null && dependsOnCaller(target)) return { ...subject, headers: null };
  return {
    ...subject,
    headers: () => upstream.headersFor(target, as),
    renew: (refusal) => upstream.refused(target, as, { ...refusal, again: false, general: true }),
  };
}

/** True where what a server is sent differs by person: whose credential it is, a template, or a token that names them. */
function dependsOnCaller({ credentialMode, templated, identityToken }: RelayTarget): boolean {
  return credentialMode === "per_user" || templated || identityToken;
}

/** The mesh itself, as whom a shared credential is tried where no person asks. */
function nobody(organizationId: string): Caller {
  const mesh = { userId: "", name: "MCP Mesh", email: "", roles: [], keyId: null, clientId: null };
  return { organizationId, ...mesh };
}

function discoverer(
  { outbound, vault, config }: SubjectServices,
  row: ConnectionRow,
  { target }: RelayTarget,
): Subject["discover"] {
  return async (challenge) => {
    const { discoverAuthorization } = await import("./oauth_client.ts");
    const connection = await oauthConnectionOf(row, vault, target);
    const parts = { outbound, baseUrl: config.baseUrl };
    const { issuer, source } = await discoverAuthorization(parts, { connection, challenge });
    return { issuer, guessed: source === "default_endpoints" };
  };
}
