import { Buffer } from "node:buffer";
import type { Limits, Message } from "./connection.ts";
import type { Endpoint } from "./dial.ts";
import { OutboundError } from "./errors.ts";
import { headerLines, isToken, Malformed } from "./head.ts";
import type { TlsIdentity } from "./tls_identity.ts";

/** Where a request goes, made once from a URL; nothing of it is looked up before the request is sent. */
export interface OutboundTarget extends Endpoint {
  readonly tenant: string | undefined;
  /** The URL without its fragment. */
  readonly url: string;
  /** What follows the method in a request's head. */
  readonly requestTail: string;
}

/** A request, with what bounds it; times in milliseconds. */
export interface OutboundRequest extends Limits {
  method: string;
  /** Connection, Content-Length, Host and their like are set by the client and refused here. */
  headers: readonly (readonly [string, string])[];
  body?: Uint8Array | string | undefined;
  /** For the host name, the connection and TLS together; 10 s when absent. */
  connectTimeoutMs?: number | undefined;
}

/** Who a target is for: nobody else shares its connections. */
export interface TargetOwner {
  readonly identity?: TlsIdentity | null | undefined;
  /** An organization's id; absent for what all have in common. */
  readonly tenant?: string | undefined;
}

/** Takes a URL apart; throws OutboundError, stage `refused`, for one that is never called. */
export function parseTarget(text: string, { identity = null, tenant }: TargetOwner = {}): OutboundTarget {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null) throw new OutboundError("refused", "Cannot call the URL: it is malformed");
  const origin = `${url.protocol}//${url.host}`;
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw new OutboundError(
      "refused",
      `Cannot call a "${url.protocol}" URL: only http: and https: are possible`,
    );
  }
  // RFC 9110 section 4.2.4: userinfo in a URL is either a mistake or a disguise.
  if (url.username !== "" || url.password !== "") {
    throw new OutboundError(
      "refused",
      `Cannot call "${origin}": the URL must not hold a user name or password`,
    );
  }
  url.hash = "";
  const tls = url.protocol === "https:";
  return {
    url: url.href,
    origin,
    tls,
    host: url.hostname.replace(/^\[(.*)\]$/, "$1").replace(/\.$/, ""),
    port: url.port === "" ? (tls ? 443 : 80) : Number(url.port),
    // What the one connection trusts and shows must serve no other, so they share no sockets. Nor do tenants: a server
    // that answers twice would shift what the next one gets, and all its sockets would be everybody's.
    pool: [origin, tls && identity?.id, tenant].filter(Boolean).join(" "),
    identity: tls ? identity : null,
    tenant,
    requestTail: ` ${url.pathname}${url.search} HTTP/1.1\r\nHost: ${url.host}\r\n`,
  };
}

/** Writes the request's head; throws OutboundError, stage `send`, where a name or value could forge another. */
export function compose(target: OutboundTarget, request: OutboundRequest): Message {
  const { method, body } = request;
  try {
    if (!isToken(method) || method === "CONNECT") {
      throw new Malformed("the method is not one that may be sent");
    }
    let head = method + target.requestTail + headerLines(request.headers);
    if (body !== undefined) {
      head += `Content-Length: ${typeof body === "string" ? Buffer.byteLength(body) : body.length}\r\n`;
    } else if (method !== "GET" && method !== "HEAD" && method !== "DELETE") {
      // RFC 9110 section 8.6: a method that could have content says that it has none.
      head += "Content-Length: 0\r\n";
    }
    return { method, head: head + "\r\n", body: body ?? "" };
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    throw new OutboundError("send", `Cannot call "${target.origin}": ${error.message}`);
  }
}
