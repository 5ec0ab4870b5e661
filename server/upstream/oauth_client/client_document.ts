import { isLoopback } from "./exchange.ts";
import { callbackPath, clientDocumentPath } from "./types.ts";

const clientName = "MCP Mesh";

/** Where authorization servers send people back to. */
export function redirectUriOf(baseUrl: string): string {
  return baseUrl + callbackPath;
}

/** The mesh as a client, for authorization servers that read a client's description at its id (CL07). */
export function clientDocument(baseUrl: string): Record<string, unknown> {
  return {
    client_id: baseUrl + clientDocumentPath,
    token_endpoint_auth_method: "none",
    ...metadataOf(baseUrl),
  };
}

/** What the mesh says of itself wherever it becomes a client. RFC 7591 section 2 */
export function metadataOf(baseUrl: string): Record<string, unknown> {
  const redirectUri = redirectUriOf(baseUrl);
  return {
    client_name: clientName,
    ...(baseUrl.startsWith("https://") ? { client_uri: baseUrl } : {}),
    redirect_uris: [redirectUri],
    grant_types: ["authorization_code", "refresh_token"],
    response_types: ["code"],
    application_type: isLoopback(new URL(redirectUri).hostname) ? "native" : "web", // CL08
  };
}
