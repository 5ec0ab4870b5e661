import { hashToken } from "../access/identify.ts";
import type { Config } from "../config.ts";
import { newId, newSecret } from "../ids.ts";
import type { Services } from "../services.ts";
import type { Db } from "../storage/dialect.ts";
import * as oauthClients from "../storage/oauth_clients.ts";
import * as oauthCodes from "../storage/oauth_codes.ts";
import type { OauthConsentRow } from "../storage/oauth_consents.ts";
import type { Asked } from "./asked.ts";
import { isIssuedId } from "./clients.ts";
import { describable, type OAuthError } from "./errors.ts";
import { withAnswer } from "../access/redirect_uris.ts";
import { codePrefix } from "./tokens.ts";

/** How long a code can be exchanged, in milliseconds (AS14). */
const codeMs = 60_000;

/** Where the browser goes with a refusal; `iss` says whose it is (RFC 9207, AS15). */
export function redirectOf(
  { baseUrl }: Config,
  { redirectUri, state }: Pick<Asked, "redirectUri" | "state">,
  error: OAuthError,
): string {
  return withAnswer(redirectUri, {
    error: error.code,
    error_description: describable(error.message),
    state,
    iss: baseUrl,
  });
}

/** Issues a code of a consent and says where the browser goes with it. */
export async function issueCode(
  services: Pick<Services, "db" | "config">,
  asked: Asked,
  consent: Pick<OauthConsentRow, "id" | "organizationId">,
): Promise<string> {
  const code = await keepCode(services.db, asked, consent);
  return withAnswer(asked.redirectUri, { code, state: asked.state, iss: services.config.baseUrl });
}

async function keepCode(
  db: Db,
  asked: Asked,
  consent: Pick<OauthConsentRow, "id" | "organizationId">,
): Promise<string> {
  const code = newSecret(codePrefix);
  const now = Date.now();
  await oauthCodes.insert(db, consent.organizationId, {
    codeHash: hashToken(code),
    grantId: newId("grant"),
    consentId: consent.id,
    redirectUri: asked.redirectUriSent ? asked.redirectUri : null,
    challenge: asked.challenge,
    scope: asked.scope,
    createdAt: now,
    expiresAt: now + codeMs,
  });
  if (isIssuedId(asked.clientId)) await oauthClients.noteUse(db, asked.clientId, now);
  return code;
}
