import { LRUCache } from "lru-cache";
import { AppError } from "../errors.ts";
import type { Log } from "../log.ts";
import { type Outbound, type OutboundTarget, tlsIdentity } from "../outbound.ts";
import * as connections from "../storage/connections.ts";
import type { ConnectionOptions } from "../storage/connections.ts";
import type { Db } from "../storage/dialect.ts";
import type { Vault } from "../vault.ts";
import type { CatalogResult } from "./catalog.ts";
import type { Peer } from "./conversation.ts";
import { openUrl } from "./address.ts";
import { credentialHeaders, type Header } from "./credentials.ts";
import { Extras } from "./extras.ts";
import { ConversationError } from "./failure.ts";
import { type Caller, Holders } from "./holders.ts";
import { IdentityTokens } from "./identity_token.ts";
import type { SigningKeys } from "./signing_keys.ts";
import { hasTemplates } from "./templates.ts";
import { type Certificates, parseOptions, targetFor, tlsOptions } from "./tls_options.ts";
import { readOauthSettings } from "./oauth_settings.ts";
import type { ToolAnswer } from "./tool_call.ts";

/** Where a proxied message goes, and what of the connection goes with it. Never logged, never returned to a caller. */
export interface RelayTarget {
  readonly id: string;
  readonly organizationId: string;
  readonly title: string;
  readonly status: connections.RelayRow["status"];
  readonly url: string;
  /** What the connection sends of its own; names in lower case. All there is where it is `plain`. */
  readonly headers: readonly Header[];
  /** True where every call is sent with `headers` and nothing else. */
  readonly plain: boolean;
  /** True where a header may hold a template. */
  readonly templated: boolean;
  /** True where a token says who calls. */
  readonly identityToken: boolean;
  readonly credentialMode: "shared" | "per_user";
  readonly credentialType: "static" | "oauth";
  /** Names, in lower case, of the headers whose values each person gives; null where people give none. */
  readonly personalHeaders: ReadonlySet<string> | null;
  /** True where the mesh gets its tokens as a client of its own, without a person (client_credentials). */
  readonly actsForItself: boolean;
  /** The longest silence of this server, in milliseconds; null where the setting for all counts. */
  readonly timeoutMs: number | null;
  /** `legacy` for a server that is known to speak nothing after the handshake era; null where that is not known. */
  readonly era: "legacy" | null;
  readonly target: OutboundTarget;
  /** What the upstream listed last; null where it never answered. It is few calls that read them. */
  readonly tools: () => connections.ParsedConnection["tools"];
}

interface Known {
  readonly target: RelayTarget;
  /** About how many characters it holds. */
  readonly size: number;
  readonly version: number;
  /** When the database was last asked, in milliseconds of `performance.now()`. */
  checkedAt: number;
}

/** The first revision without handshake. */
const firstModern = "2026-07-28";

/** What an id can look like; a database takes offence at some of the rest. */
const idShape = /^[\w-]{1,64}$/;

/** Of all targets that are known: a server may list megabytes. */
const maxKnown = 64 * 1024 * 1024;
const usualSize = 1024;

/** How long a target is taken as it is: a change made by another process takes effect within a second. */
const validMs = 800;

/** What the class needs; a part of the services. */
export interface UpstreamServices {
  readonly db: Db;
  readonly vault: Vault;
  readonly outbound: Outbound;
  readonly signingKeys: SigningKeys;
  readonly log: Log;
  readonly config: { readonly baseUrl: string };
}

/** A connection as it would be. */
export interface PeerDraft {
  readonly id: string;
  readonly organization_id: string;
  readonly title: string;
  readonly url: string;
  /** What it sends of its own; names in lower case. */
  readonly headers: readonly Header[];
  readonly options: ConnectionOptions;
  readonly certificate: Certificates["client_certificate"];
}

/** An answer with which an upstream refused a credential. */
export interface Refusal {
  /** The headers that `headersFor` gave. */
  readonly used: readonly Header[];
  readonly status: 401 | 403;
  /** The value of WWW-Authenticate. */
  readonly challenge: string | null;
  /** True where the message had been sent a second time already. */
  readonly again: boolean;
  /** What was asked for, such as a tool's name. */
  readonly operation?: string;
  /** True for a message that a server answers to everybody whom it lets in, whatever they may do there. */
  readonly general?: boolean;
}

