// People who have authorized at an upstream authorization server, as the mesh's pages would have them do it.
import assert from "node:assert/strict";
import type { Config } from "../../server/config.ts";
import type { Services } from "../../server/services.ts";
import * as connections from "../../server/storage/connections.ts";
import * as credentials from "../../server/storage/upstream_credentials.ts";
import { beginAuthorization, finishAuthorization, type Granted } from "../../server/upstream/oauth_client.ts";
import { oauthConnectionOf } from "../../server/upstream/oauth_settings.ts";
import type { OidcUpstream } from "../support/upstreams/oidc_provider.ts";
import { give } from "./holders_support.ts";

export type OauthServices = Pick<Services, "db" | "vault" | "outbound" | "log"> & {
  config: Pick<Config, "baseUrl">;
};

export interface Holder {
  readonly organizationId: string;
  readonly connectionId: string;
  /** A person's id; the organization's own credential where it is left out. */
  readonly owner?: string;
}

/** Authorizes at the server and keeps what was granted; `scopes` are asked for beside what the server says. */
export async function authorize(
  services: OauthServices,
  oidc: OidcUpstream,
  { scopes = null, ...holder }: Holder & { scopes?: string | null },
): Promise<Granted> {
  const { outbound, db, vault, log, config: { baseUrl } } = services;
  const parts = { outbound, db, vault, log, baseUrl };
  const row = await connections.findForRelay(db, holder.organizationId, holder.connectionId);
  assert.ok(row);
  const connection = await oauthConnectionOf(row, vault);
  const { url, flow } = await beginAuthorization(parts, { connection, state: "state", scopes });
  const back = new URL(await oidc.follow(url)).searchParams;
  const answer = { code: back.get("code") ?? "", iss: back.get("iss") ?? "" };
  const granted = await finishAuthorization(parts, { connection, flow, answer });
  await give(services, {
    ...holder,
    secret: { kind: "oauth", grant: granted.grant },
    row: {
      scope: granted.scope,
      expires_at: granted.expiresAt,
      account: granted.account,
      issuer: granted.grant.issuer,
    },
  });
  return granted;
}

/** The row of a holder, which must be there. */
export async function rowOf(
  { db }: Pick<Services, "db">,
  { owner = credentials.sharedOwner, ...holder }: Holder,
): Promise<credentials.CredentialRow> {
  const row = await credentials.find(db, holder.organizationId, { ...holder, owner });
  assert.ok(row);
  return row;
}

/** Moves the end of a holder's access token as the mesh knows it, which was made some minutes ago. */
export async function endsIn(
  services: Pick<Services, "db">,
  { milliseconds, ...holder }: Holder & { milliseconds: number },
): Promise<void> {
  const { id, version } = await rowOf(services, holder);
  const now = Date.now();
  const changes = { expires_at: now + milliseconds, refreshed_at: now - 300_000 };
  assert.ok(await credentials.settle(services.db, holder.organizationId, { id, version, changes, now }));
}
