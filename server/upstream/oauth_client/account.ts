import { isObject } from "../../body.ts";
import { Buffer } from "node:buffer";
import { conceal } from "../../audit/concealment.ts";
import { describeError } from "../../log.ts";
import type { Log } from "../../log.ts";
import { ask, jsonObject, type Way } from "./exchange.ts";
import type { TokenAnswer } from "./token.ts";

const maxLength = 200;

/**
 * As whom the server knows the person, for display alone: from the ID token, which came from the token endpoint itself
 * (OpenID Connect Core section 3.1.3.7), else from the userinfo endpoint where the person was asked for `openid`.
 */
export async function accountOf(
  way: Way & { log: Log },
  { answer, issuer, clientId, userinfoEndpoint, scope }: {
    answer: TokenAnswer;
    issuer: string;
    clientId: string;
    userinfoEndpoint: string | null;
    scope: string | null;
  },
): Promise<string | null> {
  const claims = answer.idToken === null ? null : claimsOf(answer.idToken, { issuer, clientId });
  const said = claims && nameIn(claims);
  if (said) return said;
  if (userinfoEndpoint !== null && (answer.scope ?? scope)?.split(" ").includes("openid")) {
    const info = await userinfo(way, userinfoEndpoint, answer.accessToken);
    // OpenID Connect Core section 5.3.2: another subject is somebody else.
    if (info && (!claims?.sub || info.sub === claims.sub)) return nameIn(info, [answer.accessToken]);
  }
  return null;
}

/** The claims of an ID token that is meant for us; null for any other. */
function claimsOf(
  token: string,
  { issuer, clientId }: { issuer: string; clientId: string },
): Record<string, unknown> | null {
  const claims = jsonObject(Buffer.from(token.split(".")[1] ?? "", "base64url").toString("utf8"));
  if (claims?.iss !== issuer) return null;
  const audience: unknown = claims.aud;
  const isOurs = audience === clientId || Array.isArray(audience) && audience.includes(clientId);
  return isOurs ? claims : null;
}

function nameIn(claims: Record<string, unknown>, secrets: readonly string[] = []): string | null {
  for (const name of ["email", "preferred_username", "name", "sub"]) {
    const value = claims[name];
    if (typeof value !== "string") continue;
    // deno-lint-ignore no-control-regex -- shown on pages and written to logs
    const shown = conceal(value, secrets).replace(/[\s\u0000-\u001f\u007f-\u009f]+/g, " ").trim();
    if (shown !== "") return shown.slice(0, maxLength);
  }
  return null;
}

async function userinfo(
  way: Way & { log: Log },
  url: string,
  accessToken: string,
): Promise<Record<string, unknown> | null> {
  try {
    const headers = { authorization: `Bearer ${accessToken}`, accept: "application/json" };
    const answer = await ask(way, url, { headers });
    const info = answer.status === 200 ? jsonObject(answer.text) : null;
    return isObject(info) ? info : null;
  } catch (error) {
    way.log.info("the account behind a grant is not known", { error: describeError(error) });
    return null;
  }
}
