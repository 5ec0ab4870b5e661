// An application that asks.
import { encode, proofKey, register } from "../oauth/support.ts";
import type { Scene } from "./support.ts";

/** The address that an application sends a browser to, for a connection or for the mesh itself. */
export async function linkFor(
  { mesh }: Scene,
  { redirectUri, connection, name = "Quiet Agent" }: {
    redirectUri: string;
    connection?: string;
    name?: string;
  },
): Promise<string> {
  const client = await register(mesh, { client_name: name, redirect_uris: [redirectUri] });
  const resource = connection ? `${mesh.url}/mcp/${connection.split("/").at(-1)}` : `${mesh.url}/mcp`;
  const params = encode({
    response_type: "code",
    client_id: client.id,
    redirect_uri: redirectUri,
    code_challenge: proofKey().challenge,
    code_challenge_method: "S256",
    state: "state-1",
    resource,
  });
  return `${mesh.url}/api/auth/authorize?${params}`;
}
