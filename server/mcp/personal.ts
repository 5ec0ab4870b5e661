import { AppError } from "../errors.ts";
import type { Header } from "../upstream/credentials.ts";
import { CredentialNeeded } from "../upstream/holders.ts";
import type { Call, Passage } from "./call.ts";
import { isInitialized } from "./early_sessions.ts";
import { answerWithout, noStream, ownAnswer, streamWithout, withoutOwnAnswer } from "./unconnected.ts";

/** How long a call waits for the person who has just said that they open the link. */
const patienceMs = 30_000;
const lookEveryMs = 500;

/** Sends a message with the credential that its sender has now, or says what is missing. */
export async function passPersonal(given: Call, send: (call: Call) => Promise<Response>): Promise<Response> {
  const answered = given.modern ? ownAnswer(given.message) : null;
  const call = answered === null ? given : { ...given, message: withoutOwnAnswer(given.message) };
  try {
    call.credential = answered === "accept" ? await awaited(call) : await credentialOf(call);
  } catch (error) {
    if (error instanceof AppError) return await answerWithout(given, error);
    throw error;
  }
  try {
    if (!call.modern && await join(call) && isInitialized(call.message)) {
      return new Response(null, { status: 202 });
    }
    const answer = await send(call);
    if (call.message.method === "initialize") {
      call.early.note(answer.headers.get("mcp-session-id"), call.message.params);
    }
    return answer;
  } catch (error) {
    if (error instanceof CredentialNeeded) return await answerWithout(given, error);
    throw error;
  }
}

/** The same for a GET or DELETE. */
export async function passPersonalStream(passage: Passage, send: () => Promise<Response>): Promise<Response> {
  const { early, request } = passage;
  if (request.method === "DELETE" && early.find(passage)?.opened === null) {
    return streamWithout(passage);
  }
  try {
    passage.credential = await credentialOf(passage);
    const joined = await join(passage);
    const answer = joined && request.method === "GET" && passage.session?.upstreamId === null
      ? noStream()
      : await send();
    if (joined && request.method === "DELETE") early.end(passage);
    return answer;
  } catch (error) {
    if (error instanceof CredentialNeeded) return streamWithout(passage);
    throw error;
  }
}

async function credentialOf({ services, target, actor }: Passage): Promise<readonly Header[]> {
  return await services.upstream.headersFor(target, actor);
}

/** Opens a session that the mesh has begun by itself at the upstream; false where the request names no such session. */
async function join(passage: Passage): Promise<boolean> {
  const session = passage.early.find(passage);
  if (session === null) return false;
  await passage.early.open(passage, session);
  passage.session = session;
  return true;
}

/** The credential of somebody who is connecting right now. Throws CredentialNeeded where that takes too long. */
async function awaited(call: Call): Promise<readonly Header[]> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    try {
      return await credentialOf(call);
    } catch (error) {
      const over = performance.now() > deadline || call.lifecycle.draining;
      if (!(error instanceof CredentialNeeded) || over) throw error;
      await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
    }
  }
}
