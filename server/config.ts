import { type AuthConfig, loadAuthConfig } from "./auth_config.ts";
import { AppError, messageOf } from "./errors.ts";

export type LogLevel = "debug" | "info" | "warn" | "error" | "silent";

/** What every part of the program is told at start; made by `loadConfig`, never changed afterwards. */
export interface Config {
  readonly port: number;
  readonly host: string;
  /** The URL that clients use, without a trailing slash. */
  readonly baseUrl: string;
  readonly databaseUrl: string;
  readonly databasePoolMax: number;
  readonly dataDir: string;
  /** The master key given by a setting: 32 bytes; null where the data folder holds it. */
  readonly encryptionKey: Uint8Array | null;
  readonly logLevel: LogLevel;
  readonly trustProxy: boolean;
  readonly outboundAllow: readonly string[];
  readonly auditRetentionDays: number;
  /** The longest silence of an upstream during a call, in seconds. */
  readonly upstreamTimeoutSeconds: number;
  /** Between two checks of a connection in the background, in seconds; 0 checks none. */
  readonly healthCheckSeconds: number;
  /** How long an access token of a client lives, in seconds. */
  readonly accessTokenSeconds: number;
  /** How long a client stays signed in without using its refresh token, in days. */
  readonly refreshTokenDays: number;
  readonly auth: AuthConfig;
}

interface Setting<T> {
  env: string;
  /** The default as it would be written in the environment; null where there is none. */
  fallback: string | null;
  secret: boolean;
  help: string;
  /** Throws an Error whose message says what would be right. */
  parse: (text: string) => T;
}

function setting<T>(entry: Setting<T>): Setting<T> {
  return entry;
}

/** Every setting once; the README's table is checked against this one by a test. */
export const settings = {
  port: setting({
    env: "PORT",
    fallback: "3000",
    secret: false,
    help: "TCP port to listen on; 0 lets the system choose",
    parse: (text) => wholeNumber(text, { min: 0, max: 65535 }),
  }),
  host: setting({
    env: "HOST",
    fallback: "127.0.0.1",
    secret: false,
    help: "Address to listen on; the container image sets 0.0.0.0",
    parse: nonEmpty,
  }),
  baseUrl: setting({
    env: "BASE_URL",
    fallback: "",
    secret: false,
    help:
      "URL that browsers and clients use, with a path where a proxy adds one; http://localhost:PORT by default",
    parse: baseUrl,
  }),
  databaseUrl: setting({
    env: "DATABASE_URL",
    fallback: "",
    secret: true,
    help: "file:PATH, sqlite:PATH, postgres://... or mysql://...; file:DATA_DIR/mesh.db by default",
    parse: databaseUrl,
  }),
  databasePoolMax: setting({
    env: "DATABASE_POOL_MAX",
    fallback: "10",
    secret: false,
    help: "Most connections to a database server",
    parse: (text) => wholeNumber(text, { min: 1, max: 1000 }),
  }),
  dataDir: setting({
    env: "DATA_DIR",
    fallback: "./data",
    secret: false,
    help: "Folder for the database file, the generated key and the audit journal",
    parse: nonEmpty,
  }),
  encryptionKey: setting({
    env: "ENCRYPTION_KEY",
    fallback: "",
    secret: true,
    help: "Master key of the vault, 32 bytes as base64 or hex; generated in DATA_DIR by default",
    parse: (text) => text === "" ? null : parseKey(text),
  }),
  authConfigPath: setting({
    env: "AUTH_CONFIG_PATH",
    fallback: "./auth-config.json",
    secret: false,
    help: "JSON file that says how people may sign in; optional",
    parse: nonEmpty,
  }),
  logLevel: setting({
    env: "LOG_LEVEL",
    fallback: "info",
    secret: false,
    help: "debug, info, warn, error or silent",
    parse: (text) => oneOf<LogLevel>(text, ["debug", "info", "warn", "error", "silent"]),
  }),
  trustProxy: setting({
    env: "TRUST_PROXY",
    fallback: "false",
    secret: false,
    help: "true where a reverse proxy in front sets X-Forwarded-For; ignored otherwise",
    parse: (text) => oneOf(text, ["true", "false", "1", "0"]) === "true" || text === "1",
  }),
  outboundAllow: setting({
    env: "OUTBOUND_ALLOW",
    fallback: "",
    secret: false,
    help: "Host names and CIDRs in private ranges that connections may reach, separated by commas",
    parse: (text) => text.split(",").map((part) => part.trim()).filter((part) => part !== ""),
  }),
  auditRetentionDays: setting({
    env: "AUDIT_RETENTION_DAYS",
    fallback: "90",
    secret: false,
    help: "Days that rows of the audit log are kept; 0 keeps them for ever",
    parse: (text) => wholeNumber(text, { min: 0, max: 36500 }),
  }),
  upstreamTimeoutSeconds: setting({
    env: "UPSTREAM_TIMEOUT_SECONDS",
    fallback: "120",
    secret: false,
    help: "Longest silence of an upstream server during a call; progress starts it anew",
    parse: (text) => wholeNumber(text, { min: 1, max: 86400 }),
  }),
  healthCheckSeconds: setting({
    env: "HEALTH_CHECK_SECONDS",
    fallback: "300",
    secret: false,
    help: "Seconds between two checks of a connection in the background; 0 switches them off",
    parse: (text) => wholeNumber(text, { min: 0, max: 86400 }),
  }),
  accessTokenSeconds: setting({
    env: "ACCESS_TOKEN_SECONDS",
    fallback: "3600",
    secret: false,
    help: "How long an access token of a signed-in client lives",
    parse: (text) => wholeNumber(text, { min: 60, max: 86400 }),
  }),
  refreshTokenDays: setting({
    env: "REFRESH_TOKEN_DAYS",
    fallback: "30",
    secret: false,
    help: "Days that a client stays signed in without being used",
    parse: (text) => wholeNumber(text, { min: 1, max: 365 }),
  }),
};

