import type { Log } from "../../views/types.ts";
import { perform } from "../actions/action.ts";
import { listApiKeys } from "../actions/api_keys.ts";
import { listMembers } from "../actions/members.ts";
import type { VisitContext } from "../visit.ts";
import { titlesOf } from "./connection_titles.ts";
import { contextOf } from "./page.ts";

/** The names behind the ids of a log, of those that the person may know. */
export interface LogNames {
  people: Map<string, string>;
  keys: Map<string, string>;
  connections: Map<string, string>;
}

/** Reads the names of the organization's people and keys, and the titles of the connections in the logs. */
export async function readLogNames(c: VisitContext, logs: readonly Log[]): Promise<LogNames> {
  const { members } = await perform(listMembers, contextOf(c), { limit: 1000 });
  const { items } = await perform(listApiKeys, contextOf(c), {});
  return {
    people: new Map(members.map(({ user }) => [user.id, user.name])),
    keys: new Map(items.map(({ id, name }) => [id, name])),
    connections: await titlesOf(c, logs.map(({ connectionId }) => connectionId)),
  };
}

/** A row of the log with the names of who made the call. */
export function named<T extends Log>(log: T, { people, keys, connections }: LogNames): T {
  return {
    ...log,
    connectionTitle: log.connectionTitle ?? connections.get(log.connectionId),
    userName: log.userId ? people.get(log.userId) : null,
    keyName: log.keyId ? keys.get(log.keyId) : null,
  };
}
