// A connection for which each person gives a token of their own, and what they do about it.
import * as connections from "../../server/storage/connections.ts";
import * as credentials from "../../server/storage/upstream_credentials.ts";
import { give } from "../upstream/holders_support.ts";
import { addConnection, type Mesh, type Person, type Site } from "./support.ts";

/** What the upstream listed for somebody else. */
const listed = ["echo", "whoami", "test_tool_with_progress"].map((name) => ({
  name,
  description: `The tool ${name}`,
  inputSchema: { type: "object" },
}));

/** A connection whose people have to connect first, with the tools that are known of it, and an owner's key. */
export async function personalSite(
  mesh: Mesh,
  url: string,
  changes: connections.ConnectionChanges = {},
): Promise<Site> {
  const person = await mesh.organization();
  const connectionId = await addConnection(mesh, person, { url, title: "Weather" });
  await connections.update(mesh.services.db, person.organizationId, {
    id: connectionId,
    changes: { credential_mode: "per_user", tools: JSON.stringify(listed), ...changes },
  });
  return { url: `${mesh.url}/mcp/${connectionId}`, connectionId, person, key: await mesh.key(person) };
}

/** The page on which people connect. */
export function linkOf(mesh: Mesh, { connectionId }: Pick<Site, "connectionId">): string {
  return `${mesh.services.config.baseUrl}/my-connections/${connectionId}`;
}

/** Gives a person's token, as their page would. */
export async function connectPerson(
  { services }: Mesh,
  { connectionId, person }: Pick<Site, "connectionId"> & { person: Person },
  token: string,
): Promise<void> {
  const { organizationId, userId: owner } = person;
  await give(services, { organizationId, connectionId, owner, secret: { kind: "token", token } });
  services.upstream.forget(connectionId);
}

/** Takes it back. */
export async function disconnectPerson(
  { services }: Mesh,
  { connectionId, person }: Pick<Site, "connectionId"> & { person: Person },
): Promise<void> {
  const { organizationId, userId: owner } = person;
  await credentials.remove(services.db, organizationId, { connectionId, owner });
  services.upstream.forget(connectionId);
}
