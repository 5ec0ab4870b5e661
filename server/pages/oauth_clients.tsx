import { DeleteOauthClientPage, OauthClientCreatedPage } from "../../views/applications.tsx";
import { NewOauthClientPage } from "../../views/oauth_client_new.tsx";
import { paths } from "../../views/paths.ts";
import type { FormState, Permissions } from "../../views/types.ts";
import { readOnlyManagement } from "../access/roles.ts";
import { perform } from "../actions/action.ts";
import { listConnections } from "../actions/connections.ts";
import {
  createOauthClient as create,
  deleteOauthClient,
  listOauthClients,
  type OauthClient,
} from "../actions/oauth_clients.ts";
import { AppError } from "../errors.ts";
import { goTo, type VisitContext } from "../visit.ts";
import { attempt, contextOf, demand, param, shellOf } from "./page.ts";

const maxConnections = 1000;

/** The form for an application that an admin registers. */
export async function showNewOauthClient(c: VisitContext): Promise<Response> {
  demand(c, create);
  return await show(c);
}

async function show(c: VisitContext, form?: FormState, status: 200 | 409 | 422 | 429 = 200) {
  const { items } = await perform(listConnections, contextOf(c), {
    orderBy: [{ field: ["title"], direction: "asc" }],
    limit: maxConnections,
  });
  const connections = items.map(({ id, title }) => ({ id, title }));
  const page = { shell: await shellOf(c), connections };
  return await c.html(<NewOauthClientPage {...page} {...(form && { form })} />, status);
}

/** Registers an application and shows its secret, this once. */
export async function createOauthClient(c: VisitContext): Promise<Response> {
  const values = c.get("form").pick("name", "redirect_uris", "secret", "alone");
  const names = { redirectUris: "redirect_uris", confidential: "secret", permissions: "alone" };
  return await attempt({ values, names }, {
    run: async () => {
      const permissions = permissionsOf(values.alone ?? "");
      const { item } = await perform(create, contextOf(c), {
        name: values.name,
        redirectUris: (values.redirect_uris ?? "").split("\n").map((uri) => uri.trim()).filter(Boolean),
        confidential: values.secret !== "no",
        ...(permissions && { permissions }),
      });
      const { clientSecret: secret, ...client } = item;
      return await c.html(
        <OauthClientCreatedPage shell={await shellOf(c)} client={client} secret={secret} />,
      );
    },
    again: (state, status) => show(c, state, status),
  });
}

function permissionsOf(alone: string): Permissions | null {
  if (alone === "") return null;
  if (alone === "read") return readOnlyManagement;
  if (alone === "call") return { "conn_*": ["*"], "gw_*": ["*"] };
  return alone === "all" ? { "*": ["*"] } : { [alone]: ["*"] };
}

/** Asks before a registered application is deleted. */
export async function showDeleteOauthClient(c: VisitContext): Promise<Response> {
  demand(c, deleteOauthClient);
  return await c.html(<DeleteOauthClientPage shell={await shellOf(c)} client={await findClient(c)} />);
}

/** Deletes a registered application: it is refused from its next request on. */
export async function removeOauthClient(c: VisitContext): Promise<Response> {
  const { clientId } = await perform(deleteOauthClient, contextOf(c), { clientId: param(c, "id") });
  return goTo(c, paths.applications, { kind: "good", text: `The application ${clientId} is deleted.` });
}

async function findClient(c: VisitContext): Promise<OauthClient> {
  const { items } = await perform(listOauthClients, contextOf(c), {});
  const client = items.find(({ clientId }) => clientId === param(c, "id"));
  if (client) return client;
  throw new AppError("not_found", `Cannot show the application: there is no '${param(c, "id")}'`);
}
