import { AppError } from "../errors.ts";
import { OutboundError } from "../outbound.ts";
import type { Failure } from "./failure.ts";
import { networkFailure } from "./failure_network.ts";
import { CredentialNeeded, type NeededReason } from "./holders.ts";
import { OauthError } from "./oauth_client.ts";

const neededAdvice: Record<NeededReason, string> = {
  not_connected: "Connect it at",
  needs_attention: "Reconnect it at",
  needs_scope: "Allow what is missing at",
};

const oauthAdvice: Record<OauthError["kind"], string> = {
  discovery:
    "Check that the server offers OAuth, or name its authorization server in the connection's settings",
  registration: "Register a client at the authorization server and give its id in the connection's settings",
  refused: "Connect it again",
  invalid_grant: "Connect it again",
  invalid_client: "Check the client's id and secret in the connection's settings",
  transient: "Try again later",
  insufficient: "Connect it again and allow what is missing",
};

/** Why there is no credential to call with. Throws what is no failure of a credential. */
export function credentialFailure(error: unknown, title: string): Failure {
  if (error instanceof CredentialNeeded) {
    const { reason, missing, url } = error;
    const message = `${title} cannot be used yet: ${missing}`;
    return { stage: "token", code: reason, message, advice: `${neededAdvice[reason]} ${url}` };
  }
  if (error instanceof OauthError) return { ...oauthFailure(error), stage: "token" };
  if (!(error instanceof AppError)) throw error;
  return { stage: "token", code: "credential", message: error.message, advice: "Give the credential again" };
}

/** Why no authorization server is found. Throws what is no failure of looking for it. */
export function discoveryFailure(error: unknown, title: string): Failure {
  if (error instanceof OauthError) return oauthFailure(error);
  if (!(error instanceof OutboundError)) throw error;
  return { ...networkFailure(error, { title, during: "handshake" }), stage: "auth_discovery" };
}

/** A server that asks for a token without saying who gives it. */
export function unnamedFailure(title: string): Failure {
  return {
    stage: "auth_discovery",
    code: "oauth_discovery",
    message: `${title} asks for a token and does not say which authorization server gives it`,
    advice: oauthAdvice.discovery,
  };
}

function oauthFailure({ kind, code, message }: OauthError): Failure {
  return {
    stage: "auth_discovery",
    code: code === "outbound_refused" ? code : `oauth_${kind}`,
    message,
    advice: oauthAdvice[kind],
  };
}
