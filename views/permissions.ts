import type { Permissions } from "./types.ts";
import { plural } from "./format.ts";

/** Resources that are no single connection. */
const general = ["*", "self", "conn_*", "gw_*"];

const READ_ONLY = /_(?:LIST|GET)$/;

/** Says in a few words what management a permission map allows. */
function managementOf(actions: readonly string[]): string {
  if (actions.includes("*")) return "manages everything";
  if (actions.length === 0) return "";
  return actions.every((action) => READ_ONLY.test(action) || /^\*_(?:LIST|GET)$/.test(action))
    ? "reads management"
    : `manages with ${plural(actions.length, "tool")}`;
}

/** What of a connection, of which prompts and resources are seldom named one by one. */
function whatOf(actions: readonly string[]): string {
  if (actions.includes("*")) return "all tools";
  const tools = actions.filter((action) => !/^(prompt|resource):/.test(action)).length;
  if (tools === actions.length) return plural(tools, "tool");
  return tools === 0 ? "some prompts or resources" : `${plural(tools, "tool")}, some prompts or resources`;
}

/** Says what a key may do: `all tools of Linear, 3 tools of GitHub, reads management`. */
export function permissionSummary(
  permissions: Permissions,
  titles: Readonly<Record<string, string>>,
): string {
  const everything = permissions["*"] ?? [];
  if (everything.includes("*")) return "Everything its owner may do";
  const parts: string[] = [];
  if (everything.length > 0) parts.push(`${plural(everything.length, "tool")} of every connection`);
  const every = permissions["conn_*"] ?? [];
  if (every.includes("*")) parts.push("all tools of every connection");
  else if (every.length > 0) parts.push(`${plural(every.length, "tool")} of every connection`);
  const connections = Object.entries(permissions).filter(([resource]) => !general.includes(resource));
  for (const [resource, actions] of connections.slice(0, 2)) {
    parts.push(`${whatOf(actions)} of ${titles[resource] ?? "a deleted connection"}`);
  }
  if (connections.length > 2) parts.push(`${connections.length - 2} more`);
  const management = managementOf(permissions.self ?? []);
  if (management) parts.push(management);
  const text = parts.join(", ");
  return text === "" ? "Nothing" : text.charAt(0).toUpperCase() + text.slice(1);
}
