import {
  ConnectionActivityPage,
  ConnectionPromptsPage,
  ConnectionResourcesPage,
} from "../../views/connection_lists.tsx";
import { perform } from "../actions/action.ts";
import { listLogs } from "../actions/audit_log.ts";
import type { VisitContext } from "../visit.ts";
import { connectionFacts } from "./connection_frame.ts";
import { named, readLogNames } from "./log_names.ts";
import { contextOf, infoOf, pageOf, param, toLastPage } from "./page.ts";

const pageSize = 50;

/** What a connection offers to read. */
export async function showResources(c: VisitContext): Promise<Response> {
  const { frame, resources } = await connectionFacts(c);
  return await c.html(<ConnectionResourcesPage {...frame} resources={resources} />);
}

/** The prompts of a connection. */
export async function showPrompts(c: VisitContext): Promise<Response> {
  const { frame, prompts } = await connectionFacts(c);
  return await c.html(<ConnectionPromptsPage {...frame} prompts={prompts} />);
}

/** The calls of a connection, newest first. */
export async function showConnectionActivity(c: VisitContext): Promise<Response> {
  const { frame } = await connectionFacts(c);
  const place = pageOf(c, pageSize);
  const { logs, total } = await perform(listLogs, contextOf(c), {
    connectionId: param(c, "id"),
    limit: place.limit,
    offset: place.offset,
  });
  const last = toLastPage(c, place, total);
  if (last) return last;
  const names = await readLogNames(c, []);
  const info = infoOf(place, { shown: logs.length, total });
  return await c.html(
    <ConnectionActivityPage {...frame} logs={logs.map((log) => named(log, names))} info={info} />,
  );
}
