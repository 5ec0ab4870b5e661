import { canReach } from "../../access/policy.ts";
import { newId } from "../../ids.ts";
import * as members from "../../storage/members.ts";
import * as oauthConsents from "../../storage/oauth_consents.ts";
import { OAuthError } from "../errors.ts";
import { readScope } from "../../access/scopes.ts";
import { issueTokens, type TokenAnswer } from "../tokens.ts";
import type { GrantRequest } from "./grant.ts";

/**
 * Issues an access token to a client that an admin registered to act without a person (AS70): it acts as the owner
 * that the admin chose, with the permissions that the admin gave it. RFC 6749 section 4.4
 */
export async function issueToClient(request: GrantRequest): Promise<TokenAnswer> {
  const { services, client, form } = request;
  const { ownerId, permissions, organizationId } = client;
  if (client.secretHash === null || ownerId === null || permissions === null || organizationId === null) {
    throw new OAuthError("unauthorized_client", "The client was not registered to act without a person");
  }
  const resource = readResource(request);
  const roles = await members.rolesOf(services.db, organizationId, ownerId);
  if (!roles) throw new OAuthError("unauthorized_client", "The client's owner left the organization");
  if (!canReach({ roles, limits: permissions }, resource)) {
    throw new OAuthError("invalid_target", "The client was given no permission for this 'resource'");
  }
  const scope = readScope(form.one("scope")).text;
  return await services.db.transaction().execute(async (transaction) => {
    const id = await oauthConsents.remember(transaction, organizationId, {
      id: newId("consent"),
      userId: ownerId,
      clientId: client.id,
      clientName: client.name,
      clientPrint: "",
      resource,
      permissions,
      redirectUri: null,
      now: Date.now(),
    });
    const consent = await oauthConsents.lock(transaction, organizationId, id);
    if (!consent) throw new OAuthError("temporarily_unavailable", "The client's grant is being revoked");
    const grantId = newId("grant");
    return await issueTokens(transaction, services.config, {
      consent,
      grantId,
      scope,
      refreshable: false,
      parentHash: null,
    });
  });
}

function readResource({ form, resources }: GrantRequest): string {
  const ids = new Set(form.all("resource").map((url) => resources.idOf(url)));
  const [id = "self"] = ids;
  if (ids.size <= 1 && id !== null) return id;
  throw new OAuthError("invalid_target", "'resource' is not one resource of this server"); // AS19
}
