// Connections made straight in the storage, for tests that need no more of them than their address.
import { newId } from "../../server/ids.ts";
import * as connections from "../../server/storage/connections.ts";
import type { Db } from "../../server/storage/dialect.ts";

/**
 * Adds an active HTTP connection without a credential, or with what the columns say, and returns its id; `tools` are
 * what its server listed.
 */
export async function addConnection(
  db: Db,
  organizationId: string,
  { id = newId("conn"), url, title = "Upstream", createdBy = "usr_test", tools = null, ...columns }: {
    id?: string;
    url: string;
    title?: string;
    createdBy?: string;
    tools?: readonly { name: string }[] | null;
  } & Partial<Omit<connections.ConnectionRow, "id" | "title" | "tools">>,
): Promise<string> {
  const now = Date.now();
  await connections.insert(db, {
    id,
    organization_id: organizationId,
    title,
    title_lower: title.toLowerCase(),
    description: null,
    icon: null,
    app_name: null,
    app_id: null,
    connection_type: "HTTP",
    connection_url: url,
    header_names: "[]",
    oauth_config: null,
    configuration_scopes: "[]",
    metadata: null,
    tools: tools === null ? null : JSON.stringify(tools),
    tool_count: tools?.length ?? 0,
    resources: null,
    prompts: null,
    bindings: null,
    status: "active",
    status_reason: null,
    sealed_token: null,
    sealed_headers: null,
    sealed_configuration: null,
    created_by: createdBy,
    updated_by: createdBy,
    created_at: now,
    updated_at: now,
    ...columns,
  });
  return id;
}
