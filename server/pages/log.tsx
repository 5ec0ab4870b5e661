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
  const { connectionId, toolName } = log;
  const connection = await connectionOf(c, connectionId);
  const canTryAgain = toolName !== null && can(actorOf(c), connectionId, toolName) &&
    (connection?.tools?.some(({ name }) => name === toolName) ?? false);
  const page = named(log, await readLogNames(c, [log]));
  const props = { log: page, hasConnection: connection !== null, canTryAgain };
  return await c.html(<LogPage shell={await shellOf(c)} {...props} />);
}

async function connectionOf(c: VisitContext, id: string) {
  return id === "self" ? null : (await perform(getConnection, contextOf(c), { id })).item;
}
