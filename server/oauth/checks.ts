import type { ResourceUrls } from "../access/resource_urls.ts";
import type { Services } from "../services.ts";
import type { Asked } from "./asked.ts";
import { type ClientDocuments, isDocumentId } from "./client_documents.ts";
import { type Client, findIssued, isUnproven, printOf } from "./clients.ts";
import { OAuthError, PageError } from "./errors.ts";
import type { Parameters } from "./parameters.ts";
import { readChallenge } from "./pkce.ts";
import { matches } from "../access/redirect_uris.ts";
import { readScope, type Scope } from "../access/scopes.ts";

/** An authorization request while it is checked: what each check has found out. */
export interface Draft {
  readonly services: Services;
  readonly resources: ResourceUrls;
  readonly documents: ClientDocuments;
  readonly parameters: Parameters;
  client?: Client;
  redirect?: { uri: string; sent: boolean };
  state?: string;
  challenge?: string;
  resource?: string;
  scope?: Scope;
}

type Check = (draft: Draft) => void | Promise<void>;

/**
 * What an authorization request must pass, in order. Down to the address, a refusal is shown to the person
 * (PageError); from there on the client is told (OAuthError), as it is known to be the client (AS12).
 */
export const checks: readonly Check[] = [
  knownClient,
  registeredRedirectUri,
  // the client is told from here on
  oneState,
  plainRequest,
  clientMayAsk,
  codeResponse,
  proofKey,
  oneKnownResource,
  knownScope,
];

async function knownClient(draft: Draft): Promise<void> {
  const id = shownOne(draft, "client_id");
  if (id === undefined) {
    throw new PageError("The application did not say which one it is: 'client_id' is missing");
  }
  if (isDocumentId(id)) {
    draft.client = await draft.documents.load(id);
    return;
  }
  const client = await findIssued(draft.services.db, id);
  if (!client) {
    // Clients keep an id that is gone and send it for ever.
    throw new PageError(
      "This application is not registered here, or its registration has expired. Remove this server in the " +
        "application and add it again; it then registers anew",
      `unknown client '${id.slice(0, 100)}'`,
    );
  }
  draft.client = client;
}

function registeredRedirectUri(draft: Draft): void {
  const { name, redirectUris } = clientOf(draft);
  const asked = shownOne(draft, "redirect_uri");
  if (asked === undefined) {
    const [only, ...more] = redirectUris;
    if (only === undefined || more.length > 0) {
      throw new PageError(`'${name}' did not say where to return to: 'redirect_uri' is missing`);
    }
    draft.redirect = { uri: only, sent: false };
    return;
  }
  if (!redirectUris.some((registered) => matches(registered, asked))) {
    throw new PageError(
      `'${name}' asks to return to '${asked.slice(0, 200)}', which is not an address that it registered. ` +
        "Nothing was sent there",
    );
  }
  draft.redirect = { uri: asked, sent: true };
}

/** What comes twice may mean one thing to us and another to a proxy in front. */
function shownOne({ parameters }: Draft, name: string): string | undefined {
  try {
    return parameters.one(name);
  } catch (error) {
    if (error instanceof OAuthError) {
      throw new PageError(`The application's request cannot be read: ${error.message}`);
    }
    throw error;
  }
}

function oneState(draft: Draft): void {
  const state = draft.parameters.one("state");
  if (state !== undefined) draft.state = state;
}

/** Parameters that would change what is asked, and that this server does not read. */
function plainRequest({ parameters }: Draft): void {
  for (const name of ["request", "request_uri"]) {
    if (parameters.all(name).length > 0) {
      throw new OAuthError("request_not_supported", `'${name}' is not supported`);
    }
  }
  const mode = parameters.one("response_mode");
  if (mode !== undefined && mode !== "query") {
    throw new OAuthError("invalid_request", "'response_mode' is not query, the only one supported");
  }
}

function clientMayAsk(draft: Draft): void {
  if (clientOf(draft).grantTypes.includes("authorization_code")) return;
  throw new OAuthError("unauthorized_client", "The client was not registered for 'authorization_code'");
}

function codeResponse({ parameters }: Draft): void {
  if (parameters.required("response_type") === "code") return;
  throw new OAuthError("unsupported_response_type", "'response_type' is not code, the only one supported");
}

function proofKey(draft: Draft): void {
  const { parameters } = draft;
  draft.challenge = readChallenge({
    challenge: parameters.one("code_challenge"),
    method: parameters.one("code_challenge_method"),
  });
}

/** AS19: without the parameter it is the management server; a token is for one resource, so several are too many. */
function oneKnownResource(draft: Draft): void {
  const ids = new Set(draft.parameters.all("resource").map((url) => draft.resources.idOf(url)));
  const [id = "self"] = ids;
  if (id === null || ids.has(null)) {
    throw new OAuthError("invalid_target", "'resource' is not the URL of a resource of this server");
  }
  if (ids.size > 1) {
    throw new OAuthError("invalid_target", "'resource' names several resources; ask for each alone");
  }
  draft.resource = id;
}

function knownScope(draft: Draft): void {
  draft.scope = readScope(draft.parameters.one("scope"));
}

function clientOf({ client }: Draft): Client {
  if (client) return client;
  throw new Error("Cannot check the request: its client was not looked up");
}

/** What the checks have found out, once all are passed. */
export function askedOf(draft: Draft): Asked {
  const client = clientOf(draft);
  const { redirect, challenge, resource, scope } = draft;
  if (!redirect || challenge === undefined || resource === undefined || !scope) {
    throw new Error("Cannot answer the request: it was not checked");
  }
  return {
    clientId: client.id,
    clientName: client.name,
    clientSource: client.source,
    clientUri: client.uri,
    clientOrganizationId: client.organizationId,
    clientPrint: printOf(client),
    clientRegisteredAt: client.registeredAt,
    unproven: isUnproven(client),
    redirectUri: redirect.uri,
    redirectUriSent: redirect.sent,
    state: draft.state ?? null,
    challenge,
    resource,
    scope: scope.text,
    actions: scope.actions,
  };
}
