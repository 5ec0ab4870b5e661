import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { type Outbound, OutboundError, type TlsIdentity } from "../outbound.ts";
import { version } from "../version.ts";
import type { Header } from "./credentials.ts";
import { type Circumstances, ConversationError, lateFailure, type Stage } from "./failure.ts";
import { failureOf } from "./failure_cause.ts";
import { maxParts, partsIn } from "../json.ts";
import { secretsIn } from "./sent_secrets.ts";

/** Whom we talk to: what a connection or the draft of one says. */
export interface Peer {
  readonly title: string;
  readonly url: string;
  readonly headers: readonly Header[];
  /** The certificates of its own. */
  readonly identity?: TlsIdentity | null | undefined;
  readonly tenant?: string | undefined;
}

/** What bounds a conversation, its end included. */
export interface Bounds {
  /** From its opening to its close, in milliseconds. */
  totalMs: number;
  /** Bytes of all answers together. */
  maxBytes: number;
  /** Ends it with a failure. */
  signal?: AbortSignal | undefined;
  /** Told of every answer's status, and of the challenge (WWW-Authenticate) of a refusal. */
  onAnswer?: ((status: number, challenge: string | null) => void) | undefined;
}

const goodbyeMs = 2000;

/**
 * A short conversation with an upstream as its client, in the era that it speaks. Every failure is a ConversationError;
 * `close` ends every stream, also one that the upstream would keep open.
 */
export class Conversation {
  readonly #outbound: Outbound;
  readonly #peer: Peer;
  readonly #bounds: Bounds;
  readonly #end = new AbortController();
  readonly #broken: Promise<never>;
  #break: (error: unknown) => void = () => {};
  #bytesLeft: number;
  #partsLeft = maxParts;
  #timer: ReturnType<typeof setTimeout>;
  #transport: StreamableHTTPClientTransport | null = null;
  #client: Client | null = null;
  readonly #aborted = () => this.#break(this.#late());
  #stage: Circumstances["stage"] = "handshake";
  #last: Pick<Circumstances, "status" | "contentType" | "location"> = noAnswer;

