import type { Actor } from "../access/actor.ts";
import type { AuditCall, AuditSubjectPart } from "../audit.ts";
import type { LazyId } from "../ids.ts";
import type { Lifecycle } from "../lifecycle.ts";
import type { Services } from "../services.ts";
import type { Header } from "../upstream/credentials.ts";
import { secretsFor } from "../upstream/sent_secrets.ts";
import type { RelayTarget } from "../upstream/upstream.ts";
import type { EarlySession, EarlySessions } from "./early_sessions.ts";
import type { Guard } from "./guard.ts";
import type { Patience } from "./late.ts";
import type { Message } from "./message.ts";
import { neededActions } from "./needs.ts";
import type { Running } from "./running.ts";
import type { SessionIds, SessionOwner } from "./session_id.ts";
import type { Streams } from "./streams.ts";

/** What the proxy works with beside the services. */
export interface ProxyParts {
  services: Services;
  guard: Guard;
  sessions: SessionIds;
  lifecycle: Lifecycle;
}

/** Somebody who acts in an organization. */
export type Member = Actor & { readonly organizationId: string };

/** One request on its way through. */
export interface Passage extends ProxyParts {
  patience: Patience;
  running: Running;
  streams: Streams;
  request: Request;
  actor: Member;
  target: RelayTarget;
  /** What identifies the actor, or the mesh, to the upstream. */
  credential: readonly Header[];
  early: EarlySessions;
  /** The session of the mesh that the request belongs to; null where it has none, or one of the upstream. */
  session: EarlySession | null;
  requestId: LazyId;
  began: number;
}

/** One message of a POST on its way through. */
export interface Call extends Passage {
  message: Message;
  modern: boolean;
  requestBytes: number;
  /** What the upstream answered with; null before it did. */
  upstreamStatus: number | null;
}

/** Who a session of this passage belongs to (L01). */
export function sessionOwner({ actor, target }: Passage): SessionOwner {
  return { organizationId: target.organizationId, userId: actor.userId, connectionId: target.id };
}

/** How a call ended, as its row says it. */
export type Verdict = Pick<AuditCall, "outcome" | "errorMessage" | "output" | "properties"> & {
  /** Bytes that came from the upstream. */
  responseBytes: number;
};

/** What rows of the same caller, connection and credential have in common. */
interface Common {
  readonly actor: Member;
  readonly credential: readonly Header[];
  readonly subject: AuditSubjectPart;
  /** What of the credential no row may hold. */
  readonly secrets: readonly string[];
}

/** By connection that of its last call: most calls come in series. */
const commons = new WeakMap<RelayTarget, Common>();

function commonOf({ services, actor, target, credential }: Call): Common {
  const known = commons.get(target);
  if (known?.actor === actor && known.credential === credential) return known;
  const subject = services.audit.subject({
    organizationId: target.organizationId,
    connectionId: target.id,
    connectionTitle: target.title,
    userId: actor.userId,
    keyId: actor.keyId,
    clientId: actor.clientId,
  });
  const secrets = secretsFor({ headers: credential, url: target.url }, actor);
  const common = { actor, credential, subject, secrets };
  commons.set(target, common);
  return common;
}

/** Writes the row of a call. */
export function recordCall(call: Call, verdict: Verdict): Promise<void> {
  const { services, message } = call;
  const { subject, secrets } = commonOf(call);
  return services.audit.recordEnded({
    subject,
    toolName: neededActions(message)[0] ?? null,
    method: message.method,
    input: message.method === "resources/read" ? { uri: message.params.uri } : message.params.arguments,
    output: verdict.output,
    outcome: verdict.outcome,
    errorMessage: verdict.errorMessage,
    durationMs: performance.now() - call.began,
    requestId: call.requestId.value,
    userAgent: call.request.headers.get("user-agent"),
    upstreamStatus: call.upstreamStatus,
    requestBytes: call.requestBytes,
    responseBytes: verdict.responseBytes,
    secrets,
    properties: verdict.properties ?? null,
  });
}
