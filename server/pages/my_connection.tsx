import type { Credential } from "../../views/credential_words.ts";
import { DisconnectPage } from "../../views/disconnect.tsx";
import {
  ElsewherePage,
  headerField,
  MyConnectionPage,
  NothingToConnectPage,
} from "../../views/my_connection.tsx";
import { paths } from "../../views/paths.ts";
import type { FormState } from "../../views/types.ts";
import { perform } from "../actions/action.ts";
import { authorizeCredential } from "../actions/credential_authorizing.ts";
import { listConnectionUsage } from "../actions/connection_usage.ts";
import { getConnection } from "../actions/connections.ts";
import { deleteCredential, listCredentials, setCredential } from "../actions/credentials.ts";
import { getWorkspace } from "../actions/workspace.ts";
import { AppError, httpStatus } from "../errors.ts";
import { goTo, type VisitContext } from "../visit.ts";
import type { ConnectionItem } from "./connection_frame.ts";
import { actorOf, attempt, contextOf, param, shellOf } from "./page.ts";
import { allowSignIn, atOwnName } from "./sign_in_targets.ts";

/** What a connection wants of the person, and the way to give it: where a client sends them that was refused. */
export async function showMyConnection(c: VisitContext): Promise<Response> {
  const item = await findItem(c);
  // One for everybody that nobody can connect, as it is off or signs in by itself, asks for nothing.
  const asks = item !== null && (item.can_connect || item.status !== "not_connected" || !item.shared);
  if (asks) return elsewhereOf(c, item) ?? await show(c, item);
  const { item: connection } = await perform(getConnection, contextOf(c), { id: param(c, "id") });
  if (connection) return await showNothing(c, connection);
  const elsewhere = await findElsewhere(c);
  if (elsewhere) return await c.html(<ElsewherePage shell={await shellOf(c)} {...elsewhere} />);
  throw missing(c);
}

async function showNothing(c: VisitContext, connection: ConnectionItem): Promise<Response> {
  const asked = { ids: [connection.id], figures: false };
  const { items } = await perform(listConnectionUsage, contextOf(c), asked);
  return await c.html(
    <NothingToConnectPage
      shell={await shellOf(c)}
      connection={connection}
      sharedAccess={items[0]?.sharedAccess ?? null}
    />,
  );
}

/** Changes to the organization of the connection, and shows it there. */
export async function moveToMyConnection(c: VisitContext): Promise<Response> {
  const id = c.get("form").text("organizationId");
  if (await c.get("visit").choose(id)) return goTo(c, paths.myConnection(param(c, "id")));
  throw new AppError("not_found", `Cannot change to the organization: there is no '${id}'`);
}

/** Leads the browser on to the sign-in of the server, which sends it back to where it was begun. */
export async function connect(c: VisitContext): Promise<Response> {
  const item = await demandItem(c);
  const { connection_id: connectionId } = item;
  const returnTo = c.get("form").text("from") === "list"
    ? paths.myConnections
    : paths.myConnection(connectionId);
  const elsewhere = elsewhereOf(c, item);
  if (elsewhere) return elsewhere;
  try {
    const { authorization_url } = await perform(authorizeCredential, contextOf(c), {
      connectionId,
      returnTo,
    });
    return c.redirect(authorization_url, 303);
  } catch (error) {
    if (!(error instanceof AppError) || error.code === "forbidden") throw error;
    return await show(c, item, { form: { message: `${error.message}.` }, status: httpStatus[error.code] });
  }
}

/** Keeps the token, or the values of headers, that the person gives. */
export async function saveMyCredential(c: VisitContext): Promise<Response> {
  const item = await demandItem(c);
  const form = c.get("form");
  const names = item.personal_headers ?? [];
  const values = { token: "", ...Object.fromEntries(names.map((name) => [headerField(name), ""])) };
  const fields = Object.fromEntries(names.map((name) => [`headers.${name}`, headerField(name)]));
  return await attempt({ values, names: fields }, {
    run: async () => {
      const given = Object.fromEntries(
        names.map((name) => [name, form.text(headerField(name))]).filter(([, value]) => value !== ""),
      );
      const input = item.personal_headers === null ? { token: form.text("token") } : { headers: given };
      const kept = await perform(setCredential, contextOf(c), { connectionId: item.connection_id, ...input });
      const connected = kept.item.status === "connected";
      return goTo(
        c,
        paths.myConnection(item.connection_id),
        connected ? { kind: "good", text: `${item.title} is connected.` } : undefined,
      );
    },
    again: (state, status) => show(c, item, { form: state, status }),
  });
}

/** Asks before what the person has connected is ended. */
export async function showDisconnect(c: VisitContext): Promise<Response> {
  const item = await demandItem(c);
  if (item.status === "not_connected") return goTo(c, paths.myConnection(item.connection_id));
  return await c.html(<DisconnectPage shell={await shellOf(c)} item={item} />);
}

/** Ends what the person has connected. */
export async function disconnect(c: VisitContext): Promise<Response> {
  const { connection_id: connectionId, title } = await demandItem(c);
  await perform(deleteCredential, contextOf(c), { connectionId });
  return goTo(c, paths.myConnections, { kind: "good", text: `${title} is disconnected.` });
}

type Status = typeof httpStatus[keyof typeof httpStatus] | 200;

async function show(
  c: VisitContext,
  item: Credential,
  { form, status = 200 }: { form?: FormState; status?: Status } = {},
): Promise<Response> {
  allowSignIn(c, [item]);
  return await c.html(<MyConnectionPage shell={await shellOf(c)} item={item} form={form} />, status);
}

/** The way to where the sign-in of a server can end, where the browser is not there. */
function elsewhereOf(c: VisitContext, { connection_id: id, type, can_connect }: Credential): Response | null {
  const url = type === "oauth" && can_connect ? atOwnName(c, paths.myConnection(id)) : null;
  return url === null ? null : c.redirect(url, 303);
}

async function findItem(c: VisitContext): Promise<Credential | null> {
  const { items } = await perform(listCredentials, contextOf(c), {});
  return items.find(({ connection_id }) => connection_id === param(c, "id")) ?? null;
}

async function demandItem(c: VisitContext): Promise<Credential> {
  const item = await findItem(c);
  if (item) return item;
  throw missing(c);
}

function missing(c: VisitContext): AppError {
  return new AppError(
    "not_found",
    `Cannot show the connection: '${param(c, "id")}' asks for no account of yours`,
  );
}

/** The connection in another organization of the person: a client's key need not be of the one that is shown. */
async function findElsewhere(c: VisitContext) {
  const ctx = contextOf(c);
  const { organizations } = await perform(getWorkspace, ctx, {});
  for (const organization of organizations) {
    if (organization.id === ctx.actor.organizationId) continue;
    const actor = await ctx.identities.actorIn(actorOf(c), organization.id);
    if (!actor) continue;
    const { items } = await perform(listCredentials, Object.freeze({ ...ctx, actor }), {});
    const item = items.find(({ connection_id }) => connection_id === param(c, "id"));
    if (item) return { item, organization };
  }
  return null;
}
