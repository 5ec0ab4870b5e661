/** Shapes that the views read. Field names are those of the public contract; a handler may pass richer objects. */

export type Theme = "light" | "dark" | "system";

/** A message that is shown once, after a redirect. */
export interface Flash {
  kind: "good" | "bad" | "info";
  text: string;
}

export interface OrganizationChoice {
  id: string;
  name: string;
}

/** What every signed-in page needs around its content. */
export interface Shell {
  csrf: string;
  theme: Theme;
  /** Path and query of the page that is shown: closing a message leads to it again. */
  path: string;
  user: { id: string; name: string; email: string };
  /** Null for a person who belongs to none. */
  organization: OrganizationChoice | null;
  organizations: readonly OrganizationChoice[];
  /** True for owners and administrators: what changes the organization is offered to nobody else. */
  canManage: boolean;
  counts?: {
    connections?: number;
    members?: number;
    apiKeys?: number;
    applications?: number;
    /** What the reader has to connect again. */
    needReconnect?: number;
  } | undefined;
  flash?: Flash | null | undefined;
}

/** What the pages outside a session need: setup, sign-in, errors. */
export interface PublicShell {
  csrf: string;
  theme: Theme;
  flash?: Flash | null | undefined;
}

/** What was entered and what is wrong with it, by field name; `message` is for what belongs to no field. */
export interface FormState {
  values?: Readonly<Record<string, string | undefined>> | undefined;
  errors?: Readonly<Record<string, string | undefined>> | undefined;
  message?: string | undefined;
}

/** Where a list stands: `page` counts from 1, `from` and `to` are the first and last row shown, 0 when there is none. */
export interface PageInfo {
  page: number;
  from: number;
  to: number;
  total: number;
  hasMore: boolean;
}

/** A tool as its MCP server describes it: nothing in it is trusted, the schema may be of any shape. */
export interface Tool {
  name: string;
  title?: string | null | undefined;
  description?: string | null | undefined;
  inputSchema?: unknown;
  outputSchema?: unknown;
  /** The hints of the specification, where they are booleans. */
  annotations?: unknown;
}

export interface Resource {
  uri: string;
  name?: string | null | undefined;
  title?: string | null | undefined;
  description?: string | null | undefined;
  mimeType?: string | null | undefined;
  size?: number | null | undefined;
}

export interface Prompt {
  name: string;
  title?: string | null | undefined;
  description?: string | null | undefined;
  arguments?:
    | readonly {
      name: string;
      description?: string | null | undefined;
      required?: boolean | null | undefined;
    }[]
    | null
    | undefined;
}

export type ConnectionStatus = "active" | "inactive" | "error";

export interface Connection {
  id: string;
  title: string;
  description?: string | null | undefined;
  connection_type: string;
  connection_url?: string | null | undefined;
  connection_headers?: ConnectionHeaders | null | undefined;
  tools?: readonly Tool[] | null | undefined;
  status: ConnectionStatus;
  /** Why the status is `error`, in one sentence. */
  status_reason?: string | null | undefined;
  has_token?: boolean | undefined;
  has_oauth?: boolean | undefined;
  credential_mode?: "shared" | "per_user" | undefined;
  credential_type?: "static" | "oauth" | undefined;
  /** Headers whose values each person gives; null where it is a token. */
  personal_headers?: readonly string[] | null | undefined;
  /** What is said of the OAuth client; its secrets are masked. */
  oauth_config?: Readonly<Record<string, unknown>> | null | undefined;
  options?: ConnectionOptions | null | undefined;
  has_client_certificate?: boolean | undefined;
  created_at?: string | undefined;
  updated_at?: string | undefined;
}

/** What a connection says of the way to its server beside its address. */
export interface ConnectionOptions {
  timeout_seconds?: number | null | undefined;
  identity_token?: boolean | null | undefined;
  /** PEM. */
  ca_certificates?: string | null | undefined;
}

/** Headers of an HTTP upstream or the command of a STDIO one; values are absent or masked. */
export interface ConnectionHeaders {
  headers?: Readonly<Record<string, string>> | undefined;
  command?: string | undefined;
  args?: readonly string[] | undefined;
}

/** A stage of a test: `skipped` is one that was not needed (`ok`) or not tried (not `ok`). */
export interface TestStage {
  stage: string;
  ok: boolean;
  ms: number;
  skipped?: boolean | undefined;
  detail?: string | undefined;
}

/** When a server was last checked (ISO 8601), and when it last worked. */
export interface Health {
  checked_at: string;
  ok_at: string | null;
}

/** What a test of a connection found; `stage` is the one that failed, `tools` how many there are. */
export interface TestResult {
  healthy: boolean;
  latencyMs: number | null;
  stage?: string | null | undefined;
  code?: string | null | undefined;
  message?: string | null | undefined;
  advice?: string | null | undefined;
  stages?: readonly TestStage[] | null | undefined;
  protocolVersion?: string | null | undefined;
  tools?: number | null | undefined;
}

export type Outcome = "ok" | "denied" | "failed";

/** One recorded call. The names beside the ids are what the reader sees; without them the id is shown. */
export interface Log {
  id: string;
  organizationId?: string | null | undefined;
  connectionId: string;
  connectionTitle?: string | null | undefined;
  gatewayId?: string | null | undefined;
  toolName?: string | null | undefined;
  method?: string | null | undefined;
  input?: unknown;
  output?: unknown;
  isError: boolean;
  outcome: Outcome;
  errorMessage?: string | null | undefined;
  durationMs: number;
  timestamp: string;
  userId?: string | null | undefined;
  userName?: string | null | undefined;
  keyId?: string | null | undefined;
  keyName?: string | null | undefined;
  clientId?: string | null | undefined;
  clientName?: string | null | undefined;
  requestId?: string | null | undefined;
  traceId?: string | null | undefined;
  userAgent?: string | null | undefined;
  upstreamStatus?: number | null | undefined;
  requestBytes?: number | null | undefined;
  responseBytes?: number | null | undefined;
  properties?: Readonly<Record<string, unknown>> | null | undefined;
}

/** Actions by resource: `self`, `conn_...` or `*`; an action `*` is everything of that resource. */
export type Permissions = Readonly<Record<string, readonly string[]>>;

export interface ApiKey {
  id: string;
  name: string;
  permissions: Permissions;
  ownerName?: string | null | undefined;
  createdAt: string;
  expiresAt?: string | null | undefined;
  lastUsedAt?: string | null | undefined;
}

export interface Member {
  id: string;
  userId: string;
  role: readonly string[];
  createdAt?: string | undefined;
  user: { id: string; name: string; email: string; image?: string | null | undefined };
}

export interface Organization {
  id: string;
  name: string;
  slug: string;
  description?: string | null | undefined;
}

/** Key figures of a period; `p50` and `p95` are milliseconds, null when nothing was called. */
export interface Stats {
  totalCalls: number;
  errors: number;
  denied: number;
  p50: number | null;
  p95: number | null;
  /** The same period before this one, to compare with. */
  previousCalls?: number | null | undefined;
  previousErrors?: number | null | undefined;
}

/** One bar: calls that began in the interval starting at `start` (ISO 8601). */
export interface SeriesPoint {
  start: string;
  calls: number;
  errors: number;
}