function nonEmpty(text: string): string {
  if (text === "") throw new Error("it must not be empty");
  return text;
}

function wholeNumber(text: string, range: { min: number; max: number }): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : NaN;
  if (!(value >= range.min && value <= range.max)) {
    throw new Error(`it must be a whole number from ${range.min} to ${range.max}`);
  }
  return value;
}

function oneOf<T extends string>(text: string, choices: readonly T[]): T {
  const found = choices.find((choice) => choice === text);
  if (found === undefined) throw new Error(`it must be one of ${choices.join(", ")}`);
  return found;
}

function baseUrl(text: string): string {
  if (text === "") return "";
  const url = URL.canParse(text) ? new URL(text) : null;
  if (!url || !/^https?:$/.test(url.protocol) || url.username || url.search || url.hash) {
    throw new Error("it must be an http or https URL without user, query and fragment");
  }
  return url.href.replace(/\/+$/, "");
}

function databaseUrl(text: string): string {
  if (text !== "" && !/^(file:|sqlite:|postgres:\/\/|postgresql:\/\/|mysql:\/\/)/.test(text)) {
    throw new Error("it must begin with file:, sqlite:, postgres://, postgresql:// or mysql://");
  }
  if (/^(file|sqlite):$/.test(text)) throw new Error("it must name a file");
  // A driver would repeat it, with its password, in an error of its own.
  if (/^(postgres|mysql)/.test(text) && !URL.canParse(text)) {
    throw new Error("it is not a URL; special characters in a name or password are percent-encoded");
  }
  return text;
}

/** The 32 bytes of a key written as 64 hex digits or as base64. Throws an Error that says how to make one. */
export function parseKey(text: string): Uint8Array {
  const hex = /^[0-9a-fA-F]{64}$/.test(text);
  const base64 = /^[A-Za-z0-9+/_-]{43}=?$/.test(text);
  if (!hex && !base64) {
    throw new Error("it must be 32 bytes as base64 or hex; `openssl rand -base64 32` makes one");
  }
  if (hex) return Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
  const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/").replace(/=$/, ""));
  return Uint8Array.from(binary, (char) => char.charCodeAt(0));
}

/** Where the values come from: the process environment and files in production, literals in tests. */
export interface Source {
  env(name: string): string | undefined;
  readFile(path: string): string | null;
}

/** The process's own environment and files. */
const processSource: Source = {
  env: (name) => Deno.env.get(name),
  readFile: (path) => {
    try {
      return Deno.readTextFileSync(path);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return null;
      throw error;
    }
  },
};

