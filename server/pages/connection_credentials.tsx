import {
  ConnectionCredentialsPage,
  EndCredentialPage,
  sharedOwnerName,
} from "../../views/connection_credentials.tsx";
import type { CredentialHolder } from "../../views/credential_words.ts";
import { paths } from "../../views/paths.ts";
import type { Flash, FormState } from "../../views/types.ts";
import { perform } from "../actions/action.ts";
import { updateConnection } from "../actions/connections.ts";
import { deleteCredential, listHolders } from "../actions/credentials.ts";
import { AppError } from "../errors.ts";
import type { Refusal } from "../form.ts";
import { goTo, type VisitContext } from "../visit.ts";
import { connectionFacts, findConnection } from "./connection_frame.ts";
import { credentialData, credentialNames, enteredCredential, redirectUri } from "./credential_form.ts";
import { attempt, contextOf, demand, param, shellOf } from "./page.ts";

/** Whose credential calls carry, who has connected, and what needs attention: never a value. */
export async function showCredentials(
  c: VisitContext,
  form?: FormState,
  status: Refusal["status"] | 200 = 200,
): Promise<Response> {
  demand(c, updateConnection);
  const { frame } = await connectionFacts(c);
  const { id, credential_mode: mode, credential_type: type } = frame.connection;
  const { baseUrl } = c.get("visit").services.config;
  return await c.html(
    <ConnectionCredentialsPage
      {...frame}
      holders={mode === "per_user" || type === "oauth" ? await holdersOf(c) : []}
      redirectUri={redirectUri(c)}
      connectUrl={`${baseUrl}/my-connections/${encodeURIComponent(id)}`}
      form={form}
    />,
    status,
  );
}

/** Says whose credential it is and of which kind; secrets that are not mentioned stay. */
export async function saveCredentials(c: VisitContext): Promise<Response> {
  demand(c, updateConnection);
  const form = c.get("form");
  return await attempt({ values: enteredCredential(form), names: credentialNames(form) }, {
    run: async () => {
      const data = credentialData(form, await findConnection(c));
      const { item } = await perform(updateConnection, contextOf(c), { id: param(c, "id"), data });
      return goTo(c, paths.connectionTab(item.id, "credentials"), savedFlash(item));
    },
    again: (state, status) => showCredentials(c, state, status),
  });
}

/** Says how a connection does after a change. */
export function savedFlash({ title, status, status_reason, credential_type }: {
  title: string;
  status: string;
  status_reason: string | null;
  credential_type: string;
}): Flash {
  const saved = "The changes are saved.";
  if (status === "error" && credential_type !== "oauth") {
    return { kind: "bad", text: `The changes are saved, but ${title} does not answer as it should.` };
  }
  // What the change has ended, such as credentials that were for another server.
  return status_reason === null
    ? { kind: "good", text: saved }
    : { kind: "info", text: `${saved} ${status_reason.replace(/\.$/, "")}.` };
}

/** Asks before the credential of somebody, or the shared one, is ended. */
export async function showEndCredential(c: VisitContext): Promise<Response> {
  demand(c, updateConnection);
  const connection = await findConnection(c);
  const holder = await findHolder(c);
  return await c.html(
    <EndCredentialPage shell={await shellOf(c)} connection={connection} holder={holder} />,
  );
}

/** Ends the credential of somebody, or the shared one. */
export async function endCredential(c: VisitContext): Promise<Response> {
  demand(c, updateConnection);
  const { id, title } = await findConnection(c);
  const { user_id: userId, name, email } = await findHolder(c);
  await perform(deleteCredential, contextOf(c), { connectionId: id, userId });
  const who = userId === null ? title : `${name || email || "Somebody who left"}`;
  return goTo(c, paths.connectionTab(id, "credentials"), { kind: "good", text: `${who} is disconnected.` });
}

/** Who has connected to the connection of the path; what needs attention first. */
async function holdersOf(c: VisitContext): Promise<CredentialHolder[]> {
  const { items } = await perform(listHolders, contextOf(c), { connectionId: param(c, "id") });
  return items.toSorted((one, other) =>
    Number(other.status === "needs_attention") - Number(one.status === "needs_attention")
  );
}

async function findHolder(c: VisitContext): Promise<CredentialHolder> {
  const owner = param(c, "owner");
  const holder = (await holdersOf(c)).find(({ user_id }) => (user_id ?? sharedOwnerName) === owner);
  if (holder) return holder;
  throw new AppError("not_found", `Cannot show the credential: there is none of '${owner}'`);
}
