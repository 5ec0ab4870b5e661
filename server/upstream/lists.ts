import type { ConnectionChanges, ConnectionRow } from "../storage/connections.ts";
import type { Catalog } from "./catalog.ts";

/** The columns that hold what an upstream listed. */
export function listColumns(catalog: Catalog | null) {
  const { resources, resourceTemplates } = catalog ?? {};
  const listed = resources || resourceTemplates ? [...resources ?? [], ...resourceTemplates ?? []] : null;
  return {
    protocol_version: catalog?.protocolVersion?.slice(0, 20) ?? null,
    tools: catalog && JSON.stringify(catalog.tools),
    tool_count: catalog?.tools.length ?? 0,
    resources: listed && JSON.stringify(listed),
    prompts: catalog?.prompts ? JSON.stringify(catalog.prompts) : null,
  } satisfies ConnectionChanges;
}

type Listed = Pick<ConnectionRow, "tools" | "tool_count" | "resources" | "prompts" | "protocol_version">;

/** True where a server that listed tools before lists none now: those that are known stay. */
export function losesAllTools(row: Listed, catalog: Catalog): boolean {
  return catalog.tools.length === 0 && row.tool_count > 0;
}

/**
 * The columns that a new reading of a server's lists changes, none where it says the same in another order. Tools that
 * are gone all at once, and a list that could not be had, take nothing away.
 */
export function changedLists(row: Listed, catalog: Catalog): Partial<Listed> {
  if (losesAllTools(row, catalog)) return {};
  const { protocol_version, tools, tool_count, resources, prompts } = listColumns(catalog);
  const changes: Partial<Listed> = {};
  if (protocol_version !== row.protocol_version) changes.protocol_version = protocol_version;
  if (!sameItems(tools, row.tools)) Object.assign(changes, { tools, tool_count });
  // Null is a list that failed, beside tools that did not.
  if (resources !== null && !isPartial(catalog) && !sameItems(resources, row.resources)) {
    changes.resources = resources;
  }
  if (prompts !== null && !sameItems(prompts, row.prompts)) changes.prompts = prompts;
  return changes;
}

/** Resources and their templates share a column: with one of them missing it would lose what the other says. */
function isPartial({ resources, resourceTemplates }: Catalog): boolean {
  return resources === null || resourceTemplates === null;
}

function sameItems(listed: string | null, known: string | null): boolean {
  if (listed === null || known === null || listed === known) return listed === known;
  const inOrder = (text: string) =>
    JSON.stringify(JSON.parse(text).map((item: unknown) => JSON.stringify(item)).sort());
  return inOrder(listed) === inOrder(known);
}
