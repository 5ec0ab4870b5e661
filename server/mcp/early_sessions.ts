import { LRUCache } from "lru-cache";
import { AppError } from "../errors.ts";
import { newSecret } from "../ids.ts";
import type { Settled, Watch } from "../upstream/answer.ts";
import { relay } from "../upstream/relay.ts";
import { type Passage, sessionOwner } from "./call.ts";
import { renewal } from "./credential_renewal.ts";
import { isObject } from "../body.ts";
import type { Message } from "./message.ts";

/** Begins the ids of sessions that the mesh has opened by itself; no upstream has a reason to use it. */
const prefix = "mesh~";

/** Revisions of the legacy era in which the mesh can speak for an upstream that it does not reach yet. */
const versions: ReadonlySet<string> = new Set(["2025-11-25", "2025-06-18", "2025-03-26"]);
const latestVersion = "2025-11-25";

/** The longest introduction of a client that is kept, and all of them together, in characters of JSON. */
const maxIntroduction = 32 * 1024;
const maxIntroductions = 16 * 1024 * 1024;

/** Of a session with a longer id nothing is remembered: what a server makes up must not fill the memory. */
const maxRemembered = 512;

/** What a client said of itself when it opened its session. */
interface Opening {
  readonly params: Record<string, unknown>;
  /** The length of that as JSON. */
  readonly size: number;
  /** The revision that the mesh has agreed on. */
  readonly version: string;
}

/** A session that was opened before its person had a credential. */
export interface EarlySession extends Opening {
  /** The upstream's id of the session; null before it is opened there, and where the upstream has no sessions. */
  upstreamId: string | null;
  /** Settled once the session is open at the upstream. */
  opened: Promise<void> | null;
}

/**
 * Sessions of the legacy era that the mesh itself has opened for people without a credential. Once they have one, the
 * mesh opens a session at the upstream with what the client had said of itself. They live in this process alone; a
 * client whose session is not known begins anew (L04).
 */
export class EarlySessions {
  readonly #sessions = new LRUCache<string, EarlySession>({
    max: 5_000,
    maxSize: maxIntroductions,
    sizeCalculation: ({ size }) => size,
  });
  /** The sessions, of either kind, whose clients open links for their person. */
  readonly #linkers = new LRUCache<string, true>({ max: 20_000 });

  /**
   * Opens a session and returns the id that the client gets, with the revision to be spoken in it. Throws `too_large`
   * for a client that says more of itself than can be kept.
   */
  begin(passage: Passage, params: Record<string, unknown>): { id: string; version: string } {
    const size = JSON.stringify(params).length;
    if (size > maxIntroduction) {
      const limit = `the client says more than ${maxIntroduction} characters of itself`;
      throw new AppError("too_large", `Cannot open a session: ${limit}`);
    }
    const asked = String(params.protocolVersion);
    const version = versions.has(asked) ? asked : latestVersion;
    const own = newSecret(prefix);
    this.#sessions.set(own, { params, size, version, upstreamId: null, opened: null });
    const id = passage.sessions.wrap(sessionOwner(passage), own);
    this.note(id, params);
    return { id, version };
  }

  /** The session that a request names, where it is one of the mesh. Throws `not_found` for one that has ended. */
  find(passage: Passage): EarlySession | null {
    const own = ownId(passage);
    if (own === null) return null;
    const session = this.#sessions.get(own);
    if (session === undefined) throw lost();
    return session;
  }

  /** Throws `not_found` where a request names a session that is not its sender's, or has ended. */
  check(passage: Passage): void {
    const sent = passage.request.headers.get("mcp-session-id");
    if (sent === null) return;
    if (passage.sessions.unwrap(sessionOwner(passage), sent) === null) throw lost();
    this.find(passage);
  }

  /** Ends the session that a request names. */
  end(passage: Passage): void {
    const own = ownId(passage);
    if (own !== null) this.#sessions.delete(own);
  }

  /** Remembers of a session whether its client opens links. */
  note(id: string | null, params: Record<string, unknown>): void {
    const { capabilities } = params;
    if (id !== null && id.length <= maxRemembered && opensLinks(capabilities)) this.#linkers.set(id, true);
  }

  /** True where the client of a legacy message has said that it opens links for its person. */
  opensLinks({ request }: Passage): boolean {
    const session = request.headers.get("mcp-session-id");
    return session !== null && this.#linkers.has(session);
  }

  /** Opens the session at the upstream, once. Throws `not_found` where that would be another session than promised. */
  async open(passage: Passage, session: EarlySession): Promise<void> {
    session.opened ??= openUpstream(passage, session).catch((error: unknown) => {
      session.opened = null;
      if (error instanceof AppError && error.code === "not_found") this.end(passage);
      throw error;
    });
    await session.opened;
  }
}

