import { ApplicationsPage, RevokeApplicationPage } from "../../views/applications.tsx";
import { paths } from "../../views/paths.ts";
import { can, isManager } from "../access/policy.ts";
import { perform } from "../actions/action.ts";
import { type Application, listApplications, revokeApplication as revoke } from "../actions/applications.ts";
import { listOauthClients } from "../actions/oauth_clients.ts";
import { AppError } from "../errors.ts";
import { goTo, type VisitContext } from "../visit.ts";
import { titlesOf } from "./connection_titles.ts";
import { actorOf, contextOf, infoOf, pageOf, param, shellOf, toLastPage } from "./page.ts";

const pageSize = 50;

/** The applications that act for the person, or for anybody of the organization where they look after it. */
export async function showApplications(c: VisitContext): Promise<Response> {
  const place = pageOf(c, pageSize);
  const { items } = await perform(listApplications, contextOf(c), {});
  const last = toLastPage(c, place, items.length);
  if (last) return last;
  const applications = items.slice(place.offset, place.offset + place.limit);
  const clients = isManager(actorOf(c)) && can(actorOf(c), "self", listOauthClients.name)
    ? (await perform(listOauthClients, contextOf(c), {})).items
    : null;
  const named = clients?.flatMap(({ permissions }) => Object.keys(permissions ?? {})) ?? [];
  return await c.html(
    <ApplicationsPage
      shell={await shellOf(c)}
      applications={applications}
      info={infoOf(place, { shown: applications.length, total: items.length })}
      clients={clients}
      titles={Object.fromEntries(await titlesOf(c, named))}
    />,
  );
}

/** Asks before an application is cut off. */
export async function showRevokeApplication(c: VisitContext): Promise<Response> {
  const application = await findApplication(c);
  return await c.html(<RevokeApplicationPage shell={await shellOf(c)} application={application} />);
}

/** Cuts an application off: it is refused from its next request on. */
export async function revokeApplication(c: VisitContext): Promise<Response> {
  const { id, clientName } = await findApplication(c);
  await perform(revoke, contextOf(c), { id });
  return goTo(c, paths.applications, { kind: "good", text: `${clientName} is cut off.` });
}

async function findApplication(c: VisitContext): Promise<Application> {
  const { items } = await perform(listApplications, contextOf(c), {});
  const application = items.find(({ id }) => id === param(c, "id"));
  if (application) return application;
  throw new AppError("not_found", `Cannot show the application: there is no '${param(c, "id")}'`);
}
