/** The tables. Times are milliseconds since 1970, booleans 0 or 1, JSON is text. */
export interface Schema {
  instance: InstanceTable;
  data_keys: DataKeysTable;
  users: UsersTable;
  sessions: SessionsTable;
  organizations: OrganizationsTable;
  members: MembersTable;
  invitations: InvitationsTable;
  api_keys: ApiKeysTable;
  connections: ConnectionsTable;
  connection_tools: ConnectionToolsTable;
  task_owners: TaskOwnersTable;
  throttles: ThrottlesTable;
  audit_log: AuditLogTable;
}

/** Facts about the installation by name, such as the check value of the master key. */
export interface InstanceTable {
  name: string;
  value: string;
}

/** One data key an organization, wrapped by the master key. */
export interface DataKeysTable {
  organization_id: string;
  wrapped: string;
  created_at: number;
}

export interface UsersTable {
  id: string;
  /** Lower case. */
  email: string;
  name: string;
  image: string | null;
  password_hash: string | null;
  created_at: number;
  updated_at: number;
}

export interface SessionsTable {
  /** SHA-256 of the cookie's token, base64url. */
  token_hash: string;
  user_id: string;
  active_organization_id: string | null;
  user_agent: string | null;
  created_at: number;
  expires_at: number;
}

export interface OrganizationsTable {
  id: string;
  name: string;
  slug: string;
  description: string | null;
  settings: string;
  created_at: number;
  updated_at: number;
}

export interface MembersTable {
  id: string;
  organization_id: string;
  user_id: string;
  /** JSON array of role names. */
  roles: string;
  created_at: number;
}

export interface InvitationsTable {
  id: string;
  organization_id: string;
  email: string;
  roles: string;
  inviter_id: string;
  status: string;
  created_at: number;
  expires_at: number;
}

export interface ApiKeysTable {
  id: string;
  organization_id: string;
  user_id: string;
  name: string;
  /** SHA-256 of the key, base64url. */
  key_hash: string;
  /** JSON permission map; null means the default of an omitted map. */
  permissions: string | null;
  metadata: string | null;
  expires_at: number | null;
  last_used_at: number | null;
  created_at: number;
  updated_at: number;
}

export interface ConnectionsTable {
  id: string;
  organization_id: string;
  title: string;
  title_lower: string;
  description: string | null;
  icon: string | null;
  app_name: string | null;
  app_id: string | null;
  connection_type: string;
  connection_url: string | null;
  /** JSON array of the header names; the values are sealed. */
  header_names: string;
  oauth_config: string | null;
  configuration_scopes: string;
  metadata: string | null;
  /** What the upstream listed, as JSON; null while it never answered. */
  tools: string | null;
  tool_count: number;
  resources: string | null;
  prompts: string | null;
  bindings: string | null;
  status: string;
  status_reason: string | null;
  /** Vault envelopes; never leave the storage and upstream folders. */
  sealed_token: string | null;
  sealed_headers: string | null;
  sealed_configuration: string | null;
  created_by: string;
  updated_by: string;
  created_at: number;
  updated_at: number;
}

/** The tool names of a connection, for the filter by binding. */
export interface ConnectionToolsTable {
  organization_id: string;
  connection_id: string;
  name: string;
}

/** Who started a task at an upstream. */
export interface TaskOwnersTable {
  /** SHA-256 of connection and task id, base64url. */
  id: string;
  organization_id: string;
  connection_id: string;
  user_id: string;
  created_at: number;
}

/** Failed sign-ins by address and by client. */
export interface ThrottlesTable {
  id: string;
  failures: number;
  blocked_until: number;
  updated_at: number;
}

export interface AuditLogTable {
  id: string;
  organization_id: string;
  connection_id: string;
  connection_title: string | null;
  gateway_id: string | null;
  tool_name: string | null;
  method: string;
  input: string | null;
  output: string | null;
  outcome: string;
  error_message: string | null;
  duration_ms: number;
  timestamp: number;
  user_id: string | null;
  key_id: string | null;
  client_id: string | null;
  request_id: string;
  trace_id: string | null;
  user_agent: string | null;
  upstream_status: number | null;
  request_bytes: number;
  response_bytes: number;
  properties: string | null;
}
