import type { Generated } from "kysely";
import type {
  ConnectionHealthTable,
  SigningKeysTable,
  UpstreamClientsTable,
  UpstreamCredentialsTable,
  UpstreamFlowsTable,
} from "./schema_upstream.ts";

/** The tables. Times are milliseconds since 1970, booleans 0 or 1, JSON is text. */
export interface Schema {
  instance: InstanceTable;
  data_keys: DataKeysTable;
  key_rotations: KeyRotationsTable;
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
  oauth_clients: OauthClientsTable;
  oauth_requests: OauthRequestsTable;
  oauth_consents: OauthConsentsTable;
  oauth_codes: OauthCodesTable;
  oauth_tokens: OauthTokensTable;
  upstream_credentials: UpstreamCredentialsTable;
  upstream_clients: UpstreamClientsTable;
  upstream_flows: UpstreamFlowsTable;
  connection_health: ConnectionHealthTable;
  signing_keys: SigningKeysTable;
}

/** Facts about the installation by name, such as the check value of the master key. */
export interface InstanceTable {
  name: string;
  value: string;
}

/** One data key an organization, wrapped by the master key; organization "" is the instance itself. */
export interface DataKeysTable {
  organization_id: string;
  wrapped: string;
  created_at: number;
}

/** Replacements of the master key; the names of keys tell nothing about them. */
export interface KeyRotationsTable {
  from_id: string;
  to_id: string;
  state: string;
  /** The new key wrapped by the old one, and the old one by the new. */
  sealed_next: string | null;
  sealed_previous: string | null;
  started_at: number;
  finished_at: number | null;
  forgotten_at: number | null;
  old_key_used_at: number | null;
  old_key_used_by: string | null;
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
  /** What may be shown of the address; all of it where nothing in it is secret. */
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
  /** `shared`: one credential for the organization; `per_user`: each person connects their own. */
  credential_mode: Generated<string>;
  /** `static`: a token or headers; `oauth`: tokens that the upstream's authorization server issues. */
  credential_type: Generated<string>;
  /** JSON array of the headers whose values each person gives; null where it is a token. */
  personal_headers: Generated<string | null>;
  /** JSON of what is no secret: time-out, identity token, private CA. */
  options: Generated<string | null>;
  /** Secrets of the OAuth client that an admin has registered there: a vault envelope of JSON. */
  sealed_oauth: Generated<string | null>;
  /** The client certificate with its key: a vault envelope of JSON. */
  sealed_certificate: Generated<string | null>;
  /** The whole address where `connection_url` is not it: a vault envelope. */
  sealed_url: Generated<string | null>;
  /** The latest revision that the upstream agreed on; null while it never answered. */
  protocol_version: Generated<string | null>;
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

/** Applications that have an id of ours: registered by themselves or by an admin. */
export interface OauthClientsTable {
  id: string;
  /** Null for those that registered themselves. */
  organization_id: string | null;
  name: string;
  /** SHA-256 of the secret, base64url; null for a public client. */
  secret_hash: string | null;
  /** JSON arrays. */
  redirect_uris: string;
  grant_types: string;
  auth_method: string;
  client_uri: string | null;
  /** Whom the client acts as, and what it may do, where it acts without a person. */
  owner_id: string | null;
  permissions: string | null;
  created_at: number;
  /** When a client that nobody ever allowed anything goes away; null for all others. */
  unused_until: number | null;
  last_used_at: number | null;
}

/** Questions that wait on the consent page, each for one browser session. */
export interface OauthRequestsTable {
  id: string;
  session_hash: string;
  user_id: string;
  /** The checked request as JSON. */
  asked: string;
  created_at: number;
  expires_at: number;
}

/** What a person has allowed a client; the permission set of a row never changes. */
export interface OauthConsentsTable {
  id: string;
  organization_id: string;
  user_id: string;
  client_id: string;
  client_name: string;
  /** Fingerprint of what the client said of itself when it was allowed. */
  client_print: string;
  resource: string;
  permissions: string;
  /** The address that the client last asked to return to; null for a client that acts without a person. */
  redirect_uri: string | null;
  /** SHA-256 of organization, person, client, resource and permission set, base64url. */
  match_hash: string;
  created_at: number;
  updated_at: number;
  last_used_at: number | null;
}

export interface OauthCodesTable {
  /** SHA-256 of the code, base64url. */
  code_hash: string;
  /** The family of tokens that comes of it. */
  grant_id: string;
  consent_id: string;
  organization_id: string;
  /** Null where the request left it out. */
  redirect_uri: string | null;
  challenge: string;
  scope: string;
  created_at: number;
  expires_at: number;
  used_at: number | null;
}

export interface OauthTokensTable {
  /** SHA-256 of the token, base64url. */
  token_hash: string;
  /** `access` or `refresh`. */
  kind: string;
  grant_id: string;
  consent_id: string;
  organization_id: string;
  /** The refresh token that this one followed. */
  parent_hash: string | null;
  scope: string;
  created_at: number;
  expires_at: number;
  /** When a refresh token was exchanged. */
  used_at: number | null;
}