/** Our client side: finds where a connection's messages go and what identifies us there. Made once. */
export class Upstream {
  readonly #services: UpstreamServices;
  /** By connection; an id is that of one organization. */
  readonly #known = new LRUCache<string, Known>({
    max: 10_000,
    maxSize: maxKnown,
    sizeCalculation: ({ size }) => size,
  });
  readonly #loading = new Map<string, Promise<RelayTarget | null>>();
  readonly #holders: Holders;
  readonly #extras: Extras;
  #changes = 0;

  constructor(services: UpstreamServices) {
    this.#services = services;
    this.#holders = new Holders(services);
    const { db, signingKeys: keys, config: { baseUrl } } = services;
    this.#extras = new Extras({ db, identityTokens: new IdentityTokens({ keys, baseUrl }) });
  }

  /**
   * The target of an organization's connection, at once while it is known; null where the organization has none such.
   * Throws where its secret does not open, or `outbound_refused` where its address may not be reached.
   */
  target(organizationId: string, connectionId: string): RelayTarget | null | Promise<RelayTarget | null> {
    const some = this.#known.get(connectionId);
    const known = some?.target.organizationId === organizationId ? some : undefined;
    if (known !== undefined && performance.now() - known.checkedAt < validMs) return known.target;
    if (!idShape.test(connectionId)) return null;
    const key = keyOf(organizationId, connectionId);
    const loading = this.#loading.get(key);
    if (loading !== undefined) return loading;
    const started = this.#load(organizationId, connectionId, known).finally(() => {
      if (this.#loading.get(key) === started) this.#loading.delete(key);
    });
    this.#loading.set(key, started);
    return started;
  }

  /** What identifies the caller, or the mesh, to the upstream; at once while it is known. Throws CredentialNeeded. */
  headersFor(target: RelayTarget, caller: Caller): readonly Header[] | Promise<readonly Header[]> {
    if (target.plain) return target.headers;
    const held = isOwn(target) ? target.headers : this.#holders.headersFor(target, caller);
    return held instanceof Promise
      ? held.then((headers) => this.#extras.complete(headers, target, caller))
      : this.#extras.complete(held, target, caller);
  }

  /**
   * Takes note that the upstream refused what it was sent; true where sending the message again makes sense.
   * Throws CredentialNeeded where a person has to act.
   */
  async refused(target: RelayTarget, caller: Caller, refusal: Refusal): Promise<boolean> {
    return isOwn(target) ? false : await this.#holders.refused(target, caller, refusal);
  }

  /** A connection as the caller talks to it; null where the organization has none such. Throws as `headersFor`. */
  async peerFor(connectionId: string, organizationId: string, caller: Caller): Promise<Peer | null> {
    const target = await this.target(organizationId, connectionId);
    if (target === null) return null;
    const headers = await this.headersFor(target, caller);
    const { identity, tenant } = target.target;
    return { title: target.title, url: target.url, identity, tenant, headers };
  }

  /** The draft of a connection, stored or not, as the caller would talk to it. */
  async draftPeer({ title, headers, options, ...draft }: PeerDraft, caller: Caller): Promise<Peer> {
    const { id, organization_id: organizationId, url, certificate } = draft;
    const identityToken = options.identity_token === true;
    const target = { id, organizationId, url, templated: hasTemplates(headers), identityToken };
    const identity = tlsIdentity(tlsOptions(options, certificate));
    const complete = await this.#extras.complete(headers, target, caller);
    return { title, url, headers: complete, identity, tenant: organizationId };
  }

  /** Resolves when no token is being renewed, and begins no renewal any more. */
  close(): Promise<void> {
    return this.#holders.close();
  }

  /** Drops what is known of a connection and its credentials, or of all; the next call reads it anew. */
  forget(connectionId?: string): void {
    this.#changes++;
    this.#holders.forget(connectionId);
    if (connectionId === undefined) this.#known.clear();
    else this.#known.delete(connectionId);
    for (const key of [...this.#loading.keys()]) {
      if (connectionId === undefined || key.startsWith(`${connectionId} `)) this.#loading.delete(key);
    }
  }

  /** Asks an upstream for all that it lists, or says why that failed. */
  async catalog(peer: Peer): Promise<CatalogResult> {
    // The SDK's client takes memory and start-up time, and the relay never needs it.
    const { readCatalog } = await import("./catalog.ts");
    return await readCatalog(this.#services.outbound, peer);
  }

  /** Calls a tool as the caller would through the proxy; null where there is no such connection. Throws ConversationError. */
  async callTool(
    connectionId: string,
    caller: Caller,
    call: { name: string; arguments: Record<string, unknown> },
  ): Promise<ToolAnswer | null> {
    const { organizationId } = caller;
    const target = await this.target(organizationId, connectionId);
    const peer = await this.peerFor(connectionId, organizationId, caller);
    if (target === null || peer === null) return null;
    const definition = target.tools()?.find((tool) => tool.name === call.name);
    const { callTool } = await import("./tool_call.ts");
    try {
      return await callTool(this.#services.outbound, peer, { ...call, definition });
    } catch (error) {
      // A message that was refused for its credential has reached no tool.
      if (!(error instanceof ConversationError && error.failure.code === "http_401")) throw error;
      const refusal = { used: peer.headers, status: 401, challenge: null, again: false } as const;
      if (!await this.refused(target, caller, { ...refusal, operation: call.name })) throw error;
      const headers = await this.headersFor(target, caller);
      return await callTool(this.#services.outbound, { ...peer, headers }, { ...call, definition });
    }
  }

  async #load(
    organizationId: string,
    connectionId: string,
    known: Known | undefined,
  ): Promise<RelayTarget | null> {
    const { db } = this.#services;
    const changes = this.#changes;
    const checkedAt = performance.now();
    if (known && await connections.findVersion(db, organizationId, connectionId) === known.version) {
      known.checkedAt = checkedAt;
      return known.target;
    }
    const row = await connections.findForRelay(db, organizationId, connectionId);
    if (row?.connection_url == null) {
      if (known) this.#known.delete(connectionId);
      if (row) refuseType(row);
      return null;
    }
    refuseType(row);
    const url = await openUrl(row, this.#services.vault);
    const target = await this.#targetOf(row, url ?? row.connection_url);
    // What was read before a change in this process must not be kept after it.
    if (changes === this.#changes) {
      const size = usualSize + (row.tools?.length ?? 0);
      this.#known.set(connectionId, { target, size, version: row.updated_at, checkedAt });
    }
    return target;
  }

  async #targetOf(row: connections.RelayRow, url: string): Promise<RelayTarget> {
    const credentialMode = row.credential_mode === "per_user" ? "per_user" : "shared";
    const credentialType = row.credential_type === "oauth" ? "oauth" : "static";
    const options = parseOptions(row);
    const headers = await credentialHeaders(row, this.#services.vault);
    const personalHeaders = personalHeadersOf(row);
    const templated = personalHeaders !== null || hasTemplates(headers);
    const identityToken = options.identity_token === true;
    const own = isOwn({ credentialMode, credentialType });
    return Object.freeze({
      id: row.id,
      organizationId: row.organization_id,
      title: row.title,
      status: row.status,
      url,
      headers,
      target: await targetFor(row, url, this.#services),
      tools: () => connections.parseTools(row),
      plain: own && !templated && !identityToken,
      templated,
      identityToken,
      credentialMode,
      credentialType,
      personalHeaders,
      actsForItself: credentialType === "oauth" &&
        readOauthSettings(row)?.grant_type === "client_credentials",
      era: row.protocol_version !== null && row.protocol_version < firstModern ? "legacy" : null,
      timeoutMs: options.timeout_seconds == null ? null : options.timeout_seconds * 1000,
    });
  }
}

function personalHeadersOf({ personal_headers: names }: connections.RelayRow): Set<string> | null {
  if (names === null) return null;
  return new Set(JSON.parse(names).map((name: string) => name.toLowerCase()));
}

/** True where the connection holds all that identifies the mesh there. */
function isOwn(target: Pick<RelayTarget, "credentialMode" | "credentialType">): boolean {
  return target.credentialMode === "shared" && target.credentialType === "static";
}

/** What is no server of the streamable HTTP transport is not spoken to as if it were. Throws `invalid`. */
function refuseType({ title, connection_type: type }: connections.RelayRow): void {
  if (type === "HTTP") return;
  throw new AppError("invalid", `Cannot reach '${title}': connections of the type '${type}' are not served`);
}

function keyOf(organizationId: string, connectionId: string): string {
  return `${connectionId} ${organizationId}`;
}
