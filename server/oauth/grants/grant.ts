import type { ResourceUrls } from "../../access/resource_urls.ts";
import type { Services } from "../../services.ts";
import type { Caller } from "../client_authentication.ts";
import { OAuthError } from "../errors.ts";
import type { Parameters } from "../parameters.ts";

/** What a grant works with. */
export interface GrantRequest {
  services: Services;
  resources: ResourceUrls;
  client: Caller;
  form: Parameters;
}

/**
 * Throws `invalid_target` unless every `resource` that was sent is the granted one (AS34): a token is for one
 * resource, and a client cannot get more of them by asking again.
 */
export function checkResource({ form, resources }: GrantRequest, granted: string): void {
  for (const url of form.all("resource")) {
    if (resources.idOf(url) !== granted) {
      throw new OAuthError(
        "invalid_target",
        `'resource' is not what was granted: ${resources.urlOf(granted)}`,
      );
    }
  }
}

/** The refusal of a code or refresh token; `reason` is for the log, as the client can do nothing about it. */
export function invalidGrant(what: string, reason: string): OAuthError {
  return new OAuthError("invalid_grant", `The ${what} is unknown, used, expired or another client's`, reason);
}
