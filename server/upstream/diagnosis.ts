import { type Outbound, OutboundError, type OutboundTarget } from "../outbound.ts";
import { type Catalog, readCatalog } from "./catalog.ts";
import { type Bounds, Conversation, type Peer } from "./conversation.ts";
import type { Header } from "./credentials.ts";
import { Course, type Diagnosis, rounded } from "./diagnosis_course.ts";
import { credentialFailure, discoveryFailure, unnamedFailure } from "./diagnosis_credential.ts";
import { ConversationError, type Failure, type Stage } from "./failure.ts";
import { networkFailure } from "./failure_network.ts";

/** What is tested: where it is, and as whom. */
export interface Subject {
  readonly title: string;
  readonly url: string;
  readonly target: OutboundTarget;
  /** The headers that identify us; null where each person has their own, and none of them asks. */
  readonly headers: (() => readonly Header[] | Promise<readonly Header[]>) | null;
  /** Told of a refusal of these headers; true where there are others to try. */
  readonly renew?: ((refusal: Refusal) => Promise<boolean>) | undefined;
  /** True where an authorization server gives the credential. */
  readonly oauth: boolean;
  /** Finds the server's authorization server; `guessed` where nothing says that it is one. Throws OauthError. */
  readonly discover: (challenge: string | null) => Promise<{ issuer: string; guessed: boolean }>;
}

/** An answer that refused a credential. */
export interface Refusal {
  readonly used: readonly Header[];
  readonly status: 401 | 403;
  readonly challenge: string | null;
}

/** What a test found, and the lists that it read on the way; null where it read none. */
export interface Diagnosed {
  diagnosis: Diagnosis;
  catalog: Catalog | null;
}

const bounds = { totalMs: 20_000, maxBytes: 20_000_000, connectMs: 10_000 };

/** Limits of a test, and what ends it; times in milliseconds. */
export interface DiagnoseOptions extends Partial<typeof bounds> {
  signal?: AbortSignal;
}

/** Tests an upstream stage by stage. That it fails is a result, not an exception. */
export async function diagnose(
  outbound: Outbound,
  subject: Subject,
  options: DiagnoseOptions = {},
): Promise<Diagnosed> {
  return await new Examination(outbound, subject, options).run();
}

/** The answers over HTTP: when the first came, and the last that refused us. */
interface Answered {
  status: number;
  firstMs: number;
  refusal: { status: 401 | 403; challenge: string | null } | null;
}

interface Exchange {
  answered: Answered | null;
  catalog: Catalog | null;
  failure: Failure | null;
  handshakeMs: number;
  totalMs: number;
}

interface Credential {
  /** Null where we have none, for the reason that `failure` names. */
  headers: readonly Header[] | null;
  failure: Failure | null;
  ms: number;
}

interface Discovery {
  issuer: string | null;
  guessed: boolean;
  failure: Failure | null;
  ms: number;
}

class Examination {
  readonly #outbound: Outbound;
  readonly #subject: Subject;
  readonly #options: typeof bounds & { signal?: AbortSignal };
  readonly #course = new Course();

  constructor(outbound: Outbound, subject: Subject, options: DiagnoseOptions) {
    this.#outbound = outbound;
    this.#subject = subject;
    this.#options = { ...bounds, ...options };
  }

  async run(): Promise<Diagnosed> {
    const began = performance.now();
    if (!await this.#reach()) return this.#diagnosed(null, performance.now() - began);
    const credential = await this.#credential();
    const exchange = await this.#converse(credential);
    const discovery = await this.#discovery(exchange);
    this.#judge(exchange, credential, discovery);
    return this.#diagnosed(exchange, exchange.handshakeMs);
  }

  /** Name, TCP and TLS, on a connection of its own; false where one of them fails. */
  async #reach(): Promise<boolean> {
    const { target, title } = this.#subject;
    const { signal, connectMs } = this.#options;
    const { steps, error } = await this.#outbound.probe(target, { timeoutMs: connectMs, signal });
    for (const { stage, ok, ms, skipped } of steps) {
      if (ok && skipped) this.#course.skip(stage, notNeeded[stage]);
      else if (ok) this.#course.pass(stage, ms);
      else if (!skipped && error) {
        this.#course.fail(networkFailure(error, { title, during: "handshake", at: stage }), ms);
      }
    }
    return error === null;
  }

