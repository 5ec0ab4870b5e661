import type { Log } from "../types.ts";
import { duration } from "../format.ts";
import { paths } from "../paths.ts";
import { OutcomeBadge } from "./badge.tsx";
import { Cell, Row, RowLink } from "./table.tsx";
import { Time } from "./time.tsx";

/** Names who made a call and with what, by their names where they are known. */
function callerOf(log: Log): string {
  const person = log.userName ?? log.userId ?? "";
  const means = log.clientName ??
    (log.keyName ? `key ${log.keyName}` : log.keyId ? "API key" : log.clientId ?? "");
  return [person, means].filter(Boolean).join(" · ") || "nobody signed in";
}

/** Names what was called: the tool, or else the method. */
export function calledOf(log: Log): string {
  return log.toolName || log.method || "unknown";
}

/** Names where it was called; the mesh's own actions have `self` as their connection. */
export function placeOf(log: Log): string {
  return log.connectionId === "self" ? "Mesh" : log.connectionTitle ?? log.connectionId;
}

/** Why a call failed, without what the row says anyway and without codes in front: its page has all of it. */
function reasonOf({ errorMessage, outcome }: Log): string {
  const reason = (errorMessage ?? "").replace(/^Cannot [^:]+: /, "");
  if (outcome === "denied" && /^the permission '.*' on '.*' is missing$/s.test(reason)) {
    return "no permission";
  }
  return reason.replace(/^MCP error -?\d+: /, "");
}

/** The rows of a list of calls, each leading to its page. */
export function LogRows({ logs, withoutPlace }: { logs: readonly Log[]; withoutPlace?: boolean }) {
  return (
    <>
      {logs.map((log) => (
        <Row link>
          <Cell as="when">
            <Time at={log.timestamp} />
          </Cell>
          <Cell as="main">
            <RowLink href={paths.log(log.id)}>{calledOf(log)}</RowLink>
            {!withoutPlace && <span class="small second">{` on ${placeOf(log)}`}</span>}
          </Cell>
          <Cell as="by">{callerOf(log)}</Cell>
          <Cell as="state">
            <OutcomeBadge outcome={log.outcome} reason={reasonOf(log)} whole={log.errorMessage} />
          </Cell>
          <Cell numeric>{duration(log.durationMs)}</Cell>
        </Row>
      ))}
    </>
  );
}

/** The columns that `LogRows` fills. */
export const logColumns = [
  { title: "Time" },
  { title: "Call" },
  { title: "By" },
  { title: "Outcome" },
  { title: "Duration", numeric: true },
] as const;
