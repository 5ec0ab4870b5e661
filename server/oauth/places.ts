import type { Session } from "../access/identify.ts";
import { canReach } from "../access/policy.ts";
import type { Db } from "../storage/dialect.ts";
import { placesOf, type ResourcePlace } from "../storage/oauth_resources.ts";
import type { Asked } from "./asked.ts";

/** Where the person may do anything at all with the resource, as they are now, and may let the client do it. */
export async function reachablePlaces(
  db: Db,
  { actor }: Session,
  { resource, clientOrganizationId }: Asked,
): Promise<ResourcePlace[]> {
  const places = await placesOf(db, actor.userId, resource);
  return places.filter(({ organizationId, roles }) =>
    (clientOrganizationId === null || clientOrganizationId === organizationId) &&
    canReach({ roles, limits: null }, resource)
  );
}