  private constructor(outbound: Outbound, peer: Peer, bounds: Bounds) {
    this.#outbound = outbound;
    this.#peer = peer;
    this.#bounds = bounds;
    this.#bytesLeft = bounds.maxBytes;
    this.#broken = new Promise((_, reject) => this.#break = reject);
    this.#broken.catch(() => {}); // every step races with it; a conversation without a step left does not mind
    this.#timer = setTimeout(() => this.#break(this.#late()), bounds.totalMs);
    bounds.signal?.addEventListener("abort", this.#aborted);
    if (bounds.signal?.aborted) this.#aborted();
  }

  /** Connects and shakes hands. Throws ConversationError. */
  static async open(outbound: Outbound, peer: Peer, bounds: Bounds): Promise<Conversation> {
    const conversation = new Conversation(outbound, peer, bounds);
    try {
      await conversation.#connect("auto");
    } catch (error) {
      // A server of the legacy era may fail at a method that it does not know instead of refusing it.
      const { status } = conversation.#last;
      if (status === null || status < 500) {
        await conversation.close();
        throw error;
      }
      await conversation.#connectAgain();
    }
    return conversation;
  }

  /** The protocol revision that both sides speak. */
  get protocolVersion(): string | null {
    return this.#client?.getNegotiatedProtocolVersion() ?? null;
  }

  /** What the upstream says that it serves. */
  get capabilities(): Readonly<Record<string, unknown>> {
    return { ...this.#client?.getServerCapabilities() };
  }

  /** Does one step; throws ConversationError naming the stage. */
  async run<T>(stage: Extract<Stage, "list" | "call">, work: (client: Client) => Promise<T>): Promise<T> {
    const client = this.#client;
    if (client === null) throw new Error("Cannot run a step: the conversation is closed");
    this.#stage = stage;
    return await this.#step(() => work(client));
  }

  /** Ends the session and every open stream. */
  async close(): Promise<void> {
    const [client, transport] = [this.#client, this.#transport];
    this.#client = this.#transport = null;
    if (transport?.sessionId !== undefined && !this.#end.signal.aborted) {
      const timer = setTimeout(() => this.#break(this.#late()), goodbyeMs);
      try {
        await Promise.race([transport.terminateSession(), this.#broken]);
      } catch {
        // An upstream that will not end its session forgets it in its own time; nothing here depends on it.
      } finally {
        clearTimeout(timer);
      }
    }
    clearTimeout(this.#timer);
    this.#bounds.signal?.removeEventListener("abort", this.#aborted);
    this.#end.abort();
    await client?.close();
  }

  async #connectAgain(): Promise<void> {
    try {
      await this.#connect("legacy");
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  async #connect(mode: "auto" | "legacy"): Promise<void> {
    const client = new Client({ name: "mcp-mesh", title: "MCP Mesh", version }, {
      versionNegotiation: { mode },
    });
    const transport = new StreamableHTTPClientTransport(new URL(this.#peer.url), {
      requestInit: { headers: Object.fromEntries(this.#peer.headers), redirect: "manual" },
      fetch: (input, init) => this.#request(input, init),
    });
    this.#last = noAnswer;
    await this.#step(() => client.connect(transport));
    this.#client = client;
    this.#transport = transport;
  }

  async #step<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await Promise.race([work(), this.#broken]);
    } catch (error) {
      if (error instanceof ConversationError) throw error;
      throw new ConversationError(failureOf(error, this.#circumstances()), error);
    }
  }

  /** The transport's fetch: guarded, counted, and ended with the conversation. */
  async #request(input: string | URL, init: RequestInit = {}): Promise<Response> {
    const headers = new Headers(init.headers);
    if ((init.method ?? "GET") === "GET" && !headers.has("last-event-id")) {
      // We wait for no notifications, and an idle stream would outlive its use.
      return new Response(null, { status: 405 });
    }
    const signals = init.signal ? [init.signal, this.#end.signal] : [this.#end.signal];
    try {
      const response = await this.#outbound.fetch(input, {
        ...init,
        signal: AbortSignal.any(signals),
        maxBytes: this.#bytesLeft,
        headersTimeoutMs: 0,
        idleTimeoutMs: 0,
        identity: this.#peer.identity,
        tenant: this.#peer.tenant,
      });
      const { headers: answered, status } = response;
      const [contentType, location] = [answered.get("content-type"), locationOf(response)];
      this.#last = { status, contentType, location };
      this.#bounds.onAnswer?.(status, answered.get("www-authenticate"));
      const body = response.body && this.#counted(response.body);
      return new Response(body, { status, statusText: response.statusText, headers: answered });
    } catch (error) {
      if (!this.#end.signal.aborted) this.#last = noAnswer;
      throw error;
    }
  }

  /** The same body, counted; one that fails ends the conversation, as the SDK would wait for its end. */
  #counted(body: ReadableStream<Uint8Array<ArrayBuffer>>): ReadableStream<Uint8Array<ArrayBuffer>> {
    const reader = body.getReader();
    return new ReadableStream<Uint8Array<ArrayBuffer>>({
      pull: async (controller) => {
        try {
          const { done, value } = await reader.read();
          if (done) return controller.close();
          this.#bytesLeft -= value.length;
          this.#partsLeft -= partsIn(value);
          if (this.#bytesLeft <= 0 || this.#partsLeft < 0) {
            throw new OutboundError("too_large", "Cannot read the answer: it is too large");
          }
          controller.enqueue(value);
        } catch (error) {
          if (error instanceof OutboundError && error.stage !== "aborted") this.#break(error);
          await reader.cancel(error);
          throw error;
        }
      },
      cancel: (reason) => reader.cancel(reason),
    });
  }

  #late(): ConversationError {
    return new ConversationError(lateFailure(this.#circumstances()));
  }

  #circumstances(): Circumstances {
    const { title, headers } = this.#peer;
    const secrets = secretsIn(this.#peer);
    return { title, stage: this.#stage, ...this.#last, hasCredential: headers.length > 0, secrets };
  }
}

const noAnswer = { status: null, contentType: null, location: null };

/** Where an answer redirects to, without what a query may hold. */
function locationOf(response: Response): string | null {
  const location = response.headers.get("location");
  if (location === null || !URL.canParse(location, response.url)) return null;
  const { origin, pathname } = new URL(location, response.url);
  return origin + pathname;
}
