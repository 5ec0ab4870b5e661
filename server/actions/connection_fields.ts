import { z } from "zod";
import { atMost, isoOf, jsonObject } from "./fields.ts";
import { publicUrl } from "../audit/public_url.ts";
import type { ConnectionRow } from "../storage/connections.ts";
import * as connections from "../storage/connections.ts";
import { type ConnectionHealth, healthFields } from "./connection_health.ts";
import {
  clientCertificate,
  connectionOptions,
  credentialMode,
  credentialType,
  oauthConfig,
  personalHeaders,
} from "./credential_fields.ts";

/** What stands in place of a secret that is set; given back in an update, it keeps the stored one. */
export const mask = "***";

const maxHeaders = 50;

// deno-lint-ignore no-control-regex -- no control characters but line breaks and tabs
const printable = /^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]*$/;

function text(max: number) {
  return z.string().trim().max(max).regex(
    printable,
    "it must not contain control characters",
  );
}

const connectionUrl = z.string().trim().min(1, "it is required").max(2048)
  .superRefine((value, context) => {
    const problem = urlProblem(value);
    if (problem !== null) context.addIssue({ code: "custom", message: problem });
  });

/** Why a text cannot be the URL of an upstream; null where it can. */
function urlProblem(value: string): string | null {
  const url = URL.canParse(value) && !/[\s\\]/.test(value) ? new URL(value) : null;
  if (url === null) return "it is not a URL; it looks like https://mcp.example.com/mcp";
  if (!/^https?:$/.test(url.protocol)) return "it must begin with https:// or http://";
  if (url.username !== "" || url.password !== "") {
    return "it must not hold a user name or password; use connection_token or connection_headers";
  }
  return url.hash === "" ? null : "it must not have a fragment (#)";
}

const icon = text(20_000).refine(
  (value) => /^(https?:\/\/|data:image\/)/i.test(value),
  "it must be an https, http or data:image URL",
);

const connectionType = z.enum(["HTTP", "SSE", "Websocket", "STDIO"]).superRefine((type, context) => {
  if (type === "HTTP") return;
  context.addIssue({ code: "custom", message: `${type} connections are not served yet; HTTP ones are` });
});

// An empty field of a form says nothing about the token.
const token = z.string().trim().max(8192).transform((value) => value === "" ? undefined : value);

const headers = z.object({
  headers: atMost(
    1000,
    z.record(z.string().max(100), z.string().max(8192)).refine(
      (value) => Object.keys(value).length <= maxHeaders,
      `there are more than ${maxHeaders} headers`,
    ),
  ),
});

/** The id of a connection as an input names it. */
export const connectionIdField = z.string().min(1).max(100).describe("The connection's id, conn_...");

/** What may be said of a connection when it is made. Secrets go in, and never come out. */
export const connectionInput = z.object({
  title: text(200).min(1, "it is required"),
  description: text(2000).nullish(),
  icon: icon.nullish(),
  app_name: text(200).nullish(),
  app_id: text(200).nullish(),
  connection_type: connectionType.default("HTTP"),
  connection_url: connectionUrl,
  connection_token: token.nullish().describe(
    "Sent as Authorization: Bearer; a token with a scheme of its own, such as 'Basic ...', is sent as it is",
  ),
  connection_headers: headers.nullish().describe("Headers for every request: {headers: {name: value}}"),
  credential_mode: credentialMode.optional().describe(
    "shared: one credential for the organization; per_user: each person gives their own",
  ),
  credential_type: credentialType.optional().describe(
    "static: a token or headers; oauth: people authorize; found out where it is left out",
  ),
  personal_headers: personalHeaders.nullish().describe(
    "With per_user and static: headers whose values each person gives, in place of a token",
  ),
  oauth_config: oauthConfig.nullish().describe(
    "The client registered with the server's authorization server",
  ),
  options: connectionOptions.nullish(),
  client_certificate: clientCertificate.nullish(),
  configuration_state: jsonObject(100_000).nullish(),
  configuration_scopes: z.array(text(500)).max(200).nullish(),
  metadata: jsonObject(50_000).nullish(),
  bindings: z.array(z.unknown()).max(100).refine(
    (value) => JSON.stringify(value).length <= 50_000,
    "it must not be longer than 50000 characters of JSON",
  ).nullish(),
  status: z.enum(["active", "inactive"]).optional(),
});

/** What may be changed: an absent field stays, null clears, `***` in place of a secret keeps it. */
export const connectionChanges = connectionInput.partial().extend({
  connection_type: connectionType.optional(),
  // A connection that is read and sent back with its status `error` asks for no change of it.
  status: z.enum(["active", "inactive", "error"]).optional(),
});

export type ConnectionInput = z.output<typeof connectionInput>;
export type ConnectionChanges = z.output<typeof connectionChanges>;

const tool = z.looseObject({
  name: z.string(),
  title: z.string().nullish(),
  description: z.string().nullish(),
  inputSchema: z.unknown().optional(),
  outputSchema: z.unknown().optional(),
  annotations: z.unknown().optional(),
});

