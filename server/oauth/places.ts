import type { Session } from "../access/identify.ts";
import { canReach } from "../access/policy.ts";
import type { Db } from "../storage/dialect.ts";
import { placesOf, type ResourcePlace } from "../storage/oauth_resources.ts";

/** Where the person may do anything at all with the resource, as they are now. */
export async function reachablePlaces(
  db: Db,
  { actor }: Session,
  resource: string,
): Promise<ResourcePlace[]> {
  const places = await placesOf(db, actor.userId, resource);
  return places.filter(({ roles }) => canReach({ roles, limits: null }, resource));
}
