import {
  type ConnectionItem,
  ConnectionRows,
  ConnectionsPage,
  type ConnectionsQuery,
} from "../../views/connections.tsx";
import { perform } from "../actions/action.ts";
import { listConnectionUsage } from "../actions/connection_usage.ts";
import { isManager } from "../access/policy.ts";
import { type VisitContext, wantsPart } from "../visit.ts";
import { actorOf, contextOf, infoOf, oneOf, pageOf, shellOf, toLastPage } from "./page.ts";

const pageSize = 50;

/** The list of connections with search, status, order and paging out of the address. */
export async function showConnections(c: VisitContext): Promise<Response> {
  const query: ConnectionsQuery = {
    q: (c.req.query("q") ?? "").trim().slice(0, 200),
    status: oneOf(c.req.query("status"), ["", "active", "inactive", "error"]),
    sort: oneOf(c.req.query("sort"), ["used", "title", "created"]),
  };
  const place = pageOf(c, pageSize);
  const { items, totalCount } = await perform(listConnectionUsage, contextOf(c), {
    ...(query.q && { search: query.q }),
    ...(query.status && { status: query.status }),
    orderBy: query.sort,
    limit: place.limit,
    offset: place.offset,
  });
  const last = toLastPage(c, place, totalCount);
  if (last) return last;
  const shown: ConnectionItem[] = items.map(({ toolCount, medianMs, calls, daily, ...connection }) => ({
    connection,
    toolCount,
    medianMs,
    calls,
    daily,
    standing: connection,
    health: connection.health,
  }));
  const list = { items: shown, info: infoOf(place, { shown: items.length, total: totalCount }), query };
  if (wantsPart(c)) return await c.html(<ConnectionRows {...list} canManage={isManager(actorOf(c))} />);
  return await c.html(<ConnectionsPage {...list} shell={await shellOf(c)} />);
}
