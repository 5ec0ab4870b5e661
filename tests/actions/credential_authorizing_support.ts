// A person who connects with a real authorization server, through the actions that the pages run.
import type { z } from "zod";
import type { Actor } from "../../server/access/actor.ts";
import { type Action, perform } from "../../server/actions/action.ts";
import { authorizeCredential, finishAuthorizing } from "../../server/actions/credential_authorizing.ts";
import { newId } from "../../server/ids.ts";
import type { Services } from "../../server/services.ts";
import type { OidcUpstream } from "../support/upstreams/oidc_provider.ts";

/** A person in one browser session. */
export interface Seat {
  actor: Actor;
  sessionHash: string;
}

/** Seats a person at a browser of their own. */
export function seat(actor: Actor, sessionHash = newId("req")): Seat {
  return { actor, sessionHash };
}

/** Runs an action as a page of this browser does. */
export async function runAt<I extends z.ZodObject, O extends z.ZodObject>(
  services: Services,
  { actor, sessionHash }: Seat,
  [action, input]: [Action<I, O>, unknown],
): Promise<z.output<O>> {
  const request = { id: newId("req"), userAgent: "test", sessionHash };
  return await perform(action, Object.freeze({ ...services, actor, request }), input);
}

/** Begins to connect; gives what the authorization server sends the browser back with. */
export async function begin(
  services: Services,
  at: Seat,
  { upstream, connectionId, returnTo, account, consents = true }: {
    upstream: OidcUpstream;
    connectionId: string;
    returnTo?: string;
    account?: string;
    consents?: boolean;
  },
): Promise<Record<string, string>> {
  const input = { connectionId, ...(returnTo === undefined ? {} : { returnTo }) };
  const { authorization_url: url } = await runAt(services, at, [authorizeCredential, input]);
  const person = { consents, ...(account === undefined ? {} : { account }) };
  const back = await upstream.follow(url, person);
  return Object.fromEntries(new URL(back).searchParams);
}

/** Connects from beginning to end. */
export async function connectAt(
  services: Services,
  at: Seat,
  options: Parameters<typeof begin>[2],
) {
  return await runAt(services, at, [finishAuthorizing, await begin(services, at, options)]);
}
