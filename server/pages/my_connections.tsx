import { MyConnectionRows, MyConnectionsPage, type MyConnectionsQuery } from "../../views/my_connections.tsx";
import { type CredentialItem, listCredentials } from "../actions/credentials.ts";
import { perform } from "../actions/action.ts";
import { isManager } from "../access/policy.ts";
import { type VisitContext, wantsPart } from "../visit.ts";
import { actorOf, contextOf, infoOf, oneOf, pageOf, shellOf, toLastPage } from "./page.ts";
import { allowSignIn } from "./sign_in_targets.ts";

const pageSize = 50;

/** What needs the person comes first, then what is not connected, then the rest; by name in each. */
const order = { needs_attention: 0, not_connected: 1, connected: 2 } as const;

/** The connections that want an account of the person, with search, state and paging out of the address. */
export async function showMyConnections(c: VisitContext): Promise<Response> {
  const query: MyConnectionsQuery = {
    q: (c.req.query("q") ?? "").trim().slice(0, 200),
    status: oneOf(c.req.query("status"), ["", "needs_attention", "not_connected", "connected"]),
  };
  const { items: known } = await perform(listCredentials, contextOf(c), {});
  // One that is switched off, or that no person signs in for, wants nothing of anybody.
  const all = known.filter((item) => item.can_connect || item.status !== "not_connected").toSorted(
    (one, other) => order[one.status] - order[other.status] || one.title.localeCompare(other.title, "en"),
  );
  const matching = all.filter((item) => matches(item, query));
  const place = pageOf(c, pageSize);
  const last = toLastPage(c, place, matching.length);
  if (last) return last;
  const items = matching.slice(place.offset, place.offset + place.limit);
  const info = infoOf(place, { shown: items.length, total: matching.length });
  const list = { items, info, query };
  allowSignIn(c, items);
  if (wantsPart(c)) {
    const { csrf } = c.get("visit");
    return await c.html(<MyConnectionRows {...list} csrf={csrf} canManage={isManager(actorOf(c))} />);
  }
  return await c.html(<MyConnectionsPage {...list} all={all} shell={await shellOf(c)} />);
}

function matches({ title, url, account, status }: CredentialItem, query: MyConnectionsQuery): boolean {
  if (query.status !== "" && status !== query.status) return false;
  const wanted = query.q.toLowerCase();
  return [title, url, account].some((text) => text?.toLowerCase().includes(wanted) ?? false);
}