  async #credential(): Promise<Credential> {
    const { headers, title } = this.#subject;
    const began = performance.now();
    const ms = () => performance.now() - began;
    if (headers === null) return { headers: [], failure: null, ms: 0 };
    try {
      return { headers: await headers(), failure: null, ms: ms() };
    } catch (error) {
      return { headers: null, failure: credentialFailure(error, title), ms: ms() };
    }
  }

  /** Talks to the server, a second time where it refuses the credential and there is another. */
  async #converse(credential: Credential): Promise<Exchange> {
    const { renew, title } = this.#subject;
    const exchange = await this.#talk(credential.headers);
    const refusal = exchange.answered?.refusal;
    if (!renew || !credential.headers || !refusal || exchange.failure?.stage !== "token") return exchange;
    try {
      if (!await renew({ used: credential.headers, ...refusal })) return exchange;
    } catch (error) {
      return { ...exchange, failure: credentialFailure(error, title) };
    }
    Object.assign(credential, await this.#credential());
    return await this.#talk(credential.headers);
  }

  /** Reads all that the server lists; without a credential that is ours it is only asked for the handshake. */
  async #talk(headers: readonly Header[] | null): Promise<Exchange> {
    const { title, url, target } = this.#subject;
    const { totalMs, maxBytes, signal } = this.#options;
    const began = performance.now();
    let answered: Answered | null = null;
    const onAnswer = (status: number, challenge: string | null) => {
      const refusal = status === 401 || status === 403 ? { status, challenge } as const : null;
      answered = {
        status: answered?.status ?? status,
        firstMs: answered?.firstMs ?? performance.now() - began,
        refusal: refusal ?? answered?.refusal ?? null,
      };
    };
    const limits: Bounds = { totalMs, maxBytes, signal, onAnswer };
    const peer = { title, url, identity: target.identity, tenant: target.tenant, headers: headers ?? [] };
    const asks = headers !== null && this.#subject.headers !== null;
    const result = await (asks ? readCatalog : knock)(this.#outbound, peer, limits);
    return {
      answered,
      catalog: result.ok && result.tools !== undefined ? result : null,
      failure: result.ok ? null : result,
      handshakeMs: result.latencyMs,
      totalMs: performance.now() - began,
    };
  }

  /** Looks for the authorization server where one is used, or where it explains why we are refused. */
  async #discovery({ answered, failure }: Exchange): Promise<Discovery | null> {
    const { oauth, discover, headers, title } = this.#subject;
    const asked = headers !== null && failure?.code === "http_401";
    if (answered === null || !(oauth || asked)) return null;
    const began = performance.now();
    const ms = () => performance.now() - began;
    try {
      const finding = discover(answered.refusal?.challenge ?? null);
      const found = await unlessAborted(finding, this.#options.signal);
      return { ...found, failure: found.guessed ? unnamedFailure(title) : null, ms: ms() };
    } catch (error) {
      return { issuer: null, guessed: false, failure: discoveryFailure(error, title), ms: ms() };
    }
  }

  #judge(exchange: Exchange, credential: Credential, discovery: Discovery | null): void {
    const { failure, answered, handshakeMs, totalMs, catalog } = exchange;
    const course = this.#course;
    const ours = this.#subject.headers !== null;
    const stranger = !ours || credential.failure !== null;
    if (answered === null) {
      if (failure) course.fail(failure, totalMs);
      return;
    }
    // To somebody without a credential a server may say no in its own way; it answers, which is what counts.
    const excused = stranger && /^http_4(?!04|05)/.test(failure?.code ?? "");
    if (failure && !excused && beforeToken.has(failure.stage)) return course.fail(failure, answered.firstMs);
    course.pass("http", answered.firstMs, `status ${answered.status}`);
    const refused = credential.failure ?? (failure?.stage === "token" ? failure : null);
    this.#judgeDiscovery(discovery, {
      stranger: !ours || credential.failure?.code === "not_connected",
      refused: refused !== null,
    });
    if (!ours) return this.#leaveToEachPerson(excused ? null : failure, totalMs);
    if (refused) return course.fail(this.#withHint(refused, discovery), credential.ms);
    if (credential.headers?.length) course.pass("token", credential.ms);
    else course.skip("token", "the server asks for none");
    if (failure?.stage === "handshake") return course.fail(failure, handshakeMs - answered.firstMs);
    course.pass("handshake", handshakeMs - answered.firstMs, catalog?.protocolVersion ?? undefined);
    if (failure) course.fail({ ...failure, stage: "list" }, totalMs - handshakeMs);
    else course.pass("list", totalMs - handshakeMs, toolCount(catalog?.tools.length ?? 0));
  }

  /** Without an authorization server nobody can connect; where we are let in, that it is not found now matters less. */
  #judgeDiscovery(
    discovery: Discovery | null,
    { stranger, refused }: { stranger: boolean; refused: boolean },
  ): void {
    const course = this.#course;
    if (discovery === null) return course.skip("auth_discovery");
    const { failure, issuer, guessed, ms } = discovery;
    if (failure === null) return course.pass("auth_discovery", ms, issuer ?? undefined);
    if (!this.#subject.oauth) return course.skip("auth_discovery", "it names no authorization server");
    // Whoever has connected before did so at the address that is guessed.
    if (stranger || (refused && !guessed)) return course.fail(failure, ms);
    course.pass("auth_discovery", ms, failure.message);
  }

  /** What nobody's credential is needed for was tried; the rest is for each person's own test. */
  #leaveToEachPerson(failure: Failure | null, ms: number): void {
    for (const stage of ["token", "handshake", "list"] as const) {
      this.#course.skip(stage, "it depends on who calls");
    }
    if (failure && failure.stage !== "token") this.#course.fail(failure, ms);
  }

  /** Tells somebody who has given no credential that the server has another way. */
  #withHint(failure: Failure, discovery: Discovery | null): Failure {
    if (this.#subject.oauth || !discovery?.issuer || discovery.guessed || failure.code !== "http_401") {
      return failure;
    }
    const advice = `${failure.advice ?? ""}, or set the connection to OAuth, which the server offers`;
    return { ...failure, advice };
  }

  #diagnosed(exchange: Exchange | null, latencyMs: number): Diagnosed {
    const { failure, results } = this.#course;
    const catalog = failure === null ? exchange?.catalog ?? null : null;
    const diagnosis: Diagnosis = {
      healthy: failure === null,
      latencyMs: rounded(latencyMs),
      stage: failure?.stage ?? null,
      code: failure?.code ?? null,
      message: failure?.message ?? (catalog?.notes.join("; ") || null),
      advice: failure?.advice ?? null,
      protocolVersion: catalog?.protocolVersion ?? null,
      tools: catalog?.tools.map(({ name }) => name) ?? null,
      stages: results,
    };
    return { diagnosis, catalog };
  }
}

const notNeeded = { dns: "the URL holds an address", tcp: undefined, tls: "the URL begins with http:" };
const beforeToken: ReadonlySet<Stage> = new Set(["dns", "tcp", "tls", "http"]);

type Knock =
  | { ok: true; latencyMs: number; tools?: undefined }
  | (Failure & { ok: false; latencyMs: number });

/** Shakes hands and leaves. */
async function knock(outbound: Outbound, peer: Peer, limits: Bounds): Promise<Knock> {
  const began = performance.now();
  try {
    const conversation = await Conversation.open(outbound, peer, limits);
    const latencyMs = performance.now() - began;
    await conversation.close();
    return { ok: true, latencyMs };
  } catch (error) {
    if (!(error instanceof ConversationError)) throw error;
    return { ok: false, latencyMs: performance.now() - began, ...error.failure };
  }
}

/** The promise's outcome, or a rejection as soon as the signal aborts. */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return await work;
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(new OutboundError("aborted", "The test was ended", signal.reason));
  signal.addEventListener("abort", onAbort);
  if (signal.aborted) onAbort();
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

function toolCount(count: number): string {
  return count === 1 ? "1 tool" : `${count} tools`;
}