/** A connection as it may be read: no secret is in it, only whether there is one. */
export const connectionEntity = z.object({
  id: z.string(),
  title: z.string(),
  description: z.string().nullable(),
  icon: z.string().nullable(),
  app_name: z.string().nullable(),
  app_id: z.string().nullable(),
  connection_type: z.enum(["HTTP", "SSE", "Websocket", "STDIO"]),
  connection_url: z.string().nullable(),
  connection_headers: z.object({ headers: z.record(z.string(), z.literal(mask)) }).nullable(),
  credential_mode: credentialMode,
  credential_type: credentialType,
  personal_headers: z.array(z.string()).nullable(),
  oauth_config: z.record(z.string(), z.unknown()).nullable().describe("Its secrets are masked"),
  options: connectionOptions.nullable(),
  client_certificate: z.object({ certificate: z.literal(mask), key: z.literal(mask) }).nullable(),
  configuration_state: z.record(z.string(), z.unknown()).nullable().describe("Its values are masked"),
  configuration_scopes: z.array(z.string()),
  metadata: z.record(z.string(), z.unknown()).nullable(),
  tools: z.array(tool).nullable().describe("What the server listed; null while it never answered"),
  bindings: z.array(z.unknown()),
  status: z.enum(["active", "inactive", "error"]),
  status_reason: z.string().nullable().describe("What is wrong with it, in a sentence"),
  health: healthFields.nullable().describe("What its last check found; null before the first"),
  organization_id: z.string(),
  created_by: z.string(),
  updated_by: z.string(),
  created_at: z.string(),
  updated_at: z.string(),
  has_token: z.boolean(),
  has_oauth: z.boolean(),
  has_client_certificate: z.boolean(),
});

/** A connection with all that its server lists. */
export const connectionDetail = connectionEntity.extend({
  resources: z.array(z.record(z.string(), z.unknown())).nullable(),
  resource_templates: z.array(z.record(z.string(), z.unknown())).nullable(),
  prompts: z.array(z.record(z.string(), z.unknown())).nullable(),
});

/** What an entity tells beside its row; of the OAuth client's secrets the names. */
export interface Opened {
  configuration: Record<string, unknown> | null;
  oauthSecrets: readonly string[];
  health: ConnectionHealth | null;
}

/** The entity of a row. */
export function entityOf(
  row: ConnectionRow,
  { configuration, oauthSecrets, health }: Opened,
): z.input<typeof connectionDetail> {
  const parsed = connections.parse(row);
  const names = parsed.headerNames;
  const isTemplate = (resource: Record<string, unknown>) => "uriTemplate" in resource;
  return {
    id: row.id,
    title: row.title,
    description: row.description,
    icon: row.icon,
    app_name: row.app_name,
    app_id: row.app_id,
    connection_type: row.connection_type as "HTTP",
    connection_url: row.connection_url && publicUrl(row.connection_url),
    connection_headers: names.length === 0
      ? null
      : { headers: Object.fromEntries(names.map((name) => [name, mask])) },
    credential_mode: row.credential_mode as "shared",
    credential_type: row.credential_type as "static",
    personal_headers: parsed.personalHeaders,
    oauth_config: maskedOauth(parsed.oauthConfig, oauthSecrets),
    options: parsed.options,
    client_certificate: row.sealed_certificate === null ? null : { certificate: mask, key: mask },
    configuration_state: configuration && maskValues(configuration),
    configuration_scopes: parsed.configurationScopes,
    metadata: parsed.metadata,
    tools: parsed.tools,
    bindings: parsed.bindings ?? [],
    status: row.status as "active",
    status_reason: row.status_reason,
    health,
    organization_id: row.organization_id,
    created_by: row.created_by,
    updated_by: row.updated_by,
    created_at: isoOf(row.created_at),
    updated_at: isoOf(row.updated_at),
    has_token: row.sealed_token !== null,
    has_oauth: row.credential_type === "oauth",
    has_client_certificate: row.sealed_certificate !== null,
    resources: parsed.resources?.filter((resource) => !isTemplate(resource)) ?? null,
    resource_templates: parsed.resources?.filter(isTemplate) ?? null,
    prompts: parsed.prompts,
  };
}

function maskedOauth(
  config: Record<string, unknown> | null,
  secrets: readonly string[],
): Record<string, unknown> | null {
  if (config === null && secrets.length === 0) return null;
  return { ...config, ...Object.fromEntries(secrets.map((name) => [name, mask])) };
}

/** The same shape with every text and number masked, as any of them may be a secret. */
function maskValues<T>(value: T): T {
  const masked = (inner: unknown): unknown => {
    if (Array.isArray(inner)) return inner.map(masked);
    if (inner !== null && typeof inner === "object") return maskValues(inner);
    return typeof inner === "string" || typeof inner === "number" ? mask : inner;
  };
  return Object.fromEntries(Object.entries(value as object).map(([key, inner]) => [key, masked(inner)])) as T;
}

/** What was given, with `***` replaced by what is stored at the same place. */
export function unmaskValues(given: unknown, stored: unknown): unknown {
  if (given === mask && stored !== undefined) return stored;
  if (Array.isArray(given)) {
    return given.map((inner, i) => unmaskValues(inner, Array.isArray(stored) ? stored[i] : undefined));
  }
  if (given === null || typeof given !== "object") return given;
  const beside = stored !== null && typeof stored === "object" ? stored as Record<string, unknown> : {};
  return Object.fromEntries(
    Object.entries(given).map((
      [key, inner],
    ) => [key, unmaskValues(inner, Object.hasOwn(beside, key) ? beside[key] : undefined)]),
  );
}