/** True where capabilities of a client say that it opens links: elicitation in the mode `url`. */
export function opensLinks(capabilities: unknown): boolean {
  return isObject(capabilities) && isObject(capabilities.elicitation) &&
    isObject(capabilities.elicitation.url);
}

function ownId(passage: Passage): string | null {
  const sent = passage.request.headers.get("mcp-session-id");
  const own = sent === null ? null : passage.sessions.unwrap(sessionOwner(passage), sent);
  return own?.startsWith(prefix) ? own : null;
}

function lost(): AppError {
  return new AppError("not_found", "Cannot continue: there is no such session"); // L02
}

async function openUpstream(passage: Passage, session: EarlySession): Promise<void> {
  const { params, version } = session;
  const answer = await send(passage, session, { id: 1, method: "initialize", params });
  const result = isObject(answer.message?.result) ? answer.message.result : null;
  // A client that was promised another revision has to begin anew with this server.
  if (result === null || result.protocolVersion !== version) throw lost();
  session.upstreamId = answer.sessionId;
  await send(passage, session, { method: "notifications/initialized" });
}

interface Answer {
  readonly message: Record<string, unknown> | null;
  readonly sessionId: string | null;
}

async function send(
  passage: Passage,
  { version, upstreamId }: EarlySession,
  message: { id?: number; method: string; params?: Record<string, unknown> },
): Promise<Answer> {
  const { services, target, lifecycle } = passage;
  const settled = Promise.withResolvers<Record<string, unknown> | null>();
  const headers: [string, string][] = [
    ["accept", "application/json, text/event-stream"],
    ["accept-encoding", "identity"],
    ["content-type", "application/json"],
  ];
  if (!passage.credential.some(([name]) => name === "user-agent")) headers.push(["user-agent", "mcp-mesh"]);
  if (message.id === undefined) headers.push(["mcp-protocol-version", version]);
  if (upstreamId !== null) headers.push(["mcp-session-id", upstreamId]);
  lifecycle.enter();
  const relayed = await relay(services.outbound, target, {
    method: "POST",
    headers,
    credential: passage.credential,
    renew: renewal(passage, { method: message.method }),
    body: JSON.stringify({ jsonrpc: "2.0", ...message }),
    watch: watchFor(message.id ?? null, (facts) => settled.resolve(facts.answer)),
    timeoutMs: target.timeoutMs ?? services.config.upstreamTimeoutSeconds * 1000,
    log: services.log,
    done: () => lifecycle.leave(),
    onStop: (stop) => lifecycle.endless(stop),
    seen: () => {},
  });
  if (relayed.body instanceof ReadableStream) {
    const reader = relayed.body.getReader();
    const read = async () => {
      while (!(await reader.read()).done);
      settled.resolve(null);
    };
    await Promise.race([read(), settled.promise]);
    // The answer is there; what else the stream may hold is of no use.
    await reader.cancel();
  } else settled.resolve(null);
  return { message: await settled.promise, sessionId: relayed.sessionId };
}

function watchFor(id: number | null, settle: (facts: Settled) => void): Watch {
  return {
    id,
    mustRewrite: false,
    rewrite: () => false,
    settle: (facts) => {
      settle(facts);
      return undefined;
    },
    cancelOnLeave: true,
    endless: false,
    errorText: () => "",
    endText: null,
  };
}

/** True for the message by which a client says that its session is open, which the mesh says for it. */
export function isInitialized({ method }: Message): boolean {
  return method === "notifications/initialized";
}