/** A setting's text and where it was found. */
export interface Origin {
  text: string;
  origin: "default" | "environment" | "file";
}

/** The content of a file that a setting names, null where there is none. Throws an AppError where it cannot be read. */
export function readNamed(source: Source, path: string, setting: string): string | null {
  try {
    return source.readFile(path);
  } catch (error) {
    throw new AppError("invalid", `Cannot read '${path}' (${setting}): ${messageOf(error)}`);
  }
}

function lookUp(entry: Setting<unknown>, source: Source): Origin {
  const text = source.env(entry.env);
  if (text !== undefined && text !== "") return { text: text.trim(), origin: "environment" };
  const path = entry.secret ? source.env(`${entry.env}_FILE`) : undefined;
  if (path) {
    const name = `${entry.env}_FILE`;
    const content = readNamed(source, path, name);
    if (content === null) {
      throw new AppError("invalid", `Cannot use ${entry.env}: ${name} names '${path}', which does not exist`);
    }
    return { text: content.trim(), origin: "file" };
  }
  return { text: entry.fallback ?? "", origin: "default" };
}

function read<T>(entry: Setting<T>, source: Source): T {
  const { text, origin } = lookUp(entry, source);
  try {
    return entry.parse(text);
  } catch (error) {
    const shown = entry.secret ? "" : ` '${text}'`;
    throw new AppError("invalid", `Cannot use ${entry.env}${shown} (${origin}): ${messageOf(error)}`);
  }
}

/** All settings, checked. Throws an AppError of one line that names the setting. */
export function loadConfig(source: Source = processSource): Config {
  const port = read(settings.port, source);
  const dataDir = read(settings.dataDir, source);
  const authPath = read(settings.authConfigPath, source);
  return Object.freeze({
    port,
    dataDir,
    host: read(settings.host, source),
    baseUrl: read(settings.baseUrl, source) || defaultBaseUrl(port),
    databaseUrl: read(settings.databaseUrl, source) || defaultDatabaseUrl(dataDir),
    databasePoolMax: read(settings.databasePoolMax, source),
    encryptionKey: read(settings.encryptionKey, source),
    logLevel: read(settings.logLevel, source),
    trustProxy: read(settings.trustProxy, source),
    outboundAllow: read(settings.outboundAllow, source),
    auditRetentionDays: read(settings.auditRetentionDays, source),
    upstreamTimeoutSeconds: read(settings.upstreamTimeoutSeconds, source),
    healthCheckSeconds: read(settings.healthCheckSeconds, source),
    accessTokenSeconds: read(settings.accessTokenSeconds, source),
    refreshTokenDays: read(settings.refreshTokenDays, source),
    auth: loadAuthConfig(authPath, {
      text: readNamed(source, authPath, "AUTH_CONFIG_PATH"),
      env: source.env,
    }),
  });
}

/** A setting as `mesh config` shows it, secrets masked. */
export interface SettingRow {
  name: string;
  value: string;
  origin: Origin["origin"];
}

/** Every setting with its text and origin; a default that follows from others as it is used. */
export function describeConfig(source: Source = processSource): SettingRow[] {
  const textOf = (entry: Setting<unknown>) => lookUp(entry, source).text;
  const derived = new Map<Setting<unknown>, string>([
    [settings.baseUrl, defaultBaseUrl(textOf(settings.port))],
    [settings.databaseUrl, defaultDatabaseUrl(textOf(settings.dataDir))],
  ]);
  return Object.values(settings).map((entry) => {
    const { text, origin } = lookUp(entry, source);
    const value = text === "" ? derived.get(entry) ?? "" : entry.secret ? "***" : text;
    return { name: entry.env, value, origin };
  });
}

function defaultBaseUrl(port: string | number): string {
  return `http://localhost:${port}`;
}

function defaultDatabaseUrl(dataDir: string): string {
  return `file:${dataDir}/mesh.db`;
}

/** True for the addresses that only this machine can reach. */
export function isLoopbackHost(host: string): boolean {
  return host === "localhost" || host === "::1" || host === "[::1]" || /^127(\.\d{1,3}){3}$/.test(host);
}
