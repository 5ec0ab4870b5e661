import { LogPage } from "../../views/log.tsx";
import { can } from "../access/policy.ts";
import { perform } from "../actions/action.ts";
import { getLog } from "../actions/audit_log.ts";
import { getConnection } from "../actions/connections.ts";
import type { VisitContext } from "../visit.ts";
import { named, readLogNames } from "./log_names.ts";
import { actorOf, contextOf, param, shellOf } from "./page.ts";

/** One recorded call with everything that is known of it. */
export async function showLog(c: VisitContext): Promise<Response> {
  const { log } = await perform(getLog, contextOf(c), { id: param(c, "id") });
  const canTryAgain = await hasTool(c, log.connectionId, log.toolName);
  const page = named(log, await readLogNames(c, [log]));
  return await c.html(<LogPage shell={await shellOf(c)} log={page} canTryAgain={canTryAgain} />);
}

async function hasTool(c: VisitContext, connectionId: string, tool: string | null): Promise<boolean> {
  if (tool === null || connectionId === "self" || !can(actorOf(c), connectionId, tool)) return false;
  const { item } = await perform(getConnection, contextOf(c), { id: connectionId });
  return item?.tools?.some(({ name }) => name === tool) ?? false;
}
