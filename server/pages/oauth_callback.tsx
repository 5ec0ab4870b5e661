import { NotConnectedPage } from "../../views/oauth_callback.tsx";
import { paths } from "../../views/paths.ts";
import { perform } from "../actions/action.ts";
import { finishAuthorizing } from "../actions/credential_authorizing.ts";
import { AppError, httpStatus } from "../errors.ts";
import { goTo, publicShell, safeNext, type VisitContext } from "../visit.ts";
import { contextOf } from "./page.ts";

/**
 * Where authorization servers send the browser back to. What a state began, only the session that began it ends, so
 * that nobody can have somebody else's browser end it for them (RFC 6749 section 10.12, CL15).
 */
export async function finishConnecting(c: VisitContext): Promise<Response> {
  // The address holds a code: no link of the page may pass it on.
  c.header("referrer-policy", "no-referrer");
  const { session, choose } = c.get("visit");
  if (!session) return await refuse(c, 401);
  try {
    const done = await perform(finishAuthorizing, contextOf(c), answerIn(c));
    // Where it was begun, in case another window has changed to another organization since.
    await choose(done.organization_id);
    const path = safeNext(done.return_to ?? undefined) || paths.myConnection(done.connection_id);
    return goTo(
      c,
      path,
      done.problem === null
        ? { kind: "good", text: `${done.title} is connected.` }
        : { kind: "bad", text: `${done.title} is connected, but of no use yet: ${done.problem}.` },
    );
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return await refuse(c, statusOf(error), `${error.message}.`);
  }
}

/** Proxies put a page of their own in the place of a 5xx, and a 401 is for who is not signed in. */
function statusOf({ code }: AppError): Status {
  return code === "upstream_failed" || code === "unauthenticated" ? 400 : httpStatus[code];
}

type Status = typeof httpStatus[keyof typeof httpStatus];

const names = ["state", "code", "iss", "error", "error_description"] as const;

/** The parameters that count, each where it is there once. RFC 6749 section 3.1 */
function answerIn(c: VisitContext): Record<string, string> {
  const query = new URL(c.req.url).searchParams;
  const given = names.flatMap((name) => {
    const values = query.getAll(name);
    return values.length === 1 ? [[name, values[0] ?? ""]] : [];
  });
  return { state: "", ...Object.fromEntries(given) };
}

async function refuse(c: VisitContext, status: Status, message?: string): Promise<Response> {
  return await c.html(<NotConnectedPage shell={publicShell(c)} message={message} />, status);
}
