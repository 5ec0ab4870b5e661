import { describeError } from "../../log.ts";
import type { Log } from "../../log.ts";
import { ask, type Way } from "./exchange.ts";
import { authenticated } from "./token.ts";
import type { Grant } from "./types.ts";

/** Gives the tokens of a grant back. RFC 7009; what fails is logged, as the mesh forgets them anyway. */
export async function giveBack(way: Way & { log: Log }, grant: Grant): Promise<void> {
  const { revocationEndpoint: url, issuer, client, refreshToken, accessToken } = grant;
  if (url === null) return;
  // The refresh token first: with it, many servers end the access token too.
  const tokens = { refresh_token: refreshToken, access_token: accessToken };
  for (const [hint, token] of Object.entries(tokens)) {
    if (token === null) continue;
    try {
      const parameters = { token, token_type_hint: hint };
      const { body, headers } = await authenticated({ url, issuer, client }, parameters);
      const answer = await ask(way, url, { method: "POST", headers, body });
      if (answer.status >= 300) {
        way.log.warn("a token could not be given back", { issuer, kind: hint, status: answer.status });
      }
    } catch (error) {
      way.log.warn("a token could not be given back", { issuer, kind: hint, error: describeError(error) });
    }
  }
}
