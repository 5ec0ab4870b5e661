import { AppError } from "../errors.ts";
import * as tasks from "../storage/tasks.ts";
import type { Watch } from "../upstream/answer.ts";
import { relay, type Relayed } from "../upstream/relay.ts";
import type { Passage } from "./call.ts";
import { renewal } from "./credential_renewal.ts";
import { requestHeaders, responseOf } from "./forwarded.ts";
import { isObject } from "../body.ts";
import { noMessage } from "./message.ts";
import { anyListFilter, missingAction } from "./needs.ts";
import { passPersonalStream } from "./personal.ts";
import { keepOwn } from "./tasks.ts";
import { noStream } from "./unconnected.ts";

/** A GET or DELETE of the legacy era. */
export async function passStream(passage: Passage): Promise<Response> {
  const { request, target, lifecycle } = passage;
  const { method } = request;
  if (method !== "GET" && method !== "DELETE") return noStream("GET, POST, DELETE");
  if (missingAction(passage.actor, target.id, noMessage) !== null) {
    throw new AppError("forbidden", `Cannot use '${target.title}': no permission on '${target.id}'`);
  }
  if (target.status === "inactive" || lifecycle.draining) {
    const why = lifecycle.draining ? "the mesh is stopping" : "the connection is switched off";
    throw new AppError("unavailable", `Cannot use '${target.title}': ${why}`);
  }
  return target.plain ? await open(passage) : await passPersonalStream(passage, () => open(passage));
}

async function open(passage: Passage): Promise<Response> {
  const { request, target, services, lifecycle } = passage;
  const { method } = request;
  const headers = requestHeaders(passage, false, "");
  const watch = await watchStream(passage, method === "GET");
  const stream = method === "GET" ? passage.streams.begin(passage) : undefined;
  if (stream === null) return noStream(); // clients go on without one
  lifecycle.enter();
  const relayed = await relay(services.outbound, target, {
    method: method === "GET" ? "GET" : "DELETE",
    headers,
    credential: passage.credential,
    renew: renewal(passage),
    watch,
    timeoutMs: target.timeoutMs ?? services.config.upstreamTimeoutSeconds * 1000,
    log: services.log,
    done: () => {
      stream?.end();
      lifecycle.leave();
    },
    onStop: (stop) => {
      stream?.onStop(stop);
      return lifecycle.endless(stop);
    },
    seen: () => {},
  });
  if (method === "DELETE" || mayPass(request, relayed)) return responseOf(passage, relayed, true);
  if (relayed.body instanceof ReadableStream) await relayed.body.cancel();
  return noStream();
}

/**
 * L05: whatever an upstream without streams answers to GET, clients take 405 for a plain no. What an upstream says of
 * a session passes: a lost one is begun anew (L04), and one with a stream already has no second.
 */
function mayPass({ headers }: Request, { status, contentType }: Relayed): boolean {
  if (status === 200) return contentType !== null && /^text\/event-stream/i.test(contentType);
  return headers.has("mcp-session-id") && (status === 400 || status === 404 || status === 409);
}

/** Watches a stream on which answers may come again (L06): what may not be seen in them is left out here as well. */
async function watchStream({ actor, target, services }: Passage, endless: boolean): Promise<Watch> {
  const { organizationId, id: connectionId } = target;
  const filter = endless ? anyListFilter(actor, connectionId) : null;
  const own = endless
    ? await tasks.fingerprints(services.db, organizationId, { connectionId, userId: actor.userId })
    : new Set<string>();
  return {
    id: null,
    mustRewrite: filter !== null,
    cancelOnLeave: true,
    endless,
    rewrite: (response) => {
      const filtered = filter !== null && isObject(response.result) && filter(response.result);
      return keepOwn(response, own, connectionId) || filtered;
    },
    settle: () => undefined,
    errorText: () => "",
    endText: null,
  };
}
